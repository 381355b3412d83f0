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

/* restart records of base-foc */
#include <base_foc/restart_records.h>

namespace Cap_space_monitor {

	class Freezer;
	class Pd_freezer;
}


/**
 * Freezes and thaws the threads of one component
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
		 * Threads of the component
		 */
		struct Threads : Interface
		{
			using With_thread = Callable<void, Monitored_cpu &, Thread &>;

			virtual void _for_each(With_thread::Ft const &) = 0;

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
			 * Those of them that the component sends to somebody else
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
				CALL,       /* call that somebody else has received */
				BLOCKED,    /* in the kernel or a page fault */
				BUSY,       /* thread does not get to its end */
				NO_RECORD,  /* no restart record of the thread */
			};

			Reason              reason;
			Cpu_session::Name   thread;
			addr_t              ip;   /* if known */
			unsigned            slot; /* destination of the call */
		};

		using Result = Attempt<Frozen, Stuck>;

	private:

		using Record = Base_foc::Restart::Record;
		using Area   = Base_foc::Restart::Area;
		using State  = Base_foc::Restart::State;

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

		Cap_space &_cap_space;

		Area *_area = nullptr;

		/* what the component said, taken once */
		struct { addr_t utcb, utcb_size, park, restart, park_stack; } _own { };

		Stuck _stuck { };

		/*
		 * Noncopyable
		 */
		Freezer(Freezer const &);
		Freezer &operator = (Freezer const &);

		bool _attach();

		Record *_record(Foc_thread_state const &);

		Class _class_of(Thread &, Foc_thread_state const &, Record &, Tally &);

		void _look    (Threads &, Tally &);
		void _forward (Threads &, Frozen &);
		void _park    (Threads &, Frozen &);
		bool _try     (Threads &, Bound const &, Frozen &);

		bool _room(Foc_thread_state const &, Record const &) const;

		static void _sleep_ms(unsigned);

	protected:

		/**
		 * Return true if the badge is the one of a gate of the component
		 */
		virtual bool _own_gate(unsigned badge) = 0;

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
		 * No thread of the component executes. Each that is let out stops in user mode, as it is
		 * paused, and has to be one that waits then.
		 */
		virtual void _release_faulters(Threads &) { }

		/**
		 * Return true if a thread waits, paused, for the resolution of a page fault
		 */
		virtual bool _waits(Thread const &) const { return false; }

	public:

		Freezer(Cap_space &cap_space) : _cap_space(cap_space) { }

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

		/**
		 * Return what a frozen thread was about to do, of the type
		 * 'Base_foc::Restart::State'
		 */
		addr_t state(Foc_thread_state const &state)
		{
			Record * const record = _area ? _record(state) : nullptr;
			return record ? record->state.get() : addr_t(State::USER);
		}

		/**
		 * Return selector of the system call that a frozen thread is blocked in,
		 * with flags in the lowest bits
		 */
		addr_t argument(Foc_thread_state const &state)
		{
			Record * const record = _area ? _record(state) : nullptr;
			return record ? record->argument.get() : 0;
		}

		/**
		 * Return number of the restart record of a thread, or 'NUM_RECORDS'
		 */
		unsigned index(Foc_thread_state const &state)
		{
			Record const * const record = _area ? _record(state) : nullptr;
			return record ? unsigned(record - _area->records)
			              : Base_foc::Restart::NUM_RECORDS;
		}

		/**
		 * Return where a frozen thread is to be started anew, and its stack pointer
		 */
		addr_t restart_ip() const { return _own.restart; }
		addr_t restart_sp(Foc_thread_state const &state)
		{
			Record const * const record = _area ? _record(state) : nullptr;
			return record ? record->sp.get() : 0;
		}

		/**
		 * Start a new thread in the place of a frozen one with the same UTCB
		 */
		void start_anew(Thread_capability, Foc_thread_state const &);


		/***********************************
		 ** Component with copied records **
		 ***********************************/

		/**
		 * Use records that were copied along with the memory of the component
		 *
		 * From now on, threads that are started anew wait as 'start_anew' tells.
		 *
		 * \return  false if there are no records
		 */
		bool adopt();

		/**
		 * Return number of threads that have been started anew since 'adopt', and
		 * have received the requests they were handling
		 */
		unsigned restarted() const { return unsigned(_area->restarted.acquire()); }

		/**
		 * Start a thread of a component with copied records
		 *
		 * \param serving  the thread receives the repeated request of the client to
		 *                 which it owes a reply before it goes on
		 * \param wait     the thread goes on after a call of 'release' only
		 */
		void start_anew(Thread_capability, Foc_thread_state const &, bool serving, bool wait);

		/**
		 * Let all threads go on
		 */
		void release() { _area->hold.set(0); }
};


/**
 * Freezer of a component with a monitored PD session
 */
class Cap_space_monitor::Pd_freezer : public Freezer
{
	private:

		Monitored_pd &_pd;

		bool _own_gate(unsigned badge) override { return _pd.own_gate(badge); }

	public:

		Pd_freezer(Monitored_pd &pd) : Freezer(pd.cap_space), _pd(pd) { }
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__FREEZER_H_ */
