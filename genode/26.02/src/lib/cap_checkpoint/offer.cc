/*
 * \brief  Services that a component offers to clients outside
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/printable.h>
#include <util/arg_string.h>

using namespace Cap_checkpoint;

using Session_response = Parent::Session_response;


Offer::Offer(Monitor &monitor, Provider &provider, Session::Label const &label,
             Policy const *policy)
:
	_env(monitor.env), _own_pd(monitor.own_pd), _provider(provider), _label(label),
	_policy(policy)
{
	_provider.add(*this);
}


Offer::~Offer()
{
	_provider.remove(*this);

	/* nobody is left to answer */
	_for_each([&] (Served &served) {
		if (served.owed && served.over())
			_respond(served, served.answer);
		else if (served.has_client && served.stage == Stage::CREATE && !served.delivered)
			_respond(served, Session_response::DENIED);
		_remove(served); });
}


/**************
 ** Sessions **
 **************/

Offer::Served *Offer::_add(Id id, bool has_client, Id client_id, Name const &service,
                           Args const &args)
{
	for (Constructible<Served> &served : _served)
		if (!served.constructed()) {
			served.construct(id, has_client, client_id, service, args);
			served->key = ++_last_key;
			return &*served;
		}

	return nullptr;
}


void Offer::_remove(Served &removed)
{
	/* nothing is submitted to the client any more */
	for (Served::Stand_in const &stand_in : removed.stand_ins)
		if (_pd && stand_in.imprint)
			_pd->signals.with_imprint(stand_in.imprint, [&] (Context &context) {
				Signal_context_capability const cap = context.cap;
				_pd->signals.free(cap); });

	_release_memory(removed);

	for (Constructible<Served> &served : _served)
		if (served.constructed() && &*served == &removed)
			served.destruct();
}


void Offer::_respond(Served const &served, Session_response response)
{
	if (served.has_client)
		_env.parent().session_response(served.client_id, response);
}


void Offer::_end(Served &served, Session_response response)
{
	_respond(served, response);
	_remove(served);
}


/**
 * Let the component find a request for a session
 */
void Offer::_ask(Served &served, Stage stage)
{
	served.stage = stage;

	for (Notify *notify = _notified.first(); notify; notify = notify->next())
		notify->requests_changed();
}


/**
 * Follow the answer of the component to a request other than to close the session
 */
void Offer::_settle(Served &served)
{
	served.stage = Stage::OPEN;

	if (served.closing || !served.has_client)
		_ask(served, Stage::CLOSE);
}


bool Offer::provides(Name const &name) const
{
	for (Name const &service : _services)
		if (service == name && name.length() > 1)
			return true;

	return false;
}


/**
 * Return who opens a session, as the parent of the monitor says
 *
 * Whatever follows in the label is up to the client.
 */
static Session_label client_of(char const *args)
{
	Session_label const label = label_from_args(args);

	for (size_t i = 0; i < label.length(); i++)
		if (!strcmp(label.string() + i, " -> ", 4))
			return Cstring(label.string(), i);

	return label;
}


/**
 * Return true if a client may open another session
 *
 * As many as it has must be left for others. So no client has more than half of all sessions, including
 * those that it has closed, and of which the component does not know yet.
 */
bool Offer::_may_open(Args const &args)
{
	unsigned own = 0, others = 0;

	_for_each([&] (Served const &served) {
		if (client_of(served.args.string()) == client_of(args.string()))
			own++;
		else
			others++; });

	return own < Offer_state::MAX_SESSIONS - own - others;
}


void Offer::create(Id client_id, Name const &service, Wanted_args const &wanted)
{
	size_t const ram  = ram_quota_from_args(wanted.string()).value,
	             caps = cap_quota_from_args(wanted.string()).value;

	auto deny = [&] (Session_response response) {
		_env.parent().session_response(client_id, response); };

	/* the client pays for what the monitor needs, the component gets the rest */
	if (ram  < Proxy::RAM)  return deny(Session_response::INSUFFICIENT_RAM);
	if (caps < Proxy::CAPS) return deny(Session_response::INSUFFICIENT_CAPS);

	Costs const rest { { ram - Proxy::RAM }, { caps - Proxy::CAPS } };

	auto refuse = [&] (auto &&... reason) {
		warning(_label, ": ", service, " session of ", client_of(wanted.string()), " is denied, ",
		        reason...);
		deny(Session_response::DENIED); };

	char args[Args::capacity()];
	copy_cstring(args, wanted.string(), sizeof(args));

	bool const fits = wanted.length() <= Args::capacity() &&
		Arg_string::set_arg(args, sizeof(args), "ram_quota", String<32>(rest.ram).string()) &&
		Arg_string::set_arg(args, sizeof(args), "cap_quota", String<32>(rest.caps).string());

	if (!fits)
		return refuse("its arguments have more than ", Args::capacity() - 1, " characters");

	if (!_may_open(Args(Cstring(args))))
		return refuse("it has as many sessions as there are left");

	if (_next_id >= Offer_state::MAX_ID)
		return refuse("all IDs were used");

	Served *served = nullptr;

	/*
	 * Threads must not be created by asking the parent for resources, and what the
	 * component gets must be what the client has donated.
	 */
	if (affords({ { ram }, { caps } }))
		served = _add(Id { (unsigned long)_next_id }, true, client_id, service, Args(Cstring(args)));

	if (!served)
		return refuse("not enough RAM or capabilities are left");

	_next_id++;

	try { served->proxy.construct(_env, _own_pd, _asked_handler, "client"); } catch (...) { }

	if (!served->proxy.constructed() || !served->proxy->gate().valid()) {
		_remove(*served);
		return deny(Session_response::DENIED);
	}

	_pay(*served, rest);
	_ask(*served, Stage::CREATE);
}


