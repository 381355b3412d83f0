/*
 * \brief  Pause and resume threads again and again
 * \date   2026-11-29
 *
 * The threads run with a lower priority than the main thread, which must get
 * its turn though some threads never wait. They belong to the same component,
 * so the main thread must not need what they may hold while being paused, such
 * as the lock of the capability space. Hence, it calls core by the kernel's
 * interface.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <cpu_session/connection.h>
#include <foc/capability_space.h>
#include <foc/native_capability.h>
#include <thread/capability.h>

/* local includes */
#include <workers.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/ipc.h>
}

namespace Test { struct Main; }


struct Test::Main
{
	enum {
		NUM_ROUNDS        = 160,
		LATE_ROUND        = 40,
		ROUNDS_PER_REPORT = 20,
		MAX_WAITS         = 400
	};

	Env &_env;

	Cpu_connection _cpu { _env, "workers", Cpu_session::PRIORITY_LIMIT/2 };

	bool volatile _stop = false;

	Rpc_entrypoint _server { &_env.pd(), WORKER_STACK_SIZE, "server" };

	Sum_component _sum;

	Capability<Sum> const _sum_cap { _server.manage(&_sum) };

	Semaphore        _ping, _pong;
	Protected_number _number;

	Compute   _compute_1   { _env, _cpu, _stop, "compute 1" },
	          _compute_2   { _env, _cpu, _stop, "compute 2" };
	Caller    _caller_1    { _env, _cpu, _stop, "caller 1", _sum_cap },
	          _caller_2    { _env, _cpu, _stop, "caller 2", _sum_cap };
	Ping_pong _semaphore_1 { _env, _cpu, _stop, "semaphore 1", _ping, _pong },
	          _semaphore_2 { _env, _cpu, _stop, "semaphore 2", _pong, _ping };
	Contender _lock_1      { _env, _cpu, _stop, "lock 1", _number },
	          _lock_2      { _env, _cpu, _stop, "lock 2", _number };
	Receiver  _receiver    { _env, _cpu, _stop, "receiver" };
	Submitter _submitter   { _env, _cpu, _stop, "submitter", _receiver };
	Fault     _fault       { _env, _cpu, _stop, "fault" };
	Compute   _late_1      { _env, _cpu, _stop, "late 1" },
	          _late_2      { _env, _cpu, _stop, "late 2" };

	enum { NUM_EARLY = 11, NUM_WORKERS = 13 };

	Worker * const _workers[NUM_WORKERS] {
		&_compute_1, &_compute_2, &_caller_1, &_caller_2, &_semaphore_1, &_semaphore_2,
		&_lock_1, &_lock_2, &_receiver, &_submitter, &_fault, &_late_1, &_late_2 };

	unsigned _round = 0, _pauses = 0, _errors = 0;

	template <typename... ARGS>
	void _fail(ARGS &&... args)
	{
		error("round ", _round, ": ", args...);
		_errors++;
	}

	unsigned _num_started() const { return _round < LATE_ROUND ? NUM_EARLY : NUM_WORKERS; }

	/* variants of a round */
	enum { ALL, AT_ONCE, TWICE, SOME, NUM_VARIANTS };

	bool _concerned(unsigned i) const
	{
		return _round % NUM_VARIANTS != SOME || (i + _round/NUM_VARIANTS) % 2;
	}

	template <typename FN>
	void _for_each_concerned(FN const &fn)
	{
		for (unsigned i = 0; i < NUM_WORKERS; i++)
			if (_concerned(i))
				fn(*_workers[i]);
	}

	template <typename RPC_FUNCTION>
	void _call(Worker &worker)
	{
		using namespace Fiasco;

		enum { OPCODE = Meta::Index_of<Cpu_thread::Rpc_functions, RPC_FUNCTION>::Value };

		l4_utcb_mr()->mr[0] = worker.badge;
		l4_utcb_mr()->mr[1] = 0;       /* number of capabilities */
		l4_utcb_mr()->mr[2] = OPCODE;

		l4_ipc_call(worker.kcap, l4_utcb(), l4_msgtag(0, 3, 0, 0), L4_IPC_NEVER);
	}

