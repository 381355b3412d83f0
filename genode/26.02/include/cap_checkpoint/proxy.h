/*
 * \brief  Stand-in for an object of a component towards one of its clients
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PROXY_H_
#define _INCLUDE__CAP_CHECKPOINT__PROXY_H_

/* Genode includes */
#include <base/thread.h>
#include <foc/syscall.h>
#include <pd_session/client.h>

namespace Cap_checkpoint {

	using namespace Genode;

	class Proxy;
}


/**
 * Thread that passes the requests of one client on to an object of the component
 *
 * The client holds a gate of the monitor, which stays the same while the
 * object of the component gets one gate after the other. The thread uses the kernel
 * directly, as the base library would never return from a call to a server
 * that is gone. It holds no lock while it waits, and comes to its end whatever the
 * client and the component do.
 *
 * All functions are to be called by the entrypoint of the monitor.
 */
class Cap_checkpoint::Proxy : private Thread
{
	public:

		/*
		 * What a proxy takes from the monitor: its stack, and what core needs
		 * for thread and gate
		 */
		static constexpr size_t RAM = 16*1024, CAPS = 8;

		enum Phase : unsigned {
			HELD,  /* requests wait */
			OPEN,  /* requests are passed on */
			DEAD,  /* requests are answered by an error */
			ENDED  /* the thread is about to vanish */
		};

	private:

		static constexpr size_t STACK_SIZE = 8*1024;

		/*
		 * Where the thread is
		 *
		 * It leaves a region by a transition from the value of the region to OUT. If
		 * the monitor cancels the system call in the region first, the thread waits for
		 * CANCELLED, and clears what the kernel keeps of the cancellation.
		 */
		enum Region : unsigned { OUT, WAIT, CALL, CANCEL, CANCELLED };

		/**
		 * Content of the message registers
		 */
		struct Message
		{
			static constexpr unsigned MAX_WORDS = Foc::L4_UTCB_GENERIC_DATA_SIZE;

			/* what there is in front of the arguments: badge or result, number of capabilities */
			static constexpr unsigned HEAD = 2;

			unsigned         count = 0;
			Foc::l4_umword_t words[MAX_WORDS] { };

			bool take(Foc::l4_msgtag_t);
			Foc::l4_msgtag_t put() const;
			void fail();
		};

		Pd_session  &_pd;
		Cpu_session &_cpu;

		Native_capability _native { };  /* of the thread */
		Native_capability _gate   { };

		/* written by the monitor, read by the thread */
		unsigned         _phase  = HELD;
		unsigned         _life   = 0;      /* counts the targets */
		unsigned         _repeat = 0;      /* the request at hand is passed on although it is held */
		Foc::l4_umword_t _target_kcap  = 0;
		Foc::l4_umword_t _target_badge = 0;

		/* written by both */
		unsigned _region = OUT;

		/* written by the thread */
		unsigned _gone        = 0;
		unsigned _caps_denied = 0;

		Message _message { };

		template <typename T>
		static T _load(T const &value) { return __atomic_load_n(&value, __ATOMIC_SEQ_CST); }

		template <typename T>
		static void _store(T &value, T v) { __atomic_store_n(&value, v, __ATOMIC_SEQ_CST); }

		bool _transition(unsigned from, unsigned to)
		{
			return __atomic_compare_exchange_n(&_region, &from, to, false,
			                                   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		}

		bool _may_call() const
		{
			return _load(_phase) == OPEN || (_load(_phase) == HELD && _load(_repeat));
		}

		static void _sleep_ms(unsigned);
		static void _deny_received_caps();

		void _leave(Region);
		bool _receive();
		bool _call();
		void _forward();
		void _reply();

		void entry() override;

		/*
		 * Noncopyable
		 */
		Proxy(Proxy const &);
		Proxy &operator = (Proxy const &);

	public:

		/**
		 * Constructor
		 *
		 * \throw  what the constructor of a thread throws
		 */
		Proxy(Env &, Pd_session &, Name const &);

		~Proxy();

		/**
		 * Return gate for the client, invalid if there are not enough capabilities
		 */
		Native_capability gate() const { return _gate; }

		void phase(Phase phase) { _store(_phase, unsigned(phase)); }

		/**
		 * Refer to a gate of the component, which must stay valid
		 */
		void target(Native_capability);

		/**
		 * Pass the request at hand on, although others are held
		 */
		void repeat(bool yes) { _store(_repeat, unsigned(yes)); }

		/**
		 * Return true if a request is being passed on
		 */
		bool calling() const { return _load(_region) >= CALL; }

		/**
		 * What the component knows of the request that is being passed on
		 */
		enum class Call { NONE, MOVING, QUEUED, RECEIVED };

		Call call() const;

		/**
		 * Interrupt the system call by which a request is passed on
		 *
		 * The request is at hand until the phase tells what to do with it.
		 */
		void cancel() { _cancel(CALL); }

		/**
		 * Return true if capabilities of the client were left out since the last call
		 */
		bool denied_caps() { return __atomic_exchange_n(&_caps_denied, 0, __ATOMIC_SEQ_CST); }

	private:

		void _cancel(Region);
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PROXY_H_ */
