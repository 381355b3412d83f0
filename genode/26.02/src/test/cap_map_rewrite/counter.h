/*
 * \brief  RPC interface between the test and the monitored server
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _COUNTER_H_
#define _COUNTER_H_

#include <base/rpc.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Counter;
	struct Control;

	/* number of 'Counter' objects provided by the server */
	static constexpr unsigned NUM_COUNTERS = 8;
}


struct Test::Counter : Interface
{
	/* return number of the object, and count the request */
	GENODE_RPC(Rpc_number, unsigned, number);

	/* return number of requests counted */
	GENODE_RPC(Rpc_served, unsigned, served);

	GENODE_RPC_INTERFACE(Rpc_number, Rpc_served);
};


struct Test::Control : Interface
{
	/* submit signal to an entrypoint of the server */
	GENODE_RPC(Rpc_submit, void, submit);

	/* return number of signals handled by this entrypoint */
	GENODE_RPC(Rpc_handled, unsigned, handled);

	/* destroy the entrypoint that serves the counters */
	GENODE_RPC(Rpc_finish, void, finish);

	GENODE_RPC_INTERFACE(Rpc_submit, Rpc_handled, Rpc_finish);
};

#endif /* _COUNTER_H_ */
