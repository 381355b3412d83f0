/*
 * \brief  What the monitor of the test does, whatever the release
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SOURCE_COMPONENT_H_
#define _SOURCE_COMPONENT_H_

/* Genode includes */
#include <base/log.h>
#include <base/mutex.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <cap_space_monitor/pd.h>

/* local includes */
#include <source.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Dummy;
	struct Object;
	struct Source_component;
	struct Reuse_pd;
	struct Half;

	/* rounds of each half, and examined capabilities for each tolerated loss */
	static constexpr unsigned ROUNDS = 300, EXAMINED_PER_LOSS = 10*1000;
}


struct Test::Dummy : Interface { GENODE_RPC_INTERFACE(); };

struct Test::Object : Rpc_object<Dummy, Object> { };


struct Test::Source_component : Rpc_object<Source, Source_component>
{
	/* another entrypoint serves the PD session, and replaces gates */
	Server _ep;

	Object _objects[NUM_CAPS] { };

	Mutex             _mutex { };
	Native_capability _gates[NUM_CAPS] { };

	Cap_space *_cap_space = nullptr;

	/* too large for the stack */
	Snapshot_with_memory<> _snapshot { };

	unsigned _examined = 0, _lost = 0;

	/*
	 * Noncopyable
	 */
	Source_component(Source_component const &);
	Source_component &operator = (Source_component const &);

	Source_component(Env &env) : _ep(env)
	{
		for (Object &object : _objects)
			_ep.manage(object);

		_ep.manage(*this);
	}

	bool _foreign(unsigned badge) const
	{
		for (Object const &object : _objects)
			if (unsigned(object.cap().local_name()) == badge)
				return true;

		return false;
	}

	/**
	 * Call 'fn' while the child neither gets any gate nor is examined
	 */
	template <typename FN>
	void with_gates(FN const &fn)
	{
		Mutex::Guard guard { _mutex };
		fn(_gates);
	}

	void cap_space(Cap_space &cap_space) { _cap_space = &cap_space; }

	unsigned tolerated() const { return _examined/EXAMINED_PER_LOSS; }

	/**
	 * Return what was examined since the last call
	 */
	void conclude(unsigned &examined, unsigned &lost)
	{
		Mutex::Guard guard { _mutex };

		examined  = _examined;
		lost      = _lost;
		_examined = _lost = 0;
	}


	/**********************
	 ** Source interface **
	 **********************/

	Native_capability gates(unsigned group, Native_capability &cap_1,
	                        Native_capability &cap_2, Native_capability &cap_3)
	{
		Mutex::Guard guard { _mutex };

		Native_capability const * const gates = _gates + (group % NUM_GROUPS)*GROUP_SIZE;

		cap_1 = gates[1]; cap_2 = gates[2]; cap_3 = gates[3];
		return gates[0];
	}

	Native_capability foreign(unsigned group, Native_capability &cap_1,
	                          Native_capability &cap_2, Native_capability &cap_3)
	{
		Object const * const objects = _objects + (group % NUM_GROUPS)*GROUP_SIZE;

		cap_1 = objects[1].cap(); cap_2 = objects[2].cap(); cap_3 = objects[3].cap();
		return objects[0].cap();
	}

	void examine()
	{
		Mutex::Guard guard { _mutex };

		if (!_cap_space || !Cap_map::ok(_cap_space->take(_snapshot)))
			return;

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			if (!_foreign(badge))
				return;

			_examined++;

			if (!_cap_space->confirmed(slot, badge))
				_lost++; });
	}
};


struct Test::Reuse_pd : Monitored_pd
{
	using Monitored_pd::Monitored_pd;

	static Source_component *source_ptr;

	Capability<Native_pd> native_pd() override
	{
		return reinterpret_cap_cast<Native_pd>(source_ptr->cap());
	}
};




/**
 * What one half of the test has shown
 */
struct Test::Half
{
	unsigned replaced, left_out, refused, examined, lost;

	void replacement(unsigned count, unsigned selected)
	{
		replaced += count;
		left_out += (count < selected);
	}

	/**
	 * Finish, return false if the test failed
	 */
	bool succeeded(char const *name, Source_component &source, unsigned tolerated)
	{
		source.conclude(examined, lost);

		log(name, ": ", replaced, " gates replaced, ", left_out, " rounds left out gates, ",
		    refused, " refused, ", examined, " capabilities examined, ", lost, " lost");

		bool const result = replaced && left_out && examined && lost <= tolerated;
		*this = Half();
		return result;
	}
};

#endif /* _SOURCE_COMPONENT_H_ */
