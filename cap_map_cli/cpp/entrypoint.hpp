/*
 * \brief  Entrypoint: a thread that serves requests to the objects of a pool
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_ENTRYPOINT_HPP
#define TESTBED_ENTRYPOINT_HPP

#include <sys/epoll.h>
#include <unistd.h>

#include "ipc.hpp"

namespace Testbed {

	class Rpc_object;
	class Entrypoint;
	class Rest;
}


/**
 * Object that is called through a gate
 */
class Testbed::Rpc_object
:
	public Base_foc::Object_pool<Testbed::Rpc_object, Testbed::Platform>::Entry
{
	private:

		uint64_t const _name;

		Rpc_object(Rpc_object const &);
		Rpc_object &operator = (Rpc_object const &);

	protected:

		/**
		 * Handle a request other than OP_IDENTIFY
		 */
		virtual Answer _rpc(Rpc &request, Rpc &answer) = 0;

		/**
		 * Requests that change the state of the object, so far
		 */
		virtual uint64_t _calls() const { return 0; }

	public:

		explicit Rpc_object(uint64_t name) : _name(name) { }

		uint64_t name() const { return _name; }

		void dispatch(Rpc &request, Rpc &answer);
};


/**
 * Where the entrypoints of a process come to rest
 */
class Testbed::Rest
{
	public:

		/**
		 * Called between two requests, returns unless the process shall rest
		 */
		virtual void pass() = 0;

	protected:

		~Rest() { }
};


/**
 * Entrypoint, without its thread
 *
 * All members are valid in a restored memory image. The epoll object is found
 * at a fixed descriptor.
 */
class Testbed::Entrypoint
{
	public:

		using Pool = Base_foc::Object_pool<Rpc_object, Platform>;

	private:

		uint32_t const _index;
		Pool           _pool   { };
		Receive_window _window { };

		Entrypoint(Entrypoint const &);
		Entrypoint &operator = (Entrypoint const &);

		void _handle(Kernel::Packet &packet, uint32_t server, uint32_t label);

		void _close(uint32_t server);

	public:

		explicit Entrypoint(uint32_t index) : _index(index) { }

		uint32_t index() const { return _index; }

		static int epoll_fd(uint32_t index) { return int(ENTRYPOINT_FD + index); }

		/*
		 * What epoll reports for the descriptor that wakes up the entrypoint
		 */
		static constexpr uint64_t WAKE_UP = ~uint64_t(0);

		Pool &pool() { return _pool; }

		/**
		 * Serve requests until the process ends
		 */
		[[noreturn]] void serve(Rest &);
};


inline void Testbed::Rpc_object::dispatch(Rpc &request, Rpc &answer)
{
	if (request.msg.opcode != OP_IDENTIFY) {
		answer.msg.opcode = _rpc(request, answer);
		return;
	}
	answer.msg.opcode  = ANSWER_OK;
	answer.msg.word[0] = _name;
	answer.msg.word[1] = _calls();
}


inline void Testbed::Entrypoint::_handle(Kernel::Packet &packet, uint32_t server, uint32_t label)
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
inline void Testbed::Entrypoint::_close(uint32_t server)
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


inline void Testbed::Entrypoint::serve(Rest &rest)
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

#endif /* TESTBED_ENTRYPOINT_HPP */
