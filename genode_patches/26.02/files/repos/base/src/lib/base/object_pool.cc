/*
 * \brief  Object pool that keeps its entries in a tree, ordered by local name
 * \date   2026-11-22
 *
 * This implementation suits kernels where the local name of a capability never
 * changes.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <util/avl_tree.h>
#include <util/construct_at.h>
#include <base/blockade.h>
#include <base/object_pool.h>

using namespace Genode;

using Entry = Object_pool_base::Entry;

namespace {

	struct Pool;

	/**
	 * Part of an entry, unused while the entry is in no pool
	 *
	 * The users of an entry are those who hold or wait for its lock. They are
	 * counted by the pool that they found the entry in, and that is in use for
	 * as long as they are.
	 */
	struct Node : Avl_node<Node>
	{
		unsigned long local_name = 0;
		unsigned      users      = 0;       /* changed under lock of 'pool' */
		Pool         *pool       = nullptr; /* where it was inserted last   */
		bool          filed      = false;   /* changed under lock of 'pool' */
		Blockade     *unused     = nullptr; /* of the thread that waits     */

		/*
		 * Noncopyable
		 */
		Node(Node const &);
		Node &operator = (Node const &);

		Node() { }

		/**
		 * Avl_node interface
		 */
		bool higher(Node *other) { return other->local_name > local_name; }

		Node *find(unsigned long name)
		{
			if (name == local_name)
				return this;

			Node * const next = child(name > local_name);
			return next ? next->find(name) : nullptr;
		}

		inline void wait_until_unused();

		bool in_use() const { return __atomic_load_n(&users, __ATOMIC_ACQUIRE); }
		bool is_filed() const { return __atomic_load_n(&filed, __ATOMIC_ACQUIRE); }

		void set_users(unsigned n) { __atomic_store_n(&users, n, __ATOMIC_RELEASE); }
		void set_filed(bool value) { __atomic_store_n(&filed, value, __ATOMIC_RELEASE); }
	};

	struct Pool : Noncopyable
	{
		Mutex          mutex { };
		Avl_tree<Node> nodes { };

		/* to be called with the mutex held */
		void withdraw(Node &node)
		{
			nodes.remove(&node);
			node.set_filed(false);
		}
	};

	template <typename T>
	T &state(Object_pool_state &memory)
	{
		static_assert(sizeof(T) <= sizeof(memory.bytes),
		              "object-pool state exceeds reserved memory");

		return *reinterpret_cast<T *>(memory.bytes);
	}

	Object_pool_state &memory(Node &node)
	{
		return *reinterpret_cast<Object_pool_state *>(&node);
	}
}


void Node::wait_until_unused()
{
	/* an unused entry may outlive its pool */
	if (!in_use())
		return;

	Blockade blockade { };
	{
		Mutex::Guard guard(pool->mutex);

		if (!in_use())
			return;

		unused = &blockade;
	}
	blockade.block();
}


void Entry::_construct() { construct_at<Node>(_state_of(*this).bytes); }


void Entry::_destruct()
{
	Node &node = state<Node>(_state_of(*this));

	if (node.is_filed()) {
		Mutex::Guard guard(node.pool->mutex);

		if (node.is_filed())
			node.pool->withdraw(node);
	}

	/* complains if the object is destructed by its user */
	{ Mutex::Guard guard(_lock); }

	node.wait_until_unused();
}


Object_pool_base::Object_pool_base() { construct_at<Pool>(_state.bytes); }


Object_pool_base::~Object_pool_base()
{
	Pool &pool = state<Pool>(_state);

	Mutex::Guard guard(pool.mutex);

	while (Node * const node = pool.nodes.first())
		pool.withdraw(*node);
}


void Object_pool_base::_insert_entry(Entry &entry)
{
	Pool &pool = state<Pool>(_state);
	Node &node = state<Node>(Entry::_state_of(entry));

	if (node.is_filed())
		return;

	/* users are counted by one pool at a time */
	if (node.pool != &pool)
		node.wait_until_unused();

	Mutex::Guard guard(pool.mutex);

	node.pool       = &pool;
	node.local_name = entry._cap.local_name();

	pool.nodes.insert(&node);
	node.set_filed(true);
}


void Object_pool_base::_remove_entry(Entry &entry)
{
	Pool &pool = state<Pool>(_state);
	Node &node = state<Node>(Entry::_state_of(entry));

	Mutex::Guard guard(pool.mutex);

	if (node.is_filed() && node.pool == &pool)
		pool.withdraw(node);
}


Entry *Object_pool_base::_pop_entry()
{
	Pool &pool = state<Pool>(_state);
	Node *node = nullptr;
	{
		Mutex::Guard guard(pool.mutex);

		node = pool.nodes.first();
		if (!node)
			return nullptr;

		pool.withdraw(*node);
	}
	node->wait_until_unused();

	return &Entry::_entry_of(memory(*node));
}


Entry *Object_pool_base::_lock_entry(unsigned long local_name)
{
	Pool &pool = state<Pool>(_state);
	Node *node = nullptr;
	{
		Mutex::Guard guard(pool.mutex);

		node = pool.nodes.first() ? pool.nodes.first()->find(local_name) : nullptr;
		if (!node)
			return nullptr;

		node->set_users(node->users + 1);
	}

	Entry &entry = Entry::_entry_of(memory(*node));

	entry._lock.acquire();

	/* removed while waiting for another user, its destruction may be under way */
	if (!node->is_filed()) {
		_unlock_entry(entry);
		return nullptr;
	}
	return &entry;
}


void Object_pool_base::_unlock_entry(Entry &entry)
{
	Pool &pool = state<Pool>(_state);
	Node &node = state<Node>(Entry::_state_of(entry));

	entry._lock.release();

	Mutex::Guard guard(pool.mutex);

	/* the node may vanish as soon as it has no users */
	Blockade * const blockade = (node.users == 1) ? node.unused : nullptr;

	if (blockade)
		node.unused = nullptr;

	node.set_users(node.users - 1);

	if (blockade)
		blockade->wakeup();
}


bool Object_pool_base::_no_entries()
{
	Pool &pool = state<Pool>(_state);

	Mutex::Guard guard(pool.mutex);

	return !pool.nodes.first();
}
