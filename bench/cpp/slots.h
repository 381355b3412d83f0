/*
 * \brief  What the C++ baselines share: functions, spin lock, records, free slots
 *
 * The cost profile is the one described in doc/performance.md: an array of
 * records in which the address encodes the slot, a scan for free slots from
 * the first user slot on at each allocation, spin locks, and reference counts
 * under a lock that serves all records.
 */

/*
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _SLOTS_H_
#define _SLOTS_H_

#include "cap_map.h"

/*
 * Functions of a map or an object pool, with the signatures of cap_map.h
 *
 * The benchmark calls every subject through such a table, ours included.
 * The same structures are declared in src/ops.rs.
 */

struct bench_map_ops
{
	cap_map_status (*find)      (cap_map_owner const *, uint32_t badge, uint32_t *slot);
	cap_map_status (*insert)    (cap_map_owner const *, uint32_t badge, uint32_t *slot);
	cap_map_status (*insert_at) (cap_map_owner const *, uint32_t badge, uint32_t slot);
	cap_map_status (*insert_map)(cap_map_owner const *, uint32_t badge, size_t selector,
	                             cap_map_kernel const *, uint32_t *slot);
	cap_map_status (*remove)    (cap_map_owner const *, uint32_t slot);
	cap_map_status (*alloc)     (cap_map_owner const *, uint32_t count, uint32_t *first);
	cap_map_status (*free)      (cap_map_owner const *, uint32_t first, uint32_t count);
	cap_map_status (*acquire)   (cap_map_owner const *, uint32_t slot);
	cap_map_status (*release)   (cap_map_owner const *, uint32_t slot, bool *last,
	                             uint32_t *badge);
	cap_map_owner *(*create)    (uint32_t capacity, uint32_t first_user);
	void           (*destroy)   (cap_map_owner *);
};

struct bench_pool_ops
{
	cap_map_status (*insert)   (cap_map_pool const *, cap_map_owner const *,
	                            cap_map_node *, uint32_t slot);
	cap_map_status (*remove)   (cap_map_pool const *, cap_map_owner const *,
	                            cap_map_node const *);
	cap_map_node  *(*acquire)  (cap_map_pool const *, cap_map_owner const *, uint32_t badge);
	cap_map_status (*release)  (cap_map_node const *);
	cap_map_pool  *(*create)   ();
	void           (*destroy)  (cap_map_pool *);
};

namespace Bench {

	class Spin_lock;
	class Lock_guard;
	struct Reference_lock;
	template <typename> class Slots;
	template <typename> struct Interface;

	enum : uint32_t { UNUSED = 0, RESERVED = ~0U };
	enum : uint8_t  { MAX_REFERENCES = 255 };
}


class Bench::Spin_lock
{
	private:

		int _taken = 0;

	public:

		void lock()
		{
			int open = 0;
			while (!__atomic_compare_exchange_n(&_taken, &open, 1, false,
			                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
				open = 0;
				cap_map_relax();
			}
		}

		void unlock() { __atomic_store_n(&_taken, 0, __ATOMIC_RELEASE); }
};


class Bench::Lock_guard
{
	private:

		Spin_lock &_lock;

	public:

		Lock_guard(Spin_lock &lock) : _lock(lock) { _lock.lock(); }

		~Lock_guard() { _lock.unlock(); }

		Lock_guard(Lock_guard const &) = delete;
		Lock_guard &operator = (Lock_guard const &) = delete;
};


/**
 * The lock of all reference counts, alone on its cache line
 */
struct alignas(64) Bench::Reference_lock
{
	static Spin_lock &lock() { static Reference_lock instance { }; return instance._lock; }

	Spin_lock _lock { };
};


/**
 * Array of records and the allocation of slots in it
 *
 * A record has the members 'badge' and 'references'.
 */
template <typename RECORD>
class Bench::Slots
{
	private:

		Spin_lock      _lock { };
		RECORD * const _records;
		uint32_t const _capacity;
		uint32_t const _first_user;

	public:

