/*
 * \brief  Capabilities in messages: receive windows and calls
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_IPC_HPP
#define TESTBED_IPC_HPP

#include "platform.hpp"

namespace Testbed {

	class  Receive_window;
	struct Rpc;

	/**
	 * Call the object of a capability
	 *
	 * On return, 'rpc' contains the answer.
	 */
	Answer call(Native_capability const &dst, Rpc &rpc);

	/**
	 * Send the answer to a request
	 */
	void reply(int to, Rpc const &rpc);

	/**
	 * Enter the capabilities of a packet into the capability space
	 *
	 * \param first  index of the first capability among the descriptors
	 */
	void extract(Kernel::Packet &packet, uint32_t first, Receive_window const &window,
	             Rpc &rpc);
}


/**
 * Consecutive slots for capabilities to arrive at
 *
 * There is one for each message to be received, as in base-foc. Its state is
 * one number, so it survives in a restored memory image.
 */
class Testbed::Receive_window
{
	private:

		uint32_t _first = 0;

	public:

		Receive_window() { }
		~Receive_window() { free(); }

		Receive_window(Receive_window const &)              = delete;
		Receive_window &operator = (Receive_window const &) = delete;

		/**
		 * Allocate the slots unless that is done
		 *
		 * \return  false if there is no room
		 */
		bool alloc()
		{
			if (!_first) {
				_first = cap_idx_alloc().alloc_range(WINDOW_SLOTS).slot();
			}
			return _first != 0;
		}

		void free()
		{
			if (_first)
				cap_idx_alloc().free(Cap_index::from_slot(_first), WINDOW_SLOTS);

			_first = 0;
		}

		uint32_t slot(uint32_t i) const { return _first + i; }
};


/**
 * Message with capabilities
 */
struct Testbed::Rpc
{
	Message           msg { };
	Native_capability cap[WINDOW_SLOTS] { };

	/* descriptor that is no capability, or -1; closed by whoever takes it */
	int kernel_fd = -1;

	Rpc() { }
	explicit Rpc(uint32_t opcode) { msg.opcode = opcode; }

	Rpc(Rpc const &)              = delete;
	Rpc &operator = (Rpc const &) = delete;

	~Rpc();

	/**
	 * Drop what the message carries, keep its identity
	 */
	void clear();

	void append(Native_capability const &);

	int take_kernel_fd()
	{
		int const fd = kernel_fd;
		kernel_fd = -1;
		return fd;
	}
};

#endif /* TESTBED_IPC_HPP */
