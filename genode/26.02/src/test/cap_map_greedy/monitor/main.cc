/*
 * \brief  Monitor with little RAM and a child that allocates all it can
 * \date   2026-11-28
 *
 * Another child must not lose anything, and children that come and go must
 * leave nothing behind.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Own_table;
	struct Main;

	static constexpr unsigned PERIOD_MS      = 100,
	                          GREEDY_MS      = 30*1000, /* time beside the greedy child */
	                          CYCLES         = 50,
	                          FIRST_CYCLES   = 5,       /* reach a steady state */
	                          HONEST_MS      = 10*1000, /* between two looks */
	                          HONEST_GATES   = 10,      /* that the honest child creates */
	                          HONEST_SLOTS   = 16,      /* more or less at each look */
	                          SHORT_GATES    = 40;      /* per short-lived child */
}


/**
 * Capability table of the monitor itself, which another monitor provides
 */
struct Test::Own_table
{
	Attached_dataspace _ds;
	Cap_map::Monitor   _table { };

	Own_table(Env &env, Dataspace_capability ds) : _ds(env.rm(), ds)
	{
		if (!Cap_map::ok(_table.attach(_ds.local_addr<void>(), _ds.size(), 4)))
			error("own capability table is not accessible");
	}

	unsigned used_slots()
	{
		unsigned count = 0;

		for (unsigned slot = 0; slot < NUM_SLOTS; slot++) {
			Cap_map::Entry entry { };
			if (Cap_map::ok(_table.entry(slot, entry))
			 && entry.state != CAP_MAP_STATE_FREE)
				count++;
		}
		return count;
	}
};


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Monitored_sandbox _sandbox { _env, *this };

	void handle_sandbox_state() override { }

	enum class State { GREEDY, STARTED, STOPPED } _state { State::GREEDY };

	/* number of gates that each child has created so far, and has now */
	struct Gates { unsigned created, present; };

	Gates _gates_of(char const *name)
	{
		Gates gates { };

		_sandbox.for_each_pd([&] (Monitored_pd &pd) {
			if (pd.name != name)
				return;

			pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
				gates.present++;
				gates.created = max(gates.created, gate.id + 1); }); });

		return gates;
	}

	unsigned _num_pds()
	{
		unsigned count = 0;
		_sandbox.for_each_pd([&] (Monitored_pd &) { count++; });
		return count;
	}

	/* known only if another monitor provides the table */
	Constructible<Own_table> _own_table { };

	struct Used
	{
		size_t ram, caps, slots;

		bool operator <= (Used const &other) const
		{
			return ram <= other.ram && caps <= other.caps
			    && slots <= other.slots + HONEST_SLOTS;
		}

		void print(Output &out) const
		{
			Genode::print(out, ram, " bytes, ", caps, " caps");
			if (slots)
				Genode::print(out, ", ", slots, " slots");
		}
	};

	Used _used()
	{
		return { .ram   = _env.pd().used_ram().value,
		         .caps  = _env.pd().used_caps().value,
		         .slots = _own_table.constructed() ? _own_table->used_slots() : 0 };
	}

	Used _first_used { };

	/* seen at any look, as the child may have none at a particular one */
	unsigned _honest_gates = 0;

	unsigned _cycles = 0;

	uint64_t const _start_ms = _timer.elapsed_ms();

	void _finish(bool succeeded)
	{
		log("greedy test ", succeeded ? "succeeded" : "failed");
	}

	uint64_t _checked_ms    = 0;
	unsigned _checked_gates = 0;

	/**
	 * Return false if the honest child got too few gates since the last call
	 */
	bool _honest_progresses()
	{
		unsigned const previous = _checked_gates;

		_checked_gates = _honest_gates;

		return _honest_gates >= previous + HONEST_GATES;
	}

	/**
	 * Proceed with the current state, return false at the end of the test
	 */
	bool _proceed()
	{
		uint64_t const now_ms = _timer.elapsed_ms();

		_honest_gates = max(_honest_gates, _gates_of("honest").created);

		if (now_ms - _checked_ms > HONEST_MS) {

			if (_checked_ms && !_honest_progresses()) {
				error("honest child is stuck after ", _honest_gates, " gates");
				_finish(false);
				return false;
			}
			_checked_ms = now_ms;
			log("honest child created ", _honest_gates, " gates");
		}

		switch (_state) {

		case State::GREEDY:

			if (now_ms - _start_ms > GREEDY_MS) {

				log("greedy child has ", _gates_of("greedy").present, " gates, "
				    "honest child created ", _honest_gates);

				_state = State::STOPPED;
				_apply_config();
			}
			break;

		case State::STARTED:

			if (_gates_of("short").created >= SHORT_GATES) {
				_state = State::STOPPED;
				_apply_config();
			}
			break;

		case State::STOPPED:

			/* only the honest child is left */
			if (_num_pds() != 1)
				break;

			if (_cycles == FIRST_CYCLES) {
				_first_used = _used();
				log("after ", _cycles, " children: ", _first_used);
			}

			if (_cycles == CYCLES) {

				Used const used = _used();

				log("after ", _cycles, " children: ", used);

				_finish(used <= _first_used);
				return false;
			}

			_cycles++;
			_state = State::STARTED;
			_apply_config();
			break;
		}
		return true;
	}

	void _handle_timer()
	{
		if (_proceed())
			_timer.trigger_once(PERIOD_MS*1000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] { g.attribute("name", name); fn(); });
	}

	void _gen_start(Generator &g, char const *name, unsigned caps, char const *ram) const
	{
		g.node("start", [&] {
			g.attribute("name", name);
			g.attribute("caps", caps);
			g.attribute("ram",  ram);

			g.node("binary", [&] {
				g.attribute("name", "test-cap_map_greedy-child"); });

			g.node("config", [&] { g.attribute("role", name); });

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

			_gen_start(g, "honest", 200, "2M");

			if (_state == State::GREEDY)
				_gen_start(g, "greedy", 8000, "4M");

			if (_state == State::STARTED)
				_gen_start(g, "short", 200, "2M");

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

		Dataspace_capability const table = _env.pd().cap_space_info();
		if (table.valid())
			_own_table.construct(_env, table);

		_apply_config();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(PERIOD_MS*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
