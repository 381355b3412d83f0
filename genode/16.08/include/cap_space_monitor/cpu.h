/*
 * \brief  Virtualized CPU session that keeps track of the threads
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__CPU_H_
#define _INCLUDE__CAP_SPACE_MONITOR__CPU_H_

/* Genode includes */
#include <cap_space_monitor/pd.h>
#include <cpu_session/client.h>
#include <cpu_thread/client.h>
#include <foc_native_cpu/client.h>

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

		struct Thread : List<Thread>::Element
		{
			Cpu_session::Name     const name;
			Pd_session_capability const pd;  /* virtualized PD session */
			Thread_capability     const cap;

			Thread(Cpu_session::Name const &name, Pd_session_capability pd,
			       Thread_capability cap)
			: name(name), pd(pd), cap(cap) { }
		};

	private:

		Rpc_entrypoint     &_ep;
		Allocator          &_alloc;
		Cpu_session_client  _real;

		Lock mutable _lock;     /* protects the list of threads */
		List<Thread> _threads;

	public:

		Monitored_cpu(Rpc_entrypoint &ep, Cpu_session_capability real, Allocator &alloc)
		: _ep(ep), _alloc(alloc), _real(real) { _ep.manage(this); }

		~Monitored_cpu();

		/**
		 * Call 'fn' with each 'Thread const &' of the specified PD
		 */
		template <typename FN>
		void for_each_thread(Pd const &pd, FN const &fn) const
		{
			Lock::Guard guard(_lock);

			Pd_session_capability const pd_cap = pd.cap();

			List<Thread> &threads = const_cast<List<Thread> &>(_threads);

			for (Thread *t = threads.first(); t; t = t->next())
				if (t->pd == pd_cap)
					fn((Thread const &)*t);
		}

		/**
		 * Return capability that stands for the thread when creating an IPC
		 * gate via 'Pd_session::alloc_rpc_cap'
		 */
		Native_capability native_cap(Thread const &thread)
		{
			return Foc_native_cpu_client(_real.native_cpu()).native_cap(thread.cap);
		}

		/**
		 * Return slot of the thread's own IPC gate, and the gate's badge
		 */
		Thread_state native_state(Thread const &thread)
		{
			return Cpu_thread_client(thread.cap).state();
		}


		/***************************
		 ** Cpu_session interface **
		 ***************************/

		Thread_capability create_thread(Pd_session_capability, Name const &,
		                                Affinity::Location, Weight, addr_t) override;

		void kill_thread(Thread_capability) override;

		void exception_sigh(Signal_context_capability sigh) override {
			_real.exception_sigh(sigh); }

		Affinity::Space affinity_space() const override {
			return _real.affinity_space(); }

		Dataspace_capability trace_control() override {
			return _real.trace_control(); }

		int ref_account(Cpu_session_capability session) override {
			return _real.ref_account(session); }

		int transfer_quota(Cpu_session_capability session, size_t amount) override {
			return _real.transfer_quota(session, amount); }

		Quota quota() override { return _real.quota(); }

		Capability<Native_cpu> native_cpu() override { return _real.native_cpu(); }
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__CPU_H_ */
