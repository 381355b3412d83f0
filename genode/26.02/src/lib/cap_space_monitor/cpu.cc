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
	Pd_session_capability real_pd = pd;

	Pd::with_pd(_ep, pd, [&] (Pd &pd) { real_pd = pd.real_cap(); }, [&] { });

	Create_thread_result const result =
		_real.create_thread(real_pd, name, location, utcb);

	result.with_result(
		[&] (Thread_capability cap) {
			new (_alloc) Registered<Thread>(_threads, name, pd, cap); },
		[&] (Create_thread_error) { });

	return result;
}


void Monitored_cpu::kill_thread(Thread_capability cap)
{
	_threads.for_each([&] (Registered<Thread> &thread) {
		if (thread.cap == cap)
			destroy(_alloc, &thread); });

	_real.kill_thread(cap);
}


Monitored_cpu::~Monitored_cpu()
{
	_ep.dissolve(*this);

	_threads.for_each([&] (Registered<Thread> &thread) {
		destroy(_alloc, &thread); });
}
