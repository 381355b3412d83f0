/*
 * \brief  Virtualized CPU session that keeps track of the threads
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__CPU_H_
#define _INCLUDE__CAP_SPACE_MONITOR__CPU_H_

/* Genode includes */
#include <cap_space_monitor/pd.h>
#include <cpu_session/client.h>
#include <foc_native_cpu/client.h>
#include <util/reconstructible.h>

namespace Cap_space_monitor { class Monitored_cpu; }


/**
 * CPU session of monitored components
 *
 * Core has to be told about the real PD session whenever a thread is created.
 * The threads as such are not virtualized. So all operations on threads are as
 * fast as ever, and the native CPU interface can be used as is.
 */
class Cap_space_monitor::Monitored_cpu : public Rpc_object<Cpu_session>
{
	public:

		struct Thread : Interface
		{
			Cpu_session::Name     const name;
			Pd_session_capability const pd;  /* virtualized PD session */
			Thread_capability     const cap;
			Affinity::Location    const location;  /* as requested */

			/**
			 * State of an ongoing freeze, see 'Freezer'
			 */
			struct Freeze
			{
				/* what tells whether the thread has moved between two looks */
				struct Seen
				{
					addr_t   state, kernel_state;
					unsigned exceptions;

					bool operator == (Seen const &) const = default;

				} seen { };

				bool user    = false;  /* paused in user mode */
				bool forward = false;  /* to be executed further */
				bool blocked = false;  /* paused, and in the kernel without a system call of its own */
				bool parking = false;  /* sent away from 'ip' to be parked */

				addr_t ip = 0;

			} freeze { };

			Thread(Cpu_session::Name const &name, Pd_session_capability pd,
			       Thread_capability cap, Affinity::Location location)
			: name(name), pd(pd), cap(cap), location(location) { }
		};

		/* bounds what one session can take from the slots of the monitor */
		static constexpr unsigned MAX_THREADS = 32;

	private:

		Entrypoint        &_ep;
		Cpu_session_client _real;

		/* allocated along with the session, so that no thread needs memory */
		Constructible<Thread> _threads[MAX_THREADS] { };

	public:

		Monitored_cpu(Entrypoint &ep, Cpu_session_capability real)
		: _ep(ep), _real(real) { _ep.manage(*this); }

		~Monitored_cpu() { _ep.dissolve(*this); }

		/**
		 * Call 'fn' with each 'Thread &'
		 */
		void for_each_thread(auto const &fn)
		{
			for (Constructible<Thread> &thread : _threads)
				if (thread.constructed())
					fn(*thread);
		}

		/**
		 * Call 'fn' with each 'Thread &' of the specified PD
		 */
		void for_each_thread(Pd const &pd, auto const &fn)
		{
			Pd_session_capability const pd_cap = pd.cap();

			for_each_thread([&] (Thread &thread) {
				if (thread.pd == pd_cap)
					fn(thread); });
		}

		/**
		 * Return capability that stands for the thread when creating an IPC
		 * gate via 'Pd_session::alloc_rpc_cap'
		 */
		Native_capability native_cap(Thread_capability thread)
		{
			return Foc_native_cpu_client(_real.native_cpu()).native_cap(thread);
		}

		Native_capability native_cap(Thread const &thread)
		{
			return native_cap(thread.cap);
		}

		/**
		 * Return slot of the thread's own IPC gate, and the gate's badge
		 */
		Foc_thread_state native_state(Thread_capability thread)
		{
			return Foc_native_cpu_client(_real.native_cpu()).thread_state(thread);
		}

		Foc_thread_state native_state(Thread const &thread)
		{
			return native_state(thread.cap);
		}


		/***************************
		 ** Cpu_session interface **
		 ***************************/

		Create_thread_result create_thread(Capability<Pd_session>, Name const &,
		                                   Affinity::Location, addr_t) override;

		void kill_thread(Thread_capability) override;

		void exception_sigh(Signal_context_capability sigh) override {
			_real.exception_sigh(sigh); }

		Affinity::Space affinity_space() const override {
			return _real.affinity_space(); }

		Dataspace_capability trace_control() override {
			return _real.trace_control(); }

		Capability<Native_cpu> native_cpu() override { return _real.native_cpu(); }
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__CPU_H_ */
