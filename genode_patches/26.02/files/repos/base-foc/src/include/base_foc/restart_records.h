/*
 * \brief  Restart records, by which a monitor freezes the threads of a component
 * \date   2026-11-29
 *
 * They lie in the area behind a published capability table. This is version 2,
 * as described by doc/layout.md of the project that the table comes from.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BASE_FOC__RESTART_RECORDS_H_
#define _BASE_FOC__RESTART_RECORDS_H_

/* Genode includes */
#include <base/stdint.h>

namespace Base_foc { namespace Restart {

	using Genode::addr_t;
	using Genode::size_t;

	static constexpr unsigned VERSION = 2;

	/**
	 * Word of 64 bits, of which a 32-bit component uses the first half
	 *
	 * The component and the monitor access it while the other one executes.
	 */
	struct alignas(8) Word
	{
		addr_t _value;

		addr_t get()         const { return __atomic_load_n(&_value, __ATOMIC_RELAXED); }
		void   set(addr_t v)       { __atomic_store_n(&_value, v, __ATOMIC_RELAXED); }

		/* publication of what was written before, paired with 'acquire' */
		void   release(addr_t v) { __atomic_store_n(&_value, v, __ATOMIC_RELEASE); }
		addr_t acquire() const   { return __atomic_load_n(&_value, __ATOMIC_ACQUIRE); }
	};

	/**
	 * What a thread is about to do, known to the assembly code, too
	 *
	 * From CALL on, the thread is about to enter a system call, or blocks in
	 * it, that is repeated if the thread is started anew at 'Area::restart'.
	 */
	enum State : addr_t { USER = 0, CRITICAL = 1, CALL = 2, WAIT = 3, LOCK = 4,
	                      SIGNAL = 5, PARKED = 6 };

	struct Record;
	struct Area;

	static constexpr unsigned NUM_RECORDS = 128;
} }


/**
 * Record of one thread
 */
struct Base_foc::Restart::Record
{
	/*
	 * Bits of 'request'
	 *
	 * RECEIVE and WAIT are for a thread that is started anew. Such a thread first
	 * receives a request that it has handled in part already. It belongs to the
	 * client to which the thread owes a reply, and so the kernel knows again to
	 * whom. Then, the thread stays until 'Area::hold' is zero.
	 */
	static constexpr addr_t PARK = 1, RECEIVE = 2, WAIT = 4;

	/* written by the component */
	Word state;      /* 'State' */
	Word sp;         /* stack pointer, valid from state CALL on */

	/*
	 * In a system call, its destination (written by the component). For a
	 * thread that is sent to 'Area::park', where it has been interrupted
	 * (written by the monitor).
	 */
	Word argument;

	/* written by the monitor */
	Word request;

	/* written by the component */
	Word window;     /* not zero within a window that contains system calls */
	Word stack_base; /* lower end of the stack */
	Word badge_slot; /* value of the UTCB word UTCB_TCR_BADGE */
	Word thread;     /* value of the UTCB word UTCB_TCR_THREAD_OBJ */
};


/**
 * Head of the area
 */
struct Base_foc::Restart::Area
{
	/* written by the component */
	Word num_records; /* zero until all other words are there */
	Word record_size;
	Word utcb;        /* UTCB of the thread that uses record 0 */
	Word utcb_size;   /* distance between the UTCBs of neighbouring records */
	Word park;        /* a thread in user mode is sent here */
	Word restart;     /* a thread is started anew here */
	Word park_stack;  /* room on its stack that a thread needs to be parked */
	Word restarted;   /* number of threads started anew */

	/* written by the monitor */
	Word hold;        /* while not zero, parked threads stay parked */

	Word _reserved[7];

	Record records[NUM_RECORDS];
};


namespace Base_foc { namespace Restart {

	static_assert(sizeof(Record) == 64 && sizeof(Area) == 128 + NUM_RECORDS*64);
} }

#endif /* _BASE_FOC__RESTART_RECORDS_H_ */
