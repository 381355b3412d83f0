/*
 * \brief  RPC interface of a source of capabilities
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _SOURCE_H_
#define _SOURCE_H_

#include <base/rpc.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Source;
}


struct Test::Source : Interface
{
	/* as many as a message can transfer */
	static constexpr unsigned CAPS_PER_CALL = 4;

	GENODE_RPC(Rpc_obtain, Native_capability, obtain,
	           Native_capability &, Native_capability &, Native_capability &);

	/* return true if the monitor knows the initial content of the table */
	GENODE_RPC(Rpc_ready, bool, ready);

	GENODE_RPC_INTERFACE(Rpc_obtain, Rpc_ready);
};

#endif /* _SOURCE_H_ */