		Slots(uint32_t capacity, uint32_t first_user)
		:
			_records(new RECORD[capacity]()), _capacity(capacity), _first_user(first_user)
		{ }

		~Slots() { delete [] _records; }

		Slots(Slots const &) = delete;
		Slots &operator = (Slots const &) = delete;

		uint32_t capacity() const { return _capacity; }

		RECORD &at(uint32_t slot) { return _records[slot]; }

		uint32_t slot(RECORD const &record) const { return uint32_t(&record - _records); }

		/**
		 * Allocate 'count' consecutive slots, first fit
		 */
		cap_map_status alloc(uint32_t count, uint32_t &first)
		{
			Lock_guard guard(_lock);

			uint32_t free = 0;
			for (uint32_t slot = _first_user; slot < _capacity; slot++) {
				free = (_records[slot].badge == UNUSED) ? free + 1 : 0;
				if (free < count)
					continue;
				first = slot + 1 - count;
				for (uint32_t i = first; i <= slot; i++) {
					_records[i].badge      = RESERVED;
					_records[i].references = 0;
				}
				return CAP_MAP_STATUS_OK;
			}
			return CAP_MAP_STATUS_OUT_OF_SLOTS;
		}

		cap_map_status free(uint32_t first, uint32_t count)
		{
			if (first >= _capacity || count > _capacity - first)
				return CAP_MAP_STATUS_BAD_SLOT;

			Lock_guard guard(_lock);

			for (uint32_t i = first; i < first + count; i++)
				_records[i] = RECORD { };
			return CAP_MAP_STATUS_OK;
		}

		void acquire(RECORD &record)
		{
			Lock_guard guard(Reference_lock::lock());
			if (record.references < MAX_REFERENCES)
				record.references++;
		}

		/**
		 * Give a reference back, return whether it was the last one
		 */
		bool release(RECORD &record)
		{
			Lock_guard guard(Reference_lock::lock());
			return record.references && --record.references == 0;
		}
};


namespace Bench {

	/**
	 * The interface of a map in terms of an index over records
	 *
	 * INDEX has Record, find(badge), insert(Record &), remove(Record &). Every
	 * access to it is under one spin lock.
	 */
	template <typename INDEX>
	class Map
	{
		private:

			using Record = typename INDEX::Record;

			Spin_lock     _lock { };
			INDEX         _index { };
			Slots<Record> _slots;

			cap_map_status _enter(Record &record, uint32_t badge)
			{
				if (_index.find(badge))
					return CAP_MAP_STATUS_EXISTS;
				record.badge = badge;
				_index.insert(record);
				return CAP_MAP_STATUS_OK;
			}

		public:

			Map(uint32_t capacity, uint32_t first_user) : _slots(capacity, first_user) { }

			Slots<Record> &slots() { return _slots; }

			cap_map_status find(uint32_t badge, uint32_t &slot)
			{
				Lock_guard guard(_lock);
				Record * const record = _index.find(badge);
				if (!record)
					return CAP_MAP_STATUS_NOT_FOUND;
				slot = _slots.slot(*record);
				return CAP_MAP_STATUS_OK;
			}

			cap_map_status insert(uint32_t badge, uint32_t &slot)
			{
				Lock_guard guard(_lock);
				uint32_t first = 0;
				cap_map_status const status = _slots.alloc(1, first);
				if (status != CAP_MAP_STATUS_OK)
					return status;
				cap_map_status const entered = _enter(_slots.at(first), badge);
				if (entered != CAP_MAP_STATUS_OK)
					_slots.free(first, 1);
				slot = first;
				return entered;
			}

			cap_map_status insert_at(uint32_t badge, uint32_t slot)
			{
				Lock_guard guard(_lock);
				if (slot >= _slots.capacity() || _slots.at(slot).badge != UNUSED)
					return CAP_MAP_STATUS_BAD_SLOT;
				return _enter(_slots.at(slot), badge);
			}

