/*
 * \brief  Parent of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/block_session.h>
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/file_system_session.h>
#include <cap_checkpoint/nic_session.h>
#include <cap_checkpoint/parent.h>
#include <cap_checkpoint/printable.h>
#include <cap_checkpoint/report_session.h>
#include <cap_checkpoint/rm_session.h>
#include <cap_checkpoint/rom_session.h>
#include <cap_checkpoint/terminal_session.h>
#include <util/arg_string.h>

using namespace Cap_checkpoint;

static bool env_session(Open_session::Request const &request, Parent::Client::Id id,
                        char const *service)
{
	return request.id.value == id.value && request.service == service;
}


/**
 * Return true if the session comes with the component, which does not pay for it
 */
static bool env_session(Open_session::Request const &request)
{
	using Env = Parent::Env;

	return env_session(request, Env::pd(),     "PD")  || env_session(request, Env::cpu(),    "CPU")
	    || env_session(request, Env::log(),    "LOG") || env_session(request, Env::binary(), "ROM")
	    || env_session(request, Env::linker(), "ROM");
}


Virtual_parent::~Virtual_parent()
{
	_env.ep().dissolve(*this);

	/* threads of children end first, so that none misses what other sessions provide */
	auto any_cpu = [&]
	{
		Open_session *cpu = nullptr;
		for_each_session([&] (Open_session &session) {
			if (session.cpu_session())
				cpu = &session; });
		return cpu;
	};
	while (Open_session * const cpu = any_cpu())
		_destroy(*cpu);

	while (_sessions.apply_any<Open_session>([&] (Open_session &s) { _destroy(s); }));
}


void Virtual_parent::_destroy(Open_session &session)
{
	Open_session::Costs const donated = session.request.donated;

	destroy(_alloc, &session);
	_pd.repay(donated);
}


/**
 * Return session, or nullptr if it is of no use
 */
template <typename SESSION>
Open_session *Virtual_parent::_usable(SESSION *session)
{
	if (session->valid())
		return session;

	warning(_pd.name, ": ", session->request.service, " session ",
	        session->request.label().last_element(), " is denied");
	destroy(_alloc, session);
	return nullptr;
}


/**
 * Create PD or CPU session that is not one of the environment
 */
Open_session *Virtual_parent::_create_for_child(Request const &request)
{
	bool const pd = request.service == "PD";

	if ((pd ? children().pds : children().cpus) >= MAX_CHILDREN) {
		warning(_pd.name, ": no more than ", MAX_CHILDREN, " sessions of the service ",
		        request.service, " can be open");
		return nullptr;
	}

	Session_label const label = _policy.label(request.service, request.label());

	/* the component has paid at least what the session takes */
	Open_session::Costs const quota { { request.donated.ram.value  - SESSION_RAM  },
	                                  { request.donated.caps.value - SESSION_CAPS } };
	if (pd)
		return new (_alloc) Pd_service_session(_env, _ram, _local_rm, _alloc, label, quota, _pd,
		                                       _sessions, request);

	return _usable(new (_alloc) Cpu_service_session(_env, label, quota, _core_sessions.priority(),
	                                                _pd, _sessions, request));
}


