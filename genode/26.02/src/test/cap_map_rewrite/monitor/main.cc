/*
 * \brief  Rewrite the badges of a server while it serves requests
 * \date   2026-11-22
 *
 * The test starts the server as a monitored child and lets several clients call
 * its objects all the time. In each round, half of the IPC gates of the server
 * are replaced, including the ones used by the entrypoint internally, whereas
 * the clients of the other half keep calling. A client obtains the new
 * capability as soon as its object got one.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/rpc_server.h>
#include <base/thread.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

/* local includes */
#include <counter.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Client;
	struct Replacer;
	struct Stale_client;
	struct Main;

	static constexpr unsigned ROUNDS = 1000, NUM_CLIENTS = 4, NUM_GROUPS = 2;

	/* gates of the server's entrypoint, its counters, and the control object */
	static constexpr unsigned NUM_GATES = 2 + NUM_COUNTERS + 1;

	using Counter_cap = Capability<Counter>;

	static unsigned group_of(unsigned i) { return i % NUM_GROUPS; }
}


/**
 * Caller of the counters of one group
 */
struct Test::Client : Genode::Thread
{
	unsigned const _group;

	Counter_cap const (&_caps)[NUM_COUNTERS];

	/* taken while calling an object */
	Mutex calling { };

	unsigned calls[NUM_COUNTERS] { };

	unsigned volatile wrong = 0;

	Timer::Connection _timer;

	Client(Env &env, unsigned group, Counter_cap const (&caps)[NUM_COUNTERS])
	:
		Thread(env, "client", Stack_size { 16*1024 }),
		_group(group), _caps(caps), _timer(env)
	{ start(); }

	void _call_each()
	{
		for (unsigned i = _group; i < NUM_COUNTERS; i += NUM_GROUPS) {

			Mutex::Guard guard { calling };

			if (_caps[i].call<Counter::Rpc_number>() == i)
				calls[i]++;
			else
				wrong = wrong + 1;
		}
	}

	void entry() override
	{
		/* leave processor time to the test */
		for (;;) {
			for (unsigned i = 0; i < 4; i++)
				_call_each();

			_timer.usleep(3000);
		}
	}
};


/**
 * Caller of a counter via the capability of a replaced gate
 */
struct Test::Stale_client : Genode::Thread
{
	Counter_cap const _cap;

	bool volatile returned = false;

	Stale_client(Env &env, Counter_cap cap)
	: Thread(env, "stale_client", Stack_size { 16*1024 }), _cap(cap) { start(); }

	void entry() override
	{
		(void)_cap.call<Counter::Rpc_number>();
		returned = true;
	}
};


/**
 * Interface of the entrypoint that is used by the thread that runs the test
 *
 * The entrypoint owns the monitored PD session. The test needs a thread of its
 * own because the server calls its PD session while handling some requests.
 */
struct Test::Replacer : Interface
{
	GENODE_RPC(Rpc_gates,   unsigned, gates);
	GENODE_RPC(Rpc_replace, unsigned, replace, unsigned);

	GENODE_RPC_INTERFACE(Rpc_gates, Rpc_replace);
};


