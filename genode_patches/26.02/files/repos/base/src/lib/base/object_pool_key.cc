/*
 * \brief  Keys of objects in an object pool
 * \date   2026-11-29
 *
 * This implementation suits kernels where the local name of a capability never
 * changes.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/object_pool.h>

using namespace Genode;


unsigned long Object_pool_key::of_cap(Untyped_capability const &cap)
{
	return cap.local_name();
}


unsigned long Object_pool_key::of_local_name(unsigned long name) { return name; }


bool Object_pool_key::confirmed(Untyped_capability const &cap, unsigned long name)
{
	return (unsigned long)cap.local_name() == name;
}
