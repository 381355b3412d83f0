/*
 * \brief  Capability space of a component, with the memory of its table
 *
 * All classes of this folder know their environment by one class, PLATFORM,
 * with the following members:
 *
 * :addr_t:              integer as wide as a selector and a pointer
 * :Cap_data:            type that handles point to, see 'cap_index.h'
 * :FIRST_SLOT:          first slot that the component allocates itself
 * :CAP_SHIFT:           selector = slot << CAP_SHIFT
 * :BADGE_BITS:          significant bits of a badge, 1 to 28
 * :WAIT_BUDGET:         calls of 'cap_map_relax' granted to a monitor that
 *                       rewrites badges before a badge makes it start again
 * :CORE:                1 for core's own table, 0 for a component's
 * :cap_space:           function that returns the 'Cap_space<PLATFORM> &'
 * :cap_equal, cap_valid, cap_grant:
 *                       kernel operations with selectors as arguments: whether
 *                       two name the same object, whether one names an object
 *                       that still exists, and moving a capability from the
 *                       first selector to the second
 * :cap_vanished:        called with selector and badge of a capability that
 *                       has lost its last reference or was removed. Nobody
 *                       finds it any more, and its slot is handed out to
 *                       nobody before the function returns. Core destroys the
 *                       kernel object and reuses the badge. Until then, another
 *                       thread may receive the capability once more and enter
 *                       it at another slot. A dead capability that is replaced
 *                       by a received one is not told, since its badge lives on.
 * :Untyped_capability:  capability with 'data' and 'local_name'
 * :Mutex:               lock with 'acquire' and 'release' (pool only)
 * :Object_cast:         'Dynamic_object_cast', or 'Static_object_cast' where
 *                       run-time type information is missing (pool only)
 *
 * The functions are static and do not throw. The numbers are enumerators.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__CAP_SPACE_H_
#define _BASE_FOC__CAP_SPACE_H_

#include <cap_map.hpp>

namespace Base_foc {

	using Cap_map::Status;

	template <typename> class Cap_space;

	template <typename, uint32_t, uint32_t> struct Cap_space_memory;

	template <typename PLATFORM, uint32_t MAX_SLOTS,
	          uint32_t INITIAL_SLOTS = MAX_SLOTS>
	class Cap_space_with_memory;
}


/**
 * Capability space of a component
 *
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename PLATFORM>
class Base_foc::Cap_space
{
	private:

		using addr_t = typename PLATFORM::addr_t;

		Cap_map::Owner _owner { };
		void    *const _region;
		size_t   const _region_size;
		Status         _status { CAP_MAP_STATUS_OK };

		Cap_space(Cap_space const &);
		Cap_space &operator = (Cap_space const &);

		static addr_t _kcap(uint32_t slot)
		{
			return addr_t(slot) << unsigned(PLATFORM::CAP_SHIFT);
		}

		/**
		 * Free a slot that has lost its last reference
		 *
		 * \param badge  badge that ends with it, or 0
		 *
		 * The selector and the badge are not in use by anybody else before the
		 * slot is free, which comes last.
		 */
		void _discard(uint32_t slot, uint32_t badge)
		{
			if (badge)
				PLATFORM::cap_vanished(_kcap(slot), badge);

			(void)_owner.free(slot, 1);
		}

	protected:

		Cap_space(uint32_t max_slots, void *memory, size_t size,
		          void *region, size_t region_size)
		:
			_region(region), _region_size(region_size)
		{
			Cap_map::Config const config {
				max_slots,
				uint32_t(PLATFORM::FIRST_SLOT),
				uint32_t(PLATFORM::CAP_SHIFT),
				uint32_t(PLATFORM::BADGE_BITS),
				uint32_t(PLATFORM::WAIT_BUDGET),
				uint32_t(PLATFORM::CORE) };

			_status = _owner.create(memory, size, region, region_size, config);
		}

		~Cap_space() = default;

	public:

		Cap_map::Owner owner() const { return _owner; }

		/**
		 * Return whether the table could be set up
		 */
		Status status() const { return _status; }

		/**
		 * Return true if core decides about the slot, so it is not counted
		 */
		static bool static_slot(uint32_t slot)
		{
			return slot < uint32_t(PLATFORM::FIRST_SLOT);
		}

		/**
		 * Give back a reference to a slot
		 *
		 * When the last one goes, the badge is withdrawn in the same step, so
		 * nobody finds the slot any more. (A detached slot has lost its badge
		 * before, and reports none.)
		 */
		void release(uint32_t slot)
		{
			Cap_map::Released released { false, 0 };
			if (Cap_map::ok(_owner.release(slot, released)) && released.last)
				_discard(slot, released.badge);
		}

		/**
		 * Take the badge out of the table, regardless of references
		 *
		 * The slot is freed with its last reference, at once if there is none.
		 * Others may remove it or give back its last reference at the same
		 * time. Whoever takes the badge out tells the platform, and nobody else
		 * touches the slot before the platform has let go of it. So a slot
		 * without a badge stays as it is.
		 */
		void remove(uint32_t slot)
		{
			uint32_t badge = 0;
			if (!Cap_map::ok(_owner.withdraw(slot, badge)))
				return;

			PLATFORM::cap_vanished(_kcap(slot), badge);

			/* taken by 'withdraw' */
			release(slot);
		}

		/**
		 * Forget everything and start anew in the initial memory
		 */
		Status reinit() { return _owner.reset(_region, _region_size); }

		/**
		 * Move the table to shared memory, and let monitors see it there
		 *
		 * \param area  where the area of the publication begins, in bytes from
		 *              'region' on
		 */
		Status move(void *region, size_t size,
		            Cap_map::Publication const &publication, uint32_t &area)
		{
			return _owner.move(region, size, publication, area);
		}
};


/**
 * Initial memory of a capability space
 */
template <typename PLATFORM, uint32_t MAX_SLOTS, uint32_t INITIAL_SLOTS>
struct Base_foc::Cap_space_memory
{
	static_assert(Cap_map::slots_in_range(MAX_SLOTS)
	           && Cap_map::slots_in_range(INITIAL_SLOTS)
	           && INITIAL_SLOTS <= MAX_SLOTS,
	              "number of slots out of range");

	static_assert(uint32_t(PLATFORM::FIRST_SLOT) < INITIAL_SLOTS,
	              "first user slot outside of the initial table");

	alignas(Cap_map::REGION_ALIGN)
	uint8_t region[Cap_map::region_bytes(INITIAL_SLOTS)] { };

	alignas(Cap_map::OWNER_ALIGN)
	uint8_t owner[Cap_map::owner_bytes(MAX_SLOTS)] { };
};


/**
 * Capability space whose initial memory is part of the object
 *
 * \param MAX_SLOTS      slots that the table can grow to when it moves
 * \param INITIAL_SLOTS  slots that it starts with
 */
template <typename PLATFORM, uint32_t MAX_SLOTS, uint32_t INITIAL_SLOTS>
class Base_foc::Cap_space_with_memory
:
	Cap_space_memory<PLATFORM, MAX_SLOTS, INITIAL_SLOTS>,
	public Cap_space<PLATFORM>
{
	private:

		using Memory = Cap_space_memory<PLATFORM, MAX_SLOTS, INITIAL_SLOTS>;

	public:

		Cap_space_with_memory()
		:
			Cap_space<PLATFORM>(MAX_SLOTS, Memory::owner, sizeof(Memory::owner),
			                    Memory::region, sizeof(Memory::region))
		{ }
};

#endif /* _BASE_FOC__CAP_SPACE_H_ */
