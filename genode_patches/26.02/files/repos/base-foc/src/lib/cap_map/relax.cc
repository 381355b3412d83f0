/*
 * \brief  Waiting strategy of the flat capability table
 * \date   2026-11-22
 *
 * The table is linked to core, to the dynamic linker, and once more to each
 * monitor. So the function that it asks for is part of the library.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Fiasco.OC includes */
#include <foc/syscall.h>


/**
 * Waiting strategy of the capability table, called while contended
 *
 * Yielding does not help a holder of lower priority, and a monitored component
 * may have a lower priority than its monitor. So each 16th caller takes a nap.
 * The message registers of the UTCB are left alone.
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
