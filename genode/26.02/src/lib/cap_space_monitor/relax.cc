/*
 * \brief  Waiting strategy of the capability table in a monitor
 * \date   2026-11-22
 *
 * The table is linked to the monitor a second time, besides the one in the
 * dynamic linker, and asks for this function, too.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Fiasco.OC includes */
#include <foc/syscall.h>


/**
 * Waiting strategy of the capability table
 *
 * A monitored component may have a lower priority than the monitor. So besides
 * yielding, the processor is released for a moment from time to time.
 */
extern "C" void cap_map_relax()
{
	using namespace Foc;

	static unsigned calls = 0;

	if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 16) {
		l4_thread_yield();
		return;
	}

	/* 1 millisecond: mantissa 125, exponent 3 */
	l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
}
