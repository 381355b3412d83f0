/*
 * \brief  Monitor a component that corrupts its capability table
 * \date   2026-11-22
 *
 * Another child makes sure that the damage is limited to the hostile one.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <cap_space_monitor/child.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Main;

	enum { DURATION_MS = 60*1000, PERIOD_MS = 100, STARTUP_MS = 5*1000 };
}


struct Test::Main
{
	Timer::Connection _timer;

	Snapshot_with_memory<> _snapshot;

	/* observations about the hostile child */
	unsigned _snapshots = 0, _inconsistent = 0, _refused = 0,
	         _corrupt_slots = 0, _unconfirmed = 0,
	         _rewritten = 0, _not_rewritten = 0;

	/* observations about the other child */
	unsigned _gates = 0, _wrong = 0, _compared = 0;

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

			Rewrite batch = Rewrite();
			batch.slot        = slot;
			batch.expected    = badge;
			batch.replacement = badge ^ 4;

			unsigned reason = 0;
			if (Cap_map::ok(pd.cap_space.rewrite(&batch, 1, reason)))
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

		/*
		 * The child cannot destroy gates while we examine them. One that is not
		 * in the table has not been received by the child yet.
		 */
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {

			_snapshot.for_each([&] (unsigned slot, unsigned used) {
				if (used != gate.badge())
					return;

				_compared++;
				_wrong += !pd.cap_space.confirmed(slot, used); }); });
	}

	Main(Env &env) : _timer(env)
	{
		Monitored_child::Attr attr;
		attr.label  = "good";
		attr.binary = "test-cap_map_hostile-child";
		attr.config = "<config hostile=\"no\"/>";
		attr.ram    = 4*1024*1024;

		static Monitored_child good(attr);

		attr.label  = "hostile";
		attr.config = "<config hostile=\"yes\"/>";

		static Monitored_child hostile(attr);

		_timer.msleep(STARTUP_MS);

		unsigned long const start_ms = _timer.elapsed_ms();

		unsigned long max_ms = 0, now_ms = start_ms;

		unsigned gates_at_start = 0;

		while (now_ms - start_ms < DURATION_MS) {

			unsigned long const begin_ms = _timer.elapsed_ms();

			_examine_hostile(hostile.pd);
			_examine_good(good.pd);

			if (!gates_at_start)
				gates_at_start = _gates;

			now_ms = _timer.elapsed_ms();
			max_ms = max(max_ms, now_ms - begin_ms);

			_timer.msleep(PERIOD_MS);
		}

		log("hostile child: ", _snapshots, " snapshots, ", _inconsistent,
		    " inconsistent, ", _refused, " refused, ", _corrupt_slots,
		    " corrupt slots, ", _unconfirmed, " capabilities unconfirmed, ",
		    _rewritten, " rewritten, ", _not_rewritten, " not rewritten");

		log("other child: ", _gates, " gates created, ", _gates - gates_at_start,
		    " of them while examined, ", _compared, " compared, ", _wrong, " wrong");

		log("longest examination took ", max_ms, " ms");

		bool const succeeded = (_snapshots || _refused) && _corrupt_slots
		                    && _gates - gates_at_start > 100
		                    && _compared && !_wrong;

		log("hostile test ", succeeded ? "succeeded" : "failed");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
