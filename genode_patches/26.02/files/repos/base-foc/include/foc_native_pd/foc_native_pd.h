/*
 * \brief  Fiasco.OC-specific part of the PD session interface
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__FOC_NATIVE_PD__FOC_NATIVE_PD_H_
#define _INCLUDE__FOC_NATIVE_PD__FOC_NATIVE_PD_H_

#include <base/rpc.h>
#include <pd_session/pd_session.h>


/**
 * Access to the kernel's part of a PD's capability space
 *
 * The kernel knows which object a selector refers to, whereas the PD's own
 * table says which badge belongs to the selector. A monitor of the PD combines
 * both.
 */
struct Genode::Pd_session::Native_pd : Interface
{
	/**
	 * Number of capability slots of a component that has not got more
	 */
	static constexpr unsigned NUM_SLOTS = 4096;

	/**
	 * Largest number of capability slots of a component
	 */
	static constexpr unsigned MAX_SLOTS = 128*1024;

	static constexpr addr_t NO_SELECTOR = ~0UL;

	struct Slot_info
	{
		enum State {
			OUT_OF_RANGE, /* selector is misaligned or beyond the last slot */
			EMPTY,        /* selector refers to no kernel object */
			UNKNOWN,      /* selector refers to anything but the hinted object,
			                 or the kernel lacks the means to tell */
			CONFIRMED,    /* selector refers to the hinted object */
		};

		State state;

		/*
		 * Selector to continue with, or 'NO_SELECTOR'
		 *
		 * As the work of each call is bounded, the selector may turn out to be
		 * empty.
		 */
		addr_t next;
	};

	/**
	 * Request capability that the PD holds at a selector
	 *
	 * \param selector  selector of the PD's capability space
	 * \param badge     badge that is expected to belong to the selector
	 * \param info      result, and the selector to ask for next
	 *
	 * \return  capability if 'badge' is right, otherwise an invalid capability
	 *
	 * The badge is merely a hint. It usually originates from the PD, which is
	 * not trustworthy. Never is a capability returned that is not present at
	 * the selector.
	 */
	virtual Native_capability request(addr_t selector, unsigned badge,
	                                  Slot_info &info) = 0;

	/* badge of a selector that refers to no kernel object */
	static constexpr unsigned NO_BADGE = 0;

	enum class Install_result {
		OK,
		OUT_OF_RANGE, /* selector is not managed by the PD itself */
		INVALID_CAP,
		IN_USE,       /* selector refers to another object than expected */
		FAILED,       /* mapping refused by the kernel */
	};

	/**
	 * Install capability at a selector of the PD
	 *
	 * \param present  badge of the capability to be replaced, or 'NO_BADGE' if
	 *                 the selector is expected to be empty
	 *
	 * If the selector refers to anything else, nothing happens. In particular,
	 * a slot that the PD uses for another capability meanwhile is left alone.
	 * However, comparing and mapping are two operations of the kernel. If a
	 * thread of the PD receives a capability at the selector in between, this
	 * one is replaced. Whoever must rule this out pauses the threads of the PD.
	 *
	 * The operation does not tell the PD about the badge of the capability.
	 * Note that a component leaves the capability of a released slot in place
	 * until the slot is reused.
	 */
	virtual Install_result install(Native_capability, addr_t selector,
	                               unsigned present) = 0;

	/**
	 * Let core know where the PD's table is
	 *
	 * \param instance  instance number of the table, as in its header
	 *
	 * Core tells it to those who look at the memory from outside, and has no
	 * use for it otherwise. The first call counts.
	 */
	virtual void table(Dataspace_capability, uint64_t instance) = 0;

	/**
	 * Pages of the PD that were written
	 */
	struct Dirty_pages
	{
		static constexpr unsigned WORDS = 48, BITS = 8*sizeof(addr_t),
		                          MAX   = WORDS*BITS;  /* pages per call */

		enum State {
			OK,
			OUT_OF_RANGE, /* too many pages, or not aligned */
			UNAVAILABLE,  /* neither processor nor kernel can tell */
		};

		State  state;
		addr_t words[WORDS];  /* starting at the lowest bit */

		bool written(unsigned i) const { return words[i/BITS] >> (i % BITS) & 1; }
	};

	/**
	 * Let core map single pages to threads that are created from now on
	 *
	 * A larger page counts as written as a whole, and for ever. So whoever is
	 * going to ask for dirty pages calls this before the PD has a thread.
	 *
	 * \return  'UNAVAILABLE' if 'dirty_pages' has no answers. Nothing changes
	 *          then.
	 */
	virtual Dirty_pages::State track_dirty_pages() = 0;

	/**
	 * Tell which pages were written since the last call, or ever
	 *
	 * \param at     address of the first page in the PD
	 * \param count  number of pages, at most 'Dirty_pages::MAX'
	 *
	 * The call is the only one that gets to know of a write. A page tells of the
	 * writes through its own address only. Whenever a region of the PD
	 * is detached, or any other region that has the same dataspace, wherever it
	 * is attached, writes that nobody has asked for are forgotten.
	 */
	virtual Dirty_pages dirty_pages(addr_t at, unsigned count) = 0;


	/*********************
	 ** RPC declaration **
	 *********************/

	GENODE_RPC(Rpc_request, Native_capability, request, addr_t, unsigned, Slot_info &);
	GENODE_RPC(Rpc_install, Install_result, install, Native_capability, addr_t, unsigned);

	GENODE_RPC(Rpc_table, void, table, Dataspace_capability, uint64_t);

	GENODE_RPC(Rpc_track_dirty_pages, Dirty_pages::State, track_dirty_pages);
	GENODE_RPC(Rpc_dirty_pages, Dirty_pages, dirty_pages, addr_t, unsigned);

	GENODE_RPC_INTERFACE(Rpc_request, Rpc_install, Rpc_table, Rpc_track_dirty_pages,
	                     Rpc_dirty_pages);
};


/* name of the interface in earlier releases */
namespace Genode { using Foc_native_pd = Pd_session::Native_pd; }

#endif /* _INCLUDE__FOC_NATIVE_PD__FOC_NATIVE_PD_H_ */
