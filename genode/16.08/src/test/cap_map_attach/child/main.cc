/*
 * \brief  Component that has to work whatever it gets for its capability table
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>

namespace Test {

	using namespace Genode;

	struct Number;
	struct Number_component;

	enum { STACK_SIZE = 4*1024*sizeof(long) };
}


struct Test::Number
{
	GENODE_RPC(Rpc_value, unsigned, value);
	GENODE_RPC_INTERFACE(Rpc_value);
};


struct Test::Number_component : Rpc_object<Number, Number_component>
{
	unsigned _value = 0;

	unsigned value() { return ++_value; }
};


Genode::size_t Component::stack_size() { return 8*1024*sizeof(long); }


void Component::construct(Genode::Env &env)
{
	using namespace Test;

	Rpc_entrypoint ep(&env.pd(), STACK_SIZE, "server");

	Number_component object;

	Capability<Number> const cap = ep.manage(&object);

	unsigned sum = 0;
	for (unsigned i = 0; i < 100; i++)
		sum += cap.call<Number::Rpc_value>();

	ep.dissolve(&object);

	log(sum == 5050 ? "works" : "fails");
}
