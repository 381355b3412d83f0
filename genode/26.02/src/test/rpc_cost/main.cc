/*
 * \brief  Instructions that RPCs take
 * \date   2026-11-29
 *
 * A client calls a server in another component, and core. With '-icount
 * shift=0', QEMU lets one instruction take one tick of the time stamp counter.
 * So the difference of two time stamps is the number of instructions executed
 * by client, server, core, and kernel. Time that passes while all of them wait,
 * e.g., for the kernel that destroys an object at its next tick, is taken by a
 * component of low priority, which counts it.
 *
 * All is measured twice, with few capabilities around, and with many in the
 * client, the server, and core.
 *
 * The component uses nothing but Genode's API, so the release can be measured
 * with it, too.
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
#include <base/connection.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <log_session/connection.h>
#include <root/component.h>
#include <session/session.h>
#include <timer_session/connection.h>
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
	struct Idle;
	struct Client;
	struct Main;

	/* items known to client and server, and capabilities known to core only */
	static constexpr unsigned FEW = 16, MANY = 3000, CORE_ONLY = 7000;
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

	GENODE_RPC(Rpc_nop,   void, nop);
	GENODE_RPC(Rpc_pass,  void, pass, Capability<Item>);
	GENODE_RPC(Rpc_keep,  void, keep, Capability<Item>);
	GENODE_RPC(Rpc_item,  Capability<Item>, item, unsigned);
	GENODE_RPC(Rpc_fresh, Capability<Item>, fresh);
	GENODE_RPC(Rpc_idle,  Dataspace_capability, idle);
	GENODE_RPC_INTERFACE(Rpc_nop, Rpc_pass, Rpc_keep, Rpc_item, Rpc_fresh, Rpc_idle);
};


/**
 * Session that provides any number of objects, created when first asked for
 */
struct Test::Cost_object : Rpc_object<Cost, Cost_object>
{
	Entrypoint &_ep;

	Dataspace_capability const _idle;

	Constructible<Item_object> _items[MANY] { };
	Constructible<Item_object> _fresh { };

	Capability<Item> _kept { };

	void _manage(Constructible<Item_object> &item)
	{
		item.construct();
		_ep.manage(*item);
	}

	void _dissolve(Constructible<Item_object> &item)
	{
		if (!item.constructed())
			return;

		_ep.dissolve(*item);
		item.destruct();
	}

	Cost_object(Entrypoint &ep, Dataspace_capability idle) : _ep(ep), _idle(idle) { }

	~Cost_object()
	{
		for (Constructible<Item_object> &item : _items)
			_dissolve(item);

		_dissolve(_fresh);
	}

	void nop() { }

	/* a capability that is not known otherwise leaves the server at once */
	void pass(Capability<Item>) { }

	void keep(Capability<Item> cap) { _kept = cap; }

	Capability<Item> item(unsigned i)
	{
		Constructible<Item_object> &item = _items[i % MANY];

		if (!item.constructed())
			_manage(item);

		return item->cap();
	}

	Capability<Item> fresh()
	{
		_dissolve(_fresh);
		_manage(_fresh);
		return _fresh->cap();
	}

	Dataspace_capability idle() { return _idle; }
};


struct Test::Cost_root : Root_component<Cost_object>
{
	Env &_env;

	Dataspace_capability const _idle;

	Create_result _create_session(const char *) override
	{
		return *new (md_alloc()) Cost_object(_env.ep(), _idle);
	}

	Cost_root(Env &env, Allocator &md_alloc, Dataspace_capability idle)
	: Root_component<Cost_object>(env.ep(), md_alloc), _env(env), _idle(idle) { }
};


struct Test::Server
{
	Heap _heap;

	Cost_root _root;

	Server(Env &env, Dataspace_capability idle = { })
	:
		_heap(env.ram(), env.rm()), _root(env, _heap, idle)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


/**
 * Thread that counts for as long as no other one has anything to do
 */
struct Test::Idle : Thread
{
	Attached_ram_dataspace _ds;

	Server _server;

	void entry() override
	{
		uint64_t volatile &count = *_ds.local_addr<uint64_t>();

		for (;;)
			count = count + 1;
	}

	Idle(Env &env)
	:
		Thread(env, "idle", Stack_size { 16*1024 }),
		_ds(env.ram(), env.rm(), 4096), _server(env, _ds.cap())
	{
		start();
	}
};


struct Test::Connection : Genode::Connection<Cost>
{
	Connection(Env &env, char const *label)
	: Genode::Connection<Cost>(env, label, Ram_quota { 2*1024*1024 }, Args()) { }
};


struct Test::Client
{
	static constexpr unsigned CALLS = 1000, PAGES = 200, OBJECTS = 100, SESSIONS = 40;

	Env &_env;

	Timer::Connection _timer { _env };

	Connection _idle   { _env, "idle" };
	Connection _server { _env, "server" };

	Attached_dataspace _idle_ds { _env.rm(), _idle.cap().call<Cost::Rpc_idle>() };

