/*
 * \brief  Flat capability table, C++ interface
 *
 * Thin typed wrappers around the functions of cap_map.h. Nothing here
 * allocates, throws, or needs run-time type information. Everything is usable
 * in C++11.
 *
 * Longer than 450 lines because it wraps all functions of cap_map.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef CAP_MAP_HPP
#define CAP_MAP_HPP

#include <cap_map.h>
#include <cap_map_size.hpp>

namespace Cap_map {

	using Status   = ::cap_map_status;
	using State    = ::cap_map_state;
	using Config   = ::cap_map_config;
	using Kind     = ::cap_map_kind;
	using Header   = ::cap_map_header;
	using Stamp    = ::cap_map_stamp;
	using Snapshot = ::cap_map_snapshot;
	using Rewrite  = ::cap_map_rewrite;

	using Identity    = ::cap_map_identity;
	using Publication = ::cap_map_publication;

	/**
	 * Content of a slot, the badge is 0 if it carries none
	 */
	struct Entry
	{
		State    state;
		uint32_t badge;
	};

	/**
	 * Outcome of giving back a reference
	 *
	 * If 'last' is true, the slot has lost its badge and stays reserved until
	 * it is freed.
	 */
	struct Released
	{
		bool     last;
		uint32_t badge;
	};

	template <typename> class Kernel_adapter;

	class Owner;
	class Monitor;
	class Node;
	class Pool;

	inline bool ok(Status status) { return status == CAP_MAP_STATUS_OK; }

	inline char const *message(Status status)
	{
		return cap_map_status_message(uint32_t(status));
	}

	/**
	 * Let an identity have a label
	 *
	 * \return  'CAP_MAP_STATUS_BAD_LABEL' if it is too long, the identity stays as
	 *          it is then
	 */
	inline Status set_label(Identity &identity, char const *label, size_t length)
	{
		if (length > CAP_MAP_LABEL_BYTES)
			return CAP_MAP_STATUS_BAD_LABEL;

		for (size_t i = 0; i < CAP_MAP_LABEL_BYTES; i++)
			identity.label[i] = i < length ? uint8_t(label[i]) : 0;

		return CAP_MAP_STATUS_OK;
	}

	/**
	 * Leave an identity in zeroed memory that a component gets for its table
	 */
	inline Status prepare(void *memory, size_t size, Identity const &identity)
	{
		return cap_map_region_prepare(memory, size, &identity);
	}
}


/**
 * Kernel operations needed by 'Owner::insert_map', taken from an object
 *
 * \param KERNEL  type with the methods 'bool equal(size_t, size_t)',
 *                'bool valid(size_t)', 'bool map(size_t, size_t)', and
 *                'void vanished(size_t, uint32_t)', none of which throws
 */
template <typename KERNEL>
class Cap_map::Kernel_adapter
{
	private:

		::cap_map_kernel const _kernel;

		Kernel_adapter(Kernel_adapter const &);
		Kernel_adapter &operator = (Kernel_adapter const &);

		static KERNEL &_object(void *context)
		{
			return *static_cast<KERNEL *>(context);
		}

		static bool _equal(void *context, size_t a, size_t b) noexcept
		{
			return _object(context).equal(a, b);
		}

		static bool _valid(void *context, size_t selector) noexcept
		{
			return _object(context).valid(selector);
		}

		static bool _map(void *context, size_t from, size_t to) noexcept
		{
			return _object(context).map(from, to);
		}

		static void _vanished(void *context, size_t selector, uint32_t badge) noexcept
		{
			_object(context).vanished(selector, badge);
		}

	public:

		explicit Kernel_adapter(KERNEL &object)
		: _kernel{ &object, _equal, _valid, _map, _vanished } { }

		::cap_map_kernel const *kernel() const { return &_kernel; }
};


/**
 * Reference to a component's own table
 *
 * A default-constructed owner refers to no table: its operations return
 * 'CAP_MAP_STATUS_BAD_ARGUMENT'.
 */
class Cap_map::Owner
{
	private:

		::cap_map_owner *_owner;

	public:

		Owner() : _owner(nullptr) { }

		explicit Owner(::cap_map_owner *owner) : _owner(owner) { }

		::cap_map_owner *owner() const { return _owner; }

		bool valid() const { return _owner != nullptr; }

