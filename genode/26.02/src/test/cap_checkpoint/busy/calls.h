/*
 * \brief  Threads that call each other
 * \date   2026-11-29
 *
 * Each server knows which request of which client comes next. So a request that
 * is lost, executed twice, or comes too early is noticed at once.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CALLS_H_
#define _CALLS_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <base/semaphore.h>
#include <base/signal.h>
#include <util/reconstructible.h>

/* local includes */
#include <work.h>

namespace Test {

	struct Number;
	struct Number_component;
	struct Counter;
	struct Counter_component;
	struct Servers;
	struct Caller;
	struct Cap_caller;
	struct Token;
	struct Token_component;
	struct Token_players;
	struct Entrypoints;
}


/**
 * Object that is handed around
 */
struct Test::Number : Interface
{
	GENODE_RPC(Rpc_value, uint64_t, value);
	GENODE_RPC_INTERFACE(Rpc_value);
};


struct Test::Number_component : Rpc_object<Number, Number_component>
{
	uint64_t volatile number = 0;

	uint64_t value() { return number; }
};


/**
 * Server that counts the requests of each client
 */
struct Test::Counter : Interface
{
	static constexpr unsigned MAX_CLIENTS = 8;

	GENODE_RPC(Rpc_count, uint64_t, count, unsigned, uint64_t);
	GENODE_RPC(Rpc_pass, Capability<Number>, pass, unsigned, uint64_t, Capability<Number>);
	GENODE_RPC_INTERFACE(Rpc_count, Rpc_pass);
};


struct Test::Counter_component : Rpc_object<Counter, Counter_component>
{
	Verdict             &_verdict;
	String<16> const     _name;
	Capability<Counter>  _next;  /* next server in the chain, if there is one */

	uint64_t counts[MAX_CLIENTS] { };

	Counter_component(Verdict &verdict, String<16> const &name, Capability<Counter> next)
	: _verdict(verdict), _name(name), _next(next) { }

	void _count(unsigned client, uint64_t number)
	{
		_verdict.check(number == counts[client], _name, ": request ", number, " of client ",
		               client, " instead of ", counts[client]);
		counts[client] = number + 1;
	}

	uint64_t count(unsigned client, uint64_t number)
	{
		_count(client, number);

		uint64_t const sum = _next.valid() ? _next.call<Rpc_count>(client, number) : 0;

		return sum + counts[client];
	}

	Capability<Number> pass(unsigned client, uint64_t number, Capability<Number> cap)
	{
		_count(client, number);

		if (_next.valid())
			return _next.call<Rpc_pass>(client, number, cap);

		uint64_t const value = cap.call<Number::Rpc_value>();

		_verdict.check(value == number, _name, ": the object of client ", client, " says ",
		               value, " instead of ", number);
		return cap;
	}
};


/**
 * Chain of servers, and the entrypoint for the objects that are handed around
 */
struct Test::Servers
{
	static constexpr Thread::Stack_size STACK_SIZE { 32*1024 };

	Rpc_entrypoint first_ep, second_ep, number_ep;

	Counter_component second, first;

	Servers(Env &env, Verdict &verdict)
	:
		first_ep (env.runtime(), "first",   STACK_SIZE, { }),
		second_ep(env.runtime(), "second",  STACK_SIZE, { }),
		number_ep(env.runtime(), "numbers", STACK_SIZE, { }),
		second(verdict, "second", { }),
		first (verdict, "first", second_ep.manage(&second))
	{
		first_ep.manage(&first);
	}

	~Servers()
	{
		first_ep .dissolve(&first);
		second_ep.dissolve(&second);
	}
};


struct Test::Caller : Work
{
	Servers        &_servers;
	unsigned const  _client;

	void _step() override
	{
		uint64_t const result = _servers.first.cap().call<Counter::Rpc_count>(_client, uint64_t(steps));

		_check(result == 2*(steps + 1), "the call returns ", result);
	}

	Caller(Env &env, Verdict &verdict, Name const &name, Servers &servers, unsigned client)
	: Work(env, verdict, name), _servers(servers), _client(client) { }

	/**
	 * Compare what was requested with what the servers counted, at the end
	 */
	void check_counts()
	{
		uint64_t const first  = _servers.first .counts[_client],
		               second = _servers.second.counts[_client];

		_check(steps == first && steps == second, "executed ", first, " and ", second, " times");
	}
};


