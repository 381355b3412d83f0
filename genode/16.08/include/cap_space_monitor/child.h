/*
 * \brief  Child component whose capability space is accessible to its parent
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__CHILD_H_
#define _INCLUDE__CAP_SPACE_MONITOR__CHILD_H_

/* Genode includes */
#include <base/child.h>
#include <base/service.h>
#include <cap_space_monitor/cpu.h>
#include <cpu_session/connection.h>
#include <os/slave.h>
#include <pd_session/connection.h>
#include <ram_session/connection.h>
#include <region_map/client.h>

namespace Cap_space_monitor {

	class Child_services;

	template <typename> class Basic_child;

	using Monitored_child = Basic_child<Monitored_pd>;
}


/**
 * Policy of a child that obtains services from our parent
 */
class Cap_space_monitor::Child_services : public Slave_policy
{
	private:

		char const **_permitted_services() const override
		{
			static char const *services[] {
				"LOG", "RAM", "RM", "ROM", "Timer", "CPU", "PD", 0 };

			return services;
		}

		/*
		 * The configuration does not change. So the child has no dataspaces that
		 * are replaced at runtime.
		 */
		Attached_ram_dataspace              _config;
		Init::Child_policy_provide_rom_file _config_policy;

		static char const *_non_null(char const *config)
		{
			return config ? config : "<config/>";
		}

	public:

		Child_services(char const *label, char const *binary, char const *config,
		               Rpc_entrypoint &ep)
		:
			Slave_policy(label, ep, env()->ram_session(), binary),
			_config(*env()->ram_session(), *env()->rm_session(),
			        strlen(_non_null(config)) + 1),
			_config_policy("config", _config.cap(), &ep)
		{
			strncpy(_config.local_addr<char>(), _non_null(config), _config.size());
		}

		Service *resolve_session_request(char const *service, char const *args) override
		{
			Service * const config =
				_config_policy.resolve_session_request(service, args);

			return config ? config : Slave_policy::resolve_session_request(service, args);
		}
};


/**
 * Child component with virtualized PD and CPU sessions
 *
 * \param PD  type of the PD session, 'Monitored_pd' or derived from it
 *
 * The sessions are served by an entrypoint of their own. So the thread that
 * executes the operations of the monitor may wait for the child.
 */
template <typename PD>
class Cap_space_monitor::Basic_child : Noncopyable
{
	public:

		struct Attr
		{
			char const *label;
			char const *binary;
			char const *config;
			size_t      ram;
		};

	private:

		enum { STACK_SIZE = 4*1024*sizeof(long) };

		/**
		 * Upgrades of a virtualized session benefit the session at core
		 */
		struct Upgrade : Service
		{
			Session_capability const _real;

			Upgrade(char const *name, Session_capability real)
			: Service(name), _real(real) { }

			Session_capability session(char const *, Affinity const &) override
			{
				throw Service::Unavailable();
			}

			void upgrade(Session_capability, char const *args) override
			{
				env()->parent()->upgrade(_real, args);
			}
		};

		Pd_connection  _pd_connection;
		Cpu_connection _cpu_connection;
		Ram_connection _ram;

		bool _transfer_quota(size_t amount)
		{
			_ram.ref_account(env()->ram_session_cap());

			if (env()->ram_session()->transfer_quota(_ram.cap(), amount) == 0)
				return true;

			error("unable to provide RAM quota to child");
			return false;
		}

		Rpc_entrypoint _session_ep, _parent_ep;

		Child_services _policy;

	public:

		char const * const name;

		PD            pd;
		Monitored_cpu cpu;

	private:

		bool const _ram_provided;

		Upgrade        _pd_upgrade  { "PD",  _pd_connection };
		Upgrade        _cpu_upgrade { "CPU", _cpu_connection };
		Parent_service _ram_service { "RAM" };

		Child::Initial_thread _initial_thread;

		Region_map_client _address_space { _pd_connection.address_space() };

		Child _child;

	public:

		Basic_child(Attr const &attr)
		:
			_pd_connection(attr.label), _cpu_connection(attr.label), _ram(attr.label),
			_session_ep(env()->pd_session(), STACK_SIZE, "sessions"),
			_parent_ep (env()->pd_session(), STACK_SIZE, "parent"),
			_policy(attr.label, attr.binary, attr.config, _parent_ep),
			name(attr.label),
			pd(_session_ep, _pd_connection, attr.label, *env()->ram_session(),
			   *env()->rm_session(), *env()->heap()),
			cpu(_session_ep, _cpu_connection, *env()->heap()),
			_ram_provided(_transfer_quota(attr.ram)),
			_initial_thread(cpu, pd.cap(), attr.label),
			_child(_policy.binary(), Dataspace_capability(), pd.cap(), pd,
			       _ram.cap(), _ram, cpu.cap(), _initial_thread,
			       *env()->rm_session(), _address_space, _parent_ep, _policy,
			       _pd_upgrade, _ram_service, _cpu_upgrade)
		{ }

		/**
		 * Call 'fn' while no thread of the child executes
		 *
		 * Afterwards, all threads are resumed, no matter who paused them.
		 */
		template <typename FN>
		void with_paused_threads(FN const &fn)
		{
			cpu.for_each_thread(pd, [&] (Monitored_cpu::Thread const &thread) {
				Cpu_thread_client(thread.cap).pause(); });

			fn();

			cpu.for_each_thread(pd, [&] (Monitored_cpu::Thread const &thread) {
				Cpu_thread_client(thread.cap).resume(); });
		}
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__CHILD_H_ */
