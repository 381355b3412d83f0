/*
 * \brief  Object pool, finds objects by the badge of their capability
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__OBJECT_POOL_H_
#define _BASE_FOC__OBJECT_POOL_H_

#include <base_foc/cap_index.h>

namespace Base_foc {

	template <typename, typename> class Object_pool;

	/*
	 * Argument and result of a functor with one argument, for 'decltype'
	 *
	 * A function is deduced from 'noexcept' functors as well.
	 */
	template <typename FN, typename RESULT, typename ARG>
	ARG functor_argument(RESULT (FN::*)(ARG) const);

	template <typename FN, typename RESULT, typename ARG>
	ARG functor_argument(RESULT (FN::*)(ARG));

	template <typename FN, typename RESULT, typename ARG>
	RESULT functor_result(RESULT (FN::*)(ARG) const);

	template <typename FN, typename RESULT, typename ARG>
	RESULT functor_result(RESULT (FN::*)(ARG));

	/**
	 * Object cast that regards the type of the object at run time
	 */
	struct Dynamic_object_cast
	{
		template <typename TO, typename OBJ_TYPE, typename ENTRY>
		static TO cast(ENTRY *entry) { return dynamic_cast<TO>(entry); }
	};

	/**
	 * Object cast for environments without run-time type information
	 */
	struct Static_object_cast
	{
		template <typename TO, typename OBJ_TYPE, typename ENTRY>
		static TO cast(ENTRY *entry)
		{
			return static_cast<TO>(static_cast<OBJ_TYPE *>(entry));
		}
	};
}


/**
 * Object pool, finds objects by the badge of their capability
 *
 * The pool knows its objects by the slot of their capability. So nothing here
 * changes when a monitor rewrites badges. Looking up an object takes no lock.
 *
 * An object that was looked up is pinned, which defers its destruction, and
 * is then used under its own lock. Both ends together with the functor, also
 * if that throws.
 *
 * \param OBJ_TYPE  object type, derived from 'Object_pool::Entry'
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename OBJ_TYPE, typename PLATFORM>
class Base_foc::Object_pool
{
	public:

		class Entry;

	private:

		using Untyped_capability = typename PLATFORM::Untyped_capability;

		Cap_map::Pool _pool { };

		Object_pool(Object_pool const &);
		Object_pool &operator = (Object_pool const &);

		static Cap_map::Owner _owner() { return PLATFORM::cap_space().owner(); }

		/**
		 * Entry whose destruction waits
		 */
		struct Pinned
		{
			Entry * const entry;

			Pinned(Cap_map::Node *node) : entry(static_cast<Entry *>(node)) { }

			Pinned(Pinned const &)              = delete;
			Pinned &operator = (Pinned const &) = delete;

			~Pinned() { if (entry) entry->_node().release(); }
		};

		/**
		 * Pinned entry that is used by nobody else
		 */
		struct Locked
		{
			Entry * const entry;

			Locked(Pinned const &pinned) : entry(_locked(pinned.entry)) { }

			Locked(Locked const &)              = delete;
			Locked &operator = (Locked const &) = delete;

			~Locked() { if (entry) entry->_mutex.release(); }
		};

		/**
		 * Return entry with its lock held, or nullptr if there is no such
		 * entry or it went away while this thread waited for the lock
		 */
		static Entry *_locked(Entry *entry)
		{
			if (!entry)
				return nullptr;

			entry->_mutex.acquire();
			if (!entry->_gone)
				return entry;

			entry->_mutex.release();
			return nullptr;
		}

		template <typename TO>
		static TO _object(Entry *entry)
		{
			using Cast = typename PLATFORM::Object_cast;

			return entry ? Cast::template cast<TO, OBJ_TYPE>(entry) : nullptr;
		}

		/**
		 * Return slot that an object with the given capability is filed under
		 *
		 * The slot of the null selector never carries a badge. It keeps the
		 * objects that have no capability: members that nobody looks up.
		 */
		static uint32_t _slot(Untyped_capability const &cap)
		{
			return Cap_index<PLATFORM>(cap).slot();
		}

		/**
		 * Return node of the object with the given capability, or nullptr
		 *
		 * The capability holds its slot, and the slot leads to the object. A
		 * detour by the badge would reach another object if a monitor swapped
		 * badges meanwhile. Without a badge, a capability is not found.
		 */
		Cap_map::Node *_acquire(Untyped_capability const &cap)
		{
			if (!cap.data())
				return nullptr;

			uint32_t const slot = _slot(cap);

			Cap_map::Entry entry { CAP_MAP_STATE_FREE, 0 };
			if (!Cap_map::ok(_owner().entry(slot, entry))
			 || entry.state != CAP_MAP_STATE_USED)
				return nullptr;

			return _pool.acquire_slot(_owner(), slot);
		}

		/**
		 * Call functor with the object of a pinned entry, or with nullptr
		 */
		template <typename FN>
		static auto _call(Pinned const &pinned, FN const &fn)
		-> decltype(functor_result(&FN::operator ()))
		{
			using Argument = decltype(functor_argument(&FN::operator ()));

			Locked const locked(pinned);

			return fn(_object<Argument>(locked.entry));
		}

		bool _remove(Entry &entry)
		{
			if (!Cap_map::ok(_pool.remove(_owner(), entry._node())))
				return false;

			entry._unclaim();
			return true;
		}

	public:

		Object_pool() { }

		/**
		 * Destructor leaves the objects alone, but forgets them
		 */
		~Object_pool()
		{
			for (;;) {
				Pinned const pinned(_pool.first());
				if (!pinned.entry)
					return;

				_remove(*pinned.entry);
			}
		}

		/**
		 * Return true if the pool has no objects
		 */
		bool empty() { return !Pinned(_pool.first()).entry; }

		/**
		 * Let the object be found by its capability
		 *
		 * It stays filed under that capability until it is removed. Nothing
		 * happens if it is in a pool already.
		 */
		void insert(OBJ_TYPE *obj)
		{
			Entry &entry = *obj;

			if (!entry._claim(this))
				return;

			/* if 'remove_all' has passed by, nobody else looks at it any more */
			if (entry._gone)
				entry._gone = false;

			if (!Cap_map::ok(_pool.insert(_owner(), entry._node(),
			                              _slot(entry._cap))))
				entry._unclaim();
		}

		/**
		 * Let the object not be found any more
		 *
		 * Current users are not waited for.
		 */
		void remove(OBJ_TYPE *obj) { _remove(*obj); }

		/**
		 * Apply functor to the object for the given badge
		 *
		 * The functor is called with a nullptr if there is none. It is called
		 * without any lock held but that of the object. It must not destroy the
		 * object: the destructor waits for the functor to end. It acquires the
		 * lock of the object, so a 'PLATFORM::Mutex' that knows its holder can
		 * report this mistake. With any other one, the thread waits for ever.
		 */
		template <typename FN>
		auto apply(unsigned long badge, FN const &fn)
		-> decltype(functor_result(&FN::operator ()))
		{
			bool const in_range = (badge == uint32_t(badge));

			Pinned const pinned(in_range ? _pool.acquire(_owner(), uint32_t(badge))
			                             : nullptr);

			return _call(pinned, fn);
		}

		/**
		 * Apply functor to the object with the given capability
		 *
		 * The badge of a past object may be that of another object by now. A
		 * capability for the past one does not lead to the other, and a
		 * capability leads to its object whatever becomes of badges meanwhile.
		 */
		template <typename FN>
		auto apply(Untyped_capability cap, FN const &fn)
		-> decltype(functor_result(&FN::operator ()))
		{
			Pinned const pinned(_acquire(cap));

			return _call(pinned, fn);
		}

		/**
		 * Remove all objects, and apply functor to each
		 *
		 * Each object is passed to the functor without any lock held, when
		 * nobody uses it any more. The functor may destroy it.
		 */
		template <typename FN>
		void remove_all(FN const &fn)
		{
			for (;;) {

				Entry *entry = nullptr;
				bool   ours  = false;

				{
					Pinned const pinned(_pool.first());
					if (!pinned.entry)
						return;

					/* somebody else may remove it at the same time */
					entry = pinned.entry;
					ours  = _remove(*entry);
				}

				if (!ours)
					continue;

				entry->_wait_for_users();

				fn(static_cast<OBJ_TYPE *>(entry));
			}
		}
};