			/**
			 * Find the record of a badge and compare it, as records are removed
			 */
			cap_map_status remove(uint32_t slot)
			{
				if (slot >= _slots.capacity())
					return CAP_MAP_STATUS_BAD_SLOT;

				Lock_guard guard(_lock);
				Record &record = _slots.at(slot);
				if (_index.find(record.badge) == &record)
					_index.remove(record);
				return _slots.free(slot, 1);
			}

			cap_map_status insert_map(uint32_t badge, size_t selector,
			                          cap_map_kernel const &kernel, uint32_t &slot)
			{
				Lock_guard guard(_lock);
				if (Record * const record = _index.find(badge)) {
					slot = _slots.slot(*record);
					if (!kernel.equal(kernel.context, size_t(slot) << 12, selector))
						return CAP_MAP_STATUS_FORGED;
					_slots.acquire(*record);
					return CAP_MAP_STATUS_OK;
				}
				cap_map_status const status = _slots.alloc(1, slot);
				if (status != CAP_MAP_STATUS_OK)
					return status;
				Record &record = _slots.at(slot);
				record.badge = badge;
				_index.insert(record);
				_slots.acquire(record);
				return kernel.map(kernel.context, selector, size_t(slot) << 12)
				     ? CAP_MAP_STATUS_OK : CAP_MAP_STATUS_MAP_FAILED;
			}

			cap_map_status acquire(uint32_t slot)
			{
				if (slot >= _slots.capacity())
					return CAP_MAP_STATUS_BAD_SLOT;
				_slots.acquire(_slots.at(slot));
				return CAP_MAP_STATUS_OK;
			}

			cap_map_status release(uint32_t slot, bool &last, uint32_t &badge)
			{
				if (slot >= _slots.capacity())
					return CAP_MAP_STATUS_BAD_SLOT;
				Record &record = _slots.at(slot);
				last = _slots.release(record);
				if (!last)
					return CAP_MAP_STATUS_OK;

				Lock_guard guard(_lock);
				badge = record.badge;
				if (_index.find(badge) == &record)
					_index.remove(record);
				record.badge = RESERVED;
				return CAP_MAP_STATUS_OK;
			}
	};
}


/**
 * The functions of a map behind the C interface
 */
template <typename MAP>
struct Bench::Interface
{
	using Owner = cap_map_owner;

	static MAP &map(Owner const *owner)
	{
		return *reinterpret_cast<MAP *>(const_cast<Owner *>(owner));
	}

	static Owner *create(uint32_t capacity, uint32_t first_user)
	{
		return reinterpret_cast<Owner *>(new MAP(capacity, first_user));
	}

	static void destroy(Owner *o) { delete &map(o); }

	static cap_map_status find(Owner const *o, uint32_t badge, uint32_t *slot)
	{ return map(o).find(badge, *slot); }

	static cap_map_status insert(Owner const *o, uint32_t badge, uint32_t *slot)
	{ return map(o).insert(badge, *slot); }

	static cap_map_status insert_at(Owner const *o, uint32_t badge, uint32_t slot)
	{ return map(o).insert_at(badge, slot); }

	static cap_map_status insert_map(Owner const *o, uint32_t badge, size_t selector,
	                                 cap_map_kernel const *kernel, uint32_t *slot)
	{ return map(o).insert_map(badge, selector, *kernel, *slot); }

	static cap_map_status remove(Owner const *o, uint32_t slot)
	{ return map(o).remove(slot); }

	static cap_map_status alloc(Owner const *o, uint32_t count, uint32_t *first)
	{ return map(o).slots().alloc(count, *first); }

	static cap_map_status free(Owner const *o, uint32_t first, uint32_t count)
	{ return map(o).slots().free(first, count); }

	static cap_map_status acquire(Owner const *o, uint32_t slot)
	{ return map(o).acquire(slot); }

	static cap_map_status release(Owner const *o, uint32_t slot, bool *last, uint32_t *badge)
	{ return map(o).release(slot, *last, *badge); }

	static constexpr bench_map_ops ops()
	{
		return { find, insert, insert_at, insert_map, remove,
		         alloc, free, acquire, release, create, destroy };
	}
};

#endif /* _SLOTS_H_ */
