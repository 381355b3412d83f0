/*
 * \brief  Slot of the capability space
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__CAP_INDEX_H_
#define _BASE_FOC__CAP_INDEX_H_

#include <base_foc/cap_space.h>

namespace Base_foc { template <typename> class Cap_index; }


/**
 * Slot of the capability space
 *
 * This is a value. In capabilities and UTCBs, it has the form of a handle, which
 * is a pointer to 'Data'. There is no object behind a handle. Its address is a
 * number, a constant base plus the slot, and it is never dereferenced. So the
 * table can move while handles exist, and a handle is as valid in a restored
 * memory image as it was before.
 *
 * The null handle denotes no slot. All methods may be called for it. It has
 * neither badge nor references, and its selector is one that is never in use.
 *
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename PLATFORM>
class Base_foc::Cap_index
{
	public:

		using addr_t     = typename PLATFORM::addr_t;
		using Data       = typename PLATFORM::Cap_data;
		using Capability = typename PLATFORM::Untyped_capability;
		using id_t       = unsigned;

		static constexpr id_t INVALID_ID = ~0u;

	private:

		Data *_data;

		/* in the kernel's part of any address space */
		static constexpr addr_t BASE = addr_t(0xf) << (8*sizeof(addr_t) - 4);

		static Cap_map::Owner _owner() { return PLATFORM::cap_space().owner(); }

	public:

		/**
		 * Constructor
		 *
		 * \param data  handle, or nullptr
		 */
		Cap_index(Data *data) : _data(data) { }

		/**
		 * Constructor for the slot of a capability
		 */
		explicit Cap_index(Capability const &cap)
		: _data(const_cast<Data *>(cap.data())) { }

		static Cap_index from_slot(uint32_t slot)
		{
			return Cap_index(reinterpret_cast<Data *>(BASE + slot));
		}

		/**
		 * Return handle, as it is kept by a capability
		 */
		operator Data * () const { return _data; }

		/**
		 * Return number of the slot
		 *
		 * The number of the null handle is 0. The slot 0 is never allocated, and
		 * carries no badge.
		 */
		uint32_t slot() const
		{
			return _data ? uint32_t(reinterpret_cast<addr_t>(_data) - BASE) : 0;
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
		void inc() const { (void)_owner().acquire(slot()); }

		/**
		 * Give back a reference
		 *
		 * The last one takes the capability out of the map and frees the slot.
		 * There is nothing left to do for the caller.
		 */
		void dec() const { PLATFORM::cap_space().release(slot()); }
};

#endif /* _BASE_FOC__CAP_INDEX_H_ */
