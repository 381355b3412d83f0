/*
 * \brief  Wake up threads that wait for a lock without giving them the lock
 * \date   2026-11-29
 *
 * A wake-up without a reason happens if a thread is started anew after a
 * restore, or if the trigger of an earlier wake-up was left behind. A thread
 * that destroys objects, on the other hand, must be woken up as soon as they
 * are gone, and not by the timer of the kernel.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <base/semaphore.h>
#include <foc/native_capability.h>
#include <foc/native_thread.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Protected;
	struct Contender;
	struct Waiter;
	struct Nothing;
	struct Object;
	struct Main;
}


struct Test::Protected
{
	Mutex mutex { };

	unsigned volatile inside = 0, violations = 0, entries = 0;

	void enter_and_leave()
	{
		Mutex::Guard guard(mutex);

		inside = inside + 1;
		for (unsigned volatile i = 0; i < 3000; )
			i = i + 1;
		if (inside != 1)
			violations = violations + 1;
		inside = inside - 1;
		entries = entries + 1;
	}
};


struct Test::Contender : Thread
{
	static constexpr unsigned ENTRIES = 500;

	Protected &_protected;

	Contender(Env &env, Name const &name, Protected &p)
	: Thread(env, name, Stack_size { 16*1024 }), _protected(p) { start(); }

	void entry() override
	{
		for (unsigned i = 0; i < ENTRIES; i++)
			_protected.enter_and_leave();
	}
};


/**
 * Thread that waits for the ups of a semaphore
 */
struct Test::Waiter : Thread
{
	Semaphore         semaphore { };
	unsigned volatile downs = 0;

	Waiter(Env &env) : Thread(env, "waiter", Stack_size { 16*1024 }) { start(); }

	void entry() override
	{
		for (;;) {
			semaphore.down();
			downs = downs + 1;
		}
	}
};


struct Test::Nothing : Interface { GENODE_RPC_INTERFACE(); };


struct Test::Object : Rpc_object<Nothing, Object> { };


struct Test::Main
{
	static constexpr unsigned UPS = 100;

	/* the kernel needs at least two ticks of 1 ms for each object if it waits */
	static constexpr unsigned OBJECTS = 10, MAX_END_US = OBJECTS*2*1000, ATTEMPTS = 50;

	Env &_env;

	Timer::Connection _timer { _env };

	Protected _protected { };

	Contender _contender_1 { _env, "contender 1", _protected },
	          _contender_2 { _env, "contender 2", _protected },
	          _contender_3 { _env, "contender 3", _protected };

	Waiter _waiter { _env };

	unsigned _failures = 0, _wake_ups = 0;

	void _check(bool condition, auto &&... message)
	{
		if (condition)
			return;

		error(message...);
		_failures++;
	}

	void _wake_up(Thread &thread)
	{
		thread.with_native_thread([&] (Native_thread &nt) {
			Foc::l4_irq_trigger(nt.kcap + Foc::THREAD_IRQ_CAP); }, [] { });
		_wake_ups++;
	}

	/**
	 * Return the shortest time that the end of some objects takes
	 */
	uint64_t _end_of_objects_us()
	{
		Object objects[OBJECTS] { };

		uint64_t shortest_us = ~0ULL;

		for (unsigned i = 0; i < ATTEMPTS; i++) {

			for (Object &object : objects)
				_env.ep().manage(object);

			uint64_t const start_us = _timer.elapsed_us();

			for (Object &object : objects)
				_env.ep().dissolve(object);

			shortest_us = min(shortest_us, _timer.elapsed_us() - start_us);
		}
		return shortest_us;
	}

	Main(Env &env) : _env(env)
	{
		unsigned const total = 3*Contender::ENTRIES;

		while (_protected.entries + _protected.violations < total && _wake_ups < 100'000) {
			_wake_up(_contender_1);
			_wake_up(_contender_2);
			_wake_up(_contender_3);
			_timer.msleep(1);
		}

		_contender_1.join();
		_contender_2.join();
		_contender_3.join();

		_check(_protected.entries == total && !_protected.violations,
		       _protected.entries, " entries, ", _protected.violations,
		       " at the same time as others");

		/* a thread that is woken up twice before it gets its turn goes on, too */
		for (unsigned i = 0; i < UPS; i++) {
			_wake_up(_waiter);
			_waiter.semaphore.up();
			_wake_up(_waiter);
			if (i % 3 == 0)
				_timer.msleep(1);
		}
		_timer.msleep(20);
		_check(_waiter.downs == UPS, _waiter.downs, " of ", UPS, " downs");

		_wake_up(_waiter);
		_timer.msleep(5);
		_check(_waiter.downs == UPS, "down without up");

		uint64_t const end_us = _end_of_objects_us();
		_check(end_us < MAX_END_US, "the end of ", OBJECTS, " objects takes ", end_us, " us");

		log("--- lock wake-up test ", _failures ? "failed" : "succeeded", " ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
