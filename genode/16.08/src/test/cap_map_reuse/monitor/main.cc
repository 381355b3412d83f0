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
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <cap_space_monitor/child.h>
#include <timer_session/connection.h>

/* local includes */
#include <source_component.h>

namespace Test { struct Main; }


Test::Source_component *Test::Reuse_pd::source_ptr;


struct Test::Main
{
	typedef Basic_child<Reuse_pd> Child;

	Env &_env;

	Timer::Connection _timer;

	Source_component _source;

	Snapshot_with_memory<> _snapshot;

	Half _half = Half();

	/* the gates created first belong to the entrypoint of the child */
	unsigned _first_gate = 0;

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
		unsigned selected = 0, count = 0;

		Monitored_pd::Replace_result const result =
			pd.replace_gates(_snapshot, [&] (Monitored_pd::Gate const &gate) {
				bool const ours = (gate.id >= _first_gate);
				selected += ours;
				return ours; }, count);

		if (result == Monitored_pd::REPLACED)
			_half.replacement(count, selected);
		else
			_half.refused++;

		/* the gates of both kinds exist for a moment */
		if (result == Monitored_pd::OUT_OF_METADATA)
			_env.parent().upgrade(pd.real_cap(), "ram_quota=64K");
	}

	void _rounds(Child &child, bool paused)
	{
		for (unsigned round = 0; round < ROUNDS; round++) {

			_source.with_gates([&] (Native_capability (&gates)[NUM_CAPS]) {

				if (paused)
					child.with_paused_threads([&] () { _replace(child.pd); });
				else
					_replace(child.pd);

				_update_gates(child.pd, gates);
			});

			_timer.msleep(20);
		}
	}

	Main(Env &env) : _env(env), _source(env)
	{
		Reuse_pd::source_ptr = &_source;

		Child::Attr attr;
		attr.label  = "test-cap_map_reuse-child";
		attr.binary = "test-cap_map_reuse-child";
		attr.config = nullptr;
		attr.ram    = 4*1024*1024;

		static Child child(attr);

		/* let the child create its gates */
		_timer.msleep(3000);

		_source.with_gates([&] (Native_capability (&gates)[NUM_CAPS]) {
			_source.cap_space(child.pd.cap_space);
			_update_gates(child.pd, gates);
		});

		_rounds(child, false);
		bool const first_ok = _half.succeeded("executing", _source, _source.tolerated());

		_rounds(child, true);
		bool const second_ok = _half.succeeded("paused", _source, 0);

		log("reuse test ", first_ok && second_ok ? "succeeded" : "failed");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
