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
#include <base/ipc_msgbuf.h>
#include <base/rpc.h>
#include <base/signal.h>
#include <base/thread.h>
#include <foc/syscall.h>
#include <pd_session/client.h>

namespace Cap_checkpoint {

	using namespace Genode;

	class Proxy;
}


/**
 * Thread that passes the requests of one client on to objects of the component
 *
 * The client holds gates of the monitor, which stay the same while each
 * object of the component gets one gate after the other. For calls, the thread uses the kernel
 * directly, as the base library would never return from a call to a server
 * that is gone. It holds no lock while it waits, and comes to its end whatever the
 * client and the component do.
 *
 * What capabilities mean to the other side is known to the entrypoint of the monitor, which is asked
 * by way of a signal. All public functions are to be called by this entrypoint.
 */
class Cap_checkpoint::Proxy : private Thread
{
	public:

		/*
		 * What a proxy takes from the monitor: its stack, and what core needs
		 * for thread and gates
		 */
		static constexpr size_t RAM = 20*1024, CAPS = 12;

		/* the object of the session, and those that the component has created for the client */
		static constexpr unsigned MAX_OBJECTS = 8;

		static constexpr unsigned MAX_CAPS = Msgbuf_base::MAX_CAPS_PER_MSG;

		enum Phase : unsigned {
			HELD,  /* requests wait */
			OPEN,  /* requests are passed on */
			DEAD,  /* requests are answered by an error */
			ENDED  /* the thread is about to vanish */
		};

	private:

		static constexpr size_t STACK_SIZE = 12*1024;

		/*
		 * Where the thread is
		 *
		 * It leaves the call by a transition from CALL to OUT. If
		 * the monitor cancels the system call first, the thread waits for
		 * CANCELLED, and clears what the kernel keeps of the cancellation.
		 */
		enum Region : unsigned { OUT, CALL, CANCEL, CANCELLED };

		/* capabilities that the entrypoint is to translate */
		enum Ask : unsigned { NOTHING, REQUEST, REPLY };

		/* what there is in front of the arguments: badge or result, number of capabilities */
		static constexpr unsigned HEAD = 2, MAX_WORDS = Foc::L4_UTCB_GENERIC_DATA_SIZE;

		Pd_session  &_pd;
		Cpu_session &_cpu;

		Signal_context_capability const _asked;  /* handler of the entrypoint */

		Native_capability _native { };  /* of the thread */

		struct Object
		{
			Native_capability gate   { };  /* for the client */
			Native_capability target { };  /* of the component */

		} _objects[MAX_OBJECTS] { };

		/* written by the monitor, read by the thread */
		unsigned         _phase  = HELD;
		unsigned         _life   = 0;  /* counts the components that follow each other */
		unsigned         _repeat = 0;  /* the request at hand is passed on although it is held */
		Foc::l4_umword_t _targets[MAX_OBJECTS] { };  /* selectors */
		Foc::l4_umword_t _badges [MAX_OBJECTS] { };

		/* written by both */
		unsigned _region = OUT, _ask = NOTHING;

		/* written by the thread */
		unsigned _gone   = 0;
		unsigned _object = 0;  /* that is called */

		using Buffer = Msgbuf<MAX_WORDS*sizeof(long)>;

		Buffer _request { }, _reply { };
		long   _result = Rpc_exception_code::INVALID_OBJECT;

		/* capabilities of the request as the component knows them, and since when */
		Native_capability _sent[MAX_CAPS] { };
		unsigned          _sent_life = 0;

		/* what the component calls the capabilities of the reply */
		uint32_t _replied[MAX_CAPS] { };

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

		void _leave_call();
		Foc::l4_msgtag_t _put_request(bool caps);
		bool _take_reply(Foc::l4_msgtag_t);
		void _fail();
		bool _call(bool caps);
		void _wait_for_answer();
		bool _find_object(unsigned long badge);
		bool _request_has_caps() const;
		void _forward();

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
		 * \param asked  handler to be told of capabilities to be translated
		 *
		 * \throw  what the constructor of a thread throws
		 */
		Proxy(Env &, Pd_session &, Signal_context_capability asked, Name const &);

		~Proxy();

		/**
		 * Return gate of the session, invalid if there are not enough capabilities
		 */
		Native_capability gate() const { return _objects[0].gate; }

		void phase(Phase phase) { _store(_phase, unsigned(phase)); }

		/**
		 * Return gate that stands for an object of the component, invalid if there is no room
		 */
		Native_capability gate_for(Native_capability target);

		/**
		 * Give up gates of objects that the component has dissolved
		 *
		 * \param alive_fn  called with a target, returns false if it is gone
		 */
		void drop_dead_objects(auto const &alive_fn)
		{
			for (unsigned i = 1; i < MAX_OBJECTS; i++)
				if (_objects[i].gate.valid() && !alive_fn(_objects[i].target)) {
					_pd.free_rpc_cap(_objects[i].gate);
					_objects[i] = { };
				}
		}

		/**
		 * Return gate of the component for one that stands for it, or an invalid capability
		 */
		Native_capability target_of(Native_capability gate) const
		{
			for (Object const &object : _objects)
				if (object.gate.valid() && object.gate == gate)
					return object.target;

			return { };
		}

		Native_capability target(unsigned object) const { return _objects[object].target; }

		/**
		 * Let an object have another gate at the component, or none
		 */
		void target(unsigned object, Native_capability);

		/**
		 * Begin with another component, of which all targets are set
		 */
		void new_life() { _store(_life, _life + 1); }

		/**
		 * Pass the request at hand on, although others are held
		 */
		void repeat(bool yes) { _store(_repeat, unsigned(yes)); }

		/**
		 * Return true if a request is being passed on
		 */
		bool calling() const { return _load(_region) != OUT; }

		/**
		 * Return badge of the gate that is called, while 'calling'
		 */
		uint32_t called() const { return uint32_t(_load(_badges[_load(_object)])); }

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
		void cancel();

		/**
		 * Translate what the thread asks for, if it does
		 *
		 * It waits for the answer as long as the phase lets requests pass or wait.
		 *
		 * \param request_fn  called with a capability of the client, returns the one for the
		 *                    component
		 * \param reply_fn    called with a badge of the component, returns the capability for
		 *                    the client
		 */
		void answer(auto const &request_fn, auto const &reply_fn)
		{
			if (_load(_phase) != OPEN && _load(_phase) != HELD)
				return;

			switch (_load(_ask)) {

			case REQUEST:
				for (unsigned i = 0; i < _request.used_caps(); i++)
					_sent[i] = request_fn(_request.cap(i));
				_store(_sent_life, _life);
				break;

			case REPLY:
				for (unsigned i = 0; i < _reply.used_caps(); i++)
					_reply.cap(i) = reply_fn(_replied[i]);
				break;

			default: return;
			}
			_store(_ask, unsigned(NOTHING));
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PROXY_H_ */
