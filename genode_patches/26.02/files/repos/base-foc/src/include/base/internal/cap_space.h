/*
 * \brief  Capability space of Fiasco.OC components
 * \date   2026-11-22
 *
 * A capability is known to the kernel by its selector, and to Genode by its
 * badge. Both are brought together by a flat table with one entry per slot of
 * the capability space.
 *
 * 'Native_capability::Data' is never defined. A pointer to it stands for a slot,
 * and 'Cap_index' tells what is known about the slot. An invalid capability, as
 * obtained when running out of slots, has no slot. Its selector is 0, at which
 * nothing ever is. Note that the kernel takes the invalid selector for the
 * calling thread, so a thread that invokes it waits for itself.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_
#define _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_

/* Genode includes */
#include <base/stdint.h>
#include <base/capability.h>
#include <base/ipc_msgbuf.h>
#include <foc/native_capability.h>

/* base-internal includes */
#include <base_foc/cap_index.h>
#include <base_foc/cap_index_allocator.h>
#include <base_foc/capability_map.h>
#include <base_foc/native_capability.h>

namespace Genode {

	struct Foc_cap_platform;

	using Cap_index           = Base_foc::Cap_index<Foc_cap_platform>;
	using Cap_space           = Base_foc::Cap_space<Foc_cap_platform>;
	using Cap_index_allocator = Base_foc::Cap_index_allocator<Foc_cap_platform>;
	using Capability_map      = Base_foc::Capability_map<Foc_cap_platform>;

	/**
	 * Return allocator of slots in the component's capability space
	 */
	Cap_index_allocator &cap_idx_alloc();

	/**
	 * Return component-wide mapping of badges to slots
	 */
	Capability_map &cap_map();
}


/**
 * What the capability table needs to know about its environment
 *
 * The functions 'create_cap_space', 'cap_valid', 'cap_vanished', 'cap_received', and
 * 'caps_received' differ between core and the other components.
 */
struct Genode::Foc_cap_platform
{
	using addr_t             = Genode::addr_t;
	using Cap_data           = Native_capability::Data;
	using Untyped_capability = Native_capability;

	enum {
		FIRST_SLOT  = Foc::USER_BASE_CAP >> Foc::L4_CAP_SHIFT,
		CAP_SHIFT   = Foc::L4_CAP_SHIFT,
		BADGE_BITS  = 28,
		WAIT_BUDGET = 1000,
	};

	/* whether this is core */
	static bool const CORE;

	/* set once there is a table; asked dozens of times during a RPC */
	static Cap_space *cap_space_ptr;

	static Cap_space &create_cap_space();

	static Cap_space &cap_space()
	{
		return cap_space_ptr ? *cap_space_ptr : create_cap_space();
	}

	/**
	 * Return true if both selectors refer to the same kernel object
	 *
	 * The rights of the selectors do not matter. The kernel compares the
	 * objects, as a patch of the port has it. It must not compare their IDs:
	 * tasks, threads, and factories have all the same ID, and the ID of an IRQ
	 * object is up to its holder.
	 */
	static bool cap_equal(addr_t kcap_1, addr_t kcap_2);

	/**
	 * Return true if the selector refers to an existing kernel object
	 */
	static bool cap_valid(addr_t kcap);

	/**
	 * Move the capability at selector 'from' to the selector 'to'
	 */
	static bool cap_grant(addr_t from, addr_t to);

	/**
	 * Respond to the loss of the last reference to a capability
	 */
	static void cap_vanished(addr_t kcap, unsigned badge);

	/**
	 * Enter a capability received by IPC at selector 'kcap' into the map
	 *
	 * \param index  slot together with a reference, or the null handle on
	 *               failure
	 */
	static Cap_map::Status cap_received(unsigned badge, addr_t kcap,
	                                    Cap_index &index);

	/**
	 * Respond to capabilities that came as the result of a call by IPC
	 *
	 * Their places tell how many slots are left. No message is in the UTCB, and
	 * the caller holds no lock of the table. So a component may call its PD
	 * session to get more slots.
	 *
	 * \param window  whether there were slots for receiving capabilities
	 */
	static void caps_received(Msgbuf_base const &, bool window);

	/**
	 * Stop because there is no table, e.g., as the archive requires more
	 * memory than the headers account for
	 */
	static void table_missing [[noreturn]] (Cap_map::Status);
};

#endif /* _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_ */
