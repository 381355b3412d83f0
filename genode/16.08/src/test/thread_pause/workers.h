/*
 * \brief  Threads that block in each kind of system call
 * \date   2026-11-29
 *
 * Each thread checks its results and counts its steps.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _WORKERS_H_
#define _WORKERS_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/lock.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <base/semaphore.h>
#include <base/signal.h>
#include <base/thread.h>
#include <cpu_thread/cpu_thread.h>
#include <foc/capability_space.h>

namespace Test {

	using namespace Genode;

	enum { WORKER_STACK_SIZE = 4*1024*sizeof(long) };

	struct Sum;
	struct Sum_component;
	struct Worker;
	struct Compute;
	struct Caller;
	struct Ping_pong;
	struct Protected_number;
	struct Contender;
	struct Receiver;
	struct Submitter;
	struct Fault;
}


struct Test::Sum
{
	GENODE_RPC(Rpc_sum, unsigned long, sum, unsigned long, unsigned long);
	GENODE_RPC_INTERFACE(Rpc_sum);
};


struct Test::Sum_component : Rpc_object<Sum, Sum_component>
{
	unsigned long volatile counter = 0;

	unsigned long sum(unsigned long a, unsigned long b)
	{
		counter = counter + 1;
		return a + b;
	}
};


/**
 * Thread that repeats a step until the test is over
 */
struct Test::Worker : Thread
{
	bool volatile &stop;

	bool volatile failed = false;

	/* set if the thread has got the UTCB of another one */
	bool volatile foreign_utcb = false;

	unsigned long volatile steps = 0;

	/* what a call to the thread at core needs */
	addr_t        const kcap  = Capability_space::kcap(cap());
	unsigned long const badge = cap().local_name();

	/* number of steps when the thread was seen to be paused, and at last report */
	unsigned long paused_at = 0, reported_at = 0;

	/**
	 * Return false if the result is wrong
	 */
	virtual bool step() = 0;

	/* what lets the partner of the thread come to its end */
	virtual void finish() { }

	Worker(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name)
	:
		Thread(env, name, WORKER_STACK_SIZE, Location(), Weight(), cpu), stop(stop)
	{ }

	void entry() override
	{
		while (!stop && !failed) {

			if (!step())
				failed = true;

			if (Thread::myself() != this) {
				foreign_utcb = true;
				for (;;);
			}

			steps = steps + 1;
		}
		finish();
	}
};


struct Test::Compute : Worker
{
	double const _expected = _iterate();

	/* keeps integer and floating-point registers busy */
	static double _iterate()
	{
		double        x = 0.3, y = 0.7;
		unsigned long n = 1;

		for (unsigned i = 0; i < 20000; i++) {
			x = 3.9*x*(1.0 - x);
			y = 3.7*y*(1.0 - y);
			n = n*1103515245UL + 12345;
		}
		return x + y + double(n % 1000);
	}

	bool step() override { return _iterate() == _expected; }

	using Worker::Worker;
};


struct Test::Caller : Worker
{
	Capability<Sum> _server;

	bool step() override
	{
		unsigned long const n = steps;
		return _server.call<Sum::Rpc_sum>(n, 2*n) == 3*n;
	}

	Caller(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name,
	       Capability<Sum> server)
	: Worker(env, cpu, stop, name), _server(server) { }
};


struct Test::Ping_pong : Worker
{
	Semaphore &_own, &_other;

	bool step() override { _other.up(); _own.down(); return true; }

	void finish() override { _other.up(); }

	Ping_pong(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name,
	          Semaphore &own, Semaphore &other)
	: Worker(env, cpu, stop, name), _own(own), _other(other) { }
};


struct Test::Protected_number
{
	Lock                   lock;
	unsigned long volatile value = 0;
};


struct Test::Contender : Worker
{
	Protected_number &_number;

	bool step() override
	{
		Lock::Guard guard(_number.lock);

		unsigned long const value = _number.value;
		for (unsigned volatile i = 0; i < 5000; i = i + 1);
		_number.value = value + 1;
		return true;
	}

	Contender(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name,
	          Protected_number &number)
	: Worker(env, cpu, stop, name), _number(number) { }
};


struct Test::Receiver : Worker
{
	Signal_receiver _receiver;
	Signal_context  _context;

	Signal_context_capability const cap = _receiver.manage(&_context);

	Semaphore received;

	unsigned long num_signals = 0;

	bool step() override
	{
		num_signals += _receiver.wait_for_signal().num();
		received.up();
		return true;
	}

	/* the submitter may wait already */
	void finish() override { received.up(); }

	using Worker::Worker;
};


struct Test::Submitter : Worker
{
	Receiver &_receiver;

	Signal_transmitter _transmitter { _receiver.cap };

	bool step() override
	{
		_transmitter.submit();
		_receiver.received.down();
		return true;
	}

	/* the receiver may wait already */
	void finish() override { _transmitter.submit(); }

	Submitter(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name,
	          Receiver &receiver)
	: Worker(env, cpu, stop, name), _receiver(receiver) { }
};


struct Test::Fault : Worker
{
	Env &_env;

	bool step() override
	{
		Attached_ram_dataspace ds(_env.ram(), _env.rm(), 2*4096);

		unsigned long volatile * const words = ds.local_addr<unsigned long>();

		words[0]   = steps;
		words[512] = words[0] + 1;

		return words[0] == steps && words[512] == steps + 1;
	}

	Fault(Env &env, Cpu_session &cpu, bool volatile &stop, char const *name)
	: Worker(env, cpu, stop, name), _env(env) { }
};

#endif /* _WORKERS_H_ */
