/*
 * \brief  Component that works regardless of the exposure of its capabilities
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Number;
	struct Number_component;
}


struct Test::Number : Interface
{
	GENODE_RPC(Rpc_value, unsigned, value);
	GENODE_RPC_INTERFACE(Rpc_value);
};


struct Test::Number_component : Rpc_object<Number, Number_component>
{
	unsigned _value = 0;

	unsigned value() { return ++_value; }
};


void Component::construct(Genode::Env &env)
{
	using namespace Test;

	static Server ep(env);

	Number_component object;

	Capability<Number> const cap = ep.manage(object);

	unsigned sum = 0;
	for (unsigned i = 0; i < 100; i++)
		sum += cap.call<Number::Rpc_value>();

	ep.dissolve(object);

	log(sum == 5050 ? "works" : "fails");
}
