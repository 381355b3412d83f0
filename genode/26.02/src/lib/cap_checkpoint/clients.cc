/*
 * \brief  Clients of a component that is frozen, saved, and restored
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/child.h>
#include <trace/timestamp.h>

using namespace Cap_checkpoint;

using Session_response = Parent::Session_response;


static void sleep_ms()
{
	using namespace Foc;

	/* the exponent says multiples of 8 us */
	l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
}


/***************************
 ** Life of the component **
 ***************************/

void Offer::start(Virtual_pd &pd)
{
	abandon();
	_pd = &pd;
	_renumber(1);
}


/**
 * Let the component know sessions by IDs that it has not used for something else
 */
void Offer::_renumber(uint64_t const next_id)
{
	_next_id = next_id;
	_for_each([&] (Served &served) {
		if (served.known)
			served.id = Id { (unsigned long)_next_id++ }; });
}


void Offer::detach(Virtual_pd &pd)
{
	if (_pd != &pd)
		return;

	hold();

	/* what they wait for never happens, or not in this life */
	for (bool calling = true; calling; ) {
		calling = false;
		_for_each_proxy([&] (Served &, Proxy &proxy) {
			proxy.cancel();
			calling |= proxy.calling(); });
		if (calling)
			sleep_ms();
	}

	/* what a reply means is not known any more in the next life */
	_answer_proxies();

	_for_each_proxy([&] (Served &served, Proxy &proxy) {
		served.server = NONE;
		for (unsigned i = 0; i < Proxy::MAX_OBJECTS; i++)
			proxy.target(i, { }); });

	_pd = nullptr;

	/* all of its quota comes back */
	_kept = { };

	/* the component gets to know in the next life */
	_for_each([&] (Served &served) {
		if (served.known && served.closing) {
			_respond(served, Session_response::CLOSED);
			served.has_client = false;
		} });
}


void Offer::hold()
{
	_for_each_proxy([&] (Served &served, Proxy &proxy) {

		/* one that is opened again answers by errors until then */
		if (served.stage == Stage::CREATE && served.delivered)
			return;

		proxy.repeat(false);
		proxy.phase(Proxy::HELD); });
}


bool Offer::settled()
{
	for (unsigned i = 0; i < 200; i++) {

		bool moving = false;
		_for_each_proxy([&] (Served &, Proxy &proxy) {
			moving |= (proxy.call() == Proxy::Call::MOVING); });

		/* a reply must be understood in the life that it belongs to */
		_answer_proxies();

		if (!moving)
			return true;

		sleep_ms();
	}
	return false;
}


void Offer::release()
{
	_stamp = 0;

	_for_each([&] (Served &served) {
		served.server = NONE;
		_pay_debts(served); });

	/* the component may have freed the object of a session that is still there */
	_for_each_proxy([&] (Served &served, Proxy &proxy) {
		if (proxy.target(0).valid())
			proxy.phase(Proxy::OPEN);
		else if (served.stage != Stage::CREATE || served.delivered)
			proxy.phase(Proxy::DEAD); });
}


/**
 * Let the component that comes next open a session for a client that goes on
 *
 * Until then, requests are answered by errors.
 *
 * \return  false if the client has to open another one
 */
bool Offer::_reopen(Served &served)
{
	if (!_policy || !_policy->reopens(served.service) || !served.delivered || !served.has_client
	 || !served.known || served.closing)
		return false;

	if (served.stage == Stage::UPGRADE)
		_respond(served, Session_response::OK);

	served.stage = Stage::CREATE;
	served.proxy->phase(Proxy::DEAD);
	return true;
}


void Offer::abandon()
{
	_stamp = 0;

	_answer_proxies();

	_for_each([&] (Served &served) {

		/* the contexts of the next component are others, even if they have the same imprints */
		for (Served::Stand_in &stand_in : served.stand_ins)
			stand_in = { };

		/* a request that was not answered is one to whom it may concern */
		if (_reopen(served)
		 || (served.known && served.has_client && served.stage == Stage::CREATE && !served.closing)) {
			served.unpaid  = _sum(served.unpaid, served.donated);
			served.donated = { };
			return;
		}

		if (served.over())
			return _end(served, served.owed ? served.answer : Session_response::CLOSED);

		if (served.known && served.stage == Stage::UPGRADE)
			_respond(served, Session_response::OK);

		served.known   = served.owed = false;
		served.donated = served.unpaid = { };
		served.proxy->phase(Proxy::DEAD);
	});
}


void Offer::withdraw()
{
	for (Name &service : _services)
		service = { };

	/* a request that was not answered waits for whoever provides the service next */
	_for_each([&] (Served &served) {
		if (served.has_client && served.known && served.stage == Stage::CREATE && !served.closing
		 && !served.delivered)
			_remove(served); });

	abandon();

	_for_each([&] (Served &served) {
		served.known  = false;
		served.unpaid = { }; });
}


/**********************
 ** Save and restore **
 **********************/

