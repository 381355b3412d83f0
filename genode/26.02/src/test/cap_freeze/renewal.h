/*
 * \brief  Replacement of a frozen thread by a new one
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _RENEWAL_H_
#define _RENEWAL_H_

/* Genode includes */
#include <cap_space_monitor/sandbox.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* local includes */
#include <shared.h>

namespace Test {

	using namespace Cap_space_monitor;

	class Renewal;
}


/**
 * One thread of a frozen component that is killed, and started anew
 */
class Test::Renewal : Noncopyable
{
	private:

		using State = Base_foc::Restart::State;

		Monitored_pd     &_pd;
		Snapshot         &_snapshot;
		Freezer::Threads &_threads;

		bool const _waiting; /* a call waits at a gate for its turn */

		Monitored_cpu     *_cpu = nullptr;
		Cpu_session::Name  _name { };
		Thread_capability  _cap { };
		Foc_thread_state   _thread_state { };
		addr_t             _state = State::USER;

		/*
		 * Noncopyable
		 */
		Renewal(Renewal const &);
		Renewal &operator = (Renewal const &);

		/**
		 * Return true if the thread can be started anew without anybody noticing
		 *
		 * A request that was received already would be handled twice, so the
		 * server must not be in the middle of it. If a call waits at a gate, the
		 * gate cannot be replaced, and so the server cannot.
		 */
		bool _renewable(Monitored_cpu::Thread const &thread,
		                Foc_thread_state const &thread_state) const
		{
			if (!thread_state.started)
				return false;

			bool worker = false;
			for (unsigned i = 0; i < Shared::NUM_THREADS; i++)
				worker |= Shared::serves_nobody(i) && thread.name == Shared::names[i];

			switch (_pd.records.state(thread_state)) {
			case State::PARKED:
			case State::LOCK:   return worker;
			case State::CALL:   return worker && thread_state.kernel_state
			                                   & Foc_thread_state::SEND_WAIT;
			case State::WAIT:   return !_waiting;
			case State::SIGNAL: return true;
			default:            return false;
			}
		}

		/**
		 * Let the semaphore that the thread waited for wake up the new one
		 */
		bool _bind_semaphore(Native_capability thread)
		{
			using namespace Foc;

			unsigned const slot =
				unsigned(_pd.records.argument(_thread_state) >> L4_CAP_SHIFT);

			Snapshot::Entry entry { };
			if (!Cap_map::ok(_pd.cap_space.entry(slot, entry)))
				return false;

			Slot_info info { };
			Native_capability const sem = _pd.cap_space.request(slot, entry.badge, info);

			return sem.valid()
			    && !l4_error(l4_rcv_ep_bind_thread(Cap_index(sem).kcap(),
			                                       Cap_index(thread).kcap(), 0));
		}

		/**
		 * Let the component's slots refer to the new thread
		 */
		bool _replace_caps(Thread_capability new_cap, Foc_thread_state const &new_state)
		{
			Rewrite  batch[2] { };
			unsigned count = 0;

			auto add = [&] (unsigned slot, unsigned expected, unsigned replacement) {
				if (count < 2)
					batch[count++] = { .slot = slot, .expected = expected,
					                   .replacement = replacement,
					                   .left_out = 0, .head = 0, .next = 0 }; };

			/* core has put the gate of the thread to where the former one was */
			add(unsigned(_thread_state.kcap >> Foc::L4_CAP_SHIFT), _thread_state.id,
			    new_state.id);

			if (!Cap_map::ok(_pd.cap_space.take(_snapshot)))
				return false;

			/* the old capability vanished along with the thread */
			_snapshot.for_each([&] (unsigned slot, unsigned badge) {
				if (badge == unsigned(_cap.local_name())
				 && _pd.cap_space.install(new_cap, slot, Foc_native_pd::NO_BADGE)
				    == Install_result::OK)
					add(slot, badge, unsigned(new_cap.local_name())); });

			unsigned slot = 0;
			return count == 2 && Cap_map::ok(_pd.cap_space.rewrite(batch, count, slot));
		}

		char const *_start(Thread_capability new_cap, Native_capability old_native_cap)
		{
			Foc_thread_state  const new_state  = _cpu->native_state(new_cap);
			Native_capability const native_cap = _cpu->native_cap(new_cap);

			if (new_state.utcb != _thread_state.utcb)
				return "new thread has another UTCB";

			if (!_replace_caps(new_cap, new_state))
				return "capabilities are not replaced";

			if (_state == State::SIGNAL && !_bind_semaphore(native_cap))
				return "semaphore is not bound";

			if (_state == State::WAIT) {
				_pd.hand_over_gates(_thread_state.id, old_native_cap, native_cap);

				if (_pd.replace_gates(_snapshot, [] (Gate const &) { return true; }).failed())
					return "gates are not replaced";
			}

			_pd.records.start_anew(new_cap, new_state);
			return nullptr;
		}

	public:

		Renewal(Monitored_pd &pd, Snapshot &snapshot, Freezer::Threads &threads, bool waiting)
		: _pd(pd), _snapshot(snapshot), _threads(threads), _waiting(waiting) { }

		static bool rare(addr_t state)
		{
			return state == State::CALL || state == State::WAIT || state == State::SIGNAL;
		}

		/**
		 * Choose a thread for whose state 'fn' returns true
		 */
		bool choose(auto const &fn)
		{
			_threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &, Monitored_cpu::Thread &thread) {

				Foc_thread_state const thread_state = cpu.native_state(thread);

				if (_cpu || !_renewable(thread, thread_state)
				 || !fn(_pd.records.state(thread_state)))
					return;

				_cpu          = &cpu;
				_name         = thread.name;
				_cap          = thread.cap;
				_thread_state = thread_state;
				_state        = _pd.records.state(thread_state);
			});

			return _cpu != nullptr;
		}

		Cpu_session::Name name()  const { return _name; }
		addr_t            state() const { return _state; }

		/**
		 * Kill the chosen thread, and start another one in its place
		 *
		 * \return  reason of a failure
		 */
		char const *perform()
		{
			Native_capability const old_native_cap = _cpu->native_cap(_cap);

			_cpu->kill_thread(_cap);

			/*
			 * A thread dies by a page fault, for which the kernel uses the UTCB.
			 * The new thread has the same one, so it must not start before.
			 */
			using namespace Foc;
			for (unsigned i = 0; i < 3; i++)
				l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));

			return _cpu->create_thread(_pd.cap(), _name, { }, 0).convert<char const *>(
				[&] (Thread_capability cap) { return _start(cap, old_native_cap); },
				[&] (Cpu_session::Create_thread_error) { return "no new thread"; });
		}
};

#endif /* _RENEWAL_H_ */
