/*
 * \brief  Component that uses the slots of its gates for other capabilities
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>

/* local includes */
#include <source.h>

namespace Test {

	struct Dummy;
	struct Object;
	struct Main;
}


struct Test::Dummy : Interface { GENODE_RPC_INTERFACE(); };

struct Test::Object : Rpc_object<Dummy, Object> { };


struct Test::Main
{
	Env &_env;

	/* the monitor provides it in the place of the native PD interface */
	Capability<Source> _source { reinterpret_cap_cast<Source>(_env.pd().native_pd()) };

	Object _object { };

	/* the gates belong to the thread behind the capability */
	Native_capability const _ref { gate_server(_env, _env.ep().manage(_object)) };

	Native_capability _caps[NUM_CAPS] { };

	void _create_gates()
	{
		for (Native_capability &cap : _caps)
			cap = new_gate(_env, _ref);
	}

	/**
	 * Let the capabilities of a group take the place of others
	 */
	template <typename RPC>
	void _obtain(unsigned group)
	{
		Native_capability * const caps = _caps + group*GROUP_SIZE;

		for (unsigned i = 0; i < GROUP_SIZE; i++)
			caps[i] = Native_capability();

		caps[0] = _source.call<RPC>(group, caps[1], caps[2], caps[3]);
	}

	Main(Env &env) : _env(env)
	{
		_create_gates();

		for (;;) {
			for (unsigned group = 0; group < NUM_GROUPS; group++)
				_obtain<Source::Rpc_foreign>(group);

			_source.call<Source::Rpc_examine>();

			for (unsigned group = 0; group < NUM_GROUPS; group++)
				_obtain<Source::Rpc_gates>(group);
		}
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
