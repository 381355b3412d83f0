/*
 * \brief  Thread that does something at random
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _WORK_H_
#define _WORK_H_

/* Genode includes */
#include <base/env.h>
#include <base/thread.h>

namespace Test {

	using namespace Genode;

	struct Random;
	struct Work;

	static constexpr size_t PAGE = 4096;
}


struct Test::Random
{
	uint32_t _state;

	unsigned operator () (unsigned limit)
	{
		_state = _state*1103515245 + 12345;
		return (_state >> 8) % limit;
	}
};


struct Test::Work : Thread
{
	static constexpr size_t STACK = 32*1024;

	Random random;

	Work(Env &env, char const *name, unsigned seed)
	: Thread(env, name, Stack_size { STACK }), random { seed } { }
};

#endif /* _WORK_H_ */
