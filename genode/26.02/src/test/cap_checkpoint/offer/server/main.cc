/*
 * \brief  Server that is saved and restored while it has clients
 * \date   2026-12-01
 *
 * It executes the requests of each session in the order of their numbers, and complains about
 * one that is missing or comes twice. The entrypoint of slow sessions calls the one of the
 * others, so that it is both a server and a client when it is saved.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <root/component.h>
#include <timer_session/connection.h>
#include <util/arg_string.h>

/* local includes */
#include <count_session.h>

namespace Test {

	struct Numbered;
	struct Counter;
	struct Slow_counter;
	struct Root;
	struct Slow_root;
	struct Main;

	static unsigned session_number(char const *args)
	{
		return unsigned(Arg_string::find_arg(args, "session").ulong_value(0));
	}
}


/**
 * Object with requests that are executed in the order of their numbers
 */
struct Test::Numbered : Rpc_object<Count_session, Numbered>
{
	unsigned const _session;

	unsigned _number = 0;

	Signal_context_capability _sigh { };

	Numbered(unsigned session) : _session(session) { }

	void sigh(Signal_context_capability cap) override { _sigh = cap; }

	Capability<Count_session> object() override { return { }; }

	bool knows(Capability<Count_session>) override { return false; }

	Result count(unsigned number) override
	{
		if (number != _number + 1) {
			error("mistake: session ", _session, " executes ", number, " behind ", _number);
			return Error::WRONG_NUMBER;
		}
		_number = number;

		if (_sigh.valid())
			Signal_transmitter(_sigh).submit();

		return value(_session, number);
	}
};


/**
 * Object of a session, which has another one at a time
 */
struct Test::Counter : Numbered
{
	Entrypoint &_ep;

	Constructible<Numbered> _object { };

	Counter(Entrypoint &ep, unsigned session) : Numbered(session), _ep(ep) { }

	~Counter() { _dissolve_object(); }

	void _dissolve_object()
	{
		if (_object.constructed())
			_ep.dissolve(*_object);
		_object.destruct();
	}

	Capability<Count_session> object() override
	{
		_dissolve_object();
		_object.construct(_session + 1000000);
		_object->sigh(_sigh);
		return _ep.manage(*_object);
	}

	bool knows(Capability<Count_session> cap) override
	{
		return _object.constructed() && cap == _object->cap();
	}
};


struct Test::Slow_counter : Rpc_object<Slow_session, Slow_counter>
{
	Counter            _counter;
	Count_client       _all;      /* counts the requests to all slow sessions */
	unsigned          &_total;
	Timer::Connection &_timer;

	Slow_counter(Entrypoint &ep, unsigned session, Capability<Count_session> all,
	             unsigned &total, Timer::Connection &timer)
	: _counter(ep, session), _all(all), _total(total), _timer(timer) { }

	void sigh(Signal_context_capability cap) override { _counter.sigh(cap); }

	Capability<Count_session> object() override { return _counter.object(); }

	bool knows(Capability<Count_session> cap) override { return _counter.knows(cap); }

	Result count(unsigned number) override
	{
		_timer.usleep(1000*(number % 13));

		if (!_all.count(++_total).ok())
			return Error::WRONG_NUMBER;

		return _counter.count(number);
	}
};


struct Test::Root : Root_component<Counter>
{
	/* of what a client donates, as much is kept whatever becomes of its session */
	static constexpr size_t KEPT = 768*1024;

	Env        &_env;
	Entrypoint &_ep;

	Root(Env &env, Allocator &alloc)
	: Root_component<Counter>(env.ep(), alloc), _env(env), _ep(env.ep()) { }

	Create_result _create_session(char const *args) override
	{
		if (ram_quota_from_args(args).value > KEPT)
			_env.ram().try_alloc(KEPT).with_result(
				[&] (Ram::Allocation &a) { a.deallocate = false; }, [&] (Alloc_error) { });

		return *new (md_alloc()) Counter(_ep, session_number(args));
	}
};


struct Test::Slow_root : Root_component<Slow_counter>
{
	Entrypoint               &_ep;
	Counter                   _all;
	unsigned                  _total { 0 };
	Capability<Count_session> _all_cap;
	Timer::Connection         _timer;

	Slow_root(Env &env, Entrypoint &ep, Allocator &alloc)
	:
		Root_component<Slow_counter>(ep, alloc), _ep(ep), _all(env.ep(), 0),
		_all_cap(env.ep().manage(_all)), _timer(env)
	{ }

	Create_result _create_session(char const *args) override
	{
		return *new (md_alloc()) Slow_counter(_ep, session_number(args), _all_cap, _total, _timer);
	}
};


struct Test::Main
{
	Env &_env;

	Sliced_heap _heap { _env.ram(), _env.rm() };

	Entrypoint _slow_ep { _env, 16*1024, "slow", Affinity::Location() };

	Root      _root      { _env, _heap };
	Slow_root _slow_root { _env, _slow_ep, _heap };

	/* the base library has another session of this kind */
	Attached_rom_dataspace _earlier_requests { _env, "session_requests" };

	Constructible<Attached_rom_dataspace> _later_requests { };

	Main(Env &env) : _env(env)
	{
		_env.parent().announce(_env.ep().manage(_root));

		/* a session is closed behind the last request, by which it needs the other entrypoint */
		_env.parent().announce(_slow_ep.manage(_slow_root));

		_later_requests.construct(_env, "session_requests");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
