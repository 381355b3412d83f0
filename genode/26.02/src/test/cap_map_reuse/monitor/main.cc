/*
 * \brief  Replace gates of a component that uses their slots for something else
 * \date   2026-11-29
 *
 * The child drops its gates, obtains capabilities of the monitor in the same
 * slots, and gets its gates back, over and over. Meanwhile, all of its gates
 * that are in its table are replaced. No capability of the monitor that the
 * child holds may be overwritten by a gate, be it a new or an old one. This is
 * examined while the child waits, by asking core.
 *
 * The child executes during the first half of the test. The kernel compares and
 * maps a capability by two operations, so a loss is possible but very unlikely.
 * Without core's comparison, about one of 700 capabilities is lost. During the
 * second half, the child is paused while its gates are replaced. There must not
 * be any loss.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

/* local includes */
#include <source_component.h>

namespace Test { struct Main; }


Test::Source_component *Test::Reuse_pd::source_ptr;


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Source_component _source { _env };

	Basic_sandbox<Reuse_pd> _sandbox { _env, *this };

	Snapshot_with_memory<> _snapshot { };

	unsigned _rounds = 0;

	Half _half { };

	/* the gates created first belong to the entrypoint of the child */
	unsigned _first_gate = 0;

	void handle_sandbox_state() override { }

	void _update_gates(Monitored_pd &pd, Native_capability (&gates)[NUM_CAPS])
	{
		unsigned count = 0;
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
			count = max(count, gate.id + 1); });

		_first_gate = count - NUM_CAPS;

		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
			if (gate.id >= _first_gate)
				gates[gate.id - _first_gate] = gate.cap; });
	}

	void _replace(Monitored_pd &pd)
	{
		unsigned selected = 0;

		pd.replace_gates(_snapshot, [&] (Monitored_pd::Gate const &gate) {
			bool const result = (gate.id >= _first_gate);
			selected += result;
			return result;

		}).with_result(
			[&] (unsigned count) { _half.replacement(count, selected); },
			[&] (Monitored_pd::Replace_error) { _half.refused++; });
	}

	bool _first_half_ok = false;

	void _round(Reuse_pd &pd)
	{
		_source.with_gates([&] (auto &gates) {

			if (!_rounds)
				_source.cap_space(pd.cap_space);
			else if (_rounds <= ROUNDS)
				_replace(pd);
			else
				_sandbox.with_paused_threads(pd, [&] { _replace(pd); });

			_update_gates(pd, gates);
		});
	}

	void _handle_timer()
	{
		_sandbox.for_each_pd([&] (Reuse_pd &pd) { _round(pd); });

		if (_rounds == ROUNDS)
			_first_half_ok = _half.succeeded("executing", _source, _source.tolerated());

		if (_rounds++ < 2*ROUNDS) {
			_timer.trigger_once(20*1000);
			return;
		}

		bool const ok = _half.succeeded("paused", _source, 0) && _first_half_ok;

		log("reuse test ", ok ? "succeeded" : "failed");
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		Reuse_pd::source_ptr = &_source;

		_sandbox.apply_config(_config.node());

		_timer.sigh(_timer_handler);
		_timer.trigger_once(3*1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
