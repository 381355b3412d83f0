/*
 * \brief  Capability-space slot of core, with what core records about it
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CORE__CORE_CAP_INDEX_H_
#define _CORE__CORE_CAP_INDEX_H_

/* base-internal includes */
#include <base/internal/native_thread.h>
#include <base/internal/cap_space.h>

/* core includes */
#include <cap_directory.h>
#include <types.h>

namespace Core {

	class Cap_id_allocator;
	class Core_cap_index;
	class Rpc_cap_factory;
	class Platform_thread;

	/**
	 * Return directory for those who look at the memory from outside
	 */
	Cap_directory &cap_directory();

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
 * Slot of core's capability space, along with core's record about the slot
 *
 * The records reside in an array besides the capability table.
 */
class Core::Core_cap_index final : public Cap_index
{
	private:

		struct Record
		{
			/* an IPC gate belongs to a factory, a thread has a 'pt' */
			union {
				Rpc_cap_factory const *factory;
				Platform_thread const *pt;
			};

			/* of the capability of the thread that a gate is bound to */
			unsigned thread_badge;

			enum class Kind : ::uint8_t { OTHER, THREAD, GATE } kind;

			bool created;
		};

		Record &_record() const;

	public:

		explicit Core_cap_index(Cap_index index) : Cap_index(index) { }

		explicit Core_cap_index(Native_capability const &cap) : Cap_index(cap) { }

		/**
		 * Allocate slot for a new kernel object, with a badge of its own
		 *
		 * The kernel object is destroyed, and the badge is released, along
		 * with the last reference to the capability.
		 *
		 * \param kind  kind of the object, unless 'pt' or 'gate' tells it
		 *
		 * \return  capability, or an invalid one if slots or badges are
		 *          exhausted
		 *
		 * An invalid capability must not be invoked, see 'base/internal/cap_space.h'.
		 */
		static Native_capability create(Cap_directory::Kind = Cap_directory::Kind::UNKNOWN);

		/**
		 * Variant for the time when 'platform_specific()' is not available yet
		 */
		static Native_capability create(Cap_id_allocator &);

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
		bool created() const { return _record().created; }

		/**
		 * Return factory that created an IPC gate
		 */
		Rpc_cap_factory const *factory() const
		{
			return _record().kind == Record::Kind::GATE ? _record().factory : nullptr;
		}

		/**
		 * Return thread that the capability stands for
		 */
		Platform_thread const *pt() const
		{
			return _record().kind == Record::Kind::THREAD ? _record().pt : nullptr;
		}

		/**
		 * Return capability of the thread that a gate is bound to
		 *
		 * The gate does not keep the thread alive. If the thread is gone, the
		 * capability is invalid.
		 */
		Native_capability thread() const;

		/**
		 * Let the capability stand for a thread, or nullptr
		 */
		void pt(Platform_thread const *pt) const
		{
			_record().pt   = pt;
			_record().kind = Record::Kind::THREAD;

			cap_directory().object(slot(), Cap_directory::Kind::THREAD, nullptr);
		}

		/**
		 * Let the capability stand for an IPC gate
		 *
		 * \param thread  capability of the thread that the gate is bound to
		 */
		void gate(Rpc_cap_factory const *factory, Native_capability const &thread) const
		{
			_record().factory      = factory;
			_record().thread_badge = unsigned(thread.local_name());
			_record().kind         = Record::Kind::GATE;

			cap_directory().object(slot(), Cap_directory::Kind::GATE, factory);
		}

		/**
		 * Forget what is recorded about the slot
		 */
		void reset() const;
};

#endif /* _CORE__CORE_CAP_INDEX_H_ */
