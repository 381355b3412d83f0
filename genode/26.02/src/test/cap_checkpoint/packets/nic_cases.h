/*
 * \brief  Frames that make no sense
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _NIC_CASES_H_
#define _NIC_CASES_H_

/* Genode includes */
#include <nic/packet_allocator.h>
#include <nic_session/connection.h>

/* local includes */
#include <stream.h>

namespace Test { struct Nic_cases; }


/**
 * Client of a server that returns what it gets
 */
struct Test::Nic_cases
{
	using Packet = Nic::Packet_descriptor;

	static constexpr size_t BUFFER_SIZE = 128*1024, LENGTH = 1000;

	/* those of the server are as large */
	static constexpr size_t TOO_LONG = Nic::Packet_allocator::OFFSET_PACKET_SIZE + 1;

	/* an offset that none of a buffer is near to */
	static constexpr off_t HUGE = off_t(1UL << (8*sizeof(off_t) - 2));

	/* of 200 ms each */
	static constexpr unsigned MAX_ATTEMPTS = 100;

	Env       &_env;
	Allocator &_heap;

	Nic::Packet_allocator _alloc;

	Nic::Connection _nic { _env, &_alloc, BUFFER_SIZE, BUFFER_SIZE };

	Stream<Nic::Session::Tx> _stream { _env, *_nic.tx() };

	Timer::Connection _timer { _env };

	void _handle() { }

	Io_signal_handler<Nic_cases> _handler { _env.ep(), *this, &Nic_cases::_handle };

	Nic_cases(Env &env, Allocator &alloc) : _env(env), _heap(alloc), _alloc(&alloc)
	{
		_nic.tx_channel()->sigh_ack_avail(_handler);
		_nic.tx_channel()->sigh_ready_to_submit(_handler);
		_nic.rx_channel()->sigh_packet_avail(_handler);
		_nic.rx_channel()->sigh_ready_to_ack(_handler);

		_timer.sigh(_handler);
	}

	/**
	 * Return true if a session is opened, which is closed again
	 */
	bool _opened(char const *args)
	{
		Parent::Client client { };

		Id_space<Parent::Client>::Element const element { client, _env.id_space() };

		return _env.try_session(Nic::Session::service_name(), element.id(), args, Affinity()).convert<bool>(
			[&] (Session_capability) { _env.close(element.id()); return true; },
			[&] (Session_error) { return false; });
	}

	void _open_sessions()
	{
		auto denied = [&] (char const *name, char const *args) {
			if (_opened(args))
				wrong("a session with ", name, " is not denied"); };

		if (!_opened("ram_quota=500K, cap_quota=9, tx_buf_size=64K, rx_buf_size=64K, label=\"short\""))
			wrong("a session is denied");

		denied("a label that leaves no room for itself",
		       "ram_quota=1M, cap_quota=9, tx_buf_size=64K, rx_buf_size=64K, label=\""
		       "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456\"");
		denied("one buffer",          "ram_quota=1M, cap_quota=9, tx_buf_size=64K");
		denied("no room for a frame", "ram_quota=1M, cap_quota=9, tx_buf_size=64K, rx_buf_size=1");
		denied("a huge buffer",       "ram_quota=1M, cap_quota=9, tx_buf_size=64K, rx_buf_size=4000000000");
	}

	/**
	 * Session whose handler is registered when a frame is there already
	 */
	struct Late_handler
	{
		Env               &_env;
		Timer::Connection &_timer;

		Nic::Packet_allocator _alloc;

		Nic::Connection _nic { _env, &_alloc, BUFFER_SIZE, BUFFER_SIZE };

		bool _told = false;

		void _handle() { _told = true; }

		Io_signal_handler<Late_handler> _handler { _env.ep(), *this, &Late_handler::_handle };

		Late_handler(Env &env, Timer::Connection &timer, Allocator &alloc)
		: _env(env), _timer(timer), _alloc(&alloc) { }

		/**
		 * Wait until 'fn' returns true
		 */
		bool _waited(unsigned ms, auto const &fn)
		{
			uint64_t const end_ms = _timer.elapsed_ms() + ms;

			for (; !fn() && _timer.elapsed_ms() < end_ms; ) {
				_timer.trigger_once(5*1000);
				_env.ep().wait_and_dispatch_one_io_signal();
			}
			return fn();
		}

