/*
 * \brief  Capability maps as AVL tree and as list, object pool as AVL tree
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <new>
#include <stdint.h>
#include "slots.h"

/*
 * Textbook AVL tree with parent pointers, after Knuth, The Art of Computer
 * Programming 3, section 6.2.3, in the form that keeps heights in the nodes.
 */

namespace Bench {

	template <typename> struct Avl_links;
	template <typename> class Avl_tree;
}


template <typename NODE>
struct Bench::Avl_links
{
	NODE   *child[2] { nullptr, nullptr };
	NODE   *parent   { nullptr };
	uint8_t height   { 1 };
};


/**
 * NODE derives from Avl_links<NODE> and has 'uint32_t key() const'
 */
template <typename NODE>
class Bench::Avl_tree
{
	private:

		NODE *_root = nullptr;

		static int _height(NODE const *node) { return node ? node->height : 0; }

		static int _balance(NODE const &node)
		{
			return _height(node.child[1]) - _height(node.child[0]);
		}

		static void _update(NODE &node)
		{
			int const left = _height(node.child[0]), right = _height(node.child[1]);
			node.height = uint8_t(1 + (left > right ? left : right));
		}

		/**
		 * Let 'parent', or the tree, refer to 'with' instead of 'node'
		 */
		void _replace(NODE *parent, NODE const *node, NODE *with)
		{
			if (parent)
				parent->child[parent->child[1] == node] = with;
			else
				_root = with;
			if (with)
				with->parent = parent;
		}

		/**
		 * Rotate the child on 'side' above 'node'
		 */
		NODE &_rotate(NODE &node, int side)
		{
			NODE &up = *node.child[side];
			NODE * const between = up.child[!side];
			_replace(node.parent, &node, &up);
			node.child[side] = between;
			if (between)
				between->parent = &node;
			up.child[!side] = &node;
			node.parent = &up;
			_update(node);
			_update(up);
			return up;
		}

		void _rebalance(NODE *node)
		{
			for (; node; node = node->parent) {
				int const before = node->height;
				_update(*node);
				int const balance = _balance(*node);
				if (balance > 1 || balance < -1) {
					int const side = balance > 1;
					int const inner = _balance(*node->child[side]);
					if (side ? inner < 0 : inner > 0)
						_rotate(*node->child[side], !side);
					node = &_rotate(*node, side);
				}
				else if (node->height == before)
					return;
			}
		}

	public:

		NODE *first() const { return _root; }

		NODE *find(uint32_t key) const
		{
			NODE *node = _root;
			while (node) {
				uint32_t const found = node->key();
				if (found == key)
					break;
				node = node->child[found < key];
			}
			return node;
		}

		void insert(NODE &node)
		{
			uint32_t const key = node.key();
			NODE *parent = nullptr;
			int side = 0;
			for (NODE *at = _root; at; at = at->child[side]) {
				parent = at;
				side   = at->key() < key;
			}
			node.child[0] = node.child[1] = nullptr;
			node.parent   = parent;
			node.height   = 1;
			if (parent)
				parent->child[side] = &node;
			else
				_root = &node;
			_rebalance(parent);
		}

		void remove(NODE &node)
		{
			NODE *from = node.parent;
			if (node.child[0] && node.child[1]) {
				NODE *next = node.child[1];
				while (next->child[0])
					next = next->child[0];
				from = (next->parent == &node) ? next : next->parent;
				_replace(next->parent, next, next->child[1]);
				next->child[0] = node.child[0];
				next->child[1] = node.child[1];
				next->height   = node.height;
				next->child[0]->parent = next;
				if (next->child[1])
					next->child[1]->parent = next;
				_replace(node.parent, &node, next);
			}
			else
				_replace(from, &node, node.child[node.child[0] == nullptr]);
			_rebalance(from);
		}
};


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
