/*
 * \brief  Capability space, portions shared by core and other components
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/log.h>
#include <foc/capability_space.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/consts.h>
#include <l4/sys/ipc.h>
#include <l4/sys/task.h>
#include <l4/sys/thread.h>
#include <l4/sys/types.h>
}

using namespace Genode;


Cap_index_allocator *Genode::cap_idx_alloc()
{
	static Cap_index_allocator alloc;
	return &alloc;
}


Capability_map *Genode::cap_map()
{
	static Capability_map map;
	return &map;
}


void Foc_cap_platform::check_creation(Base_foc::Status status)
{
	using namespace Fiasco;

	if (Cap_map::ok(status))
		return;

	raw("creation of capability table failed: ", Cap_map::message(status));

	for (;;)
		l4_ipc_sleep(L4_IPC_NEVER);
}


/***********************
 ** Kernel operations **
 ***********************/

bool Foc_cap_platform::cap_equal(addr_t kcap_1, addr_t kcap_2)
{
	using namespace Fiasco;

	/* to the kernel, two empty selectors are equal */
	return l4_msgtag_label(l4_task_cap_equal(L4_BASE_TASK_CAP, kcap_1, kcap_2))
	    && l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, kcap_2));
}


bool Foc_cap_platform::cap_grant(addr_t from, addr_t to)
{
	using namespace Fiasco;

	l4_fpage_t const fpage = l4_obj_fpage(from, 0, L4_FPAGE_RWX);
	addr_t     const dst   = to | L4_ITEM_MAP | L4_MAP_ITEM_GRANT;

	if (l4_error(l4_task_map(L4_BASE_TASK_CAP, L4_BASE_TASK_CAP, fpage, dst)))
		return false;

	/* the kernel does not fail if there is nothing at 'from', but empties 'to' */
	return l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, to));
}


/**
 * Waiting strategy of the capability table, called while contended
 *
 * Yielding does not help a holder of lower priority. So each 16th caller takes
 * a nap. The message registers of the UTCB are left alone.
 */
extern "C" void cap_map_relax()
{
	using namespace Fiasco;

	static unsigned calls = 0;

	if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 16) {
		l4_thread_yield();
		return;
	}

	/* 1 millisecond: mantissa 125, exponent 3 */
	l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
}


/**********************
 ** Capability_space **
 **********************/

Fiasco::l4_cap_idx_t Capability_space::alloc_kcap()
{
	Cap_index const * const index = cap_idx_alloc()->alloc_range(1);

	if (!index)
		raw("out of capability selectors");

	return index->kcap();
}


void Capability_space::free_kcap(Fiasco::l4_cap_idx_t kcap)
{
	if (Fiasco::Capability::valid(kcap))
		(void)cap_idx_alloc()->free(cap_idx_alloc()->kcap_to_idx(kcap), 1);
}


Fiasco::l4_cap_idx_t Capability_space::kcap(Native_capability cap)
{
	Cap_index const * const index = cap.data();

	if (!index)
		raw("selector of an invalid capability requested");

	return index->kcap();
}
