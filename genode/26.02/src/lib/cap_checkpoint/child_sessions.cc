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


Pd_service_session::Pd_service_session(Env &env, Entrypoint &ep, Session_label const &label,
                                       Costs const &quota, Id_space<Open_session> &space,
                                       Request const &request)
:
	Open_session(space, request),
	Core_session(env, Pd_session::service_name(), label, server_costs(), quota,
	             pd_args(request)),
	Pd(ep, static_cap_cast<Pd_session>(server.cap()))
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


Cpu_service_session::Cpu_service_session(Env &env, Entrypoint &ep, Session_label const &label,
                                         Costs const &quota, long const priority,
                                         Id_space<Open_session> &space, Request const &request)
:
	Open_session(space, request),
	Core_session(env, Cpu_session::service_name(), label,
	             { { Cpu_session::RAM_QUOTA }, { Cpu_session::CAP_QUOTA } },
	             { { quota.ram.value - sizeof(Cpu_service_session) }, quota.caps },
	             cpu_args(request, priority), request.affinity),
	Monitored_cpu(ep, static_cap_cast<Cpu_session>(server.cap()))
{ }


unsigned Virtual_parent::count(Open_session::Of_children kind) const
{
	unsigned result = 0;
	_sessions.for_each<Open_session const>([&] (Open_session const &session) {
		result += (session.of_children() == kind); });
	return result;
}
