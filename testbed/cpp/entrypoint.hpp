/*
 * \brief  Entrypoint: a thread that serves requests to the objects of a pool
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_ENTRYPOINT_HPP
#define TESTBED_ENTRYPOINT_HPP

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

#endif /* TESTBED_ENTRYPOINT_HPP */
