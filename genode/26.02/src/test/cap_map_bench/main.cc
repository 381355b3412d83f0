/*
 * \brief  Costs of a monitored capability space
 * \date   2026-11-22
 *
 * Depending on the configuration, the component measures RPCs between two of
 * its threads, or the operations of a monitor on a table that is in use up to
 * the last slot.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

/* flat capability table */
#include <cap_map.hpp>

namespace Test {

	using namespace Genode;

	struct Nop;
	struct Nop_component;
	struct Rpc_bench;
	struct Table_bench;
	struct Main;

	using Timestamp = Trace::Timestamp;

	/**
	 * Return shortest duration of several executions of 'fn'
	 */
	static Timestamp shortest(unsigned repetitions, auto const &fn)
	{
		Timestamp result = ~Timestamp(0);

		for (unsigned i = 0; i < repetitions; i++) {
			Timestamp const start = Trace::timestamp();
			fn();
			result = min(result, Trace::timestamp() - start);
		}
		return result;
	}
}


struct Test::Nop : Interface
{
	GENODE_RPC(Rpc_nop, void, nop);
	GENODE_RPC_INTERFACE(Rpc_nop);
};


struct Test::Nop_component : Rpc_object<Nop, Nop_component> { void nop() { } };


struct Test::Rpc_bench
{
	static constexpr unsigned ROUNDS = 10, CALLS = 20*1000;

	Entrypoint _ep;

	Nop_component _object { };

	Rpc_bench(Env &env) : _ep(env, 16*1024, "server", { })
	{
		Capability<Nop> const cap = _ep.manage(_object);

		Timestamp const duration = shortest(ROUNDS, [&] {
			for (unsigned i = 0; i < CALLS; i++)
				cap.call<Nop::Rpc_nop>(); });

		log("round trip: ", duration/CALLS, " cycles, best of ", ROUNDS,
		    " times ", CALLS, " calls");

		_ep.dissolve(_object);
	}
};


struct Test::Table_bench
{
	static constexpr unsigned SLOTS = 4096, REPETITIONS = 100;

	alignas(64) uint8_t _region[Cap_map::region_bytes(SLOTS)] { };
	alignas(8)  uint8_t _memory[Cap_map::owner_bytes(SLOTS)]  { };

	uint64_t _words[SLOTS] { }, _copy[SLOTS] { };

	Cap_map::Rewrite _batch[SLOTS] { };

	Cap_map::Owner   _owner   { };
	Cap_map::Monitor _monitor { };

	Table_bench()
	{
		using Cap_map::ok;

		Cap_map::Config const config {
			.max_slots   = SLOTS,
			.first_user  = SLOTS/2,
			.shift       = 12,
			.badge_bits  = 28,
			.wait_budget = 1000,
			.core        = false };

		bool valid = ok(_owner.create(_memory, sizeof(_memory), _region,
		                              sizeof(_region), config));

		for (unsigned slot = 0; slot < SLOTS; slot++)
			valid &= ok(_owner.insert_at(4*(slot + 1), slot));

		valid &= ok(_owner.publish(Cap_map::Identity { }))
		      && ok(_monitor.attach(_region, sizeof(_region), 1000));

		Timestamp const copy = shortest(REPETITIONS, [&] {
			memcpy(_copy, _words, sizeof(_copy)); });

		Timestamp const snapshot = shortest(REPETITIONS, [&] {
			Cap_map::Snapshot info { };
			valid &= ok(_monitor.snapshot(_words, SLOTS, info)); });

		unsigned generation = 0;

		Timestamp const rewrite = shortest(REPETITIONS, [&] {

			unsigned const base = 4*SLOTS*(generation % 2),
			               next = 4*SLOTS*((generation + 1) % 2);

			for (unsigned slot = 0; slot < SLOTS; slot++)
				_batch[slot] = { .slot        = slot,
				                 .expected    = base + 4*(slot + 1),
				                 .replacement = next + 4*(slot + 1),
				                 .left_out = 0, .head = 0, .next = 0 };

			unsigned reason = 0;
			valid &= ok(_monitor.rewrite(_batch, SLOTS, reason));
			generation++; });

		if (!valid)
			error("operation on table failed");

		log("table of ", SLOTS, " slots: copying takes ", copy,
		    " cycles, snapshot ", snapshot, ", rewrite ", rewrite);
	}
};


struct Test::Main
{
	Main(Env &env)
	{
		Attached_rom_dataspace config { env, "config" };

		Timer::Connection timer { env };

		timer.msleep(config.node().attribute_value("delay_ms", 0UL));

		if (config.node().attribute_value("table", false))
			static Table_bench table_bench { };
		else
			static Rpc_bench rpc_bench { env };

		log("bench finished");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
