/*
 * \brief  Queues and payload of a packet stream, in memory that a component can write
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PACKET_BUFFER_H_
#define _INCLUDE__CAP_CHECKPOINT__PACKET_BUFFER_H_

/* Genode includes */
#include <cap_checkpoint/packet_executor.h>
#include <cap_checkpoint/session_memory.h>

namespace Cap_checkpoint { template <typename> class Packet_buffer; }


template <typename TX>
class Cap_checkpoint::Packet_buffer : Noncopyable
{
	public:

		using Packet  = typename Packet_executor<TX>::Packet;
		using Payload = typename Packet_executor<TX>::Payload;

	private:

		using Submit_queue = typename TX::Sink::Submit_queue;
		using Ack_queue    = typename TX::Sink::Ack_queue;

		static constexpr size_t QUEUES_SIZE = sizeof(Submit_queue) + sizeof(Ack_queue);

		Session_memory _memory;

		Submit_queue &_submit() { return *(Submit_queue *)_memory.start(); }
		Ack_queue    &_ack()    { return *(Ack_queue *)(_memory.start() + sizeof(Submit_queue)); }

		template <typename PACKET, int SIZE>
		static constexpr unsigned _size(Packet_descriptor_queue<PACKET, SIZE> const &) { return SIZE; }

	public:

		Packet_buffer(Virtual_pd &pd, Env::Local_rm &rm, size_t size) : _memory(pd, rm, size) { }

		bool valid() const { return _memory.valid() && _memory.size() > QUEUES_SIZE; }

		Dataspace *ds() { return _memory.ds(); }

		/**
		 * Return true if a payload is behind the queues, and in front of a limit
		 */
		bool contains(Payload const &p, size_t const limit) const
		{
			size_t const begin = align_addr(QUEUES_SIZE, Align { .log2 = 6 }),
			             end   = min(_memory.size(), limit);

			return !p.length
			    || (p.offset >= off_t(begin) && size_t(p.offset) < end
			     && p.length <= end - size_t(p.offset));
		}

		char *at(Payload const &p) { return _memory.start() + p.offset; }

		/**
		 * Return true if the component has submitted a packet that was not taken yet
		 *
		 * The positions of the queue are in the memory, too. If they are behind its end, it never
		 * gets empty. One of them moves whenever a packet is taken, so this is found out within one
		 * turn of the queue.
		 */
		bool packet_avail()
		{
			return !_submit().empty() && _submit().slots_free() < _size(_submit());
		}

		/**
		 * Take a packet
		 *
		 * The component can change the one in the queue at any time.
		 */
		Packet take_packet() { return _submit().get(); }

		/**
		 * Return true if the component may wait for room in the queue
		 */
		bool was_full() { return _submit().single_slot_free(); }

		/**
		 * Return false if there is no room for an acknowledgement
		 */
		bool acknowledge(Packet const &packet) { return _ack().add(packet); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PACKET_BUFFER_H_ */
