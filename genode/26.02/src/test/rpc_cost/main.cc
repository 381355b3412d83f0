/*
 * \brief  Instructions that RPCs take
 * \date   2026-11-29
 *
 * A client calls a server in another component, and core. With '-icount
 * shift=0', QEMU lets one instruction take one tick of the time stamp counter.
 * So the difference of two time stamps is the number of instructions executed
 * by client, server, and kernel, as long as none of them waits for anything
 * else.
 *
 * The component uses nothing but Genode's API, so the release can be measured
 * with it, too.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/connection.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <root/component.h>
#include <session/session.h>
#include <trace/timestamp.h>

namespace Test {

	using namespace Genode;

	struct Item;
	struct Item_object;
	struct Cost;
	struct Cost_object;
	struct Cost_root;
	struct Connection;
	struct Server;
	struct Client;
	struct Main;

	static constexpr unsigned FEW = 16, MANY = 3000;
}


struct Test::Item : Interface
{
	GENODE_RPC(Rpc_nop, void, nop);
	GENODE_RPC_INTERFACE(Rpc_nop);
};


struct Test::Item_object : Rpc_object<Item, Item_object> { void nop() { } };


struct Test::Cost : Session
{
	static const char *service_name() { return "Cost"; }

	static constexpr unsigned CAP_QUOTA = 2;

	GENODE_RPC(Rpc_nop,  void, nop);
	GENODE_RPC(Rpc_pass, void, pass, Capability<Item>);
	GENODE_RPC(Rpc_item, Capability<Item>, item, unsigned);
	GENODE_RPC_INTERFACE(Rpc_nop, Rpc_pass, Rpc_item);
};


/**
 * Session that provides any number of objects, created when first asked for
 */
struct Test::Cost_object : Rpc_object<Cost, Cost_object>
{
	Entrypoint &_ep;

	Constructible<Item_object> _items[MANY] { };

	Cost_object(Entrypoint &ep) : _ep(ep) { }

	~Cost_object()
	{
		for (Constructible<Item_object> &item : _items)
			if (item.constructed())
				_ep.dissolve(*item);
	}

	void nop() { }

	/* a capability that is not known otherwise leaves the server at once */
	void pass(Capability<Item>) { }

	Capability<Item> item(unsigned i)
	{
		Constructible<Item_object> &item = _items[i % MANY];

		if (!item.constructed()) {
			item.construct();
			_ep.manage(*item);
		}
		return item->cap();
	}
};


struct Test::Cost_root : Root_component<Cost_object>
{
	Env &_env;

	Create_result _create_session(const char *) override
	{
		return *new (md_alloc()) Cost_object(_env.ep());
	}

	Cost_root(Env &env, Allocator &md_alloc)
	: Root_component<Cost_object>(env.ep(), md_alloc), _env(env) { }
};


struct Test::Server
{
	Heap _heap;

	Cost_root _root;

	Server(Env &env) : _heap(env.ram(), env.rm()), _root(env, _heap)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


struct Test::Connection : Genode::Connection<Cost>
{
	Connection(Env &env)
	: Genode::Connection<Cost>(env, Session::Label(), Ram_quota { 2*1024*1024 }, Args()) { }
};


struct Test::Client
{
	static constexpr unsigned CALLS = 1000;

	Env &_env;

	Connection _server { _env };

	Capability<Item> _items[MANY] { };

	Item_object      _own     { };
	Capability<Item> _own_cap { _env.ep().manage(_own) };

	void _measure(unsigned items, char const *label, auto const &fn)
	{
		/* caches of TLB and table, and everything that is done once */
		for (unsigned i = 0; i < CALLS/10; i++)
			fn(i);

		Trace::Timestamp const start = Trace::timestamp();

		for (unsigned i = 0; i < CALLS; i++)
			fn(i);

		Trace::Timestamp const duration = Trace::timestamp() - start;

		log("cost with ", items, " items: ", label, ": ", duration/CALLS);
	}

	void _measure(unsigned items)
	{
		Capability<Cost> const cap = _server.cap();

		for (unsigned i = 0; i < items; i++)
			_items[i] = cap.call<Cost::Rpc_item>(i);

		_measure(items, "session", [&] (unsigned) {
			cap.call<Cost::Rpc_nop>(); });

		_measure(items, "item", [&] (unsigned i) {
			_items[(i*7919) % items].call<Item::Rpc_nop>(); });

		_measure(items, "known argument", [&] (unsigned i) {
			cap.call<Cost::Rpc_pass>(_items[(i*7919) % items]); });

		_measure(items, "new argument", [&] (unsigned) {
			cap.call<Cost::Rpc_pass>(_own_cap); });

		_measure(items, "core", [&] (unsigned) { (void)_env.pd().ram_quota(); });
	}

	Client(Env &env) : _env(env)
	{
		_measure(FEW);
		_measure(MANY);

		log("--- cost measured ---");
	}
};


struct Test::Main
{
	Constructible<Server> _server { };
	Constructible<Client> _client { };

	Main(Env &env)
	{
		Attached_rom_dataspace config { env, "config" };

		if (config.node().attribute_value("server", false))
			_server.construct(env);
		else
			_client.construct(env);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