struct Test::Main : Rpc_object<Replacer, Main>, Sandbox::State_handler, Genode::Thread
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Monitored_sandbox _sandbox { _env, *this };

	Snapshot_with_memory<> _snapshot { };

	Timer::Connection _timer { _env };

	Counter_cap         _counters[NUM_COUNTERS] { };
	Capability<Control> _control { };

	Constructible<Client> _clients[NUM_CLIENTS] { };

	unsigned _first_gate = 0;

	void handle_sandbox_state() override { }

	void _update_caps(Monitored_pd &pd)
	{
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {

			unsigned const i = gate.id - _first_gate;

			if (gate.id < _first_gate + 2 || i >= NUM_GATES)
				return;

			if (i - 2 < NUM_COUNTERS)
				_counters[i - 2] = reinterpret_cap_cast<Counter>(gate.cap);
			else
				_control = reinterpret_cap_cast<Control>(gate.cap);
		});
	}


	/************************************************
	 ** Replacer interface, executed by entrypoint **
	 ************************************************/

	/**
	 * Return number of gates created by the server
	 */
	unsigned gates()
	{
		unsigned count = 0;

		_sandbox.for_each_pd([&] (Monitored_pd &pd) {

			pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
				count = max(count, gate.id + 1); });

			if (count >= NUM_GATES) {
				_first_gate = count - NUM_GATES;
				_update_caps(pd);
			}
		});
		return count;
	}

	/**
	 * Replace all gates of a group
	 *
	 * \return number of replaced gates
	 */
	unsigned replace(unsigned group)
	{
		unsigned count = 0;

		_sandbox.for_each_pd([&] (Monitored_pd &pd) {

			pd.replace_gates(_snapshot, [&] (Monitored_pd::Gate const &gate) {
				return group_of(gate.id - _first_gate) == group;

			}).with_result(
				[&] (unsigned replaced) { count = replaced; },
				[&] (Monitored_pd::Replace_error e) {
					error("replacement failed, error ", int(e)); });

			_update_caps(pd);
		});
		return count;
	}


	/**********
	 ** Test **
	 **********/

	bool _failed(char const *message)
	{
		error("rewrite test failed: ", message);
		return false;
	}

	unsigned _round(Capability<Replacer> replacer, unsigned round)
	{
		unsigned const group = group_of(round);

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			if (group_of(i) == group)
				_clients[i]->calling.acquire();

		unsigned const count = replacer.call<Replacer::Rpc_replace>(group);

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			if (group_of(i) == group)
				_clients[i]->calling.release();

		return count;
	}

	/**
	 * Let the server handle a signal, for which it uses the signal proxy
	 */
	bool _signal_handled(unsigned expected)
	{
		_control.call<Control::Rpc_submit>();

		for (unsigned attempts = 0; attempts < 1000; attempts++) {
			if (_control.call<Control::Rpc_handled>() == expected)
				return true;

			_timer.usleep(1000);
		}
		return false;
	}

	bool _test(Capability<Replacer> replacer)
	{
		/* wait until the server has created all objects */
		for (unsigned count = 0, last = 0; count < NUM_GATES || count != last; ) {
			last = count;
			_timer.msleep(1000);
			count = replacer.call<Replacer::Rpc_gates>();
		}

		Counter_cap const stale = _counters[0];

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			_clients[i].construct(_env, group_of(i), _counters);

		unsigned replaced = 0;

		for (unsigned round = 0; round < ROUNDS; round++) {

			unsigned const count = _round(replacer, round);
			if (!count)
				return _failed("gates not replaced");

			replaced += count;

			if (!_signal_handled(round + 1))
				return _failed("signal not handled");

			if (round % 100 == 99)
				log("round ", round + 1, ", ", replaced, " gates replaced");
		}

		/* stop clients between two calls, the guards are never released */
		for (auto &client : _clients)
			client->calling.acquire();

		Stale_client stale_client { _env, stale };
		_timer.msleep(1000);
		if (stale_client.returned)
			return _failed("request via replaced gate was answered");

		unsigned total = 0;
		for (unsigned i = 0; i < NUM_COUNTERS; i++) {

			unsigned calls = 0;
			for (auto const &client : _clients)
				calls += client->calls[i];

			if (_counters[i].call<Counter::Rpc_served>() != calls || !calls)
				return _failed("requests and answers differ in number");

			total += calls;
		}

		for (auto const &client : _clients)
			if (client->wrong)
				return _failed("request was answered by the wrong object");

		/* makes use of the exit handler */
		_control.call<Control::Rpc_finish>();

		log("rewrite test succeeded: ", ROUNDS, " transactions, ", replaced,
		    " gates replaced, ", total, " requests answered by the right object");
		return true;
	}

	void entry() override
	{
		if (_test(cap()))
			_env.parent().exit(0);
	}

	Main(Env &env)
	:
		Thread(env, "test", Stack_size { 32*1024 }), _env(env)
	{
		_env.ep().manage(*this);
		_sandbox.apply_config(_config.node());
		start();
	}

	using Rpc_object<Replacer, Main>::cap;
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
