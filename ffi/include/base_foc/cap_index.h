/*
 * \brief  Handle of a slot in the capability space
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__CAP_INDEX_H_
#define _BASE_FOC__CAP_INDEX_H_

#include <base_foc/cap_space.h>

namespace Base_foc { template <typename> class Cap_index; }


/**
 * Handle of a slot in the capability space
 *
 * There is no object behind a pointer to a 'Cap_index'. The address is a
 * number, a constant base plus the slot, and it is never dereferenced: methods
 * use 'this' as the number it is. So the table can move while handles exist,
 * and a handle is as valid in a restored memory image as it was before.
 *
 * The class is empty, which makes consecutive slots consecutive pointers.
 *
 * \param PLATFORM  see 'cap_space.h'. Its type 'Cap_index' is either this class
 *                  or one derived from it that adds no members.
 */
template <typename PLATFORM>
class Base_foc::Cap_index
{
	public:

		using addr_t = typename PLATFORM::addr_t;
		using id_t   = unsigned;

		static constexpr id_t INVALID_ID = ~0u;

		Cap_index()                              = delete;
		Cap_index(Cap_index const &)             = delete;
		Cap_index &operator = (Cap_index const &) = delete;

	private:

		using Index = typename PLATFORM::Cap_index;

		/* in the kernel's part of any address space */
		static constexpr addr_t BASE = addr_t(0xf) << (8*sizeof(addr_t) - 4);

		static Cap_map::Owner _owner() { return PLATFORM::cap_space().owner(); }

	public:

		static Index *from_slot(uint32_t slot)
		{
			static_assert(sizeof(Index) == 1,
			              "a class derived from Cap_index must stay empty");

			static_assert(uint32_t(0 - BASE) - 1 >= uint32_t(Cap_map::MAX_SLOTS) - 1,
			              "the null handle must not denote a slot");

			return reinterpret_cast<Index *>(BASE + slot);
		}

		uint32_t slot() const
		{
			return uint32_t(reinterpret_cast<addr_t>(this) - BASE);
		}

		/**
		 * Return false for the null handle
		 *
		 * The number behind the null handle is far beyond the last slot on
		 * 32-bit machines, and on 64-bit machines slot 0, which is never
		 * allocated and carries no badge. (A comparison of 'this' with nullptr
		 * is something that compilers leave out.)
		 */
		bool in_range() const
		{
			return slot() - 1 < uint32_t(Cap_map::MAX_SLOTS) - 1;
		}

		/**
		 * Return badge, or 'INVALID_ID' if the slot carries none
		 */
		id_t id() const
		{
			id_t const badge = _owner().badge(slot());
			return badge ? badge : INVALID_ID;
		}

		/**
		 * Return selector
		 */
		addr_t kcap() const
		{
			return addr_t(slot()) << unsigned(PLATFORM::CAP_SHIFT);
		}

		/**
		 * Return true if the slot carries a badge
		 */
		bool valid() const { return id() != INVALID_ID; }

		/**
		 * Return true if the slot is allocated
		 */
		bool used() const
		{
			Cap_map::Entry entry { CAP_MAP_STATE_FREE, 0 };
			return Cap_map::ok(_owner().entry(slot(), entry))
			    && entry.state != CAP_MAP_STATE_FREE;
		}

		/**
		 * Take a reference
		 *
		 * The caller holds one already, or has just inserted the slot.
		 */
		void inc() { (void)_owner().acquire(slot()); }

		/**
		 * Give back a reference
		 *
		 * The last one takes the capability out of the map and frees the slot.
		 * There is nothing left to do for the caller.
		 */
		void dec() { PLATFORM::cap_space().release(slot()); }
};

#endif /* _BASE_FOC__CAP_INDEX_H_ */
