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
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

/* local includes */
#include <source.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Dummy;
	struct Object;
	struct Source_component;
	struct Reuse_pd;
	struct Main;

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

	unsigned examined = 0, lost = 0;

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
	void with_gates(auto const &fn)
	{
		Mutex::Guard guard { _mutex };
		fn(_gates);
	}

	void cap_space(Cap_space &cap_space) { _cap_space = &cap_space; }


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

			examined++;

			if (!_cap_space->confirmed(slot, badge))
				lost++; });
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

	struct Half
	{
		unsigned replaced, left_out, refused, examined, lost;

		void print(Output &out) const
		{
			Genode::print(out, replaced, " gates replaced, ", left_out, " rounds left out "
			              "gates, ", refused, " refused, ", examined, " capabilities "
			              "examined, ", lost, " lost");
		}

	} _half { };

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
			[&] (unsigned count) {
				_half.replaced += count;
				_half.left_out += (count < selected); },
			[&] (Monitored_pd::Replace_error) { _half.refused++; });
	}

	/**
	 * Finish one half of the test, return false if it failed
	 */
	bool _half_succeeded(char const *name, unsigned tolerated)
	{
		_source.with_gates([&] (auto &) {
			_half.examined = _source.examined;
			_half.lost     = _source.lost;
			_source.examined = _source.lost = 0;
		});
		log(name, ": ", _half);

		bool const result = _half.replaced && _half.left_out && _half.examined
		                 && _half.lost <= tolerated;
		_half = { };
		return result;
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
			_first_half_ok = _half_succeeded("executing", _source.examined/EXAMINED_PER_LOSS);

		if (_rounds++ < 2*ROUNDS) {
			_timer.trigger_once(20*1000);
			return;
		}

		bool const ok = _half_succeeded("paused", 0) && _first_half_ok;

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