		/**
		 * Make an empty table
		 *
		 * \param memory  private memory of 'owner_bytes(config.max_slots)'
		 * \param region  memory of the slots, its size decides about the
		 *                capacity
		 *
		 * On failure, the owner keeps referring to what it referred to.
		 */
		Status create(void *memory, size_t size, void *region,
		              size_t region_size, Config const &config)
		{
			/* an archive of another version lacks this function */
			cap_map_abi_2();

			return cap_map_owner_create(memory, size, region, region_size,
			                            &config, &_owner);
		}

		Status reset(void *region, size_t size)
		{
			return cap_map_owner_reset(_owner, region, size);
		}

		Status recover() { return cap_map_owner_recover(_owner); }

		/**
		 * Let monitors see the table where it is
		 */
		Status publish(Identity const &identity)
		{
			return cap_map_owner_publish(_owner, &identity);
		}

		/**
		 * Write the identity of a table that monitors do not rewrite
		 */
		Status describe(Identity const &identity)
		{
			return cap_map_owner_describe(_owner, &identity);
		}

		/**
		 * Move the table to other memory, and let monitors see it there
		 *
		 * \param area  where the area of the publication begins, in bytes from
		 *              'region' on
		 */
		Status move(void *region, size_t size, Publication const &publication,
		            uint32_t &area)
		{
			return cap_map_owner_move(_owner, region, size, &publication, &area);
		}

		/**
		 * Move the table to other memory, where it stays private
		 */
		Status move(void *region, size_t size)
		{
			return cap_map_owner_move(_owner, region, size, nullptr, nullptr);
		}

		/**
		 * Give the table room for up to 'slots' slots while it is in use
		 *
		 * \param memory  private memory of 'growth_bytes', which stays in use
		 *
		 * A move to a larger region gives it the slots.
		 */
		Status grow(void *memory, size_t size, uint32_t slots)
		{
			return cap_map_owner_grow(_owner, memory, size, slots);
		}

		uint32_t capacity() const { return cap_map_owner_capacity(_owner); }


		/*************************
		 ** Slots without badge **
		 *************************/

		Status alloc(uint32_t count, uint32_t &first)
		{
			return cap_map_slot_alloc(_owner, count, &first);
		}

		Status alloc_at(uint32_t slot) { return cap_map_slot_alloc_at(_owner, slot); }

		Status free(uint32_t first, uint32_t count)
		{
			return cap_map_slot_free(_owner, first, count);
		}

		Status entry(uint32_t slot, Entry &entry) const
		{
			return cap_map_slot_entry(_owner, slot, &entry.state, &entry.badge);
		}

		uint32_t badge(uint32_t slot) const
		{
			return cap_map_slot_badge(_owner, slot);
		}

		Status remove(uint32_t slot) { return cap_map_slot_remove(_owner, slot); }

		/**
		 * Take the badge out of the table, and learn which one it was
		 *
		 * On success, the caller owns one reference to 'slot'. Of several
		 * callers, one succeeds.
		 */
		Status withdraw(uint32_t slot, uint32_t &badge)
		{
			return cap_map_slot_withdraw(_owner, slot, &badge);
		}


		/************
		 ** Badges **
		 ************/

		Status find(uint32_t badge, uint32_t &slot) const
		{
			return cap_map_badge_find(_owner, badge, &slot);
		}

		Status find_acquire(uint32_t badge, uint32_t &slot)
		{
			return cap_map_badge_find_acquire(_owner, badge, &slot);
		}

		Status insert(uint32_t badge, uint32_t &slot)
		{
			return cap_map_badge_insert(_owner, badge, &slot);
		}

		Status insert_at(uint32_t badge, uint32_t slot)
		{
			return cap_map_badge_insert_at(_owner, badge, slot);
		}

		/**
		 * Enter the capability received at 'selector' under 'badge'
		 *
		 * On success, the caller owns one reference to 'slot'.
		 */
		template <typename KERNEL>
		Status insert_map(uint32_t badge, size_t selector, KERNEL &kernel,
		                  uint32_t &slot)
		{
			Kernel_adapter<KERNEL> const adapter(kernel);
			return cap_map_badge_insert_map(_owner, badge, selector,
			                                adapter.kernel(), &slot);
		}


		/****************
		 ** References **
		 ****************/

		Status acquire(uint32_t slot) { return cap_map_ref_acquire(_owner, slot); }

		Status release(uint32_t slot, Released &released)
		{
			return cap_map_ref_release(_owner, slot, &released.last,
			                           &released.badge);
		}

		uint32_t references(uint32_t slot) const
		{
			return cap_map_ref_count(_owner, slot);
		}
};


/**
 * Monitor of another component's table
 */
