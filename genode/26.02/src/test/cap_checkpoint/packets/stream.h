/*
 * \brief  Packet stream whose requests are executed one by one
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _STREAM_H_
#define _STREAM_H_

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/signal.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Wrong { };  /* exception */

	[[noreturn]] static inline void wrong(auto &&... what)
	{
		error(what...);
		throw Wrong();
	}

	template <typename TX> struct Stream;
}


template <typename TX>
struct Test::Stream
{
	using Source = typename TX::Source;
	using Packet = typename Source::Packet_descriptor;

	Env    &_env;
	Source &_source;

	/* positions in the queues, which both sides can write */
	struct Queue { unsigned volatile head, tail; };

	Queue &_submit() { return *(Queue *)_source.ds_local_base(); }

	Queue &_acks()
	{
		return *(Queue *)(_source.ds_local_base() + sizeof(typename TX::Sink::Submit_queue));
	}

	Stream(Env &env, Source &source) : _env(env), _source(source) { }

	void submit(Packet const &packet)
	{
		if (!_source.try_submit_packet(packet))
			wrong("no room in the queue");
		_source.wakeup();
	}

	bool ack_avail() { return _source.ack_avail(); }

	Packet ack()
	{
		while (!_source.ack_avail())
			_env.ep().wait_and_dispatch_one_io_signal();

		Packet const result = _source.try_get_acked_packet();
		_source.wakeup();
		return result;
	}

	/**
	 * Execute a packet while no other one is in flight
	 */
	Packet execute(Packet const &packet)
	{
		submit(packet);

		Packet const answer = ack();

		if (answer.operation() != packet.operation() || answer.offset() != packet.offset())
			wrong("foreign acknowledgement");

		return answer;
	}

	/**
	 * Make sure that nothing is acknowledged that is not in flight
	 */
	void nothing_left()
	{
		if (ack_avail())
			wrong("an acknowledgement is left");
	}

	/**
	 * Let a packet that makes no sense fail
	 */
	void fails(char const *name, Packet const &packet)
	{
		submit(packet);

		Packet const answer = ack();

		if (answer.succeeded() || answer.offset() != packet.offset())
			wrong(name, " does not fail as it should");

		if (ack_avail())
			wrong(name, " is acknowledged twice");
	}

	/**
	 * Let the positions of both queues make no sense
	 *
	 * A monitor that goes by them has packets, and room for acknowledgements, for ever.
	 */
	void damage(Timer::Connection &timer)
	{
		static constexpr unsigned BEHIND = 1;

		using Submit_queue = typename TX::Sink::Submit_queue;
		using Ack_queue    = typename TX::Sink::Ack_queue;

		auto size = [] <typename P, int SIZE> (Packet_descriptor_queue<P, SIZE> *) {
			return unsigned(SIZE); };

		(void)_source.try_submit_packet(Packet());
		_acks()  .tail = size((Ack_queue    *)nullptr) + BEHIND;
		_submit().head = size((Submit_queue *)nullptr) + BEHIND;
		_source.wakeup();

		timer.msleep(100);
		unsigned const before = _submit().tail;
		timer.msleep(100);

		if (_submit().tail != before)
			wrong("packets are taken from a damaged queue for ever");
	}
};

#endif /* _STREAM_H_ */
