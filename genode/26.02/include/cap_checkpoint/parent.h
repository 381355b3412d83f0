/*
 * \brief  Parent of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PARENT_H_
#define _INCLUDE__CAP_CHECKPOINT__PARENT_H_

/* Genode includes */
#include <base/registry.h>
#include <cap_checkpoint/cpu.h>
#include <cap_checkpoint/requests_session.h>
#include <cap_checkpoint/sessions.h>

namespace Cap_checkpoint { class Virtual_parent; }


/**
 * Parent interface, and the sessions of the component
 *
 * The component can use services of which the monitor knows the state, as far as the
 * policy permits. Any other is denied, and named in the log. What it offers, it offers
 * by way of the monitor.
 */
class Cap_checkpoint::Virtual_parent : public Rpc_object<Parent>
{
	public:

		struct Exit_handler : Interface { virtual void exited(int) = 0; };

		/**
		 * Sessions at core that stand behind those of the component
		 */
		struct Core_sessions : Interface
		{
			virtual void upgrade_pd (Session::Resources const &) = 0;
			virtual void upgrade_cpu(Session::Resources const &) = 0;

			/**
			 * Return priority of the threads of the component, as for a CPU session
			 */
			virtual long priority() const = 0;
		};

		using Request = Open_session::Request;

		/*
		 * Bytes and capabilities that a session takes from the monitor: the
		 * object with its bookkeeping, and the session capability
		 */
		static constexpr size_t SESSION_RAM = 4096, SESSION_CAPS = 2;

		/*
		 * PD sessions besides the one of the environment, and as many CPU sessions, as no image
		 * tells of more
		 *
		 * Each may have up to 256 gates, or 32 threads, in slots of the monitor. Its
		 * dataspaces and signal contexts take slots as well, and are bounded by the
		 * capability quota of the component, from which core takes one for each.
		 */
		static constexpr unsigned MAX_CHILDREN = Faults::MAX_CHILDREN;

		/* in the order of 'Image::Handler::Parent' */
		Signal_context_capability sighs[Image::Handler::NUM_PARENT] { };

		/* used while an image is made */
		uint32_t slot = NONE;

	private:

		/**
		 * Session of the environment that is not created on demand
		 */
		struct Env_session : Open_session
		{
			Session_capability const _cap;

			Env_session(Id_space<Open_session> &space, Request const &request,
			            Session_capability cap)
			: Open_session(space, request), _cap(cap) { }

			Session_capability session_cap() const override { return _cap; }
		};

		Genode::Env       &_env;
		Timer::Connection &_timer;
		Ram_allocator     &_ram;
		Genode::Env::Local_rm &_local_rm;
		Allocator         &_alloc;
		Virtual_pd        &_pd;
		Virtual_cpu       &_cpu;
		Core_sessions     &_core_sessions;
		Exit_handler      &_exit_handler;
		Session_policy    &_policy;

		/* for all of its life, whatever the policy says later */
		Offer * const _offer;

		Thread_capability _main_thread { };

		Id_space<Open_session> _sessions { };

		template <typename SESSION>
		Open_session *_usable(SESSION *);

		Open_session *_create(Request const &);
		Open_session *_create_for_child(Request const &);

		void _destroy(Open_session &);

		void _upgrade(Open_session const &, Open_session::Costs const &);

		void _with_session(Client::Id id, auto const &fn, auto const &missing_fn)
		{
			_sessions.apply<Open_session>(Id_space<Open_session>::Id { id.value },
			                              fn, missing_fn);
		}

		/*
		 * Noncopyable
		 */
		Virtual_parent(Virtual_parent const &);
		Virtual_parent &operator = (Virtual_parent const &);

	public:

		Virtual_parent(Genode::Env &env, Timer::Connection &timer, Ram_allocator &ram,
		               Genode::Env::Local_rm &local_rm, Allocator &alloc, Virtual_pd &pd,
		               Virtual_cpu &cpu, Core_sessions &core_sessions,
		               Exit_handler &exit_handler, Session_policy &policy)
		:
			_env(env), _timer(timer), _ram(ram), _local_rm(local_rm), _alloc(alloc), _pd(pd), _cpu(cpu),
			_core_sessions(core_sessions), _exit_handler(exit_handler), _policy(policy),
			_offer(policy.offer())
		{
			env.ep().manage(*this);
		}

		~Virtual_parent();

		using Open_result = Attempt<Open_session *, Session_error>;

		/**
		 * Open session, for which the component pays
		 */
		Open_result open(Request const &);

		void main_thread(Thread_capability cap) { _main_thread = cap; }

		/**
		 * Return where the component offers its services, or nullptr
		 */
		Offer *offer() { return _offer; }

		/**
		 * Call 'fn' with 'Offer &' and 'Offer_state &' if the component may have clients
		 */
		void with_offer(auto const &fn)
		{
			Requests_service_session *first = nullptr;
			for_each_session([&] (Open_session &session) {
				if (!first)
					first = session.requests_session(); });

			if (_offer && first)
				fn(*_offer, first->state());
		}

		/**
		 * Call 'fn' with each 'Open_session &' in the order of IDs
		 */
		void for_each_session(auto const &fn) { _sessions.for_each<Open_session>(fn); }

		/**
		 * Number of sessions by which the component has children
		 */
		struct Children { unsigned pds, cpus; };

		Children children()
		{
			Children result { };
			for_each_session([&] (Open_session &session) {
				result.pds  += (session.pd_session()  != nullptr);
				result.cpus += (session.cpu_session() != nullptr); });
			return result;
		}


		/**********************
		 ** Parent interface **
		 **********************/

		void exit(int value) override { _exit_handler.exited(value); }

		void announce(Service_name const &) override;

		void session_sigh(Signal_context_capability cap) override {
			sighs[Image::Handler::SESSION_SIGH] = cap; }

		Session_result session(Client::Id, Service_name const &, Session_args const &,
		                       Affinity const &) override;

		Session_cap_result session_cap(Client::Id) override;

		Upgrade_result upgrade(Client::Id, Upgrade_args const &) override;

		Close_result close(Client::Id) override;

		void session_response(Server::Id, Session_response) override;

		void deliver_session_cap(Server::Id, Session_capability) override;

		Thread_capability main_thread_cap() const override { return _main_thread; }

		void resource_avail_sigh(Signal_context_capability cap) override {
			sighs[Image::Handler::RESOURCE_AVAIL] = cap; }

		void resource_request(Resource_args const &) override;

		void yield_sigh(Signal_context_capability cap) override {
			sighs[Image::Handler::YIELD] = cap; }

		Resource_args yield_request() override { return { }; }

		void yield_response() override { }

		void heartbeat_sigh(Signal_context_capability cap) override {
			sighs[Image::Handler::HEARTBEAT] = cap; }

		void heartbeat_response() override { }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PARENT_H_ */
