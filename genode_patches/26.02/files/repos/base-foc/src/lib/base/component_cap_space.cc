/*
 * \brief  Capability space of components other than core
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <foc_native_pd/foc_native_pd.h>

/* base-internal includes */
#include <base/internal/cap_space.h>
#include <base/internal/parent_cap.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

using namespace Genode;


bool const Foc_cap_platform::CORE = false;


Cap_space &Foc_cap_platform::create_cap_space()
{
	static constexpr unsigned NUM_SLOTS = Pd_session::Native_pd::NUM_SLOTS;

	struct Space : Base_foc::Cap_space_with_memory<Foc_cap_platform, NUM_SLOTS>
	{
		Space() { if (!Cap_map::ok(status())) table_missing(status()); }
	};

	static Space space { };
	cap_space_ptr = &space;
	return space;
}


bool Foc_cap_platform::cap_valid(addr_t kcap)
{
	using namespace Foc;

	return l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, kcap));
}


Cap_map::Status Foc_cap_platform::cap_received(unsigned badge, addr_t kcap,
                                               Cap_index &index)
{
	return cap_map().insert_map(badge, kcap, index);
}


/*
 * The kernel object is up to its creator. Once the slot is used for another
 * capability, the kernel drops the mapping.
 */
void Foc_cap_platform::cap_vanished(addr_t, unsigned) { }


Parent_capability Genode::parent_cap()
{
	unsigned    const badge = unsigned(_parent_cap[0]);
	Cap_index const index = cap_idx_alloc().kcap_to_idx(Foc::PARENT_CAP);

	/* at the first time, and after the parent capability got reloaded */
	if (index.id() != badge)
		(void)cap_map().insert(badge, Foc::PARENT_CAP);

	return reinterpret_cap_cast<Parent>(Native_capability(index));
}
