/*
 * \brief  Messages that claim capabilities which they do not contain
 * \date   2026-11-30
 *
 * What differs from later releases, the claims are in 'claims.h'.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/connection.h>
#include <base/heap.h>
#include <pd_session/client.h>
#include <root/component.h>
#include <util/reconstructible.h>

#include <cap_map_test/release.h>

/* local includes, shared with later releases */
#include <claims.h>

namespace Test {

	struct Shelf_root;
	struct Shelf_server;
	struct Connection;
	struct Use_of_dataspace;
	struct Client;
	struct Main;
}


struct Test::Shelf_root : Root_component<Shelf_object>
{
	Entrypoint &_ep;

	Shelf_object *_create_session(const char *) override
	{
		return new (md_alloc()) Shelf_object(_ep);
	}

	Shelf_root(Entrypoint &ep, Allocator &md_alloc)
	: Root_component<Shelf_object>(ep, md_alloc), _ep(ep) { }
};


struct Test::Shelf_server
{
	Heap _heap;

	Shelf_root _root;

	Shelf_server(Env &env) : _heap(&env.ram(), &env.rm()), _root(env.ep(), _heap)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


struct Test::Connection : Genode::Connection<Shelf>
{
	Connection(Env &env)
	: Genode::Connection<Shelf>(env, session(env.parent(), "ram_quota=64K")) { }
};


/**
 * Core attaches a dataspace for a holder, and for nobody else
 */
struct Test::Use_of_dataspace : Core
{
	Capability<Region_map> const _rm;

	Dataspace_capability const _ds;

	Use_of_dataspace(Env &env, Dataspace_capability ds)
	: _rm(Pd_session_client(Genode::env()->pd_session_cap()).address_space()), _ds(ds) { }

	Native_capability object() override { return _rm; }

	void _detach(addr_t at)
	{
		_rm.call<Region_map::Rpc_detach>(Region_map::Local_addr(at));
	}

	bool holder() override
	{
		try {
			_detach(_rm.call<Region_map::Rpc_attach>(_ds, size_t(0), off_t(0), false,
			                                         Region_map::Local_addr(), false));
			return true;
		}
		catch (Region_map::Attach_failed) { return false; }
	}

	Answer claim(Message const &items) override
	{
		Message message((unsigned long)_rm.local_name(), _ds);

		/* function, size, offset, whether there is an address, address, executable */
		message.data(Meta::Index_of<Region_map::Rpc_functions, Region_map::Rpc_attach>::Value);
		for (unsigned i = 0; i < 5; i++)
			message.data(0);

		message.append_items(items);

		Message::Answer const answer = message.call(_rm);

		if (!answer.received)
			return NONE;

		/* the result is an exception */
		if (answer.result != Rpc_exception_code::SUCCESS)
			return REFUSED;

		_detach(answer.word);
		return OBEYED;
	}
};


struct Test::Client
{
	static constexpr size_t DS_SIZE = 3*4096;

	Connection _shelf;

	Attached_ram_dataspace _ds;

	Use_of_dataspace _core;

	Claims _claims;

	Client(Env &env)
	:
		_shelf(env), _ds(env.ram(), env.rm(), DS_SIZE), _core(env, _ds.cap()),
		_claims(env, _shelf.cap(), _core, addr_t(_ds.local_addr<void>()))
	{ }
};


struct Test::Main
{
	Config _config;

	Constructible<Shelf_server> _server { };
	Constructible<Client>       _client { };

	Main(Env &env) : _config(env)
	{
		if (_config.value("server", false))
			_server.construct(env);
		else
			_client.construct(env);
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
