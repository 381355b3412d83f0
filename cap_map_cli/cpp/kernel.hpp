/*
 * \brief  Capability space and gates, provided by Linux
 *
 * A capability is a socket, a selector a place in the descriptor table. Linux
 * is what is asked whether two selectors name one object and whether the
 * object exists. A gate is a pair of connected sockets: one end is the
 * capability, the other one belongs to the serving component and is bound, by
 * core, to the epoll object of an entrypoint. The label that epoll reports
 * with a request is the one that core gave, whatever a client does.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_KERNEL_HPP
#define TESTBED_KERNEL_HPP

#include <stddef.h>
#include <stdint.h>

#include "wire.hpp"

namespace Testbed { namespace Kernel {

	/**
	 * Set the number of slots of this process, before anything else
	 */
	void init(uint32_t slots);

	/**
	 * Descriptor of a slot
	 */
	int slot_fd(uint32_t slot);

	inline uint32_t slot_of(size_t kcap) { return uint32_t(kcap >> CAP_SHIFT); }

	/*
	 * What Fiasco.OC calls l4_task_cap_equal, l4_task_cap_valid, l4_task_map
	 */
	bool equal(size_t kcap_a, size_t kcap_b);
	bool valid(size_t kcap);
	bool map(size_t from, size_t to);

	/**
	 * Put a descriptor at a fixed number, replacing what is there
	 *
	 * The original is closed, in any case.
	 */
	bool put(int fd, int number);

	/**
	 * Number that Linux knows the object behind a descriptor by, 0 for none
	 */
	uint64_t inode(int fd);

	/**
	 * Return true if a descriptor can be a capability
	 */
	bool is_socket(int fd);

	/**
	 * Return false once both ends of the socket's connection are shut
	 */
	bool alive(int fd);


	/*****************
	 ** Server ends **
	 *****************/

	int server_fd(uint32_t index);

	/**
	 * Allocate an index, -1 if there is none left
	 */
	int alloc_server();

	/**
	 * Mark an index as used, false if it is out of range
	 */
	bool claim_server(uint32_t index);

	/**
	 * Close the server end, and let its index be used again
	 */
	void free_server(uint32_t index);


	/*************************
	 ** Requests of a gate  **
	 *************************/

	/**
	 * What epoll reports for a gate
	 */
	inline uint64_t epoll_data(uint32_t server, uint32_t label)
	{
		return uint64_t(server) << 32 | label;
	}

	inline uint32_t label_of(uint64_t data)  { return uint32_t(data); }
	inline uint32_t server_of(uint64_t data) { return uint32_t(data >> 32); }

	/**
	 * Message with descriptors, which it owns
	 */
	struct Packet
	{
		Message  msg { };
		int      fd[FDS_MAX];
		uint32_t fds = 0;

		Packet() { for (int &entry : fd) entry = -1; }
		~Packet();

		Packet(Packet const &)              = delete;
		Packet &operator = (Packet const &) = delete;

		/**
		 * Hand out a descriptor, -1 if there is none
		 */
		int take(uint32_t index);
	};

	/**
	 * Send a message, copies of the descriptors travel along
	 *
	 * \param wait  wait for room, as long as core allows for a gate
	 */
	Answer send(int to, Message const &msg, int const *fd, uint32_t fds, bool wait);

	/**
	 * Receive a message if there is one
	 *
	 * \return  false if there is none, or none that makes sense
	 */
	bool receive(int from, Packet &packet);

	/**
	 * Wait for a message to arrive at a descriptor
	 */
	bool wait_readable(int fd, int timeout_ms);
} }

#endif /* TESTBED_KERNEL_HPP */
