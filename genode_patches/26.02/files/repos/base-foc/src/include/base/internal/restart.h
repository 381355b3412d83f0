/*
 * \brief  Threads that can be frozen and started anew
 * \date   2026-11-29
 *
 * Before a thread blocks in a system call, it leaves a record of what it takes
 * to repeat the call. Once a monitor has stopped all threads, no register is
 * needed to continue them: everything is in the component's memory. The threads
 * that do not block are sent to a function that saves the registers on the
 * stack, like a signal handler.
 *
 * While a thread handles badges outside of the capability table, it is in a
 * critical window. The badges would be stale if the thread was started anew in
 * another system. So a monitor lets such a thread execute to the end of the
 * window.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__BASE__INTERNAL__RESTART_H_
#define _INCLUDE__BASE__INTERNAL__RESTART_H_

/* Genode includes */
#include <foc/native_capability.h>
#include <foc/syscall.h>

/* base-internal includes */
#include <base_foc/restart_records.h>

namespace Genode { namespace Restart {

	using namespace Base_foc::Restart;

	/* area in use */
	extern Area *area __attribute__((visibility("hidden")));

	/**
	 * Return record of the thread with the given UTCB
	 *
	 * All threads of a component have neighbouring UTCBs within an aligned
	 * area of NUM_RECORDS of them.
	 */
	static inline Record &record_of(addr_t utcb)
	{
		constexpr addr_t MASK = (NUM_RECORDS - 1)*sizeof(Record);
		constexpr addr_t DIV  = Foc::L4_UTCB_OFFSET/sizeof(Record);

		static_assert(unsigned(Foc::THREAD_MAX) == NUM_RECORDS);

		return *(Record *)((char *)area->records + (utcb/DIV & MASK));
	}

	/* 'l4_utcb' is a function call, which would be a good part of the costs */
	static inline Record &my_record() { return record_of(addr_t(Foc::l4_utcb_direct())); }

	/**
	 * Use private memory for the records, called before any other function
	 */
	void init();

	/**
	 * Fill in the record of a thread that is about to start
	 *
	 * \param stack_base  lower end of the stack, or 0 if it is not known (yet)
	 */
	void init_thread(Record &, addr_t stack_base, addr_t badge_slot, addr_t thread);

	/**
	 * Let the calling thread wait until the monitor has finished
	 */
	void park_myself(Record &);

	/**
	 * Enter critical window
	 */
	static inline void enter_window(Record &record)
	{
		record.state.set(CRITICAL);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}

	/**
	 * Leave critical window
	 */
	static inline void leave_window(Record &record)
	{
		/* the compiler must keep the order, a monitor stops the thread in between */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		record.state.set(USER);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);

		if (__builtin_expect(record.request.get() != 0, 0))
			park_myself(record);
	}

	/**
	 * Critical window that contains system calls with windows of their own
	 */
	class Outer_window
	{
		private:

			Record      &_record;
			addr_t const _state { _record.state.get() };

			Outer_window(Outer_window const &);
			Outer_window &operator = (Outer_window const &);

		public:

			Outer_window(Record &record) : _record(record) { _record.window.set(1); }

			~Outer_window()
			{
				/* within another window, the thread must not be parked */
				_record.state.set(CRITICAL);
				_record.window.set(0);

				if (_state == USER)
					leave_window(_record);
			}
	};

	/* provided by assembly code, see 'ipc' */
	extern "C" Foc::l4_mword_t restart_ipc(Foc::l4_umword_t dest_and_flags,
	                                       Foc::l4_mword_t  tag,
	                                       Foc::l4_umword_t timeout,
	                                       Record *, addr_t state)
	__attribute__((visibility("hidden")));

	/**
	 * Perform a system call that is repeated when the thread is started anew
	 *
	 * \param flags  L4_SYSF_CALL or the like
	 * \param state  CALL, WAIT, LOCK, SIGNAL, or PARKED; or CRITICAL for a call
	 *               within a window, which a monitor lets come to its end
	 *
	 * On return, the thread is in a critical window, and 'Record::argument' is
	 * the label of the sender unless the thread was started anew.
	 */
	static inline Foc::l4_msgtag_t ipc(Foc::l4_cap_idx_t dest, unsigned flags,
	                                   Foc::l4_msgtag_t tag, Foc::l4_timeout_t timeout,
	                                   Record &record, State state)
	{
		tag.raw = restart_ipc(dest | flags, tag.raw, timeout.raw, &record, state);
		return tag;
	}

	/**
	 * Return true if the thread was started anew, given the result of 'ipc'
	 */
	static inline bool restarted(Foc::l4_msgtag_t tag) { return tag.raw == ~0L; }

	/**
	 * Wait for an IRQ object or semaphore
	 *
	 * \return  false if the thread was started anew, and nothing may have
	 *          happened
	 */
	bool wait_for_irq(Foc::l4_cap_idx_t, State);

	/**
	 * Use the area behind the capability table, called by the only thread
	 */
	void publish(Area &);
} }

#endif /* _INCLUDE__BASE__INTERNAL__RESTART_H_ */
