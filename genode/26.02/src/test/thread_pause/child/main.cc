/*
 * \brief  Component with threads that block in each kind of system call
 * \date   2026-11-29
 *
 * Each thread checks its results and counts its steps in memory that is shared
 * with the monitor, which pauses and resumes the threads.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <base/semaphore.h>
#include <rom_session/connection.h>
#include <timer_session/connection.h>
#include <util/reconstructible.h>

/* local includes */
#include <worker.h>

namespace Test {

	using namespace Genode;

	struct Sum;
	struct Sum_client;
	struct Sum_component;
	struct Forwarder;
	struct Main;
}


struct Test::Sum : Interface
{
	GENODE_RPC(Rpc_sum, uint64_t, sum, uint64_t, uint64_t, uint64_t);
	GENODE_RPC_INTERFACE(Rpc_sum);
};


struct Test::Sum_client : Rpc_client<Sum>
{
	Sum_client(Capability<Sum> cap) : Rpc_client<Sum>(cap) { }

	uint64_t sum(uint64_t a, uint64_t b, uint64_t c) { return call<Rpc_sum>(a, b, c); }
};


struct Test::Sum_component : Rpc_object<Sum, Sum_component>
{
	uint64_t volatile &counter;

	Sum_component(uint64_t volatile &counter) : counter(counter) { }

	uint64_t sum(uint64_t a, uint64_t b, uint64_t c)
	{
		counter = counter + 1;
		return a + b + c;
	}
};


/**
 * Object that calls the other one, so its client and its server are blocked
 */
struct Test::Forwarder : Rpc_object<Sum, Forwarder>
{
	uint64_t volatile &counter;

	Sum_client next;

	Forwarder(uint64_t volatile &counter, Capability<Sum> next)
	: counter(counter), next(next) { }

	uint64_t sum(uint64_t a, uint64_t b, uint64_t c)
	{
		counter = counter + 1;
		return next.sum(a, b, c);
	}
};


namespace Test {

	struct Caller : Worker
	{
		Sum_client _server;

		Step_result _step() override
		{
			uint64_t const n = steps();

			/* lies in a register during the call if the processor allows for it */
			double volatile const source = 0.1*double(n);
			double          const value  = source;

			if (_server.sum(n, 2*n, _index) != 3*n + _index || value != source)
				return Failed();
			return Ok();
		}

		Caller(Env &env, Shared &shared, unsigned index, Capability<Sum> server)
		: Worker(env, shared, index), _server(server) { }
	};

	struct Ping_pong : Worker
	{
		Semaphore &_own, &_other;

		Step_result _step() override { _other.up(); _own.down(); return Ok(); }

		void _finish() override { _other.up(); }

		Ping_pong(Env &env, Shared &shared, unsigned index, Semaphore &own, Semaphore &other)
		: Worker(env, shared, index), _own(own), _other(other) { }
	};

	struct Protected_number
	{
		Mutex             mutex { };
		uint64_t volatile value { 0 };
	};

	struct Contender : Worker
	{
		Protected_number &_number;

		Step_result _step() override
		{
			Mutex::Guard guard(_number.mutex);

			uint64_t const value = _number.value;
			for (unsigned volatile i = 0; i < 5000; )
				i = i + 1;
			_number.value = value + 1;
			return Ok();
		}

		Contender(Env &env, Shared &shared, unsigned index, Protected_number &number)
		: Worker(env, shared, index), _number(number) { }
	};

	struct Receiver : Worker
	{
		Signal_receiver _receiver { };
		Signal_context  _context  { };

		Signal_context_capability const cap = _receiver.manage(_context);

		Semaphore received { };

		uint64_t num_signals = 0;

		Step_result _step() override
		{
			num_signals += _receiver.wait_for_signal().num();
			received.up();
			return Ok();
		}

		/* the submitter may wait already */
		void _finish() override { received.up(); }

		using Worker::Worker;
	};

	struct Submitter : Worker
	{
		Receiver &_receiver;

		Signal_transmitter _transmitter { _receiver.cap };

		Step_result _step() override
		{
			_transmitter.submit();
			_receiver.received.down();
			return Ok();
		}

		/* the receiver may wait already */
		void _finish() override { _transmitter.submit(); }

		Submitter(Env &env, Shared &shared, unsigned index, Receiver &receiver)
		: Worker(env, shared, index), _receiver(receiver) { }
	};

	struct Fault : Worker
	{
		Env &_env;

		Step_result _step() override
		{
			Attached_ram_dataspace ds { _env.ram(), _env.rm(), 2*4096 };

			uint64_t volatile * const words = ds.local_addr<uint64_t>();

			words[0]   = steps();
			words[512] = words[0] + 1;

			if (words[0] != steps() || words[512] != steps() + 1)
				return Failed();
			return Ok();
		}

