/*
 * \brief  Client with several threads, each of which has calls in flight
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CLIENT_H_
#define _CLIENT_H_

/* Genode includes */
#include <base/rpc_server.h>

/* local includes */
#include <counting_session.h>
#include <finishing.h>
#include <sum.h>

namespace Test {

	struct Number_component;
	struct Caller;
	struct Passer;
	struct Signalled;
	struct Session_opener;
	struct Client;
}


/**
 * Counts its own requests
 */
struct Test::Caller : Work
{
	Counting_connection &_server;
	unsigned const       _thread;
	Sum                  _sum { };

	Caller(Env &env, Verdict &verdict, Name const &name, Counting_connection &server,
	       unsigned thread)
	: Work(env, verdict, name), _server(server), _thread(thread) { }

	void _check_sum(uint64_t sum)
	{
		_sum.add(steps);
		_check(sum == _sum.value, "the server has another sum");
	}

	void _step() override { _check_sum(_server.count(_thread, steps)); }
};


struct Test::Number_component : Rpc_object<Number, Number_component>
{
	uint64_t const number;

	Number_component(uint64_t number) : number(number) { }

	uint64_t value() { return number; }
};


/**
 * Passes an object that exists during one request only
 */
struct Test::Passer : Caller
{
	Rpc_entrypoint _ep;

	void _step() override
	{
		Number_component number { steps };

		Capability<Number> const cap = _ep.manage(&number);

		_check(_server.pass(_thread, steps, cap) == cap, "another capability was returned");

		_ep.dissolve(&number);
	}

	Passer(Env &env, Verdict &verdict, Name const &name, Counting_connection &server,
	       unsigned thread)
	:
		Caller(env, verdict, name, server, thread),
		_ep(env.runtime(), "numbers", Stack_size { 32*1024 }, { })
	{ }
};


/**
 * Waits for the signal that the server submits
 */
struct Test::Signalled : Caller
{
	Signal_receiver _receiver { };
	Signal_context  _context  { };

	Signal_context_capability const _cap { _receiver.manage(_context) };

	void _step() override
	{
		_check_sum(_server.submit(_thread, steps, _cap));

		unsigned const num = _receiver.wait_for_signal().num();
		_check(num == 1, num, " signals");
	}

	~Signalled() { _receiver.dissolve(_context); }

	using Caller::Caller;
};


/**
 * Opens and closes sessions at the server by way of the parent
 */
struct Test::Session_opener : Work
{
	Env &_env;

	void _step() override
	{
		Counting_connection server { _env };

		Sum sum { };
		for (unsigned i = 0; i < 2; i++) {
			sum.add(i);
			_check(server.count(0, i) == sum.value, "the new session has another sum");
		}
	}

	Session_opener(Env &env, Verdict &verdict, Name const &name)
	: Work(env, verdict, name), _env(env) { }
};


struct Test::Client : Finishing
{
	Counting_connection _server { _env };

	Caller         _caller    { _env, _verdict, "caller",    _server, 0 };
	Passer         _passer    { _env, _verdict, "passer",    _server, 1 };
	Signalled      _signalled { _env, _verdict, "signalled", _server, 2 };
	Session_opener _opener    { _env, _verdict, "opener" };

	void _for_each_work(With_work::Ft const &fn) override
	{
		fn(_caller); fn(_passer); fn(_signalled); fn(_opener);
	}

	bool _handle_tick() override { return true; }

	Client(Env &env, Attached_rom_dataspace &config) : Finishing(env, config) { _start(); }
};

#endif /* _CLIENT_H_ */
