/*
 * \brief  Allocator of slots in the capability space
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__CAP_INDEX_ALLOCATOR_H_
#define _BASE_FOC__CAP_INDEX_ALLOCATOR_H_

#include <base_foc/cap_index.h>
#include <base_foc/cap_space.h>

namespace Base_foc { template <typename> class Cap_index_allocator; }


/**
 * Allocator of slots in the capability space
 *
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename PLATFORM>
class Base_foc::Cap_index_allocator
{
	public:

		using Index  = Cap_index<PLATFORM>;
		using addr_t = typename PLATFORM::addr_t;

	private:

		Cap_index_allocator(Cap_index_allocator const &);
		Cap_index_allocator &operator = (Cap_index_allocator const &);

		static Cap_space<PLATFORM> &_space() { return PLATFORM::cap_space(); }

		static Cap_map::Owner _owner() { return _space().owner(); }

		static bool _u32(size_t count) { return count <= uint32_t(~0u); }

	public:

		Cap_index_allocator() { }

		/**
		 * Allocate 'cnt' consecutive slots
		 *
		 * \return  the first one, or the null handle if there is no such run
		 */
		Index alloc_range(size_t cnt)
		{
			uint32_t first = 0;
			return _u32(cnt) && Cap_map::ok(_owner().alloc(uint32_t(cnt), first))
			       ? Index::from_slot(first) : Index(nullptr);
		}

		/**
		 * Allocate the slot at selector 'kcap'
		 *
		 * \return  the slot, or the null handle if it is allocated already or
		 *          out of range
		 */
		Index alloc(addr_t kcap)
		{
			Index const index = kcap_to_idx(kcap);
			return index && Cap_map::ok(_owner().alloc_at(index.slot()))
			       ? index : Index(nullptr);
		}

		/**
		 * Free 'cnt' slots from 'idx' on, all or none
		 *
		 * \return  the reason if nothing was freed: a slot was not allocated,
		 *          or is still referenced
		 */
		Status free(Index idx, size_t cnt)
		{
			if (!idx || !_u32(cnt))
				return CAP_MAP_STATUS_BAD_ARGUMENT;

			return _owner().free(idx.slot(), uint32_t(cnt));
		}

		/**
		 * Return selector of a slot
		 */
		addr_t idx_to_kcap(Index idx) const { return idx.kcap(); }

		/**
		 * Return slot at a selector, or the null handle if out of range
		 */
		Index kcap_to_idx(addr_t kcap)
		{
			addr_t const slot = kcap >> unsigned(PLATFORM::CAP_SHIFT);
			return slot < max_caps() ? Index::from_slot(uint32_t(slot))
			                         : Index(nullptr);
		}

		/**
		 * Return true if core decides about the slot, so it is not counted
		 */
		bool static_idx(Index idx) const
		{
			return Cap_space<PLATFORM>::static_slot(idx.slot());
		}

		/**
		 * Forget everything and start anew, as in a forked component
		 */
		void reinit() { (void)_space().reinit(); }

		/**
		 * Return number of slots
		 */
		size_t max_caps() const { return _owner().capacity(); }
};

#endif /* _BASE_FOC__CAP_INDEX_ALLOCATOR_H_ */
