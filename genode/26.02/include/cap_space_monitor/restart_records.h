/*
 * \brief  Restart records of a component, as seen by its monitor
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__RESTART_RECORDS_H_
#define _INCLUDE__CAP_SPACE_MONITOR__RESTART_RECORDS_H_

/* Genode includes */
#include <cap_space_monitor/cap_space.h>
#include <cpu_session/cpu_session.h>
#include <foc/thread_state.h>

/* restart records of base-foc */
#include <base_foc/restart_records.h>

namespace Cap_space_monitor { class Restart_records; }


/**
 * Records that the threads of a component keep behind its capability table
 *
 * All that the component says about itself is checked, and bounds nothing but
 * what happens to the component.
 */
class Cap_space_monitor::Restart_records : Noncopyable
{
	public:

		using Record = Base_foc::Restart::Record;
		using Area   = Base_foc::Restart::Area;
		using State  = Base_foc::Restart::State;

	private:

		Cap_space &_cap_space;

		Area *_area = nullptr;

		/* what the component said, taken once */
		struct { addr_t utcb, utcb_size, park, restart, park_stack; } _own { };

		/*
		 * Noncopyable
		 */
		Restart_records(Restart_records const &);
		Restart_records &operator = (Restart_records const &);

	public:

		Restart_records(Cap_space &cap_space) : _cap_space(cap_space) { }

		/**
		 * Return false if the component has no records (yet)
		 */
		bool attach();

		/**
		 * Return record of a thread, or nullptr
		 */
		Record *record(Foc_thread_state const &);

		/**
		 * Return true if the thread can save its registers on its stack
		 */
		bool room(Foc_thread_state const &, Record const &) const;

		/**
		 * Let parked threads, and those that wait after 'start_anew', stay or go on
		 */
		void hold(bool yes) { if (_area) _area->hold.set(yes); }

		/**
		 * Return where a thread in user mode is sent to be parked
		 */
		addr_t park_ip() const { return _own.park; }

		/**
		 * Return what a frozen thread was about to do, of the type
		 * 'Base_foc::Restart::State'
		 */
		addr_t state(Foc_thread_state const &state)
		{
			Record const * const r = record(state);
			return r ? r->state.get() : addr_t(State::USER);
		}

		/**
		 * Return selector of the system call that a frozen thread is blocked in,
		 * with flags in the lowest bits
		 */
		addr_t argument(Foc_thread_state const &state)
		{
			Record const * const r = record(state);
			return r ? r->argument.get() : 0;
		}

		/**
		 * Return number of the record of a thread, or 'NUM_RECORDS'
		 */
		unsigned index(Foc_thread_state const &state)
		{
			Record const * const r = record(state);
			return r ? unsigned(r - _area->records) : Base_foc::Restart::NUM_RECORDS;
		}

		/**
		 * Return where a frozen thread is to be started anew, and its stack pointer
		 */
		addr_t restart_ip() const { return _own.restart; }
		addr_t restart_sp(Foc_thread_state const &state)
		{
			Record const * const r = record(state);
			return r ? r->sp.get() : 0;
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
		 *
		 * There are none without records.
		 */
		unsigned restarted() const { return _area ? unsigned(_area->restarted.acquire()) : 0; }

		/**
		 * Start a thread of a component with copied records
		 *
		 * \param serving  the thread receives the repeated request of the client to
		 *                 which it owes a reply before it goes on
		 * \param wait     the thread goes on after a call of 'hold(false)' only
		 */
		void start_anew(Thread_capability, Foc_thread_state const &, bool serving, bool wait);
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__RESTART_RECORDS_H_ */
