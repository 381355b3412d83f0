/*
 * \brief  Messages that claim capabilities which they do not contain
 * \date   2026-11-30
 *
 * What differs from other releases, the claims are in 'claims.h'.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/connection.h>
#include <base/heap.h>
#include <root/component.h>

/* local includes */
#include <claims.h>

namespace Test {

	struct Shelf_root;
	struct Server;
	struct Connection;
	struct Size_of_dataspace;
	struct Client;
	struct Main;
}


struct Test::Shelf_root : Root_component<Shelf_object>
{
	Entrypoint &_ep;

	Create_result _create_session(const char *) override
	{
		return *new (md_alloc()) Shelf_object(_ep);
	}

	Shelf_root(Entrypoint &ep, Allocator &md_alloc)
	: Root_component<Shelf_object>(ep, md_alloc), _ep(ep) { }
};


struct Test::Server
{
	Heap _heap;

	Shelf_root _root;

	Server(Env &env) : _heap(env.ram(), env.rm()), _root(env.ep(), _heap)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


struct Test::Connection : Genode::Connection<Shelf>
{
	Connection(Env &env)
	: Genode::Connection<Shelf>(env, Session::Label(), Ram_quota { 64*1024 }, Args()) { }
};


/**
 * Core tells the size of a dataspace to a holder, and zero to everybody else
 */
struct Test::Size_of_dataspace : Core
{
	using Pd = Pd_session;

	Pd_session_capability const _pd;

	Ram_dataspace_capability const _ds;

	size_t const _size;

	Size_of_dataspace(Env &env, Ram_dataspace_capability ds, size_t size)
	: _pd(env.pd_session_cap()), _ds(ds), _size(size) { }

	Native_capability object() override { return _pd; }

	bool holder() override { return _pd.call<Pd::Rpc_ram_size>(_ds) == _size; }

	Answer claim(Message const &items) override
	{
		Message message((unsigned long)_pd.local_name(), _ds);
		message.data(Meta::Index_of<Pd::Rpc_functions, Pd::Rpc_ram_size>::Value);
		message.append_items(items);

		Message::Answer const answer = message.call(_pd);

		if (!answer.received)
			return NONE;

		return answer.word == 0 ? REFUSED : OBEYED;
	}
};


struct Test::Client
{
	static constexpr size_t DS_SIZE = 3*4096;

	Connection _shelf;

	Attached_ram_dataspace _ds;

	Size_of_dataspace _core;

	Claims _claims;

	Client(Env &env)
	:
		_shelf(env), _ds(env.ram(), env.rm(), DS_SIZE),
		_core(env, static_cap_cast<Ram_dataspace>(_ds.cap()), DS_SIZE),
		_claims(env, _shelf.cap(), _core, addr_t(_ds.local_addr<void>()))
	{ }
};


struct Test::Main
{
	Attached_rom_dataspace _config;

	Constructible<Server> _server { };
	Constructible<Client> _client { };

	Main(Env &env) : _config(env, "config")
	{
		if (_config.node().attribute_value("server", false))
			_server.construct(env);
		else
			_client.construct(env);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
