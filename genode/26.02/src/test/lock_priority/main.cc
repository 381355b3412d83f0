/*
 * \brief  Wait for the lock of the capability table at different priorities
 * \date   2026-11-30
 *
 * A thread of low priority operates on the table all the time. One of high
 * priority does so now and then, and measures how long it takes. The same is
 * repeated with a thread of a priority in between that is woken up at this
 * moment, and does not rest for a while. The longest wait must not exceed this
 * while by more than the naps of a waiter.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/semaphore.h>
#include <cpu_session/connection.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Prioritized;
	struct Low;
	struct Medium;
	struct High;
	struct Main;

	/* take and release the lock of the table twice */
	static void operate_on_table()
	{
		if (Cap_index const index = cap_idx_alloc().alloc_range(1))
			(void)cap_idx_alloc().free(index, 1);
	}
}


/**
 * Thread with a priority of its own
 *
 * Genode's API creates threads at the CPU session of the component only.
 */
struct Test::Prioritized : Thread
{
	Cpu_connection _cpu;

	Prioritized(Env &env, Name const &name, unsigned quarter)
	:
		Thread(env, name, Stack_size { 16*1024 }),
		_cpu(env, name.string(), quarter*Cpu_session::PRIORITY_LIMIT/4)
	{
		_thread_cap.with_result(
			[&] (Thread_capability cap) { env.cpu().kill_thread(cap); },
			[&] (Cpu_session::Create_thread_error) { });

		_thread_cap = _cpu.create_thread(env.pd_session_cap(), name, { }, 0);

		if (start() != Start_result::OK)
			error("thread could not be started");
	}
};


struct Test::Low : Prioritized
{
	unsigned long volatile count = 0;

	void entry() override
	{
		for (;;) {
			operate_on_table();
			count = count + 1;
		}
	}

	Low(Env &env) : Prioritized(env, "low", 3) { }
};


struct Test::Medium : Prioritized
{
	Semaphore ready { };

	uint64_t volatile ticks = 0;

	void entry() override
	{
		for (;;) {
			ready.down();
			for (uint64_t const start = Trace::timestamp();
			     Trace::timestamp() - start < ticks; );
		}
	}

	Medium(Env &env) : Prioritized(env, "medium", 2) { }
};


struct Test::High : Prioritized
{
	Medium &_medium;

	Semaphore begin { }, end { };

	unsigned rounds = 0, rest_ms = 0, contended = 0;

	/* in ticks of the time stamp counter */
	uint64_t longest = 0, long_wait = 0;

	static void _sleep_ms(unsigned ms)
	{
		using namespace Foc;
		while (ms--)
			l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
	}

	void entry() override
	{
		for (;;) {
			begin.down();

			longest = contended = 0;

			for (unsigned i = 0; i < rounds; i++) {

				/* let the others come to an end, then interrupt low wherever it is */
				_sleep_ms(1 + rest_ms);

				if (_medium.ticks)
					_medium.ready.up();

				uint64_t const start = Trace::timestamp();
				operate_on_table();
				uint64_t const taken = Trace::timestamp() - start;

				longest = max(longest, taken);
				if (taken > long_wait)
					contended++;
			}
			end.up();
		}
	}

	High(Env &env, Medium &medium) : Prioritized(env, "high", 1), _medium(medium) { }
};


struct Test::Main
{
	/* after each nap of 1 ms, low has the lock again half of the time */
	static constexpr unsigned MAX_NAPS_MS = 20;

	Timer::Connection _timer;

	Low    _low;
	Medium _medium;
	High   _high;

	uint64_t _ticks_per_ms { };

	unsigned _failures = 0;

	void _measure(unsigned rounds, unsigned medium_ms)
	{
		unsigned long const before = _low.count;

		_medium.ticks   = medium_ms*_ticks_per_ms;
		_high.rounds    = rounds;
		_high.rest_ms   = medium_ms;
		_high.long_wait = _ticks_per_ms/10;
		_high.begin.up();
		_high.end.down();

		uint64_t const longest_us = _high.longest*1000/_ticks_per_ms;

		log("medium busy for ", medium_ms, " ms: high waited at most ", longest_us,
		    " us, ", _high.contended, " of ", rounds, " times, low made ",
		    _low.count - before, " operations");

		if (longest_us > (medium_ms + MAX_NAPS_MS)*1000) {
			error("high waited too long");
			_failures++;
		}

		if (!_high.contended) {
			error("high never found the lock taken");
			_failures++;
		}
	}

	Main(Env &env) : _timer(env), _low(env), _medium(env), _high(env, _medium)
	{
		uint64_t const start = Trace::timestamp();
		_timer.msleep(500);
		_ticks_per_ms = (Trace::timestamp() - start)/500;

		_measure(1000, 0);
		_measure(200,  5);
		_measure(100, 20);
		_measure(50,  80);

		log("--- lock priority test ", _failures ? "failed" : "succeeded", " ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
