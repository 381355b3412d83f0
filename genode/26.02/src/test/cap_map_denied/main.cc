/*
 * \brief  Monitor that lacks a resource whenever a child asks for its PD session
 * \date   2026-11-29
 *
 * A child is started and stopped over and over. Each time, the creation of its
 * PD session fails for another reason, which nobody but the monitor may notice.
 * The failures must not cost any resource. At last, a session is created.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Failing_pd;
	struct Main;

	/* each reason comes several times, and the first ones may cost something */
	static constexpr unsigned NUM_REASONS = 5, WARM_UP = NUM_REASONS,
	                          FAILURES = 10*NUM_REASONS;
}


struct Test::Failing_pd : Monitored_pd
{
	static unsigned attempts;

	Failing_pd(auto &&... args) : Monitored_pd(args...)
	{
		if (attempts++ >= FAILURES)
			return;

		switch (attempts % NUM_REASONS) {
		case 0: throw Out_of_ram();
		case 1: throw Out_of_caps();
		case 2: throw Denied();
		case 3: throw Attached_dataspace::Region_conflict();
		case 4: throw Attached_dataspace::Invalid_dataspace();
		}
	}
};


unsigned Test::Failing_pd::attempts;


struct Test::Main : Sandbox::State_handler
{
	static constexpr unsigned PERIOD_US = 50*1000;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Basic_sandbox<Failing_pd> _sandbox { _env, *this };

	unsigned _seen = 0;

	struct Available
	{
		size_t ram, caps;

		void print(Output &out) const
		{
			Genode::print(out, ram, " bytes and ", caps, " caps");
		}

		Available operator - (Available const &other) const
		{
			return { .ram = ram - other.ram, .caps = caps - other.caps };
		}

		bool operator >= (Available const &other) const
		{
			return ram >= other.ram && caps >= other.caps;
		}
	};

	Available _available() const
	{
		return { .ram  = _env.pd().avail_ram().value,
		         .caps = _env.pd().avail_caps().value };
	}

	/* what was available without child */
	Available _first { }, _last { };

	void handle_sandbox_state() override { }

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] { g.attribute("name", name); fn(); });
	}

	void _apply_config(bool started)
	{
		Generated_node(_heap, 4*1024, "config", [&] (Generator &g) {

			g.node("parent-provides", [&] {
				_gen_service(g, "LOG", [&] { });
				_gen_service(g, "PD",  [&] { });
				_gen_service(g, "CPU", [&] { });
				_gen_service(g, "ROM", [&] { }); });

			if (!started)
				return;

			g.node("start", [&] {
				g.attribute("name", "test-log");
				g.attribute("caps", 100);
				g.attribute("ram",  "2M");

				g.node("route", [&] {
					_gen_service(g, "PD",  [&] { g.node("local"); });
					_gen_service(g, "CPU", [&] { g.node("local"); });
					g.node("any-service", [&] { g.node("parent"); }); }); });

		}).node.with_result(
			[&] (Node const &config) { _sandbox.apply_config(config); },
			[&] (Buffer_error)       { error("config exceeds buffer"); });
	}

	/**
	 * Return true if the child is at work
	 */
	bool _child_has_gates()
	{
		bool result = false;
		_sandbox.for_each_pd([&] (Monitored_pd &pd) {
			pd.for_each_gate([&] (Monitored_pd::Gate const &) { result = true; }); });

		return result;
	}

	void _finish(bool ok) { log("denied test ", ok ? "succeeded" : "failed"); }

	void _handle_timer()
	{
		if (_seen > FAILURES) {
			if (_child_has_gates()) {
				log("child takes ", _last - _available());
				_finish(true);
			}
			else
				_timer.trigger_once(PERIOD_US);
			return;
		}

		/* the session of the present child was denied */
		if (Failing_pd::attempts != _seen) {

			_seen = Failing_pd::attempts;

			if (_seen <= FAILURES)
				_apply_config(false);

			if (_seen == WARM_UP)
				_first = _available();

			if (_seen == FAILURES) {
				_last = _available();
				log(_seen, " sessions denied, ", _first - _last, " lost");

				if (!(_last >= _first)) {
					_finish(false);
					return;
				}
			}

			if (_seen <= FAILURES)
				_apply_config(true);
		}
		_timer.trigger_once(PERIOD_US);
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_apply_config(true);

		_timer.sigh(_timer_handler);
		_timer.trigger_once(PERIOD_US);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
