/*
 * \brief  Capability maps as AVL tree and as list, object pool as AVL tree
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <new>
#include "avl_tree.h"
#include "slots.h"

namespace Bench {

	template <unsigned> struct Avl_record;
	template <unsigned> struct Avl_index;
	class Avl_pool;

	struct List_record;
	class  List_index;
}


/**
 * Record of a slot: 40 bytes in components, 56 in core (two more pointers)
 */
template <unsigned EXTRA>
struct Bench::Avl_record : Avl_links<Avl_record<EXTRA>>
{
	uint8_t  references { 0 };
	uint32_t badge      { UNUSED };
	void    *more[EXTRA] { };

	uint32_t key() const { return badge; }
};

static_assert(sizeof(Bench::Avl_record<1>) == 40, "record of a component");
static_assert(sizeof(Bench::Avl_record<3>) == 56, "record of core");


template <unsigned EXTRA>
struct Bench::Avl_index : Avl_tree<Avl_record<EXTRA>>
{
	using Record = Avl_record<EXTRA>;
};


using Component = Bench::Map<Bench::Avl_index<1>>;
using Core      = Bench::Map<Bench::Avl_index<3>>;


/**
 * Object pool, ordered by the badge that an entry's capability leads to
 */
class Bench::Avl_pool
{
	public:

		struct Capability { uint32_t const *badge; };

		struct Entry : Avl_links<Entry>
		{
			Capability cap   { nullptr };
			uint32_t   users { 0 };

			uint32_t key() const { return __atomic_load_n(cap.badge, __ATOMIC_RELAXED); }
		};

	private:

		Spin_lock       _mutex { };
		Avl_tree<Entry> _tree  { };

	public:

		void insert(Entry &entry)
		{
			Lock_guard guard(_mutex);
			_tree.insert(entry);
		}

		void remove(Entry &entry)
		{
			Lock_guard guard(_mutex);
			_tree.remove(entry);
		}

		/**
		 * Keep the object alive beyond the mutex, as a weak pointer does
		 */
		Entry *acquire(uint32_t badge)
		{
			Lock_guard guard(_mutex);
			Entry * const entry = _tree.find(badge);
			if (entry)
				__atomic_fetch_add(&entry->users, 1, __ATOMIC_RELAXED);
			return entry;
		}
};


using Pool = Bench::Avl_pool;


static Pool &pool_of(cap_map_pool const *pool)
{
	return *reinterpret_cast<Pool *>(const_cast<cap_map_pool *>(pool));
}


static Pool::Entry &entry_of(cap_map_node const *node)
{
	return *reinterpret_cast<Pool::Entry *>(const_cast<cap_map_node *>(node));
}


static cap_map_pool *create_pool() { return reinterpret_cast<cap_map_pool *>(new Pool()); }


static void destroy_pool(cap_map_pool *pool) { delete &pool_of(pool); }


/* memory of a node as the benchmark provides it */
static_assert(sizeof(Pool::Entry) <= 64, "node memory");


template <typename MAP>
static cap_map_status insert_object(cap_map_pool const *pool, cap_map_owner const *owner,
                                    cap_map_node *node, uint32_t slot)
{
	MAP &map = Bench::Interface<MAP>::map(owner);
	Pool::Entry &entry = *new (node) Pool::Entry();
	entry.cap.badge = &map.slots().at(slot).badge;
	pool_of(pool).insert(entry);
	return CAP_MAP_STATUS_OK;
}


static cap_map_status remove_object(cap_map_pool const *pool, cap_map_owner const *,
                                    cap_map_node const *node)
{
	pool_of(pool).remove(entry_of(node));
	return CAP_MAP_STATUS_OK;
}


static cap_map_node *acquire_object(cap_map_pool const *pool, cap_map_owner const *,
                                    uint32_t badge)
{
	return reinterpret_cast<cap_map_node *>(pool_of(pool).acquire(badge));
}


static cap_map_status release_object(cap_map_node const *node)
{
	__atomic_fetch_sub(&entry_of(node).users, 1, __ATOMIC_RELEASE);
	return CAP_MAP_STATUS_OK;
}


template <typename MAP>
static constexpr bench_pool_ops pool_ops()
{
	return { insert_object<MAP>, remove_object, acquire_object, release_object,
	         create_pool, destroy_pool };
}


/**
 * Record of a slot in a linked list
 */
struct Bench::List_record
{
	List_record *next       { nullptr };
	uint8_t      references { 0 };
	uint32_t     badge      { UNUSED };
};


class Bench::List_index
{
	private:

		List_record *_first = nullptr;

	public:

		using Record = List_record;

		Record *find(uint32_t badge) const
		{
			Record *record = _first;
			while (record && record->badge != badge)
				record = record->next;
			return record;
		}

		void insert(Record &record)
		{
			record.next = _first;
			_first      = &record;
		}

		void remove(Record &record)
		{
			Record **link = &_first;
			while (*link && *link != &record)
				link = &(*link)->next;
			if (*link)
				*link = record.next;
		}
};


using List = Bench::Map<Bench::List_index>;


extern "C" {
	extern bench_map_ops  const avl_map_ops       = Bench::Interface<Component>::ops();
	extern bench_map_ops  const avl_core_map_ops  = Bench::Interface<Core>::ops();
	extern bench_map_ops  const list_map_ops      = Bench::Interface<List>::ops();
	extern bench_pool_ops const avl_pool_ops      = pool_ops<Component>();
	extern bench_pool_ops const avl_core_pool_ops = pool_ops<Core>();
}
