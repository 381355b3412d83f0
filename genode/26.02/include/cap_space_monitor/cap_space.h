/*
 * \brief  Capability space of a monitored component
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__CAP_SPACE_H_
#define _INCLUDE__CAP_SPACE_MONITOR__CAP_SPACE_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/env.h>
#include <util/noncopyable.h>
#include <foc/native_capability.h>
#include <foc/syscall.h>
#include <foc_native_pd/client.h>

/* flat capability table */
#include <cap_map.hpp>

namespace Cap_space_monitor {

	using namespace Genode;

	using Cap_map::Status;
	using Cap_map::Stamp;
	using Cap_map::Rewrite;
	using Cap_map::Identity;

	using Slot_info      = Foc_native_pd::Slot_info;
	using Install_result = Foc_native_pd::Install_result;

	static constexpr unsigned NUM_SLOTS = Foc_native_pd::NUM_SLOTS,
	                          MAX_SLOTS = Cap_map::MAX_SLOTS;

	/* never defined: names the types below, which differ between releases */
	Env &any_env();

	using Ram_reference      = decltype(any_env().ram());
	using Local_rm_reference = decltype(any_env().rm());

	class Snapshot;
	class Cap_space;

	template <unsigned SLOTS = NUM_SLOTS> class Snapshot_with_memory;

	static inline addr_t selector(unsigned slot)
	{
		return addr_t(slot) << Foc::L4_CAP_SHIFT;
	}
}


/**
 * Copy of a capability table
 */
class Cap_space_monitor::Snapshot : Noncopyable
{
	private:

		friend class Cap_space;

		uint64_t * const  _words;
		unsigned   const  _max_slots;
		unsigned          _num_slots { 0 };
		Cap_map::Snapshot _info { };

		/*
		 * Noncopyable
		 */
		Snapshot(Snapshot const &);
		Snapshot &operator = (Snapshot const &);

	protected:

		Snapshot(uint64_t *words, unsigned max_slots)
		: _words(words), _max_slots(max_slots) { }

	public:

		using Entry = Cap_map::Entry;

		/**
		 * Return true if all entries originate from the same point in time
		 */
		bool consistent() const { return _info.consistent; }

		/**
		 * Return the point in time
		 */
		Stamp stamp() const { return _info.stamp; }

		/**
		 * Return number of slots that the component has ever used
		 */
		unsigned num_slots() const { return _num_slots; }

		Entry entry(unsigned slot) const
		{
			return slot < _num_slots ? Cap_map::Monitor::entry_of(_words[slot])
			                         : Entry { CAP_MAP_STATE_FREE, 0 };
		}

		/**
		 * Call 'fn' with slot and badge of each capability in use
		 */
		template <typename FN>
		void for_each(FN const &fn) const
		{
			for (unsigned slot = 0; slot < _num_slots; slot++) {
				Entry const e = entry(slot);
				if (e.state == CAP_MAP_STATE_USED)
					fn(slot, e.badge);
			}
		}
};


/**
 * Copy of a capability table, with the memory for it
 *
 * \param SLOTS  slots of the largest table that can be copied
 */
template <unsigned SLOTS>
class Cap_space_monitor::Snapshot_with_memory : public Snapshot
{
	private:

		uint64_t _memory[SLOTS] { };

	public:

		Snapshot_with_memory() : Snapshot(_memory, SLOTS) { }
};


/**
 * Capability space of a monitored component
 *
 * The object owns the dataspace that the component uses as capability table.
 * The component is free to write anything to the dataspace at any time, which
 * affects nothing but the values returned. No operation waits for the component
 * without bound.
 *
 * Two threads that use the object count as two monitors. Both may read, once
 * one of them has attached to the table. If both rewrite badges at a time, one
 * is refused with 'CAP_MAP_STATUS_BUSY'.
 */
class Cap_space_monitor::Cap_space : Noncopyable
{
	private:

		size_t           const _size;
		Attached_ram_dataspace _ds;
		Cap_map::Monitor       _table { };
		Foc_native_pd_client   _native_pd;

