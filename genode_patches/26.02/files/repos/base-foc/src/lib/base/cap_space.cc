/*
 * \brief  Capability space, portions shared by core and other components
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <foc/capability_space.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

using namespace Genode;


Cap_space *Foc_cap_platform::cap_space_ptr;


Cap_index_allocator &Genode::cap_idx_alloc()
{
	static Cap_index_allocator alloc { };
	return alloc;
}


Capability_map &Genode::cap_map()
{
	static Capability_map map { };
	return map;
}


/***********************
 ** Kernel operations **
 ***********************/

bool Foc_cap_platform::cap_equal(addr_t kcap_1, addr_t kcap_2)
{
	using namespace Foc;

	return l4_msgtag_label(l4_task_cap_equal(L4_BASE_TASK_CAP, kcap_1, kcap_2));
}


bool Foc_cap_platform::cap_grant(addr_t from, addr_t to)
{
	using namespace Foc;

	l4_fpage_t const fpage = l4_obj_fpage(from, 0, L4_FPAGE_RWX);
	addr_t     const dst   = to | L4_ITEM_MAP | L4_MAP_ITEM_GRANT;

	if (l4_error(l4_task_map(L4_BASE_TASK_CAP, L4_BASE_TASK_CAP, fpage, dst)))
		return false;

	/* the kernel does not fail if there is nothing at 'from', but empties 'to' */
	return l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, to));
}


void Foc_cap_platform::table_missing(Cap_map::Status status)
{
	using namespace Foc;

	raw("no capability table: ", Cap_map::message(status));

	/* the raw output of components other than core is not visible */
	enter_kdebug("no capability table");

	for (;;)
		l4_ipc_sleep(L4_IPC_NEVER);
}


/**********************
 ** Capability_space **
 **********************/

Foc::l4_cap_idx_t Genode::Capability_space::alloc_kcap()
{
	Cap_index const index = cap_idx_alloc().alloc_range(1);

	if (!index) {
		raw("out of capability selectors");
		return Foc::L4_INVALID_CAP;
	}
	return index.kcap();
}


void Genode::Capability_space::free_kcap(Foc::l4_cap_idx_t kcap)
{
	if (Foc::Capability::valid(kcap))
		(void)cap_idx_alloc().free(cap_idx_alloc().kcap_to_idx(kcap), 1);
}


Foc::l4_cap_idx_t Genode::Capability_space::kcap(Native_capability cap)
{
	if (!cap.data()) {
		raw("selector of an invalid capability requested");
		return Foc::L4_INVALID_CAP;
	}
	return Cap_index(cap).kcap();
}
