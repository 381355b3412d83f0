/*
 * \brief  Server or client that call each other, and clients that call their parent
 * \date   2026-12-01
 *
 * Each thread of a client checks its results and counts its steps in memory that
 * is shared with the monitor, which freezes server, clients, and parent at once.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <base/thread.h>
#include <rom_session/connection.h>
#include <root/component.h>

/* local includes */
#include <exchange_session.h>
#include <shared.h>

namespace Test {

	using namespace Genode;

	struct Session_component;
	struct Root;
	struct Server;

	struct Square;
	struct Worker;
	struct Caller;
	struct Called_back;
	struct Long_call;
	struct Signalled;
	struct Parent_caller;
	struct Session_opener;
	struct Client;

	struct Main;
}


/************
 ** Server **
 ************/

struct Test::Session_component : Rpc_object<Exchange::Session, Session_component>
{
	Shared &_shared;

	void _handled(unsigned kind) { _shared.handled[kind] = _shared.handled[kind] + 1; }

	Session_component(Shared &shared) : _shared(shared) { }

	uint64_t sum(uint64_t a, uint64_t b)
	{
		_handled(Shared::CALLER);
		return a + b;
	}

	uint64_t call_back(Capability<Exchange::Object> object, uint64_t n)
	{
		_handled(Shared::CALLED_BACK);
		return object.call<Exchange::Object::Rpc_square>(n) + 1;
	}

	/**
	 * Take so long that a freeze finds the caller waiting for the reply most of the time
	 */
	uint64_t long_call(uint64_t n)
	{
		_handled(Shared::LONG_CALL);

		for (unsigned volatile i = 0; i < 300'000; )
			i = i + 1;

		return n + 7;
	}

	void submit(Signal_context_capability context)
	{
		_handled(Shared::SIGNAL);
		Signal_transmitter(context).submit();
	}
};


struct Test::Root : Root_component<Session_component>
{
	Shared &_shared;

	Create_result _create_session(char const *) override { return _alloc_obj(_shared); }

	Root(Entrypoint &ep, Allocator &alloc, Shared &shared)
	: Root_component<Session_component>(ep, alloc), _shared(shared) { }
};


struct Test::Server
{
	Heap _heap;
	Root _root;

	Server(Env &env, Shared &shared)
	:
		_heap(env.ram(), env.rm()), _root(env.ep(), _heap, shared)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


/************
 ** Client **
 ************/

/**
 * Object that the server calls while it handles a request of the client
 */
struct Test::Square : Rpc_object<Exchange::Object, Square>
{
	uint64_t square(uint64_t n) { return n*n; }
};


/**
 * Thread that repeats a step until the test is over
 */
struct Test::Worker : Thread
{
	Env                   &_env;
	Exchange::Connection  &_server;
	Shared                &_shared;
	Shared::Client        &_client;
	unsigned const         _index;

	/**
	 * Return true if the result is right
	 *
	 * \param n  number of steps made
	 */
	virtual bool _step(uint64_t n) = 0;

	Worker(Env &env, Exchange::Connection &server, Shared &shared, Shared::Client &client,
	       unsigned index)
	:
		Thread(env, Shared::names[index], Stack_size { 64*1024 }),
		_env(env), _server(server), _shared(shared), _client(client), _index(index)
	{ }

	void entry() override
	{
		while (_shared.phase != Shared::STOP) {

			uint64_t const n = _client.counters[_index];

			if (!_step(n)) {
				error(name, ": wrong result after ", n, " steps");
				__atomic_add_fetch(&_client.failures, 1, __ATOMIC_SEQ_CST);
			}
			_client.counters[_index] = n + 1;

			if (!n)
				__atomic_add_fetch(&_client.started, 1, __ATOMIC_SEQ_CST);
		}
		__atomic_add_fetch(&_client.finished, 1, __ATOMIC_SEQ_CST);
	}
};


struct Test::Caller : Worker
{
	bool _step(uint64_t n) override
	{
		/* lies in a register during the call if the processor allows for it */
		double volatile const source = 0.1*double(n);
		double          const value  = source;

		return _server.sum(n, 2*n) == 3*n && value == source;
	}

	using Worker::Worker;
};


/**
 * Hands over a capability by which the server calls back
 */
struct Test::Called_back : Worker
{
	Rpc_entrypoint _ep { _env.runtime(), "back", Thread::Stack_size { 32*1024 }, { } };

	Square _square { };

	Capability<Exchange::Object> const _cap { _ep.manage(&_square) };

	bool _step(uint64_t n) override { return _server.call_back(_cap, n) == n*n + 1; }

	using Worker::Worker;
};


struct Test::Long_call : Worker
{
	bool _step(uint64_t n) override { return _server.long_call(n) == n + 7; }

	using Worker::Worker;
};


/**
 * Waits for signals that the server submits
 */
struct Test::Signalled : Worker
{
	Signal_receiver _receiver { };
	Signal_context  _context  { };

	Signal_context_capability const _cap { _receiver.manage(_context) };

	bool _step(uint64_t) override
	{
		_server.submit(_cap);
		return _receiver.wait_for_signal().num() == 1;
	}

	using Worker::Worker;
};


/**
 * Gets a capability from the parent, the same one each time
 */
struct Test::Parent_caller : Worker
{
	long const _name { _env.parent().main_thread_cap().local_name() };

	bool _step(uint64_t) override
	{
		return _env.parent().main_thread_cap().local_name() == _name;
	}

	using Worker::Worker;
};


/**
 * Opens and closes a session by way of the parent, and has memory meanwhile
 */
struct Test::Session_opener : Worker
{
	bool _step(uint64_t n) override
	{
		Exchange::Connection   connection { _env };
		Attached_ram_dataspace ds         { _env.ram(), _env.rm(), 2*4096 };

		uint64_t volatile * const words = ds.local_addr<uint64_t>();

		words[512] = n;

		return connection.sum(n, 3) == n + 3 && words[512] == n;
	}

	using Worker::Worker;
};


struct Test::Client
{
	Exchange::Connection _server;

	Caller         _caller;
	Called_back    _called_back;
	Long_call      _long_call;
	Signalled      _signalled;
	Parent_caller  _parent_caller;
	Session_opener _session_opener;

	Client(Env &env, Shared &shared, Shared::Client &client)
	:
		_server        (env),
		_caller        (env, _server, shared, client, Shared::CALLER),
		_called_back   (env, _server, shared, client, Shared::CALLED_BACK),
		_long_call     (env, _server, shared, client, Shared::LONG_CALL),
		_signalled     (env, _server, shared, client, Shared::SIGNAL),
		_parent_caller (env, _server, shared, client, Shared::PARENT),
		_session_opener(env, _server, shared, client, Shared::SESSION)
	{
		_caller   .start(); _called_back  .start(); _long_call     .start();
		_signalled.start(); _parent_caller.start(); _session_opener.start();
	}
};


struct Test::Main
{
	Attached_rom_dataspace _config;
	Rom_connection         _rom;
	Attached_dataspace     _ds;

	Constructible<Server> _server { };
	Constructible<Client> _client { };

	Main(Env &env) : _config(env, "config"), _rom(env, "shared"), _ds(env.rm(), _rom.dataspace())
	{
		Shared &shared = *_ds.local_addr<Shared>();

		unsigned const client = _config.node().attribute_value("client", Shared::NUM_CLIENTS);

		if (client < Shared::NUM_CLIENTS)
			_client.construct(env, shared, shared.clients[client]);
		else
			_server.construct(env, shared);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
