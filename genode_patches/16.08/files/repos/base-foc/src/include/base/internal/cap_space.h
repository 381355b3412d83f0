/*
 * \brief  Capability space of Fiasco.OC components
 * \date   2026-11-22
 *
 * A capability is known to the kernel by its selector, and to Genode by its
 * badge. Both are brought together by a flat table with one entry per slot of
 * the capability space.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_
#define _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_

/* Genode includes */
#include <base/stdint.h>
#include <base/capability.h>
#include <foc/native_capability.h>

/* base-internal includes */
#include <base_foc/cap_index.h>
#include <base_foc/cap_index_allocator.h>
#include <base_foc/capability_map.h>
#include <base_foc/native_capability.h>

namespace Genode {

	struct Foc_cap_platform;

	typedef class Native_capability::Data                   Cap_index;
	typedef Base_foc::Cap_space<Foc_cap_platform>           Cap_space;
	typedef Base_foc::Cap_index_allocator<Foc_cap_platform> Cap_index_allocator;
	typedef Base_foc::Capability_map<Foc_cap_platform>      Capability_map;

	/**
	 * Return allocator of slots in the component's capability space
	 */
	Cap_index_allocator *cap_idx_alloc();

	/**
	 * Return component-wide mapping of badges to slots
	 */
	Capability_map *cap_map();

	/**
	 * Return capability for a handle, an invalid one for a nullptr
	 */
	static inline Native_capability cap_of_index(Cap_index *);

	/**
	 * Return capability that takes over the reference that comes with a handle
	 */
	static inline Native_capability adopt_cap(Cap_index *);
}


/**
 * What the capability table needs to know about its environment
 *
 * The functions 'cap_space', 'cap_valid', 'cap_vanished', and 'cap_received'
 * differ between core and the other components.
 */
struct Genode::Foc_cap_platform
{
	typedef Genode::addr_t          addr_t;
	typedef Native_capability::Data Cap_data;
	typedef Native_capability       Untyped_capability;

	enum {
		FIRST_SLOT  = Fiasco::USER_BASE_CAP >> Fiasco::L4_CAP_SHIFT,
		CAP_SHIFT   = Fiasco::L4_CAP_SHIFT,
		BADGE_BITS  = 28,
		WAIT_BUDGET = 1000,
	};

	/* whether this is core */
	static bool const CORE;

	static Cap_space &cap_space();

	/**
	 * Stop with a message if the table could not be created
	 *
	 * This happens if archive and headers do not belong together.
	 */
	static void check_creation(Base_foc::Status);

	/**
	 * Return true if both selectors refer to the same kernel object
	 *
	 * The rights of the selectors do not matter. An empty selector refers to
	 * no object.
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
	 * \return  handle together with a reference, or nullptr
	 */
	static Cap_index *cap_received(unsigned badge, addr_t kcap);
};


/**
 * Handle of a slot in the capability space
 *
 * There is no object behind a pointer to it. The release calls methods of what
 * is behind a capability all over core, so they are there for 'this' as the
 * number it is.
 */
class Genode::Native_capability::Data
{
	private:

		typedef Base_foc::Cap_index<Foc_cap_platform> Value;

		Value _value() const { return Value(const_cast<Data *>(this)); }

	public:

		typedef Value::id_t id_t;

		unsigned slot() const { return _value().slot(); }

		id_t id() const { return _value().id(); }

		bool valid() const { return _value().valid(); }

		void inc() { _value().inc(); }
		void dec() { _value().dec(); }

		/**
		 * Return selector
		 *
		 * The null handle, as obtained when running out of slots, denotes an
		 * invalid selector. (A comparison of 'this' with nullptr is something
		 * that compilers leave out.)
		 */
		addr_t kcap() const
		{
			return slot() - 1 < unsigned(Cap_map::MAX_SLOTS) - 1
			       ? _value().kcap() : addr_t(Fiasco::L4_INVALID_CAP);
		}
};


Genode::Native_capability Genode::cap_of_index(Cap_index *index)
{
	return index ? Native_capability(*index) : Native_capability();
}


Genode::Native_capability Genode::adopt_cap(Cap_index *index)
{
	struct Capability : Native_capability
	{
		Capability(Cap_index *index) : Native_capability(cap_of_index(index)) { }
	};

	return Base_foc::adopt_capability<Capability>(
		Base_foc::Cap_index<Foc_cap_platform>(index));
}

#endif /* _INCLUDE__BASE__INTERNAL__CAP_SPACE_H_ */
