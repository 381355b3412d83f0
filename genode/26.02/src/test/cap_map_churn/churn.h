/*
 * \brief  Snapshots of a table that changes all the time
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _CHURN_H_
#define _CHURN_H_

/* Genode includes */
#include <base/log.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <cap_space_monitor/cap_space.h>
#include <cap_space_monitor/pd.h>
#include <timer_session/connection.h>

/* local includes */
#include <source.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Source_component;
	struct Churn_pd;
	struct Churn;

	/* an insertion and a removal make the sequence odd and even again */
	static constexpr unsigned TRANSITIONS_PER_PAIR = 4;
}


/**
 * Objects the capabilities of which the child obtains and drops
 */
struct Test::Source_component : Rpc_object<Source, Source_component>
{
	static constexpr unsigned NUM_OBJECTS = 2*CAPS_PER_CALL;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_nop, void, nop);
		GENODE_RPC_INTERFACE(Rpc_nop);
	};

	struct Object : Rpc_object<Dummy, Object> { void nop() { } };

	/* other entrypoints serve the child, other threads take the snapshots */
	Server _ep;

	Object _objects[NUM_OBJECTS] { };

	unsigned _calls = 0;

	bool volatile started = false;

	Source_component(Env &env) : _ep(env)
	{
		for (Object &object : _objects)
			_ep.manage(object);

		_ep.manage(*this);
	}

	Native_capability obtain(Native_capability &cap_1, Native_capability &cap_2,
	                         Native_capability &cap_3)
	{
		/* both halves take turns */
		Object const * const objects = _objects + (_calls++ % 2)*CAPS_PER_CALL;

		cap_1 = objects[1].cap();
		cap_2 = objects[2].cap();
		cap_3 = objects[3].cap();

		return objects[0].cap();
	}

	bool ready() { return started; }

	bool provides(unsigned badge) const
	{
		for (Object const &object : _objects)
			if (unsigned(object.cap().local_name()) == badge)
				return true;

		return false;
	}
};


struct Test::Churn_pd : Monitored_pd
{
	using Monitored_pd::Monitored_pd;

	static Source_component *source_ptr;

	Capability<Native_pd> native_pd() override
	{
		return reinterpret_cap_cast<Native_pd>(source_ptr->cap());
	}
};


struct Test::Churn
{
	/* number of capabilities that the child obtains and drops */
	unsigned const _pairs;

	Timer::Connection _timer;

	Source_component _source;

	Snapshot_with_memory<> _snapshot { };

	/* zero for slots that were not in use initially */
	unsigned _initial_badges[NUM_SLOTS] { };
	unsigned _num_initial = 0;

	template <typename... MESSAGE>
	bool _failed(MESSAGE const &... message)
	{
		error(message...);
		log("churn test failed");
		return false;
	}

	/**
	 * Wait until the table does not change for three seconds
	 */
	uint64_t _quiet_sequence(Cap_space &cap_space)
	{
		Stamp    stamp { };
		uint64_t last = 0;
		bool     published = false;

		do {
			last = stamp.sequence;
			_timer.msleep(3000);
			published = Cap_map::ok(cap_space.stamp(stamp));
		} while (!published || stamp.sequence != last);

		return stamp.sequence;
	}

	/**
	 * Return number of slots that are in use in addition to the initial ones,
	 * or a large number if one of the latter is missing, or if an additional
	 * slot carries anything but the badge of an object of the source
	 */
	unsigned _additional_slots() const
	{
		unsigned present = 0, additional = 0, wrong = 0;

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			if (_initial_badges[slot] == badge)
				present++;
			else if (_source.provides(badge))
				additional++;
			else
				wrong++; });

		return present == _num_initial && !wrong ? additional : ~0u;
	}

	/**
	 * Take snapshots until the child has obtained and dropped all capabilities
	 */
	bool test(Cap_space &cap_space)
	{
		uint64_t const initial_sequence = _quiet_sequence(cap_space);

		if (!Cap_map::ok(cap_space.take(_snapshot)))
			return _failed("no initial snapshot");

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			_initial_badges[slot] = badge;
			_num_initial++; });

		_source.started = true;

		unsigned snapshots = 0, consistent = 0, with_additional = 0;

		uint64_t const expected =
			initial_sequence + uint64_t(_pairs)*TRANSITIONS_PER_PAIR;

		for (uint64_t sequence = initial_sequence, seen = 0; sequence < expected; ) {

			Status const status = cap_space.take(_snapshot);
			if (!Cap_map::ok(status))
				return _failed("snapshot failed: ", Cap_map::message(status));

			snapshots++;
			consistent += _snapshot.consistent();

			if (_snapshot.stamp().sequence < seen)
				return _failed("snapshot is older than the previous one");

			seen = _snapshot.stamp().sequence;

			if (_snapshot.consistent()) {
				unsigned const additional = _additional_slots();
				if (additional > Source::CAPS_PER_CALL)
					return _failed("capabilities lost or made up: ", additional);

				with_additional += additional;
			}

			Stamp stamp { };
			if (!Cap_map::ok(cap_space.stamp(stamp)))
				return _failed("table vanished");

			sequence = stamp.sequence;
		}

		uint64_t const final_sequence = _quiet_sequence(cap_space);

		if (final_sequence != expected)
			return _failed("table changed ", final_sequence - initial_sequence,
			               " times, expected ", expected - initial_sequence);

		if (!Cap_map::ok(cap_space.take(_snapshot)) || _additional_slots())
			return _failed("final table differs from the initial one");

		log(snapshots, " snapshots taken, ", consistent, " consistent, ",
		    with_additional, " capabilities of the source seen in them");

		/* otherwise, nothing but the number of changes was tested */
		if (!with_additional)
			return _failed("no snapshot showed capabilities of the source");

		log("churn test succeeded: ", _pairs, " pairs, ",
		    final_sequence - initial_sequence, " transitions");
		return true;
	}

	Churn(Env &env) : _pairs(Config(env).value("pairs", 0U)), _timer(env), _source(env)
	{
		Churn_pd::source_ptr = &_source;
	}
};

#endif /* _CHURN_H_ */