/**
 * Client whose requests and replies carry the capability of a short-lived object
 */
struct Test::Cap_caller : Caller
{
	static constexpr unsigned STEPS_PER_OBJECT = 4;

	Constructible<Number_component> _number { };

	void _release()
	{
		if (_number.constructed()) {
			_servers.number_ep.dissolve(&*_number);
			_number.destruct();
		}
	}

	void _step() override
	{
		if (steps % STEPS_PER_OBJECT == 0) {
			_release();
			_number.construct();
			_servers.number_ep.manage(&*_number);
		}
		_number->number = steps;

		Capability<Number> const cap = _number->cap(),
			result = _servers.first.cap().call<Counter::Rpc_pass>(_client, uint64_t(steps), cap);

		_check(result == cap, "another capability was returned");
	}

	void _finish() override { _release(); }

	using Caller::Caller;
};


/**
 * Number that two entrypoints send each other, each from its signal handler
 */
struct Test::Token : Interface
{
	GENODE_RPC(Rpc_take, void, take, uint64_t);
	GENODE_RPC_INTERFACE(Rpc_take);
};


struct Test::Token_component : Rpc_object<Token, Token_component>
{
	Verdict   &_verdict;
	Semaphore &_taken;
	Entrypoint _ep;

	Token_component *other = nullptr;

	uint64_t volatile number = 0;  /* grows by two */

	/* signals to itself, which tell a lost one from a token that nobody passes on */
	unsigned volatile submitted = 0, handled = 0;

	/*
	 * Noncopyable
	 */
	Token_component(Token_component const &);
	Token_component &operator = (Token_component const &);

	Signal_handler<Token_component> _handler { _ep, *this, &Token_component::_handle };

	void _handle()
	{
		handled = handled + 1;
		other->cap().call<Token::Rpc_take>(number + 1);
	}

	void take(uint64_t n)
	{
		_verdict.check(!number || n == number + 2, "token ", n, " follows ", uint64_t(number));

		/* after the last number, the watcher must know that it need not wait */
		bool const last = _verdict.stop;

		number = n;
		_taken.up();

		if (!last) {
			submitted = submitted + 1;
			Signal_transmitter(_handler).submit();
		}
	}

	Token_component(Env &env, Verdict &verdict, Semaphore &taken, char const *name)
	: _verdict(verdict), _taken(taken), _ep(env, 32*1024, name, { }) { _ep.manage(*this); }

	~Token_component() { _ep.dissolve(*this); }
};


/**
 * Watches two entrypoints that call each other
 */
struct Test::Token_players : Work
{
	Semaphore _taken { };

	Token_component _left, _right;

	void _step() override
	{
		/* once started, the entrypoints keep it going */
		if (!steps)
			_left.cap().call<Token::Rpc_take>(1ULL);

		_taken.down();

		uint64_t const number = max(_left.number, _right.number);
		_check(number > steps, "the token is only at ", number);
	}

	void print(Output &out) const
	{
		auto side = [&] (Token_component const &t) {
			Genode::print(out, "number ", uint64_t(t.number), ", ", unsigned(t.handled), " of ",
			              unsigned(t.submitted), " signals handled"); };

		Genode::print(out, "left: ");    side(_left);
		Genode::print(out, ", right: "); side(_right);
	}

	Token_players(Env &env, Verdict &verdict, Name const &name)
	:
		Work(env, verdict, name),
		_left(env, verdict, _taken, "left"), _right(env, verdict, _taken, "right")
	{
		_left.other  = &_right;
		_right.other = &_left;
	}
};


/**
 * Entrypoints that come and go
 */
struct Test::Entrypoints : Work
{
	Env &_env;

	void _step() override
	{
		Rpc_entrypoint ep { _env.runtime(), "short-lived", Servers::STACK_SIZE, { } };

		Number_component number { };
		number.number = steps;

		uint64_t const value = ep.manage(&number).call<Number::Rpc_value>();

		ep.dissolve(&number);

		_check(value == steps, "the short-lived entrypoint says ", value);
	}

	Entrypoints(Env &env, Verdict &verdict, Name const &name)
	: Work(env, verdict, name), _env(env) { }
};

#endif /* _CALLS_H_ */
