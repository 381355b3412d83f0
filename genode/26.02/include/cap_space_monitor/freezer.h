/*
 * \brief  Bring all threads of a component to a state that its memory describes
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__FREEZER_H_
#define _INCLUDE__CAP_SPACE_MONITOR__FREEZER_H_

/* Genode includes */
#include <cap_space_monitor/cpu.h>
#include <util/callable.h>

namespace Cap_space_monitor { class Freezer; }


/**
 * Freezes and thaws the threads of a component, or of several that call each other
 *
 * A frozen thread is either not started, parked, or blocked in a system call of
 * the base library that it repeats when it is started anew. No register of it
 * is needed to continue it. See 'base/internal/restart.h' of base-foc.
 *
 * All that the component says about itself is checked, and bounds nothing but
 * what happens to the component. Each function comes to its end no matter what
 * the component does.
 *
 * The functions must be called by the entrypoint that serves the sessions of the
 * component, so that no request to them is half done.
 */
class Cap_space_monitor::Freezer : Noncopyable
{
	public:

		using Thread = Monitored_cpu::Thread;

		/**
		 * Components to be frozen, and their threads
		 *
		 * Several components are frozen in the same rounds. If it was done one after
		 * the other, a thread could stay in a window that waits for one of a component
		 * that is frozen already.
		 */
		struct Threads : Interface
		{
			using With_pd     = Callable<void, Monitored_pd &>;
			using With_thread = Callable<void, Monitored_cpu &, Monitored_pd &, Thread &>;

			virtual void _for_each_pd(With_pd::Ft     const &) = 0;
			virtual void _for_each   (With_thread::Ft const &) = 0;

			void for_each_pd(auto const &fn) { _for_each_pd(With_pd::Fn { fn }); }

			/**
			 * Call 'fn' with each thread, and the PD that it belongs to
			 */
			void for_each(auto const &fn) { _for_each(With_thread::Fn { fn }); }
		};

		/**
		 * Limits of the effort
		 *
		 * A round takes 1 ms, and a few requests to core per thread. If an
		 * attempt gets nowhere, the threads execute for some ms before the next
		 * one. For example, a thread may wait for another one that is paused.
		 */
		struct Bound
		{
			unsigned attempts = 20;
			unsigned rounds   = 200;  /* of all attempts together */
		};

		struct Frozen
		{
			unsigned attempts, rounds;
			unsigned parked;    /* in user mode, with their registers saved */
			unsigned forwarded; /* executed to the end of a critical window */
			unsigned waiting;   /* calls not received by their servers yet */

			/*
			 * Those of them that a component sends to one that is not frozen along with it
			 *
			 * Such a request is received, and the component waits for the end of the
			 * freeze behind the reply, if the server goes on meanwhile.
			 */
			unsigned requests;
		};

		/**
		 * What stood in the way
		 */
		struct Stuck
		{
			enum class Reason {
				NO_RECORDS, /* component without restart records */
				NO_STACK,   /* no room for the registers of a thread */
				WINDOW,     /* thread in a critical window */
				CALL,       /* call received by somebody who is not frozen */
				BLOCKED,    /* in the kernel or a page fault */
				BUSY,       /* thread does not get to its end */
				NO_RECORD,  /* no restart record of the thread */
			};

			Reason              reason;
			Monitored_pd::Name  pd;
			Cpu_session::Name   thread;
			addr_t              ip;   /* if known */
			unsigned            slot; /* destination of the call */
		};

		using Result = Attempt<Frozen, Stuck>;

	private:

		using Record = Restart_records::Record;
		using State  = Restart_records::State;

		enum class Class {
			SETTLED,  /* nothing left to do */
			USER,     /* paused in user mode */
			FORWARD,  /* paused in a critical window or behind a system call */
			TRANSIT,  /* on its way to be parked */
			OTHER     /* not paused yet, or blocked */
		};

		struct Tally
		{
			unsigned user = 0, forward = 0, window = 0, unsettled = 0, changed = 0, blocked = 0;
			unsigned waiting = 0, requests = 0;
		};

		Stuck _stuck { };

		Class _class_of(Threads &, Monitored_pd &, Thread &, Foc_thread_state const &,
		                Record &, Tally &);

		static bool _own_gate(Threads &, unsigned badge);
		static void _hold(Threads &, bool);

		bool _ready  (Threads &);
		void _look   (Threads &, Tally &);
		void _forward(Threads &, Frozen &);
		void _park   (Threads &, Frozen &);
		bool _try    (Threads &, Bound const &, Frozen &);

		static void _sleep_ms(unsigned);

	protected:

		/**
		 * Return true if a thread in this state must not be parked
		 */
		virtual bool _critical(addr_t state, addr_t window) const
		{
			return state != State::USER || window;
		}

		/**
		 * Look at the threads before an attempt pauses any of them
		 */
		virtual void _begin(Threads &) { }

		/**
		 * Let threads leave the kernel that wait there for the resolution of a page fault
		 *
		 * No thread of the components executes. Each that is let out stops in user mode, as it is
		 * paused, and has to be one that waits then.
		 */
		virtual void _release_faulters(Threads &) { }

		/**
		 * Return true if a thread waits, paused, for the resolution of a page fault
		 */
		virtual bool _waits(Thread const &) const { return false; }

	public:

		virtual ~Freezer() { }

		/**
		 * Freeze all threads
		 *
		 * On failure, the threads execute as if nothing had happened.
		 */
		Result freeze(Threads &, Bound);

		/**
		 * Let all threads go on, no matter who paused them, except for those that wait for the
		 * resolution of a page fault
		 */
		void thaw(Threads &);
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__FREEZER_H_ */