		void execute()
		{
			/* those before it may be lost */
			for (unsigned attempt = 0; attempt < MAX_ATTEMPTS && !_nic.rx()->packet_avail(); attempt++) {
				(void)_nic.tx()->try_submit_packet(_nic.tx()->alloc_packet(LENGTH));
				_nic.tx()->wakeup();
				(void)_waited(200, [&] { return _nic.rx()->packet_avail(); });
				while (_nic.tx()->ack_avail())
					_nic.tx()->release_packet(_nic.tx()->try_get_acked_packet());
			}
			_nic.rx_channel()->sigh_packet_avail(_handler);

			if (!_waited(200*MAX_ATTEMPTS, [&] { return _told; }))
				wrong("a handler does not get to know of the frame that is there");
		}
	};

	void _acknowledged(char const *name, Packet const &packet)
	{
		_stream.submit(packet);

		Packet const ack = _stream.ack();

		if (ack.offset() != packet.offset() || ack.size() != packet.size())
			wrong(name, " is not acknowledged");

		if (_stream.ack_avail())
			wrong(name, " is acknowledged twice");
	}

	void _give_back(Packet const &packet)
	{
		if (!_nic.rx()->try_ack_packet(packet))
			wrong("no room for acknowledgements");
		_nic.rx()->wakeup();
	}

	/**
	 * Acknowledge frames that were never received
	 */
	void _give_back_nonsense()
	{
		off_t const offsets[] = { 0, 1, -1600, BUFFER_SIZE - 2, BUFFER_SIZE, HUGE };

		for (off_t const offset : offsets)
			_give_back(Packet(offset, LENGTH));
	}

	/**
	 * Return true if the frame of a round returns in time, which is not lost then
	 *
	 * Those of earlier rounds may come first.
	 */
	bool _returned(unsigned const round)
	{
		uint64_t const end_ms = _timer.elapsed_ms() + 200;

		for (;;) {
			while (!_nic.rx()->packet_avail()) {
				if (_timer.elapsed_ms() >= end_ms)
					return false;
				_timer.trigger_once(20*1000);
				_env.ep().wait_and_dispatch_one_io_signal();
			}
			Packet const frame = _nic.rx()->try_get_packet();

			if (frame.size() != LENGTH || !_nic.rx()->packet_valid(frame))
				wrong("a frame of ", frame.size(), " bytes at ", frame.offset(), " returns");

			char const * const content = _nic.rx()->packet_content(frame);

			unsigned const sent_in = uint8_t(content[0]);
			for (size_t i = 0; i < LENGTH; i++)
				if (sent_in > round || uint8_t(content[i]) != sent_in)
					wrong("a frame has the wrong content");

			_give_back(frame);

			if (sent_in == round)
				return true;
		}
	}

	void execute(unsigned const round)
	{
		Packet const good = _nic.tx()->alloc_packet(LENGTH);

		char * const content = _nic.tx()->packet_content(good);
		for (size_t i = 0; i < LENGTH; i++)
			content[i] = char(round);

		off_t const at = good.offset();

		_open_sessions();
		Late_handler(_env, _timer, _heap).execute();

		_acknowledged("a frame in the queues",          Packet(8, LENGTH));
		_acknowledged("a negative offset",              Packet(-4096, LENGTH));
		_acknowledged("an offset behind",               Packet(BUFFER_SIZE, LENGTH));
		_acknowledged("a huge offset",                  Packet(HUGE, LENGTH));
		_acknowledged("a frame beyond the end",         Packet(BUFFER_SIZE - 8, LENGTH));
		_acknowledged("no frame",                       Packet(at, 0));
		_acknowledged("a frame that is too long",       Packet(at, TOO_LONG));
		_acknowledged("a huge size",                    Packet(at, ~0UL));
		_acknowledged("a size that overflows",          Packet(at, ~0UL - at + 1));
		_give_back_nonsense();

		/* some may be lost in a row */
		for (unsigned attempt = 0; attempt == 0 || !_returned(round); attempt++) {
			if (attempt == MAX_ATTEMPTS)
				wrong("frames do not return");
			_acknowledged("a frame", good);
		}
		_nic.tx()->release_packet(good);
		_stream.nothing_left();
	}

	/**
	 * Let the positions of all queues make no sense
	 */
	void damage(Timer::Connection &timer)
	{
		struct Queue { unsigned volatile head, tail; };

		auto queue = [&] (size_t offset) -> Queue & {
			return *(Queue *)(_nic.rx()->ds_local_base() + offset); };

		Queue &received = queue(0), &acks = queue(sizeof(Nic::Session::Rx::Sink::Submit_queue));

		acks.head     = Nic::Session::QUEUE_SIZE + 1;
		received.tail = Nic::Session::QUEUE_SIZE + 1;

		_stream.damage(timer);

		unsigned const before = acks.tail;
		timer.msleep(100);
		if (acks.tail != before)
			wrong("acknowledgements are taken from a damaged queue for ever");
	}
};

#endif /* _NIC_CASES_H_ */