void Offer::upgrade(Id client_id, Costs const &amount)
{
	_with_client(client_id, [&] (Served &served) {

		if (!served.known)
			return _respond(served, Session_response::OK);

		/* it is to be opened again, and the component gets all at once */
		if (served.stage == Stage::CREATE && served.delivered) {
			_pay(served, amount);
			return _respond(served, Session_response::OK);
		}

		if (served.stage != Stage::OPEN)
			return;

		served.more = amount;
		_pay(served, amount);
		_ask(served, Stage::UPGRADE);
	});
}


void Offer::close(Id client_id)
{
	_with_client(client_id, [&] (Served &served) {

		served.closing = true;

		if (served.owed) {
			served.answer = Session_response::CLOSED;
			return;
		}

		if (served.known && served.stage == Stage::OPEN)
			_ask(served, Stage::CLOSE);

		if (served.known && _pd)
			return;

		if (!served.known)
			return _end(served, Session_response::CLOSED);

		/* a component that is not there gets to know later */
		_respond(served, Session_response::CLOSED);
		served.has_client = false;
	});
}


void Offer::announce(Name const &name)
{
	if (provides(name))
		return;

	if (_provider.taken(*this, name)) {
		warning(_label, ": service ", name, " is already offered by another child");
		return;
	}

	for (Name &service : _services)
		if (service.length() <= 1) {
			service = name;
			_provider.announce(name);
			return;
		}

	warning(_label, ": service ", name, " is one too many to be offered");
}


void Offer::session_response(Id id, Session_response response)
{
	_settle_owed();

	_with_id(id, [&] (Served &served) {

		bool const ok = response == Session_response::OK, closed = response == Session_response::CLOSED;

		if (served.stage == Stage::UPGRADE && ok) {
			_respond(served, response);
			_settle(served);
		}

		bool const denied = served.stage == Stage::CREATE && !ok && !closed;

		/* nothing that the parent does not know */
		if (denied && response != Session_response::INSUFFICIENT_RAM
		           && response != Session_response::INSUFFICIENT_CAPS)
			response = Session_response::DENIED;

		if (!denied && !(served.stage == Stage::CLOSE && closed))
			return;

		served.unpaid = { };
		served.known  = false;
		served.owed   = !_take_back(served);

		/* what the client has remains a session without an object */
		if (served.delivered && !served.over()) {
			served.proxy->phase(Proxy::DEAD);
			return;
		}

		served.answer = served.closing ? Session_response::CLOSED : response;

		/* the client waits as if the session was not over */
		if (served.owed)
			warning(_label, ": has to return the quota of a ", served.service, " session first");
		else
			_end(served, served.answer);
	});
}


void Offer::deliver(Id id, Session_capability cap)
{
	_with_id(id, [&] (Served &served) {

		if (served.stage != Stage::CREATE)
			return;

		bool const own = _pd && cap.valid() && _pd->own_gate(unsigned(cap.local_name()));

		if (!own) {
			warning(_label, ": ", served.service, " session is refused, as it is not an object "
			        "of the component");
			if (!served.delivered) {
				_respond(served, Session_response::DENIED);
				served.has_client = false;
			}
		}

		if (own && served.proxy.constructed()) {
			served.proxy->target(0, cap);
			served.proxy->new_life();
			served.proxy->phase(Proxy::OPEN);
		}

		/* the client may close the session as soon as it has it */
		_settle(served);

		if (served.has_client && !served.delivered) {
			served.delivered = true;
			_env.parent().deliver_session_cap(served.client_id,
			                                  reinterpret_cap_cast<Session>(served.proxy->gate()));
		}
	});
}


Offer::Numbers Offer::numbers()
{
	Numbers result { };

	_for_each([&] (Served const &served) {

		result.clients += served.has_client;
		result.dead    += !served.known;
		result.pending += served.pending();

		if (!served.known || !served.proxy.constructed())
			return;

		Proxy::Call const call = served.proxy->call();

		result.received += (call == Proxy::Call::RECEIVED);
		result.queued   += (call == Proxy::Call::QUEUED); });

	return result;
}


void Offer::generate_requests(Generator &g, unsigned max)
{
	unsigned count = 0;
	_for_each([&] (Served const &served) {

		if (!served.pending() || count++ >= max)
			return;

		char const * const type = served.stage == Stage::CREATE  ? "create"
		                        : served.stage == Stage::UPGRADE ? "upgrade" : "close";

		g.node(type, [&] {
			g.attribute("id", served.id.value);

			if (served.stage == Stage::CREATE) {
				g.attribute("service", served.service);
				g.attribute("label", label_from_args(served.args.string()));
				g.node("args", [&] { g.append_quoted(served.args.string()); });
			}
			if (served.stage == Stage::UPGRADE) {
				g.attribute("ram_quota", served.more.ram.value);
				g.attribute("cap_quota", served.more.caps.value);
			}
		});
	});
}
