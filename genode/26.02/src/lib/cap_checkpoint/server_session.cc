/*
 * \brief  Sessions of the monitor that stand behind those of a component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/server_session.h>
#include <cap_checkpoint/session_memory.h>

using namespace Cap_checkpoint;


/********************
 ** Server_session **
 ********************/

Server_session::Server_session(Env &env, char const *service, Session_label const &label,
                               Costs const usual, Open_session::Args const &further,
                               Affinity const &affinity)
:
	_env(env)
{
	size_t ram = usual.ram.value, caps = usual.caps.value;

	bool again = true;

	for (unsigned i = 0; again && i < MAX_ATTEMPTS; i++) {

		/* the first argument of a name counts */
		String<Parent::Session_args::MAX_SIZE> const
			args("ram_quota=", ram, ", cap_quota=", caps, further, ", label=\"", label, "\"");

		/* a label that is cut would lead to the policy of somebody else */
		if (args.length() == args.capacity()) {
			warning(service, " session is denied because its label is too long: ", label);
			return;
		}
		again = false;

		_env.try_session(service, _element.id(), args.string(), affinity).with_result(
			[&] (Session_capability cap) { _cap = cap; },
			[&] (Session_error e) {
				if (e == Session_error::INSUFFICIENT_RAM)  { ram  += 4096; again = true; }
				if (e == Session_error::INSUFFICIENT_CAPS) { caps += 4;    again = true; } });
	}

	if (_cap.valid())
		surcharge = { { ram - usual.ram.value }, { caps - usual.caps.value } };
}


Server_session::~Server_session()
{
	if (_cap.valid())
		_env.close(_element.id());
}


void Server_session::upgrade(Costs const &costs)
{
	_env.upgrade(_element.id(), String<64>("ram_quota=", costs.ram, ", cap_quota=",
	                                       costs.caps).string());
}


/********************
 ** Session_memory **
 ********************/

Session_memory::Session_memory(Virtual_pd &pd, Env::Local_rm &local_rm, size_t size)
:
	_pd(pd), _local_rm(local_rm)
{
	_pd.alloc(size, CACHED, Dataspace::Kind::SESSION).with_result(
		[&] (Dataspace *ds) { _ds = ds; }, [&] (Alloc_error) { });

	if (!_ds)
		return;

	Env::Local_rm::Attach_attr attr { };
	attr.writeable = true;

	_local_rm.attach(_ds->cap, attr).with_result(
		[&] (Env::Local_rm::Attachment &a) {
			a.deallocate = false;
			_start = (char *)a.ptr; },
		[&] (Env::Local_rm::Error) { });
}


Session_memory::~Session_memory()
{
	if (_start)
		Env::Local_rm::Attachment { _local_rm, { _start, size() } };

	if (_ds)
		_pd.free(*_ds);
}
