/*
 * \brief  What an image has of the frames of a component
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FRAMES_H_
#define _FRAMES_H_

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/nic_session.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Frames;
}


/**
 * Queues and memory of the Nic sessions of a frozen component
 */
struct Test::Frames
{
	using Session = Nic_service_session;
	using Frame   = Nic::Packet_descriptor;

	static constexpr unsigned QUEUE_SIZE = Nic::Session::QUEUE_SIZE;

	struct Queue
	{
		unsigned head, tail;
		Frame    frames[QUEUE_SIZE];
	};

	static_assert(sizeof(Queue) == sizeof(Session::Tx::Sink::Submit_queue));

	Child &_child;

	bool _with_memory(Session::Memory part, auto const &fn)
	{
		bool result = false;

		_child.parent.for_each_session([&] (Open_session &session) {

			Cap_checkpoint::Dataspace * const ds = session.request.service == "Nic"
			                                     ? session.memory(part) : nullptr;
			session.before_save();

			if (ds)
				(void)with_attached(_child.monitor().local_rm, ds->cap, Access::WRITE,
					[&] (char *start, size_t) { result |= fn(start); }); });

		return result;
	}

	/**
	 * Append a copy of the first entry of a queue, if there is one
	 */
	static bool _repeat(Queue &queue)
	{
		if (queue.head == queue.tail || (queue.head + 1) % QUEUE_SIZE == queue.tail)
			return false;

		queue.frames[queue.head] = queue.frames[queue.tail];
		queue.head = (queue.head + 1) % QUEUE_SIZE;
		return true;
	}

	Frames(Child &child) : _child(child) { }

	/**
	 * Let a monitor take the whole receive buffer for free
	 */
	bool lose_slots()
	{
		return _with_memory(Session::STATE, [&] (char *start) {
			bool lent = false;
			for (uint8_t &used : ((Session::State *)start)->lent) {
				lent |= used;
				used = 0;
			}
			return lent; });
	}

	/**
	 * Let a monitor forget frames that are to be sent
	 */
	bool lose()
	{
		return _with_memory(Session::TX_BUFFER, [&] (char *start) {
			Queue &queue = *(Queue *)start;
			bool const any = (queue.head != queue.tail);
			queue.tail = queue.head;
			return any; });
	}

	/**
	 * Let a monitor acknowledge a frame twice
	 */
	bool acknowledge_again()
	{
		return _with_memory(Session::TX_BUFFER, [&] (char *start) {
			return _repeat(((Queue *)start)[1]); });
	}

	/**
	 * Let a monitor hand a frame to the component twice
	 */
	bool receive_again()
	{
		return _with_memory(Session::RX_BUFFER, [&] (char *start) {
			return _repeat(*(Queue *)start); });
	}

	/**
	 * Let the component come from another network adapter
	 */
	bool change_mac()
	{
		return _with_memory(Session::STATE, [&] (char *start) {
			((Session::State *)start)->mac[5] ^= 1;
			return true; });
	}
};

#endif /* _FRAMES_H_ */
