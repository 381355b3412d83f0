/*
 * \brief  Component that has children for a while, and provides a service to them
 * \date   2026-12-01
 *
 * The ROM module "requests" says which phase it is. There are no children in phase 0. With 'once', a
 * phase ends as soon as the child that counts has written for the last time.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <report_session/report_session.h>
#include <sandbox/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Shared;
	struct Report_session;
	struct Main;
}


/**
 * Memory that nobody but the children writes to
 */
struct Test::Shared
{
	static constexpr unsigned LAST = 10;

	Attached_ram_dataspace _ds;

	char   _copy[4096] { };
	size_t _size = 0;

	/* the child that counts will not write any more */
	bool complete = false;

	Shared(Env &env) : _ds(env.ram(), env.rm(), sizeof(_copy)) { }

	Dataspace_capability cap() const { return _ds.cap(); }

	void submit(size_t size)
	{
		_size = min(size, sizeof(_copy));
		memcpy(_copy, _ds.local_addr<char const>(), _size);

		Node const node { Const_byte_range_ptr(_copy, _size) };

		complete = node.attribute_value("count", 0U) == LAST;

		if (complete)
			log("phase ", node.attribute_value("phase", 0U), ": the children work");
	}

	void check() const
	{
		if (complete && memcmp(_copy, _ds.local_addr<char const>(), _size))
			error("mistake: what a child has written is lost");
	}
};


struct Test::Report_session : Rpc_object<Report::Session>
{
	Entrypoint &_ep;
	Shared     &_shared;

	Report_session(Entrypoint &ep, Shared &shared) : _ep(ep), _shared(shared) { _ep.manage(*this); }

	~Report_session() { _ep.dissolve(*this); }

	Dataspace_capability dataspace() override { return _shared.cap(); }

	void submit(size_t size) override { _shared.submit(size); }

	void response_sigh(Signal_context_capability) override { }

	size_t obtain_response() override { return 0; }
};


struct Test::Main : Sandbox::State_handler, Sandbox::Local_service_base::Wakeup
{
	using Service = Sandbox::Local_service<Report_session>;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Shared _shared { _env };

	Sandbox _sandbox { _env, *this };
	Service _service { _sandbox, *this };

	Attached_rom_dataspace _requests { _env, "requests" };

	Timer::Connection _timer { _env };

	unsigned _phase = 0, _ticks = 0;
	bool     _once  = false;
	uint64_t _last_us = 0;

	void handle_sandbox_state() override { }

	void wakeup_local_service() override
	{
		_service.for_each_session_to_close([&] (Report_session &session) {
			destroy(_heap, &session);
			return Service::Close_response::CLOSED; });

		_service.for_each_upgraded_session([&] (Report_session &, Session::Resources const &) {
			return Service::Upgrade_response::CONFIRMED; });

		_service.for_each_requested_session([&] (Service::Request &request) {
			request.deliver_session(*new (_heap) Report_session(_env.ep(), _shared)); });
	}

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] {
			g.attribute("name", name);
			fn(); });
	}

	/**
	 * Another phase is another version
	 */
	void _gen_start(Generator &g, char const *role) const
	{
		g.node("start", [&] {
			g.attribute("name",    role);
			g.attribute("version", _phase);
			g.attribute("caps",    150U);
			g.attribute("ram",     "1200K");

			g.node("binary", [&] { g.attribute("name", "test-checkpoint-member"); });

			g.node("config", [&] {
				g.attribute("role",  role);
				g.attribute("phase", _phase); });

			g.node("route", [&] {
				_gen_service(g, "Report", [&] { g.node("local"); });
				g.node("any-service", [&] { g.node("parent"); }); }); });
	}

	void _apply_phase()
	{
		Generated_node(_heap, 4096, "config", [&] (Generator &g) {

			g.node("parent-provides", [&] {
				_gen_service(g, "LOG",   [&] { });
				_gen_service(g, "PD",    [&] { });
				_gen_service(g, "CPU",   [&] { });
				_gen_service(g, "ROM",   [&] { });
				_gen_service(g, "Timer", [&] { }); });

			if (_phase) {
				_gen_start(g, "counter");
				_gen_start(g, "leaver");
				_gen_start(g, "faulter");
			}

		}).node.with_result(
			[&] (Node const &config) { _sandbox.apply_config(config); },
			[&] (Buffer_error)       { error("config exceeds buffer"); });

		log("phase ", _phase, " begins");
	}

	void _handle_requests()
	{
		_requests.update();

		unsigned const phase = _requests.node().attribute_value("phase", _phase);

		if (phase == _phase)
			return;

		_phase = phase;
		_once  = _requests.node().attribute_value("once", false);

		/* a child that is killed may be about to write */
		if (phase)
			_shared.complete = false;

		_apply_phase();
	}

	Signal_handler<Main> _requests_handler { _env.ep(), *this, &Main::_handle_requests };

	void _handle_timer()
	{
		uint64_t const us = _timer.elapsed_us();

		if (us < _last_us)
			error("mistake: clock jumps back from ", _last_us, " to ", us);
		_last_us = us;

		if (_once && _phase && _shared.complete) {
			_phase = 0;
			_apply_phase();
		}

		if (!_phase)
			_shared.check();

		if (++_ticks % 20 == 0)
			log("phase ", _phase, ": ", _ticks, " ticks");
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_requests.sigh(_requests_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(50*1000);
		_handle_requests();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
