/*
 * \brief  Mapping of badges to slots of the capability space
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__CAPABILITY_MAP_H_
#define _BASE_FOC__CAPABILITY_MAP_H_

#include <base_foc/cap_index.h>
#include <base_foc/cap_space.h>

namespace Base_foc { template <typename> class Capability_map; }


/**
 * Mapping of badges to slots of the capability space
 *
 * It finds the slot of a capability that is received once more, so that one
 * capability occupies one slot only.
 *
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename PLATFORM>
class Base_foc::Capability_map
{
	public:

		using Index  = Cap_index<PLATFORM>;
		using addr_t = typename PLATFORM::addr_t;
		using id_t   = unsigned;

	private:

		Capability_map(Capability_map const &);
		Capability_map &operator = (Capability_map const &);

		struct Kernel
		{
			bool equal(size_t a, size_t b) { return PLATFORM::cap_equal(a, b); }
			bool valid(size_t kcap)        { return PLATFORM::cap_valid(kcap); }

			bool map(size_t from, size_t to) { return PLATFORM::cap_grant(from, to); }

			void vanished(size_t kcap, uint32_t badge)
			{
				PLATFORM::cap_vanished(addr_t(kcap), badge);
			}
		};

		static Cap_space<PLATFORM> &_space() { return PLATFORM::cap_space(); }

		static Cap_map::Owner _owner() { return _space().owner(); }

		static Index _index_if_ok(Status status, uint32_t slot)
		{
			return Cap_map::ok(status) ? Index::from_slot(slot) : Index(nullptr);
		}

	public:

		Capability_map() { }

		/**
		 * Find the slot of a badge
		 *
		 * \return  slot, or the null handle if the badge is unknown
		 *
		 * The result is a hint only, it comes without a reference.
		 */
		Index find(id_t id)
		{
			uint32_t slot = 0;
			Status const status = _owner().find(id, slot);
			return _index_if_ok(status, slot);
		}

		/**
		 * Allocate a slot for a new badge
		 *
		 * \return  slot without references, or the null handle if the badge
		 *          exists, is out of range, no slot is left, or a monitor that rewrites
		 *          badges does not come to an end
		 */
		Index insert(id_t id)
		{
			uint32_t slot = 0;
			Status const status = _owner().insert(id, slot);
			return _index_if_ok(status, slot);
		}

		/**
		 * Let the slot at selector 'kcap' carry a badge
		 *
		 * Another slot that carries the same badge loses it.
		 *
		 * \return  slot, or the null handle if badge or selector are out of
		 *          range
		 */
		Index insert(id_t id, addr_t kcap)
		{
			addr_t const slot = kcap >> unsigned(PLATFORM::CAP_SHIFT);
			if (slot >= _owner().capacity())
				return Index(nullptr);

			return _index_if_ok(_owner().insert_at(id, uint32_t(slot)),
			                    uint32_t(slot));
		}

		/**
		 * Enter a capability received at selector 'kcap'
		 *
		 * A known capability is reused, a dead one replaced.
		 *
		 * \param index  slot together with one reference that the caller has
		 *               to give back, or the null handle on failure
		 *
		 * \return  reason of a failure: the badge belongs to another
		 *          capability, the kernel refused, no slot is left, or the
		 *          badge is out of range
		 */
		Status insert_map(id_t id, addr_t kcap, Index &index)
		{
			Kernel   kernel { };
			uint32_t slot = 0;
			Status const status = _owner().insert_map(id, kcap, kernel, slot);
			index = _index_if_ok(status, slot);
			return status;
		}

		/**
		 * Enter a capability received at selector 'kcap'
		 *
		 * \return  slot with a reference, or the null handle, see above
		 */
		Index insert_map(id_t id, addr_t kcap)
		{
			Index index(nullptr);
			(void)insert_map(id, kcap, index);
			return index;
		}

		/**
		 * Take a slot out of the map, and free it unless it is referenced
		 *
		 * A slot that is still referenced is freed with its last reference. A
		 * slot without a badge is not in the map, and nothing happens to it.
		 */
		void remove(Index index)
		{
			if (index)
				_space().remove(index.slot());
		}
};

#endif /* _BASE_FOC__CAPABILITY_MAP_H_ */
