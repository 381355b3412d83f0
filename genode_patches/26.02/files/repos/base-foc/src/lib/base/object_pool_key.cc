/*
 * \brief  Keys of objects in an object pool
 * \date   2026-11-29
 *
 * On Fiasco.OC, local names are badges, which are subject to change when a
 * component is restored from a checkpoint. So a pool does not know badges at
 * all. It finds its objects by the slot of their capability.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/object_pool.h>

/* base-internal includes */
#include <base/internal/cap_space.h>
#include <base/internal/restart.h>

using namespace Genode;


/* the slot 0 never carries a badge, objects without a capability are there */
unsigned long Object_pool_key::of_cap(Untyped_capability const &cap)
{
	return Cap_index(cap).slot();
}


unsigned long Object_pool_key::of_local_name(unsigned long name)
{
	unsigned const badge = unsigned(name);

	Cap_index const index = (badge == name) ? cap_map().find(badge) : Cap_index(nullptr);

	return index ? index.slot() : ~0UL;
}


bool Object_pool_key::confirmed(Untyped_capability const &cap, unsigned long name)
{
	bool const result = cap.data() && Cap_index(cap).id() == name;

	/* opened by the receipt of a request */
	Restart::leave_window(Restart::my_record());

	return result;
}
