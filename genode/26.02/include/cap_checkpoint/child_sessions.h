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
#include <cap_checkpoint/cpu.h>
#include <cap_checkpoint/server_session.h>

namespace Cap_checkpoint {

	struct Core_session;
	struct Pd_service_session;
	struct Cpu_service_session;
}


/**
 * Session at core, which must exist before the one that stands in front of it
 */
struct Cap_checkpoint::Core_session
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
 */
struct Cap_checkpoint::Pd_service_session : Open_session
{
	Core_session core;
	Virtual_pd   pd;

	/* what the monitor takes for the table, the records of threads, and region maps */
	static constexpr size_t   TABLE_RAM  = 192*1024;
	static constexpr unsigned TABLE_CAPS = 10;

	/**
	 * Return what a session takes, for core and for the table
	 */
	static Costs server_costs()
	{
		return { { Pd_session::RAM_QUOTA + TABLE_RAM }, { Pd_session::CAP_QUOTA + TABLE_CAPS } };
	}

	/**
	 * Constructor
	 *
	 * \param label   of the session at the parent of the monitor
	 * \param quota   share of the donated quota that is for core and the table
	 * \param opener  PD session of the environment
	 *
	 * \throw  if core denies the session, or if the monitor lacks memory or capabilities
	 */
	Pd_service_session(Env &, Ram_allocator &, Env::Local_rm &, Allocator &,
	                   Session_label const &label, Costs const &quota, Virtual_pd &opener,
	                   Id_space<Open_session> &, Request const &);

	/**
	 * Destructor
	 *
	 * Core is not asked any more for what the child has written to the memory of others.
	 */
	~Pd_service_session()
	{
		pd.for_each_map([&] (uint32_t, Virtual_region_map &map) { map.forgotten(); });
	}


	/****************************
	 ** Open_session interface **
	 ****************************/

	Session_capability session_cap() const override { return pd.cap(); }

	Costs surcharge() const override { return core.beyond; }

	void upgrade(Costs const &costs) override { core.server.upgrade(costs); }

	Pd_service_session *pd_session() override { return this; }
};


/**
 * CPU session other than the one of the environment
 */
struct Cap_checkpoint::Cpu_service_session : Open_session
{
	Core_session core;
	Virtual_cpu  cpu;

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
	 * \param opener    PD session of the environment
	 */
	Cpu_service_session(Env &, Session_label const &label, Costs const &quota, long priority,
	                    Virtual_pd &opener, Id_space<Open_session> &, Request const &);

	/**
	 * Return false if the session is of no use
	 */
	bool valid() const { return core.server.cap().valid(); }


	/****************************
	 ** Open_session interface **
	 ****************************/

	Session_capability session_cap() const override { return cpu.cap(); }

	Costs surcharge() const override { return core.beyond; }

	void upgrade(Costs const &costs) override { core.server.upgrade(costs); }

	Cpu_service_session *cpu_session() override { return this; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__CHILD_SESSIONS_H_ */