Open_session *Virtual_parent::_create(Request const &request)
{
	Session_label const label = request.label();

	if (env_session(request, Parent::Env::pd(), "PD"))
		return new (_alloc) Env_session(_sessions, request, _pd.cap());

	if (env_session(request, Parent::Env::cpu(), "CPU"))
		return new (_alloc) Env_session(_sessions, request, _cpu.cap());

	bool const env_log = env_session(request, Parent::Env::log(), "LOG");

	/* a label becomes an argument of another session, and is printed */
	if (!env_log && !Printable(label).argument()) {
		warning(_pd.name, ": session ", Printable(request.service), " (", Printable(label),
		        ") is denied because of its label");
		return nullptr;
	}

	/* the monitor itself is behind it */
	bool const own = request.service == "ROM" && label.last_element() == "session_requests";

	if (!env_log && !own && !_policy.permitted(request.service, label)) {
		warning(_pd.name, ": no route to service ", Printable(request.service), " (", label, ")");
		return nullptr;
	}

	if (request.service == "LOG")
		return new (_alloc) Log_service_session(_env.ep(), env_log ? Session_label(_pd.name)
		                                        : prefixed_label(Session_label(_pd.name),
		                                                         label.last_element()),
		                                        _sessions, request);

	if (own)
		return _usable(new (_alloc) Requests_service_session(_env, _env.ep(), _pd, offer(),
		                                                     _sessions, request));

	if (request.service == "ROM")
		return _usable(new (_alloc) Rom_service_session(_env, _env.ep(), _pd, _policy.rom(label),
		                                                label.last_element(), _sessions,
		                                                request));

	if (request.service == "Timer")
		return new (_alloc) Timer_service_session(_env.ep(), _timer, _pd.real(), _sessions,
		                                          request);

	if (request.service == "Report")
		return _usable(new (_alloc) Report_service_session(_env, _env.ep(), _pd,
		                                                   _policy.label("Report", label),
		                                                   _sessions, request));

	if (request.service == "Terminal")
		return _usable(new (_alloc) Terminal_service_session(_env, _env.ep(), _pd,
		                                                     _policy.label("Terminal", label),
		                                                     _sessions, request));

	if (request.service == "Block")
		return _usable(new (_alloc) Block_service_session(_env, _env.ep(), _pd, _alloc,
		                                                  _policy.label("Block", label),
		                                                  _sessions, request));

	if (request.service == "File_system")
		return _usable(new (_alloc) File_system_service_session(_env, _env.ep(), _pd, _alloc,
		                                                        _policy.label("File_system",
		                                                                      label),
		                                                        _sessions, request));

	if (request.service == "Nic")
		return _usable(new (_alloc) Nic_service_session(_env, _env.ep(), _pd, _alloc,
		                                                _policy.label("Nic", label),
		                                                _sessions, request));

	if (request.service == "RM")
		return _usable(new (_alloc) Rm_service_session(_env, _env.ep(), _pd, _alloc,
		                                               { { SESSION_RAM }, { SESSION_CAPS } },
		                                               _sessions, request));

	if (request.service == "PD" || request.service == "CPU")
		return _create_for_child(request);

	warning(_pd.name, ": service ", Printable(request.service), " (", label, ") cannot be used, "
	        "its state would be lost");
	return nullptr;
}


/**
 * Hand over to core what the component donates to a session of its environment
 */
void Virtual_parent::_upgrade(Open_session const &session, Open_session::Costs const &amount)
{
	Session::Resources const resources { amount.ram, amount.caps };

	if (!env_session(session.request) || (!amount.ram.value && !amount.caps.value))
		return;

	if (session.request.service == "PD")  _core_sessions.upgrade_pd (resources);
	if (session.request.service == "CPU") _core_sessions.upgrade_cpu(resources);
}


/**
 * What the monitor pays for the session at the server, if there is one
 */
static Open_session::Costs server_costs(Open_session::Request const &request)
{
	if (request.service == "ROM")
		return { { Rom_session::RAM_QUOTA }, { Rom_session::CAP_QUOTA } };

	if (request.service == "Report")
		return Report_service_session::server_costs(request.args);

	if (request.service == "Terminal")
		return Terminal_service_session::server_costs();

	if (request.service == "Block")
		return Block_service_session::server_costs(request.args);

	if (request.service == "File_system")
		return File_system_service_session::server_costs(request.args);

	if (request.service == "Nic")
		return Nic_service_session::server_costs(request.args);

	if (request.service == "RM")
		return Rm_service_session::server_costs();

	if (request.service == "PD")
		return Pd_service_session::server_costs();

	if (request.service == "CPU")
		return Cpu_service_session::server_costs();

	return { { 0 }, { 0 } };
}


/**
 * What the component pays for a session, at least as much as it takes from the monitor
 */
static Open_session::Costs costs_of_session(Open_session::Request const &request,
                                            Open_session::Costs const &donated)
{
	Open_session::Costs const server = server_costs(request);

	size_t const ram  = Virtual_parent::SESSION_RAM  + server.ram.value,
	             caps = Virtual_parent::SESSION_CAPS + server.caps.value;

	return { { max(donated.ram.value, ram) }, { max(donated.caps.value, caps) } };
}


/**
 * What a session costs beyond what was paid for it
 */
static Open_session::Costs missing_costs(Open_session const &session)
{
	Open_session::Costs const surcharge = session.surcharge(), paid = session.request.donated,
	                          usual     = costs_of_session(session.request, { });

	size_t const ram  = usual.ram.value  + surcharge.ram.value,
	             caps = usual.caps.value + surcharge.caps.value;

	return { { ram  > paid.ram.value  ? ram  - paid.ram.value  : 0 },
	         { caps > paid.caps.value ? caps - paid.caps.value : 0 } };
}


