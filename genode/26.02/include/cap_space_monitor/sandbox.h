/*
 * \brief  Sandbox with access to the capability spaces of its children
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__SANDBOX_H_
#define _INCLUDE__CAP_SPACE_MONITOR__SANDBOX_H_

/* Genode includes */
#include <base/heap.h>
#include <cap_space_monitor/freezer.h>
#include <cpu_session/connection.h>
#include <cpu_thread/client.h>
#include <pd_session/connection.h>
#include <region_map/client.h>
#include <sandbox/sandbox.h>
#include <util/arg_string.h>

namespace Cap_space_monitor {

	template <typename> class Basic_sandbox;

	using Monitored_sandbox = Basic_sandbox<Monitored_pd>;
}


/**
 * Sandbox that provides virtualized PD and CPU services
 *
 * \param PD  type of the PD sessions, 'Monitored_pd' or derived from it
 *
 * A child is monitored if its sessions to both services are routed to 'local'.
 */
template <typename PD>
class Cap_space_monitor::Basic_sandbox : Noncopyable
{
	private:

		/* the session at core must exist before the virtualized one */
		template <typename CONNECTION>
		struct Backend : Interface
		{
			CONNECTION _connection;

			Backend(auto &&... args) : _connection(args...) { }

			void upgrade(Session::Resources const &r) { _connection.upgrade(r); }
		};

		struct Pd_component : Backend<Pd_connection>, PD
		{
			typename Registry<Pd_component>::Element _element;

			Pd_component(Env &env, Session::Label const &label,
			             Ram_allocator &ram, Env::Local_rm &local_rm,
			             Allocator &alloc, Registry<Pd_component> &registry)
			:
				Backend<Pd_connection>(env, label),
				PD(env.ep(), this->_connection.cap(), label, ram, local_rm, alloc),
				_element(registry, *this)
			{ }
		};

		struct Cpu_component : Backend<Cpu_connection>, Monitored_cpu
		{
			typename Registry<Cpu_component>::Element _element;

			Cpu_component(Env &env, Session::Label const &label, long priority,
			              Affinity const &affinity, Registry<Cpu_component> &registry)
			:
				Backend<Cpu_connection>(env, label, priority, affinity),
				Monitored_cpu(env.ep(), this->_connection.cap()),
				_element(registry, *this)
			{ }
		};

		Env &_env;

		/*
		 * Resources of the monitor
		 *
		 * Unlike the environment, which asks the parent for resources until it
		 * gets them, these fail. Otherwise, all children would wait.
		 */
		Pd_session_client _own_pd        { _env.pd_session_cap() };
		Region_map_client _address_space { _own_pd.address_space() };
		Pd_ram_allocator  _ram           { _own_pd };
		Pd_local_rm       _local_rm      { _address_space };

		Heap _heap { _ram, _local_rm };

		/*
		 * Slots of the monitor
		 *
		 * Each gate is a capability, and each thread two of them. Some more
		 * represent the child and its sessions. What is left belongs to the
		 * monitor, including the gates that it creates for replacing others.
		 */
		static constexpr unsigned
			SLOTS_PER_CHILD = Gates::MAX + 2*Monitored_cpu::MAX_THREADS + 32,
			SLOTS_OF_MONITOR = 512,
			MAX_CHILDREN = (NUM_SLOTS - SLOTS_OF_MONITOR)/SLOTS_PER_CHILD;

		/* what a session costs in addition to the quota donated to core */
		static constexpr size_t   SESSION_RAM  = 192*1024;
		static constexpr unsigned SESSION_CAPS = 10;

		Registry<Pd_component>  _pds  { };
		Registry<Cpu_component> _cpus { };

		/**
		 * Tell the sandbox how to deal with virtualized sessions
		 */
		struct Intrinsics : Sandbox::Pd_intrinsics
		{
			Env &_env;

			/* accepts virtualized PD sessions as targets of quota transfers */
			Pd _ref_pd { _env.ep(), _env.pd_session_cap() };

