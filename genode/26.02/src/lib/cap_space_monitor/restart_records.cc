/*
 * \brief  Restart records of a component, as seen by its monitor
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/thread.h>
#include <cap_space_monitor/restart_records.h>
#include <cpu_thread/client.h>

using namespace Cap_space_monitor;


bool Restart_records::attach()
{
	if (_area)
		return true;

	Area * const area = (Area *)_cap_space.area(sizeof(Area), Base_foc::Restart::VERSION);

	if (!area || area->num_records.acquire() != Base_foc::Restart::NUM_RECORDS)
		return false;

	_own = { .utcb       = area->utcb.get(),
	         .utcb_size  = area->utcb_size.get(),
	         .park       = area->park.get(),
	         .restart    = area->restart.get(),
	         .park_stack = area->park_stack.get() };

	if (!_own.utcb_size)
		return false;

	_area = area;
	return true;
}


Restart_records::Record *Restart_records::record(Foc_thread_state const &state)
{
	if (!_area)
		return nullptr;

	addr_t const index = (state.utcb - _own.utcb)/_own.utcb_size;

	return (index < Base_foc::Restart::NUM_RECORDS) ? &_area->records[index] : nullptr;
}


bool Restart_records::room(Foc_thread_state const &state, Record const &record) const
{
	addr_t const base = record.stack_base.get(),
	             top  = base | (Genode::Thread::stack_virtual_size() - 1),
	             sp   = state.cpu.sp;

	return base && sp > base && sp <= top && sp - base >= _own.park_stack;
}


void Restart_records::start_anew(Thread_capability cap, Foc_thread_state const &state)
{
	if (Record const * const r = record(state))
		Cpu_thread_client(cap).start(_own.restart, r->sp.get());
}


bool Restart_records::adopt()
{
	if (!attach())
		return false;

	for (Record &record : _area->records)
		record.request.set(0);

	_area->restarted.set(0);
	hold(true);
	return true;
}


void Restart_records::start_anew(Thread_capability cap, Foc_thread_state const &state,
                                 bool serving, bool wait)
{
	if (Record * const r = record(state))
		r->request.set((serving ? Record::RECEIVE : 0)
		             | (wait    ? Record::WAIT    : 0));

	start_anew(cap, state);
}
