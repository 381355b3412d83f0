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
	/*
	 * Bits of the program status register: instruction set, and progress within
	 * a block of conditional Thumb instructions (IT)
	 */
	enum : addr_t { THUMB = 1 << 5, JAZELLE = 1 << 24, IT_BLOCK = 0x0600fc00 };

	/**
	 * Return true if the thread is able to return to where it is
	 *
	 * There is no way into a block of conditional instructions but from the
	 * kernel. Such a block consists of four instructions at most.
	 */
	static bool returnable(Foc_thread_state const &state) {
		return !(state.cpu.cpsr & IT_BLOCK); }

	/**
	 * Return address that leads to where the thread is
	 */
	static addr_t return_ip(Foc_thread_state const &state) {
		return state.cpu.ip | !!(state.cpu.cpsr & THUMB); }

	/**
	 * Let the thread continue at a function that finds room for the return address
	 * on the stack
	 */
	static void divert(Foc_thread_state &state, addr_t ip)
	{
		state.cpu.sp   -= sizeof(addr_t);
		state.cpu.ip    = ip;
		state.cpu.cpsr &= ~addr_t(THUMB | JAZELLE);
	}
};

#endif /* _INTERRUPTED_H_ */
