/*
 * \brief  Object pool that finds its entries by capability slot
 * \date   2026-11-22
 *
 * On Fiasco.OC, local names are badges, which are subject to change when a
 * component is restored from a checkpoint. So a pool does not know badges at
 * all. The badge of a request leads to a slot of the capability space, and the
 * slot to the entry. The lookup takes no lock.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, in Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <util/construct_at.h>
#include <base/object_pool.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

using namespace Genode;

using Entry = Object_pool_base::Entry;

namespace {

	/**
	 * Part of an entry, with the pool that it is filed in, or nullptr
	 */
	struct Node : Cap_map::Node
	{
		Object_pool_base *_pool = nullptr;

		Node() { }

		Object_pool_base *pool() const { return __atomic_load_n(&_pool, __ATOMIC_ACQUIRE); }

		void pool(Object_pool_base *p) { __atomic_store_n(&_pool, p, __ATOMIC_RELEASE); }
	};

	template <typename T>
	T &state(Object_pool_state &memory)
	{
		static_assert(sizeof(T) <= sizeof(memory.bytes),
		              "object-pool state exceeds reserved memory");

		return *reinterpret_cast<T *>(memory.bytes);
	}

	Object_pool_state &memory(Cap_map::Node &node)
	{
		return *reinterpret_cast<Object_pool_state *>(static_cast<Node *>(&node));
	}

	Cap_map::Owner table() { return Foc_cap_platform::cap_space().owner(); }

	/**
	 * Return slot that an entry is filed under
	 *
	 * The slot 0 never carries a badge. So an entry without a capability is a
	 * member of its pool that nobody finds.
	 */
	unsigned slot(Untyped_capability const &cap)
	{
		return cap.data() ? cap.data()->slot() : 0;
	}

	bool withdraw(Cap_map::Pool &pool, Node &node)
	{
		if (!Cap_map::ok(pool.remove(table(), node)))
			return false;

		node.pool(nullptr);
		return true;
	}
}


void Entry::_construct() { construct_at<Node>(_state_of(*this).bytes); }


void Entry::_destruct()
{
	Node &node = state<Node>(_state_of(*this));

	if (Object_pool_base * const pool = node.pool())
		pool->_remove_entry(*this);

	/* complains if the object is destructed by its user */
	{ Mutex::Guard guard(_lock); }

	/* wait for those who have found the entry but not used it yet */
	node.drain();
}


Object_pool_base::Object_pool_base() { construct_at<Cap_map::Pool>(_state.bytes); }


Object_pool_base::~Object_pool_base()
{
	Cap_map::Pool &pool = state<Cap_map::Pool>(_state);

	while (Cap_map::Node * const node = pool.first()) {
		(void)withdraw(pool, *static_cast<Node *>(node));
		node->release();
	}
}


void Object_pool_base::_insert_entry(Entry &entry)
{
	Node &node = state<Node>(Entry::_state_of(entry));

	if (node.pool())
		return;

	/* known before the entry can be found */
	node.pool(this);

	Cap_map::Status const status =
		state<Cap_map::Pool>(_state).insert(table(), node, slot(entry._cap));

	if (!Cap_map::ok(status)) {
		error("unable to insert object into pool: ", Cap_map::message(status));
		node.pool(nullptr);
	}
}


void Object_pool_base::_remove_entry(Entry &entry)
{
	(void)withdraw(state<Cap_map::Pool>(_state), state<Node>(Entry::_state_of(entry)));
}


Entry *Object_pool_base::_pop_entry()
{
	Cap_map::Pool &pool = state<Cap_map::Pool>(_state);

	while (Cap_map::Node * const node = pool.first()) {

		/* somebody else may remove the entry at the same time */
		bool const removed = withdraw(pool, *static_cast<Node *>(node));

		Entry &entry = Entry::_entry_of(memory(*node));

		node->release();

		if (!removed)
			continue;

		/* wait for the current user, and those who have found the entry */
		{ Mutex::Guard guard(entry._lock); }
		node->drain();

		return &entry;
	}
	return nullptr;
}


Entry *Object_pool_base::_lock_entry(unsigned long local_name)
{
	unsigned const badge = unsigned(local_name);
	if (badge != local_name)
		return nullptr;

	Cap_map::Node * const node = state<Cap_map::Pool>(_state).acquire(table(), badge);
	if (!node)
		return nullptr;

	Entry &entry = Entry::_entry_of(memory(*node));

	entry._lock.acquire();

	/* removed while waiting for another user, its destruction may be under way */
	if (static_cast<Node *>(node)->pool() != this) {
		_unlock_entry(entry);
		return nullptr;
	}
	return &entry;
}


void Object_pool_base::_unlock_entry(Entry &entry)
{
	entry._lock.release();
	state<Node>(Entry::_state_of(entry)).release();
}


bool Object_pool_base::_no_entries()
{
	Cap_map::Node * const node = state<Cap_map::Pool>(_state).first();

	if (node)
		node->release();

	return !node;
}
