/*
 * \brief  Thread that is interrupted in user mode, to be sent somewhere else
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INTERRUPTED_H_
#define _INTERRUPTED_H_

/* Genode includes */
#include <foc/thread_state.h>

namespace Cap_space_monitor {

	using namespace Genode;

	struct Interrupted;
}


struct Cap_space_monitor::Interrupted
{
	/* bytes below the stack pointer that belong to the interrupted function */
	static constexpr addr_t RED_ZONE = (sizeof(long) == 8) ? 128 : 0;

	/**
	 * Return true if the thread is able to return to where it is
	 */
	static bool returnable(Foc_thread_state const &) { return true; }

	/**
	 * Return address that leads to where the thread is
	 */
	static addr_t return_ip(Foc_thread_state const &state) { return state.cpu.ip; }

	/**
	 * Let the thread continue at a function that finds room for the return address
	 * on the stack
	 */
	static void divert(Foc_thread_state &state, addr_t ip)
	{
		state.cpu.sp -= RED_ZONE + sizeof(addr_t);
		state.cpu.ip  = ip;
	}
};

#endif /* _INTERRUPTED_H_ */
