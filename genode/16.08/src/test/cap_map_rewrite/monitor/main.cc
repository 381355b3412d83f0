/*
 * \brief  Rewrite the badges of a server while it serves requests
 * \date   2026-11-22
 *
 * The test starts the server as a monitored child and lets several clients call
 * its objects all the time. In each round, half of the IPC gates of the server
 * are replaced, including the ones used by its entrypoints internally, whereas
 * the clients of the other half keep calling. A client obtains the new
 * capability as soon as its object got one.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <cap_space_monitor/child.h>
#include <timer_session/connection.h>
#include <util/volatile_object.h>

/* local includes */
#include <counter.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Client;
	struct Stale_client;
	struct Main;

	enum {
		ROUNDS = 1000, NUM_CLIENTS = 4, NUM_GROUPS = 2,

		/* exit handler of the server's entrypoint, counters, control object */
		NUM_GATES = 1 + NUM_COUNTERS + 1
	};

	typedef Capability<Counter> Counter_cap;

	static unsigned group_of(unsigned i) { return i % NUM_GROUPS; }
}


/**
 * Caller of the counters of one group
 */
struct Test::Client : Genode::Thread
{
	unsigned const _group;

	Counter_cap const * const _caps;

	/* taken while calling an object */
	Lock calling;

	unsigned calls[NUM_COUNTERS] { };

	unsigned volatile wrong = 0;

	Timer::Connection _timer;

	Client(Env &env, unsigned group, Counter_cap const *caps)
	:
		Thread(env, "client", 4*1024*sizeof(long)),
		_group(group), _caps(caps), _timer(env)
	{ start(); }

	void _call_each()
	{
		for (unsigned i = _group; i < NUM_COUNTERS; i += NUM_GROUPS) {

			Lock::Guard guard(calling);

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
	: Thread(env, "stale_client", 4*1024*sizeof(long)), _cap(cap) { start(); }

	void entry() override
	{
		/* the IPC is aborted because the gate does not exist anymore */
		try {
			(void)_cap.call<Counter::Rpc_number>();
			returned = true;
		} catch (...) { }
	}
};


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	Snapshot_with_memory<> _snapshot;

	Counter_cap         _counters[NUM_COUNTERS];
	Capability<Control> _control;

	Lazy_volatile_object<Client> _clients[NUM_CLIENTS];

	unsigned _first_gate = 0;

	/* number of a gate relative to the one of the first counter */
	unsigned _relative(Monitored_pd::Gate const &gate) const
	{
		return gate.id - _first_gate - 1;
	}

	void _update_caps(Monitored_pd &pd)
	{
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {

			unsigned const i = _relative(gate);

			if (i < NUM_COUNTERS)
				_counters[i] = reinterpret_cap_cast<Counter>(gate.cap);

			if (i == NUM_COUNTERS)
				_control = reinterpret_cap_cast<Control>(gate.cap);
		});
	}

	/**
	 * Wait until the server has created all objects
	 */
	void _wait_for_server(Monitored_pd &pd)
	{
		for (unsigned count = 0, last = 0; count < NUM_GATES || count != last; ) {

			last = count;
			_timer.msleep(1000);

			pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
				count = max(count, gate.id + 1); });

			_first_gate = count - NUM_GATES;
		}
		_update_caps(pd);
	}

	bool _failed(char const *message)
	{
		error("rewrite test failed: ", message);
		return false;
	}

	unsigned _round(Monitored_pd &pd, unsigned round)
	{
		unsigned const group = group_of(round);

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			if (group_of(i) == group)
				_clients[i]->calling.lock();

		unsigned count = 0;
		Monitored_pd::Replace_result const result =
			pd.replace_gates(_snapshot, [&] (Monitored_pd::Gate const &gate) {
				return group_of(_relative(gate)) == group; }, count);

		if (result != Monitored_pd::REPLACED)
			error("replacement failed, error ", (int)result);

		_update_caps(pd);

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			if (group_of(i) == group)
				_clients[i]->calling.unlock();

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

	bool _test(Monitored_pd &pd)
	{
		_wait_for_server(pd);

		Counter_cap const stale = _counters[0];

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			_clients[i].construct(_env, group_of(i), _counters);

		unsigned replaced = 0;

		for (unsigned round = 0; round < ROUNDS; round++) {

			unsigned const count = _round(pd, round);
			if (!count)
				return _failed("gates not replaced");

			replaced += count;

			if (!_signal_handled(round + 1))
				return _failed("signal not handled");

			if (round % 100 == 99)
				log("round ", round + 1, ", ", replaced, " gates replaced");
		}

		/* stop clients between two calls */
		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			_clients[i]->calling.lock();

		/* lives forever, like the clients */
		static Stale_client stale_client(_env, stale);
		_timer.msleep(1000);
		if (stale_client.returned)
			return _failed("request via replaced gate was answered");

		unsigned total = 0;
		for (unsigned i = 0; i < NUM_COUNTERS; i++) {

			unsigned calls = 0;
			for (unsigned j = 0; j < NUM_CLIENTS; j++)
				calls += _clients[j]->calls[i];

			if (_counters[i].call<Counter::Rpc_served>() != calls || !calls)
				return _failed("requests and answers differ in number");

			total += calls;
		}

		for (unsigned i = 0; i < NUM_CLIENTS; i++)
			if (_clients[i]->wrong)
				return _failed("request was answered by the wrong object");

		/* makes use of the exit handler */
		_control.call<Control::Rpc_finish>();

		log("rewrite test succeeded: ", (unsigned)ROUNDS, " transactions, ", replaced,
		    " gates replaced, ", total, " requests answered by the right object");
		return true;
	}

	Main(Env &env) : _env(env)
	{
		Monitored_child::Attr attr;
		attr.label  = "test-cap_map_rewrite-server";
		attr.binary = "test-cap_map_rewrite-server";
		attr.config = nullptr;
		attr.ram    = 4*1024*1024;

		static Monitored_child child(attr);

		_test(child.pd);
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