			Intrinsics(Env &env) : _env(env) { }

			void with_intrinsics(Capability<Pd_session> cap, Pd_session &pd,
			                     With_intrinsics::Ft const &fn) override
			{
				Region_map_client address_space { pd.address_space() };

				auto call_with = [&] (Pd_session &ref, Capability<Pd_session> ref_cap)
				{
					Sandbox::Pd_intrinsics::Intrinsics intrinsics {
						.ref_pd = ref, .ref_pd_cap = ref_cap,
						.address_space = address_space };

					fn(intrinsics);
				};

				Pd::with_pd(_env.ep(), cap,
					[&] (Pd &) { call_with(_ref_pd, _ref_pd.cap()); },
					[&]        { call_with(_env.pd(), _env.pd_session_cap()); });
			}

			void start_initial_thread(Capability<Cpu_thread> thread, addr_t ip) override
			{
				Cpu_thread_client(thread).start(ip, 0);
			}

		} _intrinsics { _env };

		Sandbox _sandbox;

		template <typename COMPONENT>
		struct Service : Sandbox::Local_service_base::Wakeup
		{
			using Local   = Sandbox::Local_service<COMPONENT>;
			using Request = typename Local::Request;

			Basic_sandbox &_main;

			Local _local { _main._sandbox, *this };

			Service(Basic_sandbox &main) : _main(main) { }

			void wakeup_local_service() override
			{
				/* let requests benefit from what is released */
				_local.for_each_session_to_close([&] (COMPONENT &session) {
					destroy(_main._heap, &session);
					return Local::Close_response::CLOSED; });

				_local.for_each_upgraded_session([&] (COMPONENT &session,
				                                      Session::Resources const &amount) {
					session.upgrade(amount);
					return Local::Upgrade_response::CONFIRMED; });

				_local.for_each_requested_session([&] (Request &request) {
					_main._with_new<COMPONENT>(request, [&] (COMPONENT &session) {
						request.deliver_session(session); }); });
			}
		};

		template <typename COMPONENT> friend struct Service;

		Service<Pd_component>  _pd_service  { *this };
		Service<Cpu_component> _cpu_service { *this };

		Pd_component &_create(Pd_component *, auto const &request)
		{
			return *new (_heap) Pd_component(_env, request.label, _ram, _local_rm,
			                                 _heap, _pds);
		}

		Cpu_component &_create(Cpu_component *, auto const &request)
		{
			long const priority =
				Arg_string::find_arg(request.args.string(), "priority")
					.long_value(Cpu_session::DEFAULT_PRIORITY);

			return *new (_heap) Cpu_component(_env, request.label, priority,
			                                  request.affinity, _cpus);
		}

		template <typename COMPONENT>
		static unsigned _count(Registry<COMPONENT> const &registry)
		{
			unsigned count = 0;
			registry.for_each([&] (COMPONENT const &) { count++; });
			return count;
		}

		unsigned _num_sessions(Pd_component  *) const { return _count(_pds);  }
		unsigned _num_sessions(Cpu_component *) const { return _count(_cpus); }

		/**
		 * Return true if the monitor can afford one more session
		 *
		 * The connection to core would ask our parent for what is missing.
		 */
		template <typename COMPONENT>
		bool _affordable() const
		{
			return _num_sessions((COMPONENT *)nullptr) < MAX_CHILDREN
			    && _own_pd.avail_ram().value  >= COMPONENT::RAM_QUOTA + SESSION_RAM
			    && _own_pd.avail_caps().value >= COMPONENT::CAP_QUOTA + SESSION_CAPS;
		}

		/**
		 * Call 'fn' with new session
		 *
		 * If a resource is missing, the request stays pending until the next
		 * look at the requests, for example, when a session has been closed.
		 */
		template <typename COMPONENT>
		void _with_new(auto const &request, auto const &fn)
		{
			if (_affordable<COMPONENT>()) {
				try {
					fn(_create((COMPONENT *)nullptr, request));
					return;
				}
				catch (Out_of_ram)                            { }
				catch (Out_of_caps)                           { }
				catch (Denied)                                { }
				catch (Attached_dataspace::Region_conflict)   { }
				catch (Attached_dataspace::Invalid_dataspace) { }
			}
			warning(request.label, ": ", COMPONENT::service_name(), " session "
			        "exceeds the resources of the monitor");
		}