/**
 * Base of the objects in a pool
 */
template <typename OBJ_TYPE, typename PLATFORM>
class Base_foc::Object_pool<OBJ_TYPE, PLATFORM>::Entry : private Cap_map::Node
{
	private:

		friend class Object_pool;

		Untyped_capability       _cap          { };
		typename PLATFORM::Mutex _mutex        { };
		Object_pool             *_current_pool { nullptr };
		bool                     _gone         { false };

		Entry(Entry const &);
		Entry &operator = (Entry const &);

		Cap_map::Node &_node() { return *this; }

		bool _claim(Object_pool *pool)
		{
			Object_pool *expected = nullptr;
			return __atomic_compare_exchange_n(&_current_pool, &expected, pool,
			                                   false, __ATOMIC_ACQ_REL,
			                                   __ATOMIC_ACQUIRE);
		}

		void _unclaim()
		{
			__atomic_store_n(&_current_pool, (Object_pool *)nullptr,
			                 __ATOMIC_RELEASE);
		}

		/**
		 * Wait until nobody uses the object any more
		 *
		 * The object has left its pool. The user that is at it is waited for
		 * at the lock, where waiting costs no processor time. Those who queue
		 * there find the object gone, so the remaining wait is short.
		 */
		void _wait_for_users()
		{
			_mutex.acquire();
			_gone = true;
			_mutex.release();

			_node().drain();
		}

	public:

		Entry() { }

		Entry(Untyped_capability cap) : _cap(cap) { }

		/**
		 * Destructor waits for users of the object
		 */
		virtual ~Entry()
		{
			Object_pool * const pool =
				__atomic_load_n(&_current_pool, __ATOMIC_ACQUIRE);

			if (pool)
				pool->_remove(*this);

			_wait_for_users();
		}

		/**
		 * Assign capability, to be done while the object is in no pool
		 */
		void cap(Untyped_capability c) { _cap = c; }

		Untyped_capability const cap() const { return _cap; }
};

#endif /* _BASE_FOC__OBJECT_POOL_H_ */
