/*
 * \brief  Kernel-specific part of the object pool
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, in Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__BASE__OBJECT_POOL_BASE_H_
#define _INCLUDE__BASE__OBJECT_POOL_BASE_H_

#include <base/stdint.h>
#include <base/capability.h>
#include <base/mutex.h>
#include <util/noncopyable.h>

namespace Genode {

	struct Object_pool_state;
	class  Object_pool_base;
}


/**
 * Memory for what the base library of the kernel keeps per pool and entry
 *
 * The size is part of the binary interface of all components, so it is the
 * same for all kernels. The largest content is an entry of the generic
 * implementation, with a node of a tree and four words. There is space for
 * two more. Each implementation asserts that its content fits.
 */
struct Genode::Object_pool_state
{
	static constexpr size_t SIZE = 80;

	alignas(8) uint8_t bytes[SIZE];
};


/**
 * Type-agnostic base class of an object pool
 *
 * How entries are found depends on the meaning of local names, which differs
 * from kernel to kernel. So this class is implemented by the base library. It
 * is not used directly.
 */
class Genode::Object_pool_base : Noncopyable
{
	public:

		/**
		 * Type-agnostic base class of an entry
		 */
		class Entry : Object_pool_state
		{
			private:

				friend class Object_pool_base;

				Untyped_capability _cap  { };
				Mutex              _lock { };

				/*
				 * Noncopyable
				 */
				Entry(Entry const &);
				Entry &operator = (Entry const &);

				static Object_pool_state &_state_of(Entry &entry) { return entry; }

				static Entry &_entry_of(Object_pool_state &state)
				{
					return static_cast<Entry &>(state);
				}

				void _construct();

				/**
				 * Leave the pool, and wait until the entry is no longer used
				 */
				void _destruct();

			public:

				Entry() { _construct(); }

				Entry(Untyped_capability cap) : _cap(cap) { _construct(); }

				/**
				 * Destructor defers the destruction while the object is used
				 */
				virtual ~Entry() { _destruct(); }

				/**
				 * Assign capability, to be done while the object is in no pool
				 */
				void cap(Untyped_capability c) { _cap = c; }

				Untyped_capability const cap() const { return _cap; }
		};

	private:

		Object_pool_state _state { };

	protected:

		Object_pool_base();

		/**
		 * Destructor leaves remaining entries alone, but forgets them
		 */
		~Object_pool_base();

		/**
		 * Let the entry be found by the local name of its capability
		 */
		void _insert_entry(Entry &);

		/**
		 * Let the entry no longer be found, without waiting for its user
		 */
		void _remove_entry(Entry &);

		/**
		 * Remove an arbitrary entry and wait until it is no longer used
		 *
		 * \return  entry, or nullptr if the pool is empty
		 */
		Entry *_pop_entry();

		/**
		 * Find entry and lock it for the exclusive use by the caller
		 *
		 * \return  entry, or nullptr if there is none of this local name
		 */
		Entry *_lock_entry(unsigned long local_name);

		/**
		 * End the use of an entry returned by '_lock_entry'
		 */
		void _unlock_entry(Entry &);

		/**
		 * Return true if the pool has no entries
		 */
		bool _no_entries();

		/**
		 * Entry locked for a scope
		 */
		class Locked_entry
		{
			private:

				Object_pool_base &_pool;
				Entry     * const _ptr;

				/*
				 * Noncopyable
				 */
				Locked_entry(Locked_entry const &);
				Locked_entry &operator = (Locked_entry const &);

			public:

				Locked_entry(Object_pool_base &pool, unsigned long local_name)
				: _pool(pool), _ptr(pool._lock_entry(local_name)) { }

				~Locked_entry() { if (_ptr) _pool._unlock_entry(*_ptr); }

				Entry *ptr() const { return _ptr; }
		};
};

#endif /* _INCLUDE__BASE__OBJECT_POOL_BASE_H_ */
