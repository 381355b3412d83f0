/*
 * \brief  Block session of a component under test
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__BLOCK_DEVICE_H_
#define _CAP_CHECKPOINT_TEST__BLOCK_DEVICE_H_

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/connection.h>
#include <block_session/client.h>

namespace Test {

	using namespace Genode;

	struct Device;
}


struct Test::Device : Connection<Block::Session>, Block::Session_client
{
	Device(Env &env, Range_allocator &alloc, size_t buffer_size)
	:
		Connection<Block::Session>(env, Label(), Ram_quota { 14*1024 + buffer_size },
		                           Args("tx_buf_size=", buffer_size)),
		Session_client(cap(), alloc, env.rm())
	{ }
};

#endif /* _CAP_CHECKPOINT_TEST__BLOCK_DEVICE_H_ */
