/*
 * \brief  Capability-space slot of core, with what core records about it
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _CORE__INCLUDE__CORE_CAP_INDEX_H_
#define _CORE__INCLUDE__CORE_CAP_INDEX_H_

/* base-internal includes */
#include <base/internal/native_thread.h>
#include <base/internal/cap_space.h>

namespace Genode {

	class Cap_id_allocator;
	class Core_cap_index;
	class Pd_session_component;
	class Platform_thread;

	/**
	 * Let memory that is about to be freed contain no capability table
	 *
	 * \param at    page-aligned core-local address
	 *
	 * Otherwise, whoever looks at the memory from outside would find the table
	 * of a component that is gone until the memory is used again.
	 */
	void forget_cap_tables(addr_t at, size_t size);
}


/**
 * Handle of a slot, which gives access to core's record about the slot
 *
 * The records reside in an array besides the capability table.
 */
class Genode::Core_cap_index final : public Native_capability::Data
{
	private:

		struct Record
		{
			Pd_session_component const *session;
			Platform_thread      const *pt;
		};

		Record &_record() const;

		/* kept apart from the record to save space */
		bool &_created() const;

	public:

		/**
		 * Return handle of a slot as one of core
		 */
		static Core_cap_index *of(Native_capability::Data *index)
		{
			return static_cast<Core_cap_index *>(index);
		}

		/**
		 * Allocate slot for a new kernel object, with a badge of its own
		 *
		 * The kernel object is destroyed, and the badge is released, along
		 * with the last reference to the capability.
		 *
		 * \return  capability, or an invalid one if slots or badges are
		 *          exhausted
		 */
		static Native_capability create(Cap_id_allocator &);

		/**
		 * Allocate slot with a badge of the platform's allocator
		 */
		static Native_capability create();

		/**
		 * Obtain capability by its badge
		 *
		 * \return  capability, or an invalid one if the badge is unknown
		 *
		 * Each slot that is in use is referenced. Otherwise, the returned
		 * reference would be the last one, and destroy the kernel object.
		 */
		static Native_capability lookup(unsigned badge);

		/**
		 * Return true if the slot was allocated by 'create'
		 */
		bool created() const { return _created(); }

		Pd_session_component const *session() const { return _record().session; }
		Platform_thread      const *pt()      const { return _record().pt; }

		void session(Pd_session_component const *s) const { _record().session = s; }

		/**
		 * Let threads be found by the capability
		 *
		 * This is the case for the capability of the thread itself, and for
		 * its initial IPC gate. Both refer to the thread until it vanishes.
		 */
		void pt(Platform_thread const *t) const { _record().pt = t; }

		/**
		 * Forget what is recorded about the slot
		 */
		void reset();
};

#endif /* _CORE__INCLUDE__CORE_CAP_INDEX_H_ */
