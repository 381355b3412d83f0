/*
 * \brief  Component that leaks capabilities on purpose
 * \date   2026-11-29
 *
 * In each round, the component creates and destroys an RPC object, and allocates
 * and frees memory. The configuration tells what it does in addition. A hoarder
 * keeps one more object, a forgetful component drops a gate without freeing it,
 * and a collector keeps a dataspace. A forger writes a capability table with the
 * name of another component to its memory. An honest one does nothing else.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <timer_session/connection.h>
#include <util/reconstructible.h>

namespace Test {

	using namespace Genode;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_nop, void, nop);
		GENODE_RPC_INTERFACE(Rpc_nop);
	};

	struct Object;
	class  Forged_table;
	struct Main;
}


struct Test::Object : Rpc_object<Dummy, Object>
{
	Entrypoint &_ep;

	Object(Entrypoint &ep) : _ep(ep) { ep.manage(*this); }

	~Object() { _ep.dissolve(*this); }

	void nop() { }
};


/**
 * Table that pretends to be the one of the timer, see 'doc/layout.md'
 */
class Test::Forged_table
{
	private:

		static constexpr unsigned CAPACITY = 64, FIRST_SLOT = 4;

		static constexpr addr_t LABEL    = 0x40,  SEQUENCE   = 0xc0,
		                        MARK     = 0xd0,  KIND       = 0x100,
		                        CHECKSUM = 0x140, SLOTS      = 0x200;

		Attached_ram_dataspace _ds;

		uint64_t &_word(addr_t at) { return *(uint64_t *)(_ds.local_addr<char>() + at); }

		void _sum(uint64_t &sum, addr_t from, addr_t to)
		{
			for (addr_t at = from; at < to; at++)
				sum = (sum ^ _ds.local_addr<uint8_t>()[at])*0x100000001b3;
		}

	public:

		Forged_table(Env &env) : _ds(env.ram(), env.rm(), SLOTS + 8*CAPACITY)
		{
			uint64_t const header[] { 0x4341505441424c45, 2, SLOTS + 8*CAPACITY,
			                          CAPACITY, FIRST_SLOT, 12, 28, SLOTS };

			for (unsigned i = 0; i < sizeof(header)/sizeof(*header); i++)
				_word(8*i) = header[i];

			copy_cstring(_ds.local_addr<char>() + LABEL, "init -> timer", 64);

			_word(SEQUENCE) = 2;
			_word(MARK)     = CAPACITY;
			_word(KIND)     = 2; /* private */

			uint64_t sum = 0xcbf29ce484222325;
			_sum(sum, 0, 0x80);
			_sum(sum, KIND, CHECKSUM);
			_word(CHECKSUM) = sum;

			for (uint64_t slot = FIRST_SLOT; slot < CAPACITY; slot++) {
				uint64_t const badge = 4*slot, used = 2;
				_word(SLOTS + 8*slot) = used << 61 | badge << 33 | badge << 5;
			}
		}
};


struct Test::Main
{
	static constexpr size_t DS_SIZE = 4096;

	using Role = String<16>;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Heap _heap { _env.ram(), _env.rm() };

	Role     const _role   = _config.node().attribute_value("role", Role("honest"));
	unsigned const _rounds = _config.node().attribute_value("rounds", 40u);

	unsigned _round = 0;

	Constructible<Forged_table> _forged { };

	/* core creates gates for the thread behind the capability */
	Object _object { _env.ep() };

	void _with_ds(auto const &fn)
	{
		_env.pd().alloc_ram(DS_SIZE).with_result(
			[&] (Ram_dataspace_capability ds) { fn(ds); },
			[&] (Alloc_error e) { error("allocation of memory failed: ", e); });
	}

	void _with_gate(auto const &fn)
	{
		_env.pd().alloc_rpc_cap(_object.cap()).with_result(
			[&] (Native_capability cap) { fn(cap); },
			[&] (Alloc_error e) { error("allocation of gate failed: ", e); });
	}

	void _work()
	{
		{ Object object { _env.ep() }; }

		_with_gate([&] (Native_capability cap)        { _env.pd().free_rpc_cap(cap); });
		_with_ds  ([&] (Ram_dataspace_capability cap) { _env.pd().free_ram(cap); });
	}

	struct Kept_ds
	{
		Ram_dataspace_capability const ds;
	};

	void _leak()
	{
		if (_role == "hoarder")
			new (_heap) Object(_env.ep());

		if (_role == "forgetful")
			_with_gate([&] (Native_capability) { });

		if (_role == "collector")
			_with_ds([&] (Ram_dataspace_capability ds) { new (_heap) Kept_ds { ds }; });
	}

	void _handle_timer()
	{
		_work();
		_leak();

		if (++_round == _rounds)
			log("--- ", _role, " after ", _rounds, " rounds ---");

		if (_round < _rounds)
			_timer.trigger_once(250*1000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (_role == "forger")
			_forged.construct(_env);

		_timer.sigh(_timer_handler);
		_timer.trigger_once(250*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
