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
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <foc_native_cpu/client.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	enum { SAMPLES = 200 };

	Env &_env;

	Timer::Connection _timer { _env };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref {
		Foc_native_cpu_client(_env.cpu().native_cpu())
			.native_cap(Thread::myself()->cap()) };

	unsigned _alive = 0;

	Native_capability _alloc()
	{
		for (;;) {
			try { return _env.pd().alloc_rpc_cap(_ref); }
			catch (Pd_session::Out_of_metadata) {
				_env.parent().upgrade(Genode::env()->pd_session_cap(),
				                      "ram_quota=64K"); }
		}
	}

	/**
	 * Increase the number of capabilities that core has to keep
	 *
	 * The test drops its own references to stay within its capability space.
	 */
	bool _populate(unsigned count)
	{
		for (; _alive < count; _alive++)
			if (!_alloc().valid()) {
				error("allocation failed at ", _alive, " capabilities");
				return false;
			}

		return true;
	}

	void _measure()
	{
		using Trace::timestamp;

		Trace::Timestamp alloc = 0, release = 0;

		Trace::Timestamp const start    = timestamp();
		unsigned long    const start_ms = _timer.elapsed_ms();

		for (unsigned i = 0; i < SAMPLES; i++) {

			Trace::Timestamp const t0 = timestamp();

			Native_capability const cap = _alloc();

			Trace::Timestamp const t1 = timestamp();

			_env.pd().free_rpc_cap(cap);

			alloc   += t1 - t0;
			release += timestamp() - t1;
		}

		unsigned long    const us = 1000*max(_timer.elapsed_ms() - start_ms, 1UL);
		Trace::Timestamp const per_us =
			max((timestamp() - start)/us, (Trace::Timestamp)1);

		unsigned long const alloc_us   = alloc/per_us/SAMPLES,
		                    release_us = release/per_us/SAMPLES;

		log(_alive, " capabilities: allocation ", alloc_us, " us, "
		    "release ", release_us, " us");
	}

	Main(Env &env) : _env(env)
	{
		log("--- capability load test ---");

		/*
		 * Core has 10 Ki slots for the whole system. Each capability takes
		 * two of them because its meta data is a dataspace of its own.
		 */
		unsigned const counts[] { 0, 1000, 2000, 4000 };

		for (unsigned count : counts)
			if (_populate(count))
				_measure();

		log("--- finished capability load test ---");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
