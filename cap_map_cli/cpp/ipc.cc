/*
 * \brief  Capabilities in messages: receive windows and calls
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <sys/socket.h>
#include <unistd.h>

#include "ipc.hpp"

using namespace Testbed;


/*********
 ** Rpc **
 *********/

Rpc::~Rpc() { clear(); }


void Rpc::clear()
{
	uint32_t const id = msg.id;
	msg    = Message { };
	msg.id = id;

	for (Native_capability &c : cap)
		c = Native_capability();

	if (kernel_fd >= 0)
		close(take_kernel_fd());
}


void Rpc::append(Native_capability const &c)
{
	if (c.data() && msg.caps < WINDOW_SLOTS)
		cap[msg.caps++] = c;
}


/**
 * Add what a message carries to the descriptors to be sent
 */
static uint32_t _marshal(Rpc const &rpc, Message &msg, int *fd, uint32_t fds)
{
	msg        = rpc.msg;
	msg.kernel = 0;

	for (uint32_t i = 0; i < msg.caps; i++) {
		Native_capability const &cap = rpc.cap[i];
		msg.badge[i] = uint32_t(cap.local_name());
		fd[fds++]    = Kernel::slot_fd(Cap_index(cap).slot());
	}

	if (rpc.kernel_fd >= 0) {
		msg.kernel = 1;
		fd[fds++]  = rpc.kernel_fd;
	}
	return fds;
}


void Testbed::extract(Kernel::Packet &packet, uint32_t first,
                      Receive_window const &window, Rpc &rpc)
{
	rpc.clear();

	uint32_t const fds  = packet.fds > first ? packet.fds - first : 0,
	               caps = packet.msg.caps > fds ? fds : packet.msg.caps;

	rpc.msg        = packet.msg;
	rpc.msg.caps   = caps > WINDOW_SLOTS ? uint32_t(WINDOW_SLOTS) : caps;
	rpc.msg.kernel = 0;

	for (uint32_t i = 0; i < rpc.msg.caps; i++) {

		uint32_t const slot = window.slot(i);

		if (!Kernel::is_socket(packet.fd[first + i])
		 || !Kernel::put(packet.take(first + i), Kernel::slot_fd(slot)))
			continue;

		Cap_index const index =
			cap_map().insert_map(packet.msg.badge[i], size_t(slot) << CAP_SHIFT);

		rpc.cap[i] = Native_capability::adopt(index);
	}

	if (packet.msg.kernel)
		rpc.kernel_fd = packet.take(first + rpc.msg.caps);
}


/***********
 ** Calls **
 ***********/

namespace {

	/**
	 * Where the answers to the calls of a thread arrive
	 */
	struct Reply_gate
	{
		int      fd[2] { -1, -1 };
		uint32_t id = 0;

		Reply_gate()
		{
			if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
				fd[0] = fd[1] = -1;
		}

		~Reply_gate()
		{
			close(fd[0]);
			close(fd[1]);
		}
	};
}


Answer Testbed::call(Native_capability const &dst, Rpc &rpc)
{
	static thread_local Reply_gate gate { };

	auto fail = [&] (Answer answer) { rpc.clear(); return answer; };

	if (!dst.data())
		return fail(ANSWER_INVALID);

	Receive_window window { };
	if (!window.alloc())
		return fail(ANSWER_NO_SLOT);

	Message  msg { };
	int      fd[FDS_MAX];
	uint32_t fds = 0;

	fd[fds++] = gate.fd[1];
	fds       = _marshal(rpc, msg, fd, fds);
	msg.id    = ++gate.id;

	Answer const sent =
		Kernel::send(Kernel::slot_fd(Cap_index(dst).slot()), msg, fd, fds, true);

	if (sent != ANSWER_OK)
		return fail(sent);

	while (Kernel::wait_readable(gate.fd[0], CALL_TIMEOUT_MS)) {

		Kernel::Packet packet { };
		if (!Kernel::receive(gate.fd[0], packet))
			return fail(ANSWER_FAILED);

		/* the late answer to a call that was given up */
		if (packet.msg.id != gate.id)
			continue;

		extract(packet, 0, window, rpc);
		return Answer(rpc.msg.opcode);
	}
	return fail(ANSWER_TIMEOUT);
}


void Testbed::reply(int to, Rpc const &rpc)
{
	Message        msg { };
	int            fd[FDS_MAX];
	uint32_t const fds = _marshal(rpc, msg, fd, 0);

	/* a client that leaves no room for the answer does not get it */
	(void)Kernel::send(to, msg, fd, fds, false);
}
