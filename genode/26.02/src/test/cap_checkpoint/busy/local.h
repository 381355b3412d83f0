/*
 * \brief  Threads that wait for each other, compute, and use memory
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _LOCAL_H_
#define _LOCAL_H_

/* Genode includes */
#include <base/allocator.h>
#include <base/semaphore.h>

/* local includes */
#include <work.h>

namespace Test {

	struct Ping_pong;
	struct Protected_numbers;
	struct Contender;
	struct Compute;
	struct Heap_user;
}


/**
 * One of two threads that wake up each other
 */
struct Test::Ping_pong : Work
{
	Semaphore &_own, &_other;

	void _step() override { _other.up(); _own.down(); }

	void _finish() override { _other.up(); }

	Ping_pong(Env &env, Verdict &verdict, Name const &name, Semaphore &own, Semaphore &other)
	: Work(env, verdict, name), _own(own), _other(other) { }
};


/**
 * Numbers that are equal whenever the mutex is free
 */
struct Test::Protected_numbers
{
	Mutex             mutex { };
	uint64_t volatile a { 0 }, b { 0 };
};


struct Test::Contender : Work
{
	Protected_numbers &_numbers;

	void _step() override
	{
		Mutex::Guard guard(_numbers.mutex);

		uint64_t const a = _numbers.a;
		_numbers.a = a + 1;

		for (unsigned volatile i = 0; i < 5000; )
			i = i + 1;

		_check(_numbers.a == a + 1 && _numbers.b == a, "the mutex protects nothing");
		_numbers.b = a + 1;
	}

	Contender(Env &env, Verdict &verdict, Name const &name, Protected_numbers &numbers)
	: Work(env, verdict, name), _numbers(numbers) { }
};


/**
 * Keeps integer and floating-point registers busy, those of the x87 as well
 */
struct Test::Compute : Work
{
	struct Result
	{
		uint64_t    n = 1;
		double      x = 0.3;
		long double y = 0.7L;

		bool operator == (Result const &) const = default;
	};

	static Result _iterate()
	{
		Result r { };

		for (unsigned i = 0; i < 20'000; i++) {
			r.x = 3.9*r.x*(1.0 - r.x);
			r.y = 3.7L*r.y*(1.0L - r.y);
			r.n = r.n*6364136223846793005ull + 1442695040888963407ull;
		}
		return r;
	}

	Result const _expected = _iterate();

	void _step() override { _check(_iterate() == _expected, "wrong result"); }

	using Work::Work;
};


/**
 * Blocks of any size whose content must stay
 */
struct Test::Heap_user : Work
{
	static constexpr unsigned NUM_BLOCKS = 16, MAX_WORDS = 1024;

	Allocator &_alloc;

	struct Block { uint64_t *words; size_t count; } _blocks[NUM_BLOCKS] { };

	uint64_t _random = 1;

	void _free(Block &block)
	{
		if (!block.words)
			return;

		for (size_t i = 0; i < block.count; i++)
			if (block.words[i] != addr_t(block.words) + i) {
				_check(false, "word ", i, " of ", block.count, " changed");
				break;
			}

		_alloc.free(block.words, block.count*sizeof(uint64_t));
		block.words = nullptr;
	}

	void _step() override
	{
		_random = _random*6364136223846793005ull + 1442695040888963407ull;

		Block &block = _blocks[_random >> 60];

		_free(block);

		block.count = 1 + (_random >> 32) % MAX_WORDS;
		block.words = (uint64_t *)_alloc.alloc(block.count*sizeof(uint64_t));

		for (size_t i = 0; i < block.count; i++)
			block.words[i] = addr_t(block.words) + i;
	}

	void _finish() override
	{
		for (Block &block : _blocks)
			_free(block);
	}

	Heap_user(Env &env, Verdict &verdict, Name const &name, Allocator &alloc)
	: Work(env, verdict, name), _alloc(alloc) { }
};

#endif /* _LOCAL_H_ */
