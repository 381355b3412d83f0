/*
 * \brief  Server that calls its parent and its clients while it handles a request
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SERVER_H_
#define _SERVER_H_

/* Genode includes */
#include <base/heap.h>
#include <base/rpc_server.h>
#include <root/component.h>

/* local includes */
#include <counting_session.h>
#include <sum.h>
#include <work.h>

namespace Test {

	struct Counting_component;
	struct Counting_root;
	struct Server;
}


struct Test::Counting_component : Rpc_object<Counting_session, Counting_component>
{
	Env     &_env;
	Verdict &_verdict;

	Thread_capability const _main_thread { _env.parent().main_thread_cap() };

	uint64_t _counts[MAX_THREADS] { };
	Sum      _sums  [MAX_THREADS] { };

	Counting_component(Env &env, Verdict &verdict) : _env(env), _verdict(verdict) { }

	/**
	 * Notice a request that is lost, or executed twice
	 */
	bool _next(unsigned thread, uint64_t number)
	{
		if (!_verdict.check(thread < MAX_THREADS && number == _counts[thread], "request ",
		                    number, " of thread ", thread, " is not the next one"))
			return false;

		_counts[thread]++;
		_sums[thread].add(number);

		/* a call of the server is in flight while the client waits for the reply */
		return _verdict.check(_env.parent().main_thread_cap() == _main_thread,
		                      "the parent tells another main thread");
	}

	/**
	 * Take so long that the client waits for the reply most of the time
	 */
	uint64_t count(unsigned thread, uint64_t number)
	{
		for (unsigned volatile i = 0; i < 100'000; )
			i = i + 1;

		return _next(thread, number) ? _sums[thread].value : 0;
	}

	Capability<Number> pass(unsigned thread, uint64_t number, Capability<Number> cap)
	{
		bool const next = _next(thread, number);

		uint64_t const value = cap.call<Number::Rpc_value>();

		return (next && _verdict.check(value == number, "the object says ", value))
		       ? cap : Capability<Number>();
	}

	uint64_t submit(unsigned thread, uint64_t number, Signal_context_capability context)
	{
		bool const next = _next(thread, number);

		Signal_transmitter(context).submit();

		return next ? _sums[thread].value : 0;
	}
};


struct Test::Counting_root : Root_component<Counting_component>
{
	Env     &_env;
	Verdict &_verdict;

	Create_result _create_session(char const *) override { return _alloc_obj(_env, _verdict); }

	Counting_root(Env &env, Allocator &alloc, Verdict &verdict)
	: Root_component<Counting_component>(env.ep(), alloc), _env(env), _verdict(verdict) { }
};


struct Test::Server
{
	Heap          _heap;
	Verdict       _verdict { };
	Counting_root _root;

	Server(Env &env)
	: _heap(env.ram(), env.rm()), _root(env, _heap, _verdict)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};

#endif /* _SERVER_H_ */