void Offer::save_state(Offer_state &state)
{
	bzero(&state, sizeof(state));

	/* not zero, and not the one of another system or time */
	_stamp = Trace::timestamp() | 1;

	/* clients write to it, too, which core does not tell */
	_pd->dataspaces.for_each([&] (Dataspace &ds) {
		if (ds.shared)
			ds.forgotten(0, ds.size); });

	state.stamp   = _stamp;
	state.next_id = _next_id;

	for (unsigned i = 0; i < Offer_state::MAX_SERVICES; i++)
		(void)Image::put_text(state.services[i], _services[i].string());

	unsigned i = 0;
	_for_each([&] (Served &served) {

		Offer_state::Session &session = state.sessions[i++];

		session.server = NONE;
		for (uint32_t &gate : session.gates)
			gate = NONE;

		if (!served.known && !served.owed)
			return;

		uint32_t number = 0;
		_pd->for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
			for (unsigned j = 0; served.proxy.constructed() && j < Proxy::MAX_OBJECTS; j++)
				if (gate.cap == served.proxy->target(j))
					session.gates[j] = number;
			number++; });

		session.id        = served.id.value;
		session.stage     = served.owed ? uint32_t(Stage::OVER) : uint32_t(served.stage);
		session.ram       = served.donated.ram.value;
		session.caps      = served.donated.caps.value;
		session.more_ram  = served.more.ram.value;
		session.more_caps = served.more.caps.value;
		(void)Image::put_text(session.service, served.service.string());
		(void)Image::put_text(session.args,    served.args.string());
	});
}


/**
 * Let a client go on with the component that continues where the former one was frozen
 */
void Offer::_continue(Served &served, Offer_state::Session const &session,
                      Array<Native_capability> const &gates)
{
	if (!served.proxy.constructed())
		return;

	for (unsigned i = 0; i < Proxy::MAX_OBJECTS; i++)
		if (session.gates[i] < gates.count())
			served.proxy->target(i, gates[session.gates[i]]);

	served.server = session.server;
	served.proxy->new_life();
}


/**
 * Let the component close a session whose client is not here, or return what it has of it
 */
void Offer::_add_orphan(Offer_state::Session const &session)
{
	auto text = [] (auto const &field) { return Cstring(field, sizeof(field) - 1); };

	Served * const served = _add(Id { (unsigned long)session.id }, false, Id { 0 },
	                             Name(text(session.service)), Args(text(session.args)));
	if (!served)
		return;

	served->owed    = session.stage == Stage::OVER;
	served->known   = !served->owed;
	served->stage   = session.stage == Stage::OPEN ? Stage::CLOSE : Stage(session.stage);
	served->donated = { { size_t(session.ram)      }, { size_t(session.caps)      } };
	served->more    = { { size_t(session.more_ram) }, { size_t(session.more_caps) } };
}


bool Offer::has_room(Offer_state const &state)
{
	if (_stamp && state.stamp == _stamp)
		return true;

	unsigned count = 0;

	_for_each([&] (Served const &served) { count += !served.over(); });

	for (Offer_state::Session const &session : state.sessions)
		count += (session.stage != Stage::NONE);

	return count <= Offer_state::MAX_SESSIONS;
}


bool Offer_state::plausible() const
{
	auto text = [] (auto const &field) { return !field[sizeof(field) - 1]; };

	if (next_id > MAX_ID)
		return false;

	for (auto const &service : services)
		if (!text(service))
			return false;

	for (Session const &session : sessions) {

		/* what belongs to no session permits nothing */
		if (session.stage == Session::NONE && (session.ram || session.caps))
			return false;

		if (session.stage == Session::NONE)
			continue;

		if (session.stage > Session::OVER || session.id >= next_id
		 || session.ram  > MAX_QUOTA || session.more_ram  > MAX_QUOTA
		 || session.caps > MAX_QUOTA || session.more_caps > MAX_QUOTA
		 || !text(session.service) || !text(session.args))
			return false;

		unsigned same = 0;
		for (Session const &other : sessions)
			same += (other.stage != Session::NONE && other.id == session.id);

		if (same > 1)
			return false;
	}
	return true;
}


void Offer::resume(Virtual_pd &pd, Offer_state const &state, Array<Native_capability> const &gates,
                   Costs const &donated)
{
	bool const same = _stamp && state.stamp == _stamp;

	if (!same) {
		abandon();
		_renumber(state.next_id);
		pd.signals.free_stand_ins();
	}
	_pd = &pd;

	for (Offer_state::Session const &session : state.sessions) {

		if (session.stage == Stage::NONE)
			continue;

		if (same)
			_with_id(Id { (unsigned long)session.id }, [&] (Served &served) {
				_continue(served, session, gates); });
		else
			_add_orphan(session);
	}

	/* what it has returned, or returns to nobody, is not forgotten */
	Costs const known = this->donated();
	_kept = { { donated.ram.value  - min(donated.ram.value,  known.ram.value)  },
	          { donated.caps.value - min(donated.caps.value, known.caps.value) } };

	for (auto const &service : state.services)
		if (service[0])
			announce(Name(Cstring(service, sizeof(service) - 1)));
}


void Offer::repeat_calls()
{
	_for_each_proxy([&] (Served &served, Proxy &proxy) {
		if (served.server != NONE)
			proxy.repeat(true); });
}
