/*
 * \brief  Records of the IPC gates of a monitored component
 * \date   2026-11-28
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__GATES_H_
#define _INCLUDE__CAP_SPACE_MONITOR__GATES_H_

/* Genode includes */
#include <base/env.h>
#include <base/quota_guard.h>
#include <base/ram.h>
#include <util/list.h>
#include <util/reconstructible.h>

namespace Cap_space_monitor {

	using namespace Genode;

	struct Gate;
	class  Gates;
}


/**
 * IPC gate created on behalf of a monitored component
 */
struct Cap_space_monitor::Gate
{
	unsigned const id; /* in the order of creation */

	Native_capability thread; /* thread that serves the gate */
	Native_capability cap;

	/* state of an ongoing replacement */
	struct Pending
	{
		bool              selected;
		bool              left_out; /* slot changed by the component meanwhile */
		unsigned          slot;
		Native_capability cap;
	} pending { };

	Gate(unsigned id, Native_capability thread, Native_capability cap)
	: id(id), thread(thread), cap(cap) { }

	private:

		friend class Gates;

		/* next gate of the same bucket */
		Gate *_next = nullptr;

		/*
		 * Noncopyable
		 */
		Gate(Gate const &);
		Gate &operator = (Gate const &);
};


/**
 * Gates of one component, to be found by their badges
 *
 * The number of gates is bounded because each occupies slots of the monitor.
 * The memory comes in blocks of one page that the component pays for.
 */
class Cap_space_monitor::Gates
{
	public:

		/* bounds what one component can take from the slots of the monitor */
		static constexpr unsigned MAX = 256;

		/**
		 * Account of the component
		 */
		struct Payer : Interface
		{
			/* one page, and what core needs for managing and attaching it */
			static constexpr size_t   RAM  = 2*4096;
			static constexpr unsigned CAPS = 1;

			using Charge_result = Attempt<Ok, Alloc_error>;

			/**
			 * Move the costs of one block from the component to the monitor
			 */
			virtual Charge_result charge_block() = 0;

			/**
			 * Give the costs of one block back to the component
			 */
			virtual void refund_block() = 0;
		};

	private:

		static constexpr size_t   PAGE        = 4096;
		static constexpr unsigned NUM_BUCKETS = 256;

		struct Block : List<Block>::Element
		{
			static constexpr unsigned NUM =
				(PAGE - 64)/sizeof(Constructible<Gate>);

			Ram::Capability const ds;

			unsigned used = 0;

			Constructible<Gate> gates[NUM] { };

			Block(Ram::Capability ds) : ds(ds) { }
		};

		static_assert(sizeof(Block) <= PAGE);

		Ram::Constrained_allocator &_ram;
		Env::Local_rm              &_local_rm;
		Payer                      &_payer;

		List<Block> _blocks { };
		unsigned    _count   = 0;
		unsigned    _created = 0;

		/* core hands out each fourth number as badge */
		Gate *_buckets[NUM_BUCKETS] { };

		/*
		 * Noncopyable
		 */
		Gates(Gates const &);
		Gates &operator = (Gates const &);

		Gate *&_bucket(unsigned badge) { return _buckets[(badge >> 2) % NUM_BUCKETS]; }

		void _link  (Gate &);
		void _unlink(Gate &);

		static Block &_block_of(Gate &gate)
		{
			return *(Block *)(addr_t(&gate) & ~(PAGE - 1));
		}

		using Block_result = Attempt<Block *, Alloc_error>;

		Block_result _alloc_block();
		void         _free_block(Block &);
		bool         _other_empty_block(Block const &) const;
		Block_result _block_with_space();

	public:

		Gates(Ram::Constrained_allocator &ram, Env::Local_rm &local_rm, Payer &payer)
		: _ram(ram), _local_rm(local_rm), _payer(payer) { }

		~Gates();

		/**
		 * Provide space for one more gate
		 *
		 * If this succeeds, so does the next call of 'insert'.
		 *
		 * \return  DENIED if the component has 'MAX' gates already, or the
		 *          resource that the component lacks
		 */
		Payer::Charge_result reserve();

		/**
		 * Keep record of a gate
		 *
		 * Must be preceded by a successful call of 'reserve'.
		 */
		void insert(Native_capability thread, Native_capability cap);

		void remove(Gate &);

		/**
		 * Let gate refer to another capability
		 */
		void replace(Gate &, Native_capability cap);

		/**
		 * Return gate with the given badge, or nullptr
		 */
		Gate *find(unsigned badge)
		{
			Gate *gate = _bucket(badge);
			while (gate && unsigned(gate->cap.local_name()) != badge)
				gate = gate->_next;
			return gate;
		}

		void for_each(auto const &fn)
		{
			for (Block *block = _blocks.first(); block; block = block->next())
				for (Constructible<Gate> &gate : block->gates)
					if (gate.constructed())
						fn(*gate);
		}

		void for_each(auto const &fn) const
		{
			for (Block const *block = _blocks.first(); block; block = block->next())
				for (Constructible<Gate> const &gate : block->gates)
					if (gate.constructed())
						fn(*gate);
		}
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__GATES_H_ */