class Cap_map::Monitor
{
	private:

		::cap_map_monitor _monitor { };
		bool              _attached { false };

		Monitor(Monitor const &);
		Monitor &operator = (Monitor const &);

		::cap_map_monitor const *_ptr() const
		{
			return _attached ? &_monitor : nullptr;
		}

	public:

		Monitor() { }

		bool attached() const { return _attached; }

		/**
		 * Validate untrusted memory and attach to it
		 *
		 * On failure, the monitor is attached to nothing: its operations
		 * return 'CAP_MAP_STATUS_BAD_ARGUMENT'.
		 */
		Status attach(void *memory, size_t size, uint32_t wait_budget)
		{
			Status const status =
				cap_map_monitor_attach(memory, size, wait_budget, &_monitor);
			_attached = ok(status);
			return status;
		}

		Status header(Header &header) const
		{
			return cap_map_monitor_header(_ptr(), &header);
		}

		Status stamp(Stamp &stamp) const
		{
			return cap_map_monitor_stamp(_ptr(), &stamp);
		}

		Status entry(uint32_t slot, Entry &entry) const
		{
			return cap_map_monitor_entry(_ptr(), slot, &entry.state, &entry.badge);
		}

		Status next(uint32_t from, uint32_t &slot, uint32_t &badge) const
		{
			return cap_map_monitor_next(_ptr(), from, &slot, &badge);
		}

		Status snapshot(uint64_t *words, size_t count, Snapshot &snapshot) const
		{
			return cap_map_monitor_snapshot(_ptr(), words, count, &snapshot);
		}

		/**
		 * Content that a word of a snapshot stands for
		 */
		static Entry entry_of(uint64_t word)
		{
			Entry entry { CAP_MAP_STATE_FREE, 0 };
			entry.state = cap_map_word_entry(word, &entry.badge);
			return entry;
		}

		/**
		 * Change the badges of a batch, all or none
		 *
		 * \param slot  the slot that a refusal is about, or UINT32_MAX
		 */
		Status rewrite(Rewrite *batch, size_t count, uint32_t &slot)
		{
			return cap_map_monitor_rewrite(_ptr(), batch, count, &slot);
		}

		/**
		 * Take the claim to rewrite away from a monitor that is dead
		 */
		Status take_over() { return cap_map_monitor_take_over(_ptr()); }
};


/**
 * Part of an object that makes it a member of a pool
 */
class Cap_map::Node : private ::cap_map_node
{
	private:

		friend class Pool;

		Node(Node const &);
		Node &operator = (Node const &);

		static Node *_from(::cap_map_node *node)
		{
			return static_cast<Node *>(node);
		}

	public:

		Node() : ::cap_map_node() { cap_map_node_init(this); }

		/**
		 * Give up the use granted by 'Pool::acquire', 'acquire_slot' or 'first'
		 */
		void release() { cap_map_node_release(this); }

		/**
		 * Wait until nobody uses the object, which has left its pool before
		 */
		void drain() { cap_map_node_drain(this); }
};


/**
 * Set of objects that are found by the badge of their capability
 */
class Cap_map::Pool
{
	private:

		::cap_map_pool _pool { };

		Pool(Pool const &);
		Pool &operator = (Pool const &);

	public:

		Pool() { cap_map_pool_init(&_pool); }

		Status insert(Owner const &owner, Node &node, uint32_t slot)
		{
			return cap_map_pool_insert(&_pool, owner.owner(), &node, slot);
		}

		Status remove(Owner const &owner, Node &node)
		{
			return cap_map_pool_remove(&_pool, owner.owner(), &node);
		}

		/**
		 * Node of the object for 'badge', pinned, or nullptr
		 */
		Node *acquire(Owner const &owner, uint32_t badge)
		{
			return Node::_from(cap_map_pool_acquire(&_pool, owner.owner(), badge));
		}

		/**
		 * Node of the object for 'slot', to which the caller holds a reference
		 */
		Node *acquire_slot(Owner const &owner, uint32_t slot)
		{
			return Node::_from(cap_map_pool_acquire_slot(&_pool, owner.owner(), slot));
		}

		/**
		 * Take up the pool in a restored memory image, after 'Owner::recover'
		 */
		Status recover(Owner const &owner)
		{
			return cap_map_pool_recover(&_pool, owner.owner());
		}

		/**
		 * Some member, pinned, or nullptr
		 */
		Node *first() { return Node::_from(cap_map_pool_first(&_pool)); }
};

#endif /* CAP_MAP_HPP */
