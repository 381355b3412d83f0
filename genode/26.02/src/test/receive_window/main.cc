/*
 * \brief  Capabilities that arrive while those of a message are being entered
 * \date   2026-11-29
 *
 * A client that has no slot left receives two capabilities, one that it lacks
 * and one that it has. The first is lost, about which the client prints a
 * message. At this time, the second one is still in the window where the kernel
 * has put it. The server of the LOG session answers with capabilities that its
 * message does not mention. They must not get to the place of the second one.
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
#include <foc/capability_space.h>
#include <log_session/log_session.h>
#include <root/component.h>
#include <session/session.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Item;
	struct Item_object;
	struct Source;
	struct Source_object;
	struct Hostile_log;
	template <typename> struct Root;
	struct Server;
	struct Source_connection;
	struct Client;
	struct Main;
}


struct Test::Item : Interface
{
	GENODE_RPC(Rpc_number, unsigned, number);
	GENODE_RPC_INTERFACE(Rpc_number);
};


struct Test::Item_object : Rpc_object<Item, Item_object>
{
	unsigned const _number;

	Item_object(unsigned number) : _number(number) { }

	unsigned number() { return _number; }
};


struct Test::Source : Session
{
	static const char *service_name() { return "Source"; }

	static constexpr unsigned CAP_QUOTA = 6;

	using Item_cap = Capability<Item>;

	/* an object that nobody has, and the same one each time */
	GENODE_RPC(Rpc_items, void, items, unsigned, Item_cap &, Item_cap &);

	/* messages that were written by means of the LOG session */
	GENODE_RPC(Rpc_written, unsigned, written);

	GENODE_RPC_INTERFACE(Rpc_items, Rpc_written);
};


/**
 * LOG session whose replies contain capabilities
 */
struct Test::Hostile_log : Rpc_object<Log_session>
{
	static unsigned written_count;

	Hostile_log(Entrypoint &) { }

	void write(String const &string) override
	{
		written_count++;

		/* what the client has to say, without the line break */
		char line[Log_session::MAX_STRING_LEN];
		copy_cstring(line, string.string(), sizeof(line));
		if (size_t const length = strlen(line))
			line[length - 1] = 0;

		if (line[0] == '-')
			log(Cstring(line));
	}

	Rpc_exception_code dispatch(Rpc_opcode op, Ipc_unmarshaller &in,
	                            Msgbuf_base &out) override
	{
		using namespace Foc;

		Rpc_exception_code const result = Rpc_object<Log_session>::dispatch(op, in, out);

		addr_t const self = Capability_space::kcap(cap());

		/* no word but the result and the number of capabilities, which is zero */
		l4_umword_t *mr = (l4_umword_t *)l4_utcb_mr();
		*mr++ = result.value;
		*mr++ = 0;

		for (unsigned i = 0; i < Msgbuf_base::MAX_CAPS_PER_MSG; i++) {
			*mr++ = L4_ITEM_MAP;
			*mr++ = l4_obj_fpage(self, 0, L4_FPAGE_RWX).raw;
		}

		l4_ipc_send(L4_SYSF_REPLY, l4_utcb(),
		            l4_msgtag(0, 2, Msgbuf_base::MAX_CAPS_PER_MSG, 0),
		            L4_IPC_SEND_TIMEOUT_0);

		/* the entrypoint tries to reply to nobody */
		return result;
	}
};


unsigned Test::Hostile_log::written_count;


struct Test::Source_object : Rpc_object<Source, Source_object>
{
	Entrypoint &_ep;

	Item_object _known { ~0U };

	Constructible<Item_object> _new { };

	Source_object(Entrypoint &ep) : _ep(ep) { _ep.manage(_known); }

	~Source_object()
	{
		_ep.dissolve(_known);
		if (_new.constructed())
			_ep.dissolve(*_new);
	}

	void items(unsigned number, Source::Item_cap &new_item, Source::Item_cap &known_item)
	{
		if (_new.constructed())
			_ep.dissolve(*_new);

		_new.construct(number);

		new_item   = _ep.manage(*_new);
		known_item = _known.cap();
	}

	unsigned written() { return Hostile_log::written_count; }
};


template <typename SESSION>
struct Test::Root : Root_component<SESSION>
{
	Entrypoint &_ep;

	typename Root_component<SESSION>::Create_result _create_session(const char *) override
	{
		return *new (Root_component<SESSION>::md_alloc()) SESSION(_ep);
	}

	Root(Env &env, Allocator &md_alloc)
	: Root_component<SESSION>(env.ep(), md_alloc), _ep(env.ep())
	{
		env.parent().announce(_ep.manage(*this));
	}
};


struct Test::Server
{
	Heap _heap;

	Root<Hostile_log>   _log_root;
	Root<Source_object> _source_root;

	Server(Env &env)
	:
		_heap(env.ram(), env.rm()), _log_root(env, _heap), _source_root(env, _heap)
	{ }
};


struct Test::Source_connection : Connection<Source>
{
	Source_connection(Env &env)
	: Connection<Source>(env, Session::Label(), Ram_quota { 64*1024 }, Args()) { }
};


struct Test::Client
{
	static constexpr unsigned ROUNDS = 100;

	/* for what is received while there are slots, and the message window */
	static constexpr unsigned FEW = 8;

	Source_connection _source;

	Source::Item_cap _known { };

	unsigned _failed = 0;

	void _expect(bool condition, unsigned round, char const *what)
	{
		if (condition)
			return;

		_failed++;
		log("- Error in round ", round, ": ", what);
	}

	static void _take_slots()
	{
		unsigned const counts[] { 256, 16, 1 };

		for (unsigned const count : counts)
			while (cap_idx_alloc().alloc_range(count));
	}

	/**
	 * Receive a new item and the known one
	 *
	 * \param lost  whether there is no slot for the new item
	 */
	void _receive(unsigned round, bool lost)
	{
		Source::Item_cap new_item { }, known_item { };

		_source.cap().call<Source::Rpc_items>(round, new_item, known_item);

		_expect(new_item.valid() != lost, round, lost ? "new item was not lost"
		                                              : "new item was lost");
		_expect(known_item == _known, round, "known item is another one");

		if (new_item.valid())
			_expect(new_item.call<Item::Rpc_number>() == round, round,
			        "new item leads elsewhere");

		if (known_item.valid())
			_expect(known_item.call<Item::Rpc_number>() == ~0U, round,
			        "known item leads elsewhere");
	}

	Client(Env &env) : _source(env)
	{
		Source::Item_cap unused { };
		_source.cap().call<Source::Rpc_items>(0U, unused, _known);
		unused = { };

		/* freed slots are low ones, so the table has no reason to grow */
		Cap_index const few = cap_idx_alloc().alloc_range(FEW);
		_take_slots();

		unsigned const written = _source.cap().call<Source::Rpc_written>();

		for (unsigned round = 1; round <= ROUNDS; round++) {

			_receive(round, true);

			(void)cap_idx_alloc().free(few, 1);

			_receive(round, false);

			_expect(cap_idx_alloc().alloc(few.kcap()), round, "slot was not freed");
		}

		unsigned const messages = _source.cap().call<Source::Rpc_written>() - written;

		_expect(messages >= ROUNDS, ROUNDS, "losses were not printed");

		log("- ", ROUNDS, " capabilities lost, ", messages, " messages, ",
		    _failed, " mistakes");
		log("--- receive window test ", _failed ? "failed" : "succeeded", " ---");
	}
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
