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


struct Test::Work : Thread
{
	Verdict &_verdict;

	uint64_t volatile steps = 0;

	/* at the latest report */
	uint64_t reported = 0;

	virtual void _step() = 0;

	/**
	 * Let a partner come to its end
	 */
	virtual void _finish() { }

	Work(Env &env, Verdict &verdict, Name const &name)
	: Thread(env, name, Stack_size { 32*1024 }), _verdict(verdict) { }

	void _check(bool condition, auto &&... message)
	{
		_verdict.check(condition, name, ", step ", uint64_t(steps), ": ", message...);
	}

	void entry() override
	{
		while (!_verdict.stop) {
			_step();
			_check(Thread::myself() == this, "the UTCB belongs to another thread");
			steps = steps + 1;
		}
		_finish();
	}
};

#endif /* _WORK_H_ */
