/*
 * \brief  RPC interface by which a child obtains capabilities from its monitor
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SOURCE_H_
#define _SOURCE_H_

#include <base/rpc.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Source;

	/* groups of capabilities, each is received by one message */
	static constexpr unsigned NUM_GROUPS = 8, GROUP_SIZE = 4,
	                          NUM_CAPS = NUM_GROUPS*GROUP_SIZE;
}


struct Test::Source : Interface
{
	/* return gates of the child, according to their most recent replacement */
	GENODE_RPC(Rpc_gates, Native_capability, gates, unsigned,
	           Native_capability &, Native_capability &, Native_capability &);

	/* return capabilities of objects of the monitor */
	GENODE_RPC(Rpc_foreign, Native_capability, foreign, unsigned,
	           Native_capability &, Native_capability &, Native_capability &);

	/* let the monitor examine the capabilities, which do not change meanwhile */
	GENODE_RPC(Rpc_examine, void, examine);

	GENODE_RPC_INTERFACE(Rpc_gates, Rpc_foreign, Rpc_examine);
};

#endif /* _SOURCE_H_ */
