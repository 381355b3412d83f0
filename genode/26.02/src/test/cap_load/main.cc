/*
 * \brief  Cost of creating capabilities while core keeps many others
 * \date   2026-11-22
 *
 * The allocation of an RPC capability involves the capability space of core,
 * the allocation of a badge, and the creation of an IPC gate. The release ends
 * with the destruction of the gate by the kernel, which waits for the next
 * timer ticks. So both are measured individually.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

namespace Test {

	using namespace Genode;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_dummy, void, dummy);
		GENODE_RPC_INTERFACE(Rpc_dummy);
	};

	struct Object : Rpc_object<Dummy, Object> { void dummy() { } };

	struct Main;
}


struct Test::Main
{
	static constexpr unsigned SAMPLES = 200;

	Env &_env;

	Timer::Connection _timer { _env };

	Object _object { };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref { _env.ep().manage(_object) };

	unsigned _alive = 0;

	Native_capability _alloc()
	{
		return _env.pd().alloc_rpc_cap(_ref).convert<Native_capability>(
			[&] (Native_capability cap) { return cap; },
			[&] (Alloc_error e) {
				error("capability allocation failed: ", e);
				return Native_capability();
			});
	}

	/**
	 * Increase the number of capabilities that core has to keep
	 *
	 * The test drops its own references to stay within its capability space.
	 */
	bool _populate(unsigned count)
	{
		for (; _alive < count; _alive++)
			if (!_alloc().valid())
				return false;

		return true;
	}

	void _measure()
	{
		using Trace::timestamp;

		Trace::Timestamp alloc = 0, release = 0;

		Trace::Timestamp const start    = timestamp();
		uint64_t         const start_us = _timer.elapsed_us();

		for (unsigned i = 0; i < SAMPLES; i++) {

			Trace::Timestamp const t0 = timestamp();

			Native_capability const cap = _alloc();

			Trace::Timestamp const t1 = timestamp();

			_env.pd().free_rpc_cap(cap);

			alloc   += t1 - t0;
			release += timestamp() - t1;
		}

		uint64_t const us         = max(_timer.elapsed_us() - start_us, uint64_t(1));
		uint64_t const per_us     = max((timestamp() - start)/us, uint64_t(1));
		uint64_t const per_sample = per_us*SAMPLES;

		log(_alive, " capabilities: allocation ", alloc/per_sample, " us, "
		    "release ", release/per_sample, " us");
	}

	Main(Env &env) : _env(env)
	{
		log("--- capability load test ---");

		unsigned const counts[] { 0, 1000, 10'000, 100'000 };

		for (unsigned const count : counts)
			if (_populate(count))
				_measure();

		log("--- finished capability load test ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
