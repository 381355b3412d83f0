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

namespace Cap_checkpoint {

	template <typename> class Packet_buffer;

	/**
	 * Return true if the other side has put something into a queue that was not taken yet
	 *
	 * The positions of the queue are in memory of the other side. If they are behind its end, it never
	 * gets empty. One of them moves whenever a packet is taken, so this is found out within one
	 * turn of the queue.
	 */
	template <typename PACKET, int SIZE>
	static inline bool queue_avail(Packet_descriptor_queue<PACKET, SIZE> &queue)
	{
		return !queue.empty() && queue.slots_free() < unsigned(SIZE);
	}

	/**
	 * Return true if a server has acknowledged packets, by a queue that it can write as well
	 */
	template <typename TX>
	static inline bool acks_avail(typename TX::Source &source)
	{
		using Submit_queue = typename TX::Sink::Submit_queue;
		using Ack_queue    = typename TX::Sink::Ack_queue;

		return queue_avail(*(Ack_queue *)(source.ds_local_base() + sizeof(Submit_queue)));
	}
}


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

	public:

		/* offset of what is behind the queues */
		static constexpr size_t BEGIN = align_addr(QUEUES_SIZE, Align { .log2 = 6 });

		Packet_buffer(Virtual_pd &pd, Env::Local_rm &rm, size_t size) : _memory(pd, rm, size) { }

		bool valid() const { return _memory.valid() && _memory.size() > QUEUES_SIZE; }

		Dataspace *ds() { return _memory.ds(); }

		/**
		 * Return true if a payload is behind the queues, and in front of a limit
		 */
		bool contains(Payload const &p, size_t const limit) const
		{
			size_t const end = min(_memory.size(), limit);

			return !p.length
			    || (p.offset >= off_t(BEGIN) && size_t(p.offset) < end
			     && p.length <= end - size_t(p.offset));
		}

		size_t size() const { return _memory.size(); }

		char *at(Payload const &p) { return _memory.start() + p.offset; }


		/*
		 * The component submits packets
		 */

		/**
		 * Return true if the component has submitted a packet that was not taken yet
		 */
		bool packet_avail() { return queue_avail(_submit()); }

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

		bool ready_to_acknowledge() { return !_ack().full(); }


		/*
		 * The component acknowledges packets that it receives
		 */

		bool ready_to_submit() { return !_submit().full(); }

		/**
		 * Return false if there is no room for a packet
		 */
		bool submit(Packet const &packet) { return _submit().add(packet); }

		bool ack_avail() { return queue_avail(_ack()); }

		Packet take_ack() { return _ack().get(); }

		/**
		 * Return true if the component may wait for room for acknowledgements
		 */
		bool acks_were_full() { return _ack().single_slot_free(); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PACKET_BUFFER_H_ */