	void _pause(Worker &worker)
	{
		_call<Cpu_thread::Rpc_pause>(worker);
		_pauses++;
	}

	void _resume(Worker &worker) { _call<Cpu_thread::Rpc_resume>(worker); }

	static void _sleep_ms(unsigned ms)
	{
		using namespace Fiasco;

		/* the mantissa of a timeout has 10 bits */
		unsigned mantissa = ms*1000, exponent = 0;
		for (; mantissa > 1023; exponent++)
			mantissa /= 2;

		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER,
		                        l4_timeout_rel(mantissa, exponent)));
	}

	void _pause_and_resume()
	{
		if (_round % NUM_VARIANTS == AT_ONCE) {
			_for_each_concerned([&] (Worker &worker) {
				_pause(worker);
				_resume(worker);
				_resume(worker); });
			return;
		}

		_for_each_concerned([&] (Worker &worker) {
			_pause(worker);
			if (_round % NUM_VARIANTS == TWICE)
				_pause(worker); });

		_for_each_concerned([&] (Worker &worker) { worker.paused_at = worker.steps; });

		_sleep_ms(5 + _round % 7);

		/* a message may need what a paused thread holds, so it comes later */
		Worker *running = nullptr;
		_for_each_concerned([&] (Worker &worker) {
			if (worker.paused_at != worker.steps)
				running = &worker; });

		_for_each_concerned([&] (Worker &worker) { _resume(worker); });

		if (running)
			_fail(running->name(), " runs while being paused");
	}

	/**
	 * Wait until each thread that has been started has made a step
	 */
	void _check_progress()
	{
		for (unsigned i = 0; i < _num_started(); i++) {

			Worker &worker = *_workers[i];

			unsigned waits = 0;
			while (worker.steps == worker.reported_at && ++waits < MAX_WAITS)
				_sleep_ms(10);

			if (waits == MAX_WAITS)
				_fail(worker.name(), " stands still after ", worker.steps, " steps");

			worker.reported_at = worker.steps;
		}

		for (unsigned i = _num_started(); i < NUM_WORKERS; i++)
			if (_workers[i]->steps)
				_fail(_workers[i]->name(), " runs before its start");

		log("round ", _round, ": ", (unsigned)NUM_WORKERS, " threads paused ",
		    _pauses, " times");
	}

	void _check_workers()
	{
		for (Worker *worker : _workers) {
			if (worker->foreign_utcb)
				_fail(worker->name(), " has a foreign UTCB");
			if (worker->failed)
				_fail(worker->name(), " has a wrong result");
		}
	}

	void _check_result()
	{
		_stop = true;
		for (Worker *worker : _workers)
			worker->join();

		unsigned long const served = _sum.counter;
		if (served != _caller_1.steps + _caller_2.steps)
			_fail(served, " requests served");

		unsigned long const p = _semaphore_1.steps, q = _semaphore_2.steps;
		if (max(p, q) - min(p, q) > 1)
			_fail(p, " and ", q, " at the semaphores");

		if (_number.value != _lock_1.steps + _lock_2.steps)
			_fail((unsigned long)_number.value, " changes under lock");

		/* the last signal merely wakes up the receiver */
		unsigned long const sent = _submitter.steps + 1, received = _receiver.num_signals;
		if (received > sent || sent - received > 2)
			_fail(sent, " signals sent, ", received, " received");
	}

	Main(Env &env) : _env(env)
	{
		log("--- thread-pause test ---");

		for (unsigned i = 0; i < NUM_EARLY; i++)
			_workers[i]->start();

		_sleep_ms(1000);

		log("begin to pause ", (unsigned)NUM_WORKERS, " threads");

		while (_round < NUM_ROUNDS && !_errors) {

			_pause_and_resume();
			_sleep_ms(5 + _round % 7);
			_round++;

			if (_round == LATE_ROUND) {
				_late_1.start();
				_late_2.start();
			}

			_check_workers();

			if (_round % ROUNDS_PER_REPORT == 0)
				_check_progress();
		}

		if (!_errors)
			_check_result();

		log("--- thread-pause test ", _errors ? "failed" : "succeeded", " ---");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
