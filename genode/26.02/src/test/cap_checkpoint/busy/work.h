/*
 * \brief  Thread that repeats a step and checks its result
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _WORK_H_
#define _WORK_H_

/* Genode includes */
#include <base/env.h>
#include <base/log.h>
#include <base/thread.h>

namespace Test {

	using namespace Genode;

	struct Verdict;
	struct Processors;
	struct Work;
}


/**
 * What all threads have to say
 */
struct Test::Verdict
{
	bool volatile stop = false;

	unsigned volatile mistakes = 0;

	/**
	 * Report a mistake unless the condition holds
	 */
	bool check(bool condition, auto &&... message)
	{
		if (!condition) {
			error("mistake: ", message...);
			mistakes = mistakes + 1;
		}
		return condition;
	}
};


/**
 * Where threads execute
 */
struct Test::Processors
{
	/**
	 * Return number of the processor, which is known to x86_64 only
	 */
	static unsigned current()
	{
#ifdef __x86_64__
		unsigned a = 1, b, c = 0, d;
		asm volatile ("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		return b >> 24;
#else
		return 0;
#endif
	}

	/**
	 * Return locations of all processors in turn
	 */
	static Affinity::Location next(Env &env)
	{
		static unsigned turn = 0;

		Affinity::Space const space = env.cpu().affinity_space();

		return space.location_of_index(int(turn++ % space.total()));
	}
};


struct Test::Work : Thread
{
	Verdict &_verdict;

	unsigned _processor = 0;  /* known after the first step */

	uint64_t volatile steps = 0;

	/* at the latest report */
	uint64_t reported = 0;

	bool volatile finished = false;

	virtual void _step() = 0;

	/**
	 * Let a partner come to its end
	 */
	virtual void _finish() { }

	Work(Env &env, Verdict &verdict, Name const &name)
	: Thread(env, name, Stack_size { 32*1024 }, Processors::next(env)), _verdict(verdict) { }

	void _check(bool condition, auto &&... message)
	{
		_verdict.check(condition, name, ", step ", uint64_t(steps), ": ", message...);
	}

	void entry() override
	{
		while (!_verdict.stop) {
			_step();
			_check(Thread::myself() == this, "the UTCB belongs to another thread");

			unsigned const processor = Processors::current();
			if (!steps)
				_processor = processor;
			_check(processor == _processor, "on processor ", processor, " instead of ", _processor);

			steps = steps + 1;
		}
		_finish();
		finished = true;
	}
};

#endif /* _WORK_H_ */
