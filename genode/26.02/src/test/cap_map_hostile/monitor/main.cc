/*
 * \brief  Monitor a component that corrupts its capability table
 * \date   2026-11-22
 *
 * Another child makes sure that the damage is limited to the hostile one.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/heap.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Main;

	static constexpr unsigned DURATION_MS = 60*1000, PERIOD_MS = 100,
	                          STARTUP_MS  = 5*1000;
}


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Monitored_sandbox _sandbox { _env, *this };

	Snapshot_with_memory<> _snapshot { };

	void handle_sandbox_state() override { }

	/* observations about the hostile child */
	unsigned _snapshots = 0, _inconsistent = 0, _refused = 0,
	         _corrupt_slots = 0, _unconfirmed = 0,
	         _rewritten = 0, _not_rewritten = 0;

	/* observations about the other child */
	unsigned _gates = 0, _wrong = 0, _compared = 0;

	uint64_t _max_ms = 0;

	/**
	 * Apply all operations to the table of the hostile child
	 */
	void _examine_hostile(Monitored_pd &pd)
	{
		Status const status = pd.cap_space.take(_snapshot);
		if (!Cap_map::ok(status)) {
			_refused++;
			return;
		}

		_snapshots++;
		_inconsistent += !_snapshot.consistent();

		for (unsigned slot = 0; slot < _snapshot.num_slots(); slot++)
			if (_snapshot.entry(slot).state == CAP_MAP_STATE_CORRUPT)
				_corrupt_slots++;

		unsigned attempts = 0;
		_snapshot.for_each([&] (unsigned slot, unsigned badge) {

			if (attempts++ > 1)
				return;

			_unconfirmed += !pd.cap_space.confirmed(slot, badge);

			Rewrite  batch[1] { { .slot = slot, .expected = badge,
			                      .replacement = badge ^ 4, .left_out = 0,
			                      .head = 0, .next = 0 } };
			unsigned reason = 0;
			if (Cap_map::ok(pd.cap_space.rewrite(batch, 1, reason)))
				_rewritten++;
			else
				_not_rewritten++;
		});
	}

	/**
	 * Compare the table of the other child with what the kernel says
	 */
	void _examine_good(Monitored_pd &pd)
	{
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
			_gates = max(_gates, gate.id); });

		if (!Cap_map::ok(pd.cap_space.take(_snapshot))) {
			_wrong++;
			return;
		}

		/* gates exist while we execute, the child cannot destroy them */
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {

			unsigned const badge = unsigned(gate.cap.local_name());

			_snapshot.for_each([&] (unsigned slot, unsigned used) {
				if (used != badge)
					return;

				_compared++;
				_wrong += !pd.cap_space.confirmed(slot, badge); }); });
	}

	uint64_t const _start_ms = _timer.elapsed_ms();

	bool _hostile_running = true;

	unsigned _gates_after_removal = 0;

	void _handle_timer()
	{
		uint64_t const begin_ms = _timer.elapsed_ms();

		_sandbox.for_each_pd([&] (Monitored_pd &pd) {
			if (pd.name == "hostile")
				_examine_hostile(pd);
			else
				_examine_good(pd); });

		uint64_t const now_ms = _timer.elapsed_ms();

		_max_ms = max(_max_ms, now_ms - begin_ms);

		/* let the hostile child die while it is at it */
		if (_hostile_running && now_ms - _start_ms > STARTUP_MS + DURATION_MS) {
			_hostile_running     = false;
			_gates_after_removal = _gates;
			_apply_config();
		}

		if (now_ms - _start_ms > STARTUP_MS + DURATION_MS + STARTUP_MS) {
			_finish();
			return;
		}

		_timer.trigger_once(PERIOD_MS*1000);
	}

	void _finish()
	{
		log("hostile child: ", _snapshots, " snapshots, ", _inconsistent,
		    " inconsistent, ", _refused, " refused, ", _corrupt_slots,
		    " corrupt slots, ", _unconfirmed, " capabilities unconfirmed, ",
		    _rewritten, " rewritten, ", _not_rewritten, " not rewritten");

		log("other child: ", _gates, " gates created, ", _gates - _gates_after_removal,
		    " of them after the death of the hostile child, ",
		    _compared, " compared, ", _wrong, " wrong");

		log("longest examination took ", _max_ms, " ms");

		bool const succeeded = (_snapshots || _refused) && _corrupt_slots
		                    && _gates > _gates_after_removal
		                    && _gates_after_removal > 100
		                    && _compared && !_wrong;

		log("hostile test ", succeeded ? "succeeded" : "failed");
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] { g.attribute("name", name); fn(); });
	}

	void _gen_start(Generator &g, char const *name, bool hostile) const
	{
		g.node("start", [&] {
			g.attribute("name", name);
			g.attribute("caps", 200);
			g.attribute("ram", "4M");

			g.node("binary", [&] {
				g.attribute("name", "test-cap_map_hostile-child"); });

			g.node("config", [&] { g.attribute("hostile", hostile); });

			g.node("route", [&] {
				_gen_service(g, "PD",  [&] { g.node("local"); });
				_gen_service(g, "CPU", [&] { g.node("local"); });
				g.node("any-service", [&] { g.node("parent"); }); }); });
	}

	void _apply_config()
	{
		Generated_node(_heap, 8*1024, "config", [&] (Generator &g) {

			g.node("parent-provides", [&] {
				_gen_service(g, "LOG", [&] { });
				_gen_service(g, "PD",  [&] { });
				_gen_service(g, "CPU", [&] { });
				_gen_service(g, "ROM", [&] { }); });

			_gen_start(g, "good", false);

			if (_hostile_running)
				_gen_start(g, "hostile", true);

		}).node.with_result(
			[&] (Node const &config) { _sandbox.apply_config(config); },
			[&] (Buffer_error)       { error("config exceeds buffer"); });
	}

	void _handle_resource_avail() { }

	Signal_handler<Main> _resource_avail_handler {
		_env.ep(), *this, &Main::_handle_resource_avail };

	Main(Env &env) : _env(env)
	{
		_env.parent().resource_avail_sigh(_resource_avail_handler);

		_apply_config();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(STARTUP_MS*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
