/*
 * \brief  Thread that checks its results and counts its steps
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _WORKER_H_
#define _WORKER_H_

/* Genode includes */
#include <base/env.h>
#include <base/log.h>
#include <base/thread.h>
#include <util/attempt.h>

/* local includes */
#include <shared.h>

namespace Test {

	using namespace Genode;

	struct Worker;
	struct Compute;
}


/**
 * Thread that repeats a step until the test is over
 */
struct Test::Worker : Thread
{
	struct Failed { };

	using Step_result = Attempt<Ok, Failed>;

	Shared         &_shared;
	unsigned const  _index;

	bool failed = false;

	virtual Step_result _step() = 0;

	/* what lets the partner of the thread come to its end */
	virtual void _finish() { }

	Worker(Env &env, Shared &shared, unsigned index)
	:
		Thread(env, Shared::names[index], Stack_size { 32*1024 }),
		_shared(shared), _index(index)
	{ }

	uint64_t steps() const { return _shared.counters[_index]; }

	void entry() override
	{
		while (_shared.phase != Shared::STOP && !failed) {

			_step().with_result([] (Ok) { }, [&] (Failed) {
				error(name, ": wrong result after ", steps(), " steps");
				failed = true; });

			/* a thread that has got a foreign UTCB cannot print a message */
			if (Thread::myself() != this) {
				_shared.foreign_utcb = _index + 1;
				for (;;);
			}

			_shared.counters[_index] = _shared.counters[_index] + 1;
		}
		_finish();
	}
};


struct Test::Compute : Worker
{
	double const _expected = _iterate();

	/* more than fit into the floating-point registers, so all of them are in use */
	static constexpr unsigned NUM_VALUES = 26;

	/* keeps integer and floating-point registers busy */
	static double _iterate()
	{
		double   values[NUM_VALUES];
		uint64_t n = 1;

		for (unsigned i = 0; i < NUM_VALUES; i++)
			values[i] = 0.3 + 0.01*i;

		for (unsigned i = 0; i < 2'000; i++) {

			#pragma GCC unroll 26
			for (double &x : values)
				x = 3.9*x*(1.0 - x);

			n = n*6364136223846793005ull + 1442695040888963407ull;
		}

		double sum = double(n % 1000);
		for (double x : values)
			sum += x;

		return sum;
	}

	Step_result _step() override
	{
		if (_iterate() != _expected)
			return Failed();
		return Ok();
	}

	using Worker::Worker;
};

#endif /* _WORKER_H_ */