	public:

		/**
		 * Return identity of the table of a component
		 *
		 * \param label  null-terminated, the end counts if it is too long
		 * \param pd     the component's PD session at core
		 *
		 * The instance number is unique among the components that exist, and
		 * differs from the one of an earlier component with the same PD badge.
		 */
		static Identity identity(char const *label, Native_capability pd);

		/**
		 * Constructor
		 *
		 * \param identity   left in the memory for a component that moves its
		 *                   table there, and that adds the badges it knows
		 * \param num_slots  slots that the component gets, up to
		 *                   'MAX_SLOTS'. The component pays for
		 *                   what it needs to use more than 'NUM_SLOTS'.
		 * \param area_bytes  memory behind the table for other use by component
		 *                    and monitor
		 *
		 * \throw  what the allocation or attachment of memory throws
		 */
		Cap_space(Ram_reference, Local_rm_reference,
		          Capability<Pd_session::Native_pd>, Identity const &identity,
		          unsigned num_slots = NUM_SLOTS, size_t area_bytes = 0);

		/**
		 * Return dataspace to be handed out to the component
		 */
		Dataspace_capability ds() const { return _ds.cap(); }


		/***********
		 ** Table **
		 ***********/

		/**
		 * Attach to the table if it is published by the component
		 *
		 * All other operations do this implicitly. Once attached, the header
		 * of the table is of no interest anymore.
		 */
		Status attach();

		/**
		 * Return memory behind the table
		 *
		 * \param bytes    expected size
		 * \param version  expected version of the content
		 * \return  nullptr if the component does not use it (yet), or in another
		 *          way than expected
		 */
		void *area(size_t bytes, unsigned version);

		/**
		 * Obtain stamp of the table
		 *
		 * Between equal stamps with an even sequence, no badge has changed.
		 *
		 * \return  'CAP_MAP_STATUS_UNPUBLISHED' if the component does not use
		 *          the table (yet)
		 */
		Status stamp(Stamp &);

		/**
		 * Copy the whole table
		 */
		Status take(Snapshot &);

		/**
		 * Obtain content of a single slot
		 */
		Status entry(unsigned slot, Snapshot::Entry &);

		/**
		 * Replace badges, either all or none
		 *
		 * \param slot  slot that is the reason for a failure
		 *
		 * The component may execute meanwhile. It makes use of the new badges
		 * from now on. A slot that the component has changed meanwhile is left
		 * out, and marked as such in the batch ('left_out').
		 *
		 * \return  'CAP_MAP_STATUS_BUSY' if another monitor is rewriting badges
		 */
		Status rewrite(Rewrite *batch, size_t count, unsigned &slot);

		/**
		 * Take the right to rewrite badges away from another monitor
		 *
		 * The caller must know that the other monitor never goes on: because it
		 * is dead, or because the memory of the table is restored from a
		 * checkpoint that was taken during a rewrite. A monitor that goes on
		 * nevertheless may change badges that are in effect.
		 *
		 * There is no need for it if nobody but the creator of this object ever
		 * rewrites badges of the table.
		 */
		Status take_over();


		/******************
		 ** Capabilities **
		 ******************/

		/**
		 * Obtain capability of a slot
		 *
		 * \param badge  badge according to the table
		 */
		Native_capability request(unsigned slot, unsigned badge, Slot_info &info)
		{
			return _native_pd.request(selector(slot), badge, info);
		}

		/**
		 * Return true if the slot refers to the object that belongs to the badge
		 */
		bool confirmed(unsigned slot, unsigned badge)
		{
			Slot_info info { };
			(void)request(slot, badge, info);
			return info.state == Slot_info::CONFIRMED;
		}

		/**
		 * Let slot refer to a capability, the table is left as it is
		 *
		 * \param present  badge of the capability to be replaced, or
		 *                 'Foc_native_pd::NO_BADGE'
		 */
		Install_result install(Native_capability cap, unsigned slot, unsigned present)
		{
			return _native_pd.install(cap, selector(slot), present);
		}
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__CAP_SPACE_H_ */