	public:

		Basic_sandbox(Env &env, Sandbox::State_handler &handler)
		: _env(env), _sandbox(env, handler, _intrinsics) { }

		/**
		 * Return sandbox, to which further local services can be added
		 */
		Sandbox &sandbox() { return _sandbox; }

		void apply_config(Node const &config) { _sandbox.apply_config(config); }

		void generate_state_report(Generator &g) const {
			_sandbox.generate_state_report(g); }

		/**
		 * Call 'fn' with the 'PD &' of each child
		 */
		void for_each_pd(auto const &fn)
		{
			_pds.for_each([&] (Pd_component &pd) { fn(pd); });
		}

		/**
		 * Call 'fn' with each thread of the specified PD
		 *
		 * The arguments are of the types 'Monitored_cpu &' and
		 * 'Monitored_cpu::Thread &'.
		 */
		void for_each_thread(Pd const &pd, auto const &fn)
		{
			_cpus.for_each([&] (Cpu_component &cpu) {
				cpu.for_each_thread(pd, [&] (Monitored_cpu::Thread &thread) {
					fn(cpu, thread); }); });
		}

		/**
		 * Threads of the specified PD, to be frozen
		 */
		struct Pd_threads : Freezer::Threads
		{
			Basic_sandbox &_sandbox;
			Monitored_pd  &_pd;

			Pd_threads(Basic_sandbox &sandbox, Monitored_pd &pd)
			: _sandbox(sandbox), _pd(pd) { }

			void _for_each_pd(With_pd::Ft const &fn) override { fn(_pd); }

			void _for_each(With_thread::Ft const &fn) override
			{
				_sandbox.for_each_thread(_pd, [&] (Monitored_cpu &cpu,
				                                   Monitored_cpu::Thread &thread) {
					fn(cpu, _pd, thread); });
			}
		};

		/**
		 * Threads of all PDs, to be frozen together
		 *
		 * The PDs are those of the children, and those that the children have opened for
		 * their own children. An object is valid until the entrypoint serves a request.
		 */
		struct All_threads : Freezer::Threads
		{
			Basic_sandbox &_sandbox;

			/* a registry must not be visited from within a visit */
			Monitored_pd *_pds[MAX_CHILDREN] { };
			unsigned      _num_pds = 0;

			All_threads(Basic_sandbox &sandbox) : _sandbox(sandbox)
			{
				_sandbox.for_each_pd([&] (PD &pd) { _pds[_num_pds++] = &pd; });
			}

			void _for_each_pd(With_pd::Ft const &fn) override
			{
				for (unsigned i = 0; i < _num_pds; i++)
					fn(*_pds[i]);
			}

			void _for_each(With_thread::Ft const &fn) override
			{
				for (unsigned i = 0; i < _num_pds; i++)
					Pd_threads { _sandbox, *_pds[i] }._for_each(fn);
			}

			/*
			 * Noncopyable
			 */
			All_threads(All_threads const &);
			All_threads &operator = (All_threads const &);
		};

		/**
		 * Call 'fn' while no thread of the specified PD executes
		 *
		 * Afterwards, all threads are resumed, no matter who paused them.
		 */
		void with_paused_threads(Pd const &pd, auto const &fn)
		{
			for_each_thread(pd, [&] (Monitored_cpu &, Monitored_cpu::Thread const &thread) {
				Cpu_thread_client(thread.cap).pause(); });

			fn();

			for_each_thread(pd, [&] (Monitored_cpu &, Monitored_cpu::Thread const &thread) {
				Cpu_thread_client(thread.cap).resume(); });
		}
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__SANDBOX_H_ */
