/*
 * \brief  PD and CPU sessions by which a component has children
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__CHILD_SESSIONS_H_
#define _INCLUDE__CAP_CHECKPOINT__CHILD_SESSIONS_H_

/* Genode includes */
#include <cap_checkpoint/server_session.h>
#include <cap_space_monitor/cpu.h>

namespace Cap_checkpoint {

	struct Core_session;
	class  Pd_service_session;
	class  Cpu_service_session;
}


/**
 * Session at core, which must exist before the one that stands in front of it
 */
struct Cap_checkpoint::Core_session : Interface
{
	using Costs = Open_session::Costs;

	Server_session server;

	/* what core has beyond the least that it wants, which the component may have donated */
	Costs const beyond;

	/**
	 * Constructor
	 *
	 * \param least  quota that core wants for a session
	 * \param quota  at least as much
	 * \param args   as for 'Server_session'
	 */
	Core_session(Env &env, char const *service, Session_label const &label, Costs const &least,
	             Costs const &quota, auto const &... args)
	:
		server(env, service, label, quota, args...),
		beyond { { quota.ram.value  - least.ram.value  + server.surcharge.ram.value  },
		         { quota.caps.value - least.caps.value + server.surcharge.caps.value } }
	{ }
};


/**
 * PD session other than the one of the environment
 *
 * Region maps, signals, gates, and RAM are those of core. The monitor is in between because quota
 * moves between this session and the virtualized one of the component.
 */
class Cap_checkpoint::Pd_service_session : public Open_session, private Core_session,
                                           public Cap_space_monitor::Pd
{
	public:

		using Costs = Open_session::Costs;

		/**
		 * Return quota that core wants for a session
		 */
		static Costs server_costs()
		{
			return { { Pd_session::RAM_QUOTA }, { Pd_session::CAP_QUOTA } };
		}

		/**
		 * Constructor
		 *
		 * \param label   of the session at the parent of the monitor
		 * \param quota   share of the donated quota that is for core
		 */
		Pd_service_session(Env &, Entrypoint &, Session_label const &label, Costs const &quota,
		                   Id_space<Open_session> &, Request const &);

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return server.cap().valid(); }


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return beyond; }

		void upgrade(Costs const &costs) override { server.upgrade(costs); }

		Of_children of_children() const override { return Of_children::PD; }
};


/**
 * CPU session other than the one of the environment
 */
class Cap_checkpoint::Cpu_service_session : public Open_session, private Core_session,
                                            public Cap_space_monitor::Monitored_cpu
{
	public:

		using Costs = Open_session::Costs;

		/**
		 * Return what a session takes, for core, and as the object has room for threads
		 */
		static Costs server_costs()
		{
			return { { Cpu_session::RAM_QUOTA + sizeof(Cpu_service_session) },
			         { Cpu_session::CAP_QUOTA } };
		}

		/**
		 * Constructor
		 *
		 * \param label     of the session at the parent of the monitor
		 * \param quota     share of the donated quota that is for core and the object
		 * \param priority  of the threads of the component itself
		 */
		Cpu_service_session(Env &, Entrypoint &, Session_label const &label, Costs const &quota,
		                    long priority, Id_space<Open_session> &, Request const &);

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return server.cap().valid(); }


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return beyond; }

		void upgrade(Costs const &costs) override { server.upgrade(costs); }

		Of_children of_children() const override { return Of_children::CPU; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__CHILD_SESSIONS_H_ */
