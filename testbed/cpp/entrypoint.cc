/*
 * \brief  Entrypoint: a thread that serves requests to the objects of a pool
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <sys/epoll.h>
#include <unistd.h>

#include "entrypoint.hpp"

using namespace Testbed;


void Rpc_object::dispatch(Rpc &request, Rpc &answer)
{
	if (request.msg.opcode != OP_IDENTIFY) {
		answer.msg.opcode = _rpc(request, answer);
		return;
	}
	answer.msg.opcode  = ANSWER_OK;
	answer.msg.word[0] = _name;
	answer.msg.word[1] = _calls();
}


void Entrypoint::_handle(Kernel::Packet &packet, uint32_t server, uint32_t label)
{
	int const reply_fd = packet.take(0);

	Rpc request { };
	extract(packet, 1, _window, request);

	Rpc answer { ANSWER_NO_OBJECT };
	answer.msg.id = request.msg.id;

	_pool.apply(label, [&] (Rpc_object *object) {

		/*
		 * Core may have reused the label since this request was sent. Then the
		 * gate that it came by is shut: that happened before the object with
		 * the same label came to be.
		 */
		if (object && Kernel::alive(Kernel::server_fd(server)))
			object->dispatch(request, answer);
	});

	reply(reply_fd, answer);
	close(reply_fd);
}


/**
 * Close the server end of a gate that was shut, and tell those who wait
 */
void Entrypoint::_close(uint32_t server)
{
	for (;;) {
		Kernel::Packet packet { };
		if (!Kernel::receive(Kernel::server_fd(server), packet))
			break;

		Rpc rpc { ANSWER_DEAD };
		rpc.msg.id = packet.msg.id;

		int const reply_fd = packet.take(0);
		reply(reply_fd, rpc);
		close(reply_fd);
	}
	Kernel::free_server(server);
}


void Entrypoint::serve(Rest &rest)
{
	for (;;) {
		/* at rest, each entrypoint is ready to receive */
		bool const room = _window.alloc();
		rest.pass();

		/* without room for capabilities, wait until some is freed */
		if (!room) {
			sched_yield();
			continue;
		}

		epoll_event event { };
		if (epoll_wait(epoll_fd(_index), &event, 1, -1) != 1
		 || event.data.u64 == WAKE_UP)
			continue;

		uint32_t const server = Kernel::server_of(event.data.u64),
		               label  = Kernel::label_of(event.data.u64);

		if (event.events & (EPOLLHUP | EPOLLERR)) {
			_close(server);
			continue;
		}

		Kernel::Packet packet { };
		if (!Kernel::receive(Kernel::server_fd(server), packet))
			continue;

		_handle(packet, server, label);
		_window.free();
	}
}
