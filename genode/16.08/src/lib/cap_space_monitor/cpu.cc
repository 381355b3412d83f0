/*
 * \brief  Virtualized CPU session that keeps track of the threads
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#include <cap_space_monitor/cpu.h>

using namespace Cap_space_monitor;


Thread_capability
Monitored_cpu::create_thread(Pd_session_capability pd, Name const &name,
                             Affinity::Location location, Weight weight, addr_t utcb)
{
	Pd_session_capability real_pd = pd;

	_ep.apply(pd, [&] (Pd *virtual_pd) {
		if (virtual_pd)
			real_pd = virtual_pd->real_cap(); });

	Thread_capability const cap =
		_real.create_thread(real_pd, name, location, weight, utcb);

	if (cap.valid()) {
		Lock::Guard guard(_lock);
		_threads.insert(new (_alloc) Thread(name, pd, cap));
	}

	return cap;
}


void Monitored_cpu::kill_thread(Thread_capability cap)
{
	{
		Lock::Guard guard(_lock);

		for (Thread *t = _threads.first(), *next; t; t = next) {
			next = t->next();
			if (t->cap == cap) {
				_threads.remove(t);
				destroy(_alloc, t);
			}
		}
	}

	_real.kill_thread(cap);
}


Monitored_cpu::~Monitored_cpu()
{
	_ep.dissolve(this);

	while (Thread * const thread = _threads.first()) {
		_threads.remove(thread);
		destroy(_alloc, thread);
	}
}