	struct Now
	{
		uint64_t ticks, idle;

		Now operator - (Now const &o) const { return { ticks - o.ticks, idle - o.idle }; }
	};

	Now _now() { return { Trace::timestamp(), *_idle_ds.local_addr<uint64_t volatile>() }; }

	Now _second_of_idling()
	{
		Now const start = _now();
		_timer.msleep(1000);
		return _now() - start;
	}

	Now const _idling { _second_of_idling() };

	Capability<Item> _items[MANY] { };

	Item_object      _own     { };
	Capability<Item> _own_cap { _env.ep().manage(_own) };

	static unsigned _warm_up(unsigned calls) { return calls/10; }

	void _measure(unsigned items, unsigned calls, char const *label, auto const &fn)
	{
		/* caches of TLB and table, and everything that is done once */
		for (unsigned i = 0; i < _warm_up(calls); i++)
			fn(i);

		Now const start = _now();

		for (unsigned i = 0; i < calls; i++)
			fn(i);

		Now const taken = _now() - start;

		uint64_t const idle_ticks = taken.idle*_idling.ticks / _idling.idle;

		log("cost with ", items, " items: ", label, ": ",
		    (taken.ticks - idle_ticks)/calls);
	}

	void _measure_rpc(unsigned items)
	{
		Capability<Cost> const cap = _server.cap();

		_measure(items, CALLS, "session", [&] (unsigned) {
			cap.call<Cost::Rpc_nop>(); });

		_measure(items, CALLS, "item", [&] (unsigned i) {
			_items[(i*7919) % items].call<Item::Rpc_nop>(); });

		_measure(items, CALLS, "argument of server", [&] (unsigned i) {
			cap.call<Cost::Rpc_pass>(_items[(i*7919) % items]); });

		cap.call<Cost::Rpc_keep>(_own_cap);

		_measure(items, CALLS, "argument of client", [&] (unsigned) {
			cap.call<Cost::Rpc_pass>(_own_cap); });

		cap.call<Cost::Rpc_keep>(Capability<Item>());

		_measure(items, CALLS, "new argument", [&] (unsigned) {
			cap.call<Cost::Rpc_pass>(_own_cap); });

		_measure(items, CALLS, "result", [&] (unsigned i) {
			(void)cap.call<Cost::Rpc_item>((i*7919) % items); });

		_measure(items, OBJECTS, "new object", [&] (unsigned) {
			(void)cap.call<Cost::Rpc_fresh>(); });
	}

	/**
	 * First access to pages, each of which is a region of its own
	 */
	void _measure_page_fault(unsigned items)
	{
		static constexpr unsigned NUM = PAGES + PAGES/10;

		Attached_ram_dataspace ds { _env.ram(), _env.rm(), 4096 };

		addr_t pages[NUM] { };

		Region_map::Attr attr { };
		attr.writeable = true;

		for (addr_t &page : pages)
			_env.rm().attach(ds.cap(), attr).with_result(
				[&] (Env::Local_rm::Attachment &region) {
					region.deallocate = false;
					page = addr_t(region.ptr);
				},
				[&] (Env::Local_rm::Error) { error("attach failed"); });

		unsigned next = 0;

		_measure(items, PAGES, "page fault", [&] (unsigned) {
			(void)*(char volatile *)pages[next++]; });

		for (addr_t const page : pages)
			_env.rm().detach(page);
	}

	void _measure_core(unsigned items)
	{
		_measure(items, CALLS, "core", [&] (unsigned) { (void)_env.pd().ram_quota(); });

		_measure(items, OBJECTS, "ram", [&] (unsigned) {
			_env.ram().try_alloc(4096).with_result(
				[&] (Ram::Allocation &) { },
				[&] (Ram::Error) { error("allocation of RAM failed"); }); });

		_measure(items, SESSIONS, "log session", [&] (unsigned) {
			Log_connection log { _env, "cost" }; });

		_measure_page_fault(items);
	}

	void _measure_all(unsigned items)
	{
		for (unsigned i = 0; i < items; i++)
			_items[i] = _server.cap().call<Cost::Rpc_item>(i);

		_measure_rpc(items);
		_measure_core(items);
	}

	Client(Env &env) : _env(env)
	{
		_measure_all(FEW);

		/* nobody but core keeps these capabilities */
		for (unsigned i = 0; i < CORE_ONLY; i++)
			_env.pd().alloc_rpc_cap(_own_cap).with_error([&] (Alloc_error) {
				error("allocation of RPC capability failed"); });

		_measure_all(MANY);

		log("--- cost measured ---");
	}
};


struct Test::Main
{
	Constructible<Server> _server { };
	Constructible<Idle>   _idle   { };
	Constructible<Client> _client { };

	Main(Env &env)
	{
		Attached_rom_dataspace config { env, "config" };

		if (config.node().attribute_value("server", false))
			_server.construct(env);
		else if (config.node().attribute_value("idle", false))
			_idle.construct(env);
		else
			_client.construct(env);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
