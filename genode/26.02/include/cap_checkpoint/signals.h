/*
 * \brief  Signal sources and contexts of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SIGNALS_H_
#define _INCLUDE__CAP_CHECKPOINT__SIGNALS_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/rpc_client.h>
#include <cap_checkpoint/dataspaces.h>
#include <pd_session/client.h>

/* base-foc's interface between core and the base library */
#include <signal_source/foc_signal_source.h>

namespace Cap_checkpoint {

	class  Signals;
	struct Virtual_source;
	struct Context;
}


/**
 * Signal source that forwards to the one of core
 *
 * A component that asks the monitor, not core, cannot take a signal away while
 * it is frozen.
 */
struct Cap_checkpoint::Virtual_source : Rpc_object<Foc_signal_source, Virtual_source>
{
	struct Client : Rpc_client<Foc_signal_source>
	{
		Client(Capability<Foc_signal_source> cap) : Rpc_client<Foc_signal_source>(cap) { }

		Native_capability semaphore() { return call<Rpc_request_semaphore>(); }

		Signal wait_for_signal() override { return call<Rpc_wait_for_signal>(); }
	};

	Entrypoint                     &ep;
	Capability<Foc_signal_source>   real;
	Native_capability               semaphore { Client(real).semaphore() };
	Native_capability               thread { };  /* own gate of who waits, if known */

	/* used while an image is made */
	uint32_t number = NONE, slot = NONE, semaphore_slot = NONE, thread_number = NONE;

	Virtual_source(Entrypoint &ep, Capability<Signal_source> real)
	: ep(ep), real(static_cap_cast<Foc_signal_source>(real)) { ep.manage(*this); }

	~Virtual_source() { ep.dissolve(*this); }

	Capability<Signal_source> source_cap() const
	{
		return static_cap_cast<Signal_source>(
			reinterpret_cap_cast<Foc_signal_source>(Native_capability(cap())));
	}

	Signal wait_for_signal() override { return Client(real).wait_for_signal(); }

	Native_capability _request_semaphore() { return semaphore; }
};


/**
 * Signal context
 */
struct Cap_checkpoint::Context : Noncopyable
{
	addr_t               const imprint;
	Signal_context_capability  cap;

	unsigned pending = 0;  /* signals taken from core while being frozen */

	/* used while an image is made */
	uint32_t number = NONE, slot = NONE;

	/*
	 * Imprints where no component has its objects
	 *
	 * Such a context stands for one outside, and never gets a signal itself.
	 */
	static constexpr addr_t FIRST_STAND_IN = ~addr_t(0) - 0xfffff;

	bool stand_in() const { return imprint >= FIRST_STAND_IN; }

	Id_space<Context>::Element _element;      /* by badge */
	Id_space<Context>::Element _by_imprint;

	Context(Id_space<Context> &space, Id_space<Context> &imprints, addr_t imprint,
	        Signal_context_capability cap)
	:
		imprint(imprint), cap(cap),
		_element(*this, space, { unsigned(cap.local_name()) }),
		_by_imprint(*this, imprints, { imprint })
	{ }
};


/**
 * Signal source and contexts of one PD session
 *
 * Like at core, there is one source per session. It is created when it is needed for
 * the first time, be it by a context.
 */
class Cap_checkpoint::Signals : Noncopyable
{
	private:

		Entrypoint        &_ep;
		Pd_session_client &_pd;
		Allocator         &_alloc;
		Account           &_account;

		Virtual_source   *_source = nullptr;
		Id_space<Context> _contexts { };
		Id_space<Context> _imprints { };

		void _destroy(Context &);

		/*
		 * Noncopyable
		 */
		Signals(Signals const &);
		Signals &operator = (Signals const &);

	public:

		using Source_result  = Attempt<Virtual_source *, Alloc_error>;
		using Context_result = Attempt<Context *, Alloc_error>;

		Signals(Entrypoint &ep, Pd_session_client &pd, Allocator &alloc, Account &account)
		: _ep(ep), _pd(pd), _alloc(alloc), _account(account) { }

		~Signals();

		/**
		 * Return the source
		 */
		Source_result source();

		Context_result create_context(addr_t imprint);

		void free(Signal_context_capability);

		/**
		 * Free what stands for contexts of clients, none of whom is there any more
		 */
		void free_stand_ins();

		/**
		 * Take pending signals from core, and keep them
		 *
		 * Must be called while the component is frozen.
		 */
		void drain();

		/**
		 * Submit the signals that are kept
		 */
		void resubmit();

		/**
		 * Submit a signal along with those that are kept, unless there is one
		 *
		 * The context may be the one of a child, which uses a session of the component. It gets
		 * the signal at once, besides one that is kept.
		 */
		void raise(Signal_context_capability cap)
		{
			bool own = false;

			with_context(cap, [&] (Context &context) {
				context.pending = max(1U, context.pending);
				own = true; });

			if (!own && cap.valid())
				_pd.submit(cap, 1);
		}

		void with_context(Native_capability cap, auto const &fn)
		{
			if (cap.valid())
				_contexts.apply<Context>({ unsigned(cap.local_name()) },
				                         [&] (Context &c) { fn(c); }, [&] { });
		}

		void with_imprint(addr_t imprint, auto const &fn)
		{
			_imprints.apply<Context>({ imprint }, [&] (Context &c) { fn(c); }, [&] { });
		}

		void for_each_source(auto const &fn) { if (_source) fn(*_source); }

		void for_each_context(auto const &fn) { _contexts.for_each<Context>(fn); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SIGNALS_H_ */
