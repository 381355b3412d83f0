/*
 * \brief  Threads that use timers, signals, threads, and sessions
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SYSTEM_H_
#define _SYSTEM_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/signal.h>
#include <log_session/connection.h>
#include <timer_session/connection.h>

/* local includes */
#include <work.h>

namespace Test {

	struct Sleeper;
	struct Signals;
	struct Threads;
	struct Sessions;
}


/**
 * Waits for time-outs of different lengths, and looks at the clock
 */
struct Test::Sleeper : Work
{
	/* a busy component may get the processor back late, yet the clock must not jump */
	static constexpr uint64_t MAX_DELAY_US = 60*1000*1000;

	Timer::Connection _timer;

	uint64_t _last_us = 0;

	uint64_t _now()
	{
		uint64_t const us = _timer.elapsed_us();

		_check(us >= _last_us, "the clock jumps back from ", _last_us, " to ", us);
		_check(us <= _last_us + MAX_DELAY_US, "the clock jumps from ", _last_us, " to ", us);

		return _last_us = us;
	}

	void _step() override
	{
		uint64_t const us = 1000*(1 + steps % 20), start_us = _now();

		_timer.usleep(us);

		uint64_t const slept_us = _now() - start_us;
		_check(slept_us >= us, "slept for ", slept_us, " us instead of ", us);
	}

	Sleeper(Env &env, Verdict &verdict, Name const &name)
	: Work(env, verdict, name), _timer(env) { _last_us = _timer.elapsed_us(); }
};


/**
 * Receives as many signals as it has submitted
 */
struct Test::Signals : Work
{
	Signal_receiver _receiver { };
	Signal_context  _context  { };

	Signal_transmitter _transmitter { _receiver.manage(_context) };

	void _step() override
	{
		unsigned const submitted = 1 + unsigned(steps % 3);

		for (unsigned i = 0; i < submitted; i++)
			_transmitter.submit();

		unsigned received = 0;
		while (received < submitted)
			received += _receiver.wait_for_signal().num();

		_check(received == submitted, submitted, " signals submitted, ", received, " received");
	}

	~Signals() { _receiver.dissolve(_context); }

	using Work::Work;
};


/**
 * Threads that come and go
 */
struct Test::Threads : Work
{
	Env &_env;

	struct Short_lived : Thread
	{
		uint64_t const n;
		uint64_t square = 0;

		void entry() override { square = n*n; }

		Short_lived(Env &env, uint64_t n)
		: Thread(env, "short-lived", Stack_size { 16*1024 }), n(n) { start(); }
	};

	void _step() override
	{
		Short_lived thread { _env, steps };

		thread.join();

		_check(thread.square == steps*steps, "the thread says ", thread.square);
	}

	Threads(Env &env, Verdict &verdict, Name const &name)
	: Work(env, verdict, name), _env(env) { }
};


/**
 * Sessions that come and go
 */
struct Test::Sessions : Work
{
	static constexpr unsigned STEPS_PER_MESSAGE = 50;

	Env &_env;

	void _step() override
	{
		switch (steps % 3) {
		case 0:
			{
				Log_connection log { _env, "short-lived" };

				if (steps % STEPS_PER_MESSAGE == 0)
					log.write("is there\n");
				break;
			}
		case 1:
			{
				Attached_rom_dataspace rom { _env, "config" };

				_check(rom.node().has_type("config"), "the ROM module is another one");
				break;
			}
		case 2:
			{
				Timer::Connection timer { _env };

				uint64_t const us = timer.elapsed_us();
				_check(timer.elapsed_us() >= us, "the clock jumps back");
				break;
			}
		}
	}

	Sessions(Env &env, Verdict &verdict, Name const &name)
	: Work(env, verdict, name), _env(env) { }
};

#endif /* _SYSTEM_H_ */
