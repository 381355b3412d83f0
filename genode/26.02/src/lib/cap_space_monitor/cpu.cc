/*
 * \brief  Virtualized CPU session that keeps track of the threads
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_space_monitor/cpu.h>

using namespace Cap_space_monitor;


Cpu_session::Create_thread_result
Monitored_cpu::create_thread(Capability<Pd_session> pd, Name const &name,
                             Affinity::Location location, addr_t utcb)
{
	auto with_unused = [&] (auto const &fn) -> Create_thread_result
	{
		for (Constructible<Thread> &thread : _threads)
			if (!thread.constructed())
				return fn(thread);

		return Create_thread_error::DENIED;
	};

	Pd_session_capability real_pd = pd;

	Pd::with_pd(_ep, pd, [&] (Pd &pd) { real_pd = pd.real_cap(); }, [&] { });

	return with_unused([&] (Constructible<Thread> &thread) {

		return _real.create_thread(real_pd, name, location, utcb)
			.convert<Create_thread_result>(

			[&] (Thread_capability cap) -> Create_thread_result {

				/* our capability space is exhausted */
				if (!cap.valid())
					return Create_thread_error::DENIED;

				thread.construct(name, pd, cap, location);
				return cap; },

			[&] (Create_thread_error e) { return e; });
	});
}


void Monitored_cpu::kill_thread(Thread_capability cap)
{
	for (Constructible<Thread> &thread : _threads)
		if (thread.constructed() && thread->cap == cap)
			thread.destruct();

	_real.kill_thread(cap);
}