		Fault(Env &env, Shared &shared, unsigned index)
		: Worker(env, shared, index), _env(env) { }
	};

	/**
	 * Thread that leaves little of its stack from time to time
	 */
	struct Deep : Worker
	{
		static constexpr unsigned REST = 1024;

		uint64_t _sum(uint64_t n)
		{
			uint64_t volatile here = n;

			if (addr_t(&here) - Thread::mystack().base < REST) {
				for (unsigned volatile i = 0; i < 20'000; )
					i = i + 1;
				return here;
			}
			return here + _sum(n + 1) - here;
		}

		Step_result _step() override
		{
			uint64_t const depth = _sum(0);

			for (unsigned volatile i = 0; i < 20'000; )
				i = i + 1;

			if (steps() && depth != _depth)
				return Failed();

			_depth = depth;
			return Ok();
		}

		uint64_t _depth = 0;

		using Worker::Worker;
	};
}


struct Test::Main
{
	Env &_env;

	Rom_connection _rom { _env, "shared" };

	Attached_dataspace _ds { _env.rm(), _rom.dataspace() };

	Shared &_shared = *_ds.local_addr<Shared>();

	Timer::Connection _timer { _env };

	Rpc_entrypoint _server    { _env.runtime(), "server",    Thread::Stack_size { 32*1024 }, { } },
	               _forwarder { _env.runtime(), "forwarder", Thread::Stack_size { 32*1024 }, { } };

	Sum_component _sum { _shared.counters[4] };

	Forwarder _forward { _shared.counters[5], _server.manage(&_sum) };

	Compute _compute_1 { _env, _shared, 0 },
	        _compute_2 { _env, _shared, 1 };

	Caller _caller_1 { _env, _shared, 2, _sum.cap() },
	       _caller_2 { _env, _shared, 3, _forwarder.manage(&_forward) };

	Semaphore _ping { }, _pong { };

	Ping_pong _semaphore_1 { _env, _shared, 6, _ping, _pong },
	          _semaphore_2 { _env, _shared, 7, _pong, _ping };

	Protected_number _number { };

	Contender _mutex_1 { _env, _shared, 8, _number },
	          _mutex_2 { _env, _shared, 9, _number };

	Receiver  _receiver  { _env, _shared, 10 };
	Submitter _submitter { _env, _shared, 11, _receiver };
	Fault     _fault     { _env, _shared, 12 };

	Deep      _deep      { _env, _shared, 13 };

	Compute _late_1 { _env, _shared, 14 },
	        _late_2 { _env, _shared, 15 };

	void _for_each_early(auto const &fn)
	{
		fn(_compute_1);   fn(_compute_2);   fn(_caller_1); fn(_caller_2);
		fn(_semaphore_1); fn(_semaphore_2); fn(_mutex_1);  fn(_mutex_2);
		fn(_receiver);    fn(_submitter);   fn(_fault);    fn(_deep);
	}

	void _for_each_late(auto const &fn) { fn(_late_1); fn(_late_2); }

	unsigned _failures = 0;

	void _check(bool condition, auto &&... message)
	{
		if (condition)
			return;

		error(message...);
		_failures++;
	}

	Main(Env &env) : _env(env)
	{
		/* the main thread never returns to its entrypoint during the test */
		auto wait_for = [&] (Shared::Phase phase) {
			while (_shared.phase != phase)
				_timer.msleep(5); };

		auto start = [] (Worker &worker) { worker.start(); };

		auto join = [&] (Worker &worker)
		{
			worker.join();
			_failures += worker.failed;
		};

		_for_each_early(start);
		_shared.phase = Shared::EARLY_THREADS;

		wait_for(Shared::ALL_THREADS);
		_for_each_late(start);

		wait_for(Shared::STOP);
		_for_each_early(join);
		_for_each_late(join);

		uint64_t const served    = _shared.counters[4],
		               forwarded = _shared.counters[5];

		_check(served == _caller_1.steps() + _caller_2.steps(),
		       served, " requests served");
		_check(forwarded == _caller_2.steps(), forwarded, " requests forwarded");

		uint64_t const p = _semaphore_1.steps(), q = _semaphore_2.steps();
		_check(max(p, q) - min(p, q) <= 1, p, " and ", q, " at the semaphores");

		_check(_number.value == _mutex_1.steps() + _mutex_2.steps(),
		       _number.value, " changes under mutex");

		/* the last signal merely wakes up the receiver */
		uint64_t const sent = _submitter.steps() + 1, received = _receiver.num_signals;
		_check(received <= sent && sent - received <= 2,
		       sent, " signals sent, ", received, " received");

		_shared.phase = _failures ? Shared::FAILED : Shared::SUCCEEDED;
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