static Session_error session_error(Alloc_error e)
{
	return e == Alloc_error::OUT_OF_CAPS ? Session_error::OUT_OF_CAPS
	     : e == Alloc_error::OUT_OF_RAM  ? Session_error::OUT_OF_RAM
	     :                                 Session_error::DENIED;
}


Virtual_parent::Open_result Virtual_parent::open(Request const &wanted)
{
	Request request = wanted;

	bool const env = env_session(wanted);

	if (!env)
		request.donated = costs_of_session(wanted, wanted.donated);

	bool known = false;
	_with_session(request.id, [&] (Open_session &) { known = true; }, [&] { });
	if (known)
		return Session_error::DENIED;

	return _pd.pay(request.donated).convert<Open_result>(

		[&] (Ok) -> Open_result {

			Open_session *session = nullptr;

			/* the monitor may lack memory or capabilities */
			try { session = _create(request); }
			catch (...) {
				warning(_pd.name, ": session ", Printable(request.service), " (",
				        Printable(request.label()), ") is denied"); }

			if (!session) {
				_pd.repay(request.donated);
				return Session_error::DENIED;
			}

			Open_session::Costs const missing = env ? Open_session::Costs { }
			                                        : missing_costs(*session);

			return _pd.pay(missing).convert<Open_result>(

				[&] (Ok) -> Open_result {
					session->request.donated.ram.value  += missing.ram.value;
					session->request.donated.caps.value += missing.caps.value;
					_upgrade(*session, request.donated);
					return session; },

				[&] (Alloc_error e) -> Open_result {
					_destroy(*session);
					return session_error(e); }); },

		[&] (Alloc_error e) -> Open_result { return session_error(e); });
}


void Virtual_parent::announce(Service_name const &name)
{
	Offer * const offer = this->offer();

	if (name.valid_string() && offer && _policy.offered(name.string()))
		offer->announce(name.string());
	else
		warning(_pd.name, ": service ", Printable(name.string()), " is not offered to anybody");
}


void Virtual_parent::session_response(Server::Id id, Session_response response)
{
	if (Offer * const offer = this->offer())
		offer->session_response(id, response);
}


void Virtual_parent::deliver_session_cap(Server::Id id, Session_capability cap)
{
	if (Offer * const offer = this->offer())
		offer->deliver(id, cap);
}


static Open_session::Costs donated_quota(char const *args)
{
	return { ram_quota_from_args(args), cap_quota_from_args(args) };
}


Parent::Session_result Virtual_parent::session(Client::Id id, Service_name const &name,
                                               Session_args const &args,
                                               Affinity const &affinity)
{
	if (!name.valid_string() || !args.valid_string() || Env::session_id(id))
		return Session_error::DENIED;

	Request const request { .id = id, .service = name.string(), .args = args.string(),
	                        .affinity = affinity, .donated = donated_quota(args.string()) };

	return open(request).convert<Session_result>(
		[&] (Open_session *session) -> Session_result { return session->session_cap(); },
		[&] (Session_error e)       -> Session_result { return e; });
}


Parent::Session_cap_result Virtual_parent::session_cap(Client::Id id)
{
	Session_cap_result result = Session_cap_error::DENIED;

	_with_session(id, [&] (Open_session &session) { result = session.session_cap(); }, [&] { });

	return result;
}


Parent::Upgrade_result Virtual_parent::upgrade(Client::Id id, Upgrade_args const &args)
{
	if (!args.valid_string())
		return Upgrade_result::OK;

	Open_session::Costs const amount = donated_quota(args.string());

	return _pd.pay(amount).convert<Upgrade_result>(

		[&] (Ok) {
			_with_session(id,
				[&] (Open_session &session) {
					session.request.donated.ram.value  += amount.ram.value;
					session.request.donated.caps.value += amount.caps.value;
					session.upgrade(amount);
					_upgrade(session, amount); },
				[&] { _pd.repay(amount); });
			return Upgrade_result::OK; },

		[&] (Alloc_error e) {
			return e == Alloc_error::OUT_OF_CAPS ? Upgrade_result::OUT_OF_CAPS
			                                     : Upgrade_result::OUT_OF_RAM; });
}


Parent::Close_result Virtual_parent::close(Client::Id id)
{
	if (!Env::session_id(id))
		_with_session(id, [&] (Open_session &session) { _destroy(session); }, [&] { });

	return Close_result::DONE;
}


void Virtual_parent::resource_request(Resource_args const &args)
{
	warning(_pd.name, " requests resources: ", Printable(args));
}
