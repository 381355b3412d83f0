/*
 * \brief  PD and CPU sessions by which a component has children
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/parent.h>
#include <pd_session/connection.h>
#include <util/arg_string.h>

using namespace Cap_checkpoint;


static unsigned long value_of(Open_session::Request const &request, char const *argument,
                              unsigned long default_value)
{
	return Arg_string::find_arg(request.args.string(), argument).ulong_value(default_value);
}


/**
 * Return arguments for core, which do not include the right to manage the system
 */
static Open_session::Args pd_args(Open_session::Request const &request)
{
	unsigned long const constrained = Pd_connection::CONSTRAIN;

	return { ", virt_space=", value_of(request, "virt_space", constrained) ? 1 : 0 };
}


static Pd_session_capability real_pd(Server_session const &server)
{
	/* without it, there is nothing that the monitor could stand in front of */
	if (!server.cap().valid())
		throw Service_denied();

	return static_cap_cast<Pd_session>(server.cap());
}


Pd_service_session::Pd_service_session(Env &env, Ram_allocator &ram, Env::Local_rm &local_rm,
                                       Allocator &alloc, Session_label const &label,
                                       Costs const &quota, Virtual_pd &opener,
                                       Id_space<Open_session> &space, Request const &request)
:
	Open_session(space, request),
	core(env, Pd_session::service_name(), label,
	     { { Pd_session::RAM_QUOTA }, { Pd_session::CAP_QUOTA } },
	     { { quota.ram.value - TABLE_RAM }, { quota.caps.value - TABLE_CAPS } }, pd_args(request)),
	pd(env.ep(), real_pd(core.server), prefixed_label(Session_label(opener.name), request.label()),
	   ram, local_rm, alloc, opener.unit)
{ }


/**
 * Return arguments for core, by which no thread has a higher priority than those of the component
 *
 * Smaller numbers are higher priorities. All that the component can ask for is mapped to
 * those from its own one downwards.
 */
static Open_session::Args cpu_args(Open_session::Request const &request, long const priority)
{
	unsigned long const limit = Cpu_session::PRIORITY_LIMIT,
	                    own   = min((unsigned long)priority, limit - 1),
	                    asked = min(value_of(request, "priority", 0), limit - 1);

	return { ", priority=", Hex(own + asked*(limit - own)/limit) };
}


Cpu_service_session::Cpu_service_session(Env &env, Session_label const &label, Costs const &quota,
                                         long const priority, Virtual_pd &opener,
                                         Id_space<Open_session> &space, Request const &request)
:
	Open_session(space, request),
	core(env, Cpu_session::service_name(), label,
	     { { Cpu_session::RAM_QUOTA }, { Cpu_session::CAP_QUOTA } },
	     { { quota.ram.value - sizeof(Cpu_service_session) }, quota.caps },
	     cpu_args(request, priority), request.affinity),
	cpu(env.ep(), static_cap_cast<Cpu_session>(core.server.cap()), opener)
{ }
