/*
 * \brief  Component with many frames on their way through a network that returns them
 * \date   2026-12-01
 *
 * It counts the acknowledgements of each frame that it sends. Frames return in their order, none of them twice.
 * Some are kept for a while before they are given back, and still have their content then. Frames are lost only if
 * the component was told to look at the link. It exits with 0 when it is asked to, or with a number that tells a
 * mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <nic/packet_allocator.h>
#include <nic_session/connection.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	using Packet = Nic::Packet_descriptor;

	static constexpr size_t BUFFER_SIZE = 256*1024,
	                        MIN_SIZE    = 64, MAX_SIZE = Nic::Packet_allocator::OFFSET_PACKET_SIZE;

	static constexpr unsigned MAX_SENT = 120, MAX_KEPT = 16, INTERVAL_US = 20*1000;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };

	/* the server returns no frames, but anything else, or nothing */
	bool const _odd = _config.node().attribute_value("odd", false);

	Nic::Packet_allocator _alloc { &_heap };

	Nic::Connection _nic { _env, &_alloc, BUFFER_SIZE, BUFFER_SIZE };

	Nic::Mac_address const _mac = _nic.mac_address();

	Timer::Connection _timer { _env };

	struct Sent
	{
		bool   used;
		off_t  offset;
		size_t size;
	};

	struct Kept
	{
		uint64_t number;  /* 0 if there is none */
		Packet   packet;
	};

	Sent _sent[MAX_SENT] { };
	Kept _kept[MAX_KEPT] { };

	uint64_t _number = 0,  /* of the frame that was sent at last */
	         _last   = 0,  /* of the frame that was received at last */
	         _end    = 0;  /* a frame behind this one ends the test */

	uint64_t _num_acks = 0, _lost = 0;
	unsigned _gaps = 0, _links = 0, _most = 0;

	uint32_t _random = 815;

	bool _stopping = false, _exited = false;

	void _exit(int value)
	{
		if (!_exited)
			_env.parent().exit(value);
		_exited = true;
	}

	void _wrong(auto &&... what)
	{
		error(what...);
		_exit(-1);
	}

	unsigned _any(unsigned limit)
	{
		_random = _random*1103515245 + 12345;
		return (_random >> 8) % limit;
	}

	/**
	 * Call 'fn' with each whole word of a frame behind its number, and its value
	 */
	static void _for_each_word(char *content, size_t size, uint64_t number, auto const &fn)
	{
		for (size_t at = sizeof(number); at + sizeof(uint64_t) <= size; at += sizeof(uint64_t))
			fn(content + at, (number << 16 ^ uint64_t(size) << 32 ^ at)*0x9e3779b97f4a7c15ULL);
	}

	static void _fill(char *content, size_t size, uint64_t number)
	{
		memcpy(content, &number, sizeof(number));
		_for_each_word(content, size, number, [] (char *at, uint64_t value) {
			memcpy(at, &value, sizeof(value)); });
	}

	static bool _has_content(char *content, size_t size, uint64_t number)
	{
		bool same = !memcmp(content, &number, sizeof(number));
		_for_each_word(content, size, number, [&] (char *at, uint64_t value) {
			same &= !memcmp(at, &value, sizeof(value)); });
		return same;
	}

	unsigned _on_their_way() const
	{
		unsigned count = 0;
		for (Sent const &sent : _sent)
			count += sent.used;
		return count;
	}

	/**
	 * Return false if there is no room
	 */
	bool _send(Sent &sent)
	{
		if (!_nic.tx()->ready_to_submit())
			return false;

		size_t const size = MIN_SIZE + _any(MAX_SIZE - MIN_SIZE + 1);

		return _nic.tx()->alloc_packet_attempt(size).convert<bool>(
			[&] (Packet const &packet) {
				_fill(_nic.tx()->packet_content(packet), size, ++_number);
				sent = { .used = true, .offset = packet.offset(), .size = size };
				(void)_nic.tx()->try_submit_packet(packet);
				return true; },
			[&] (auto) { return false; });
	}

	void _take_acks()
	{
		while (_nic.tx()->ack_avail() && !_exited) {

			Packet const ack = _nic.tx()->try_get_acked_packet();

			Sent *found = nullptr;
			for (Sent &sent : _sent)
				if (sent.used && sent.offset == ack.offset() && sent.size == ack.size())
					found = &sent;

			if (!found) {
				_wrong("acknowledged twice");
				return;
			}
			_nic.tx()->release_packet(ack);
			found->used = false;
			_num_acks++;
		}
	}

	void _give_back(Kept &kept)
	{
		if (kept.number && !_has_content(_nic.rx()->packet_content(kept.packet),
		                                 kept.packet.size(), kept.number))
			_wrong("frame ", kept.number, " has the wrong content");

		(void)_nic.rx()->try_ack_packet(kept.packet);
		kept = { };
	}

	void _note(uint64_t number)
	{
		if (number <= _last)
			_wrong("frame ", number, " is received behind ", _last);

		if (number > _number)
			_wrong("frame ", number, " was never sent");

		if (number > _last + 1) {
			_lost += number - _last - 1;
			_gaps++;
		}
		_last = number;
	}

	void _receive()
	{
		while (_nic.rx()->packet_avail() && _nic.rx()->ready_to_ack() && !_exited) {

			/* in any order */
			Kept &kept = _kept[_any(MAX_KEPT)];
			if (kept.packet.size())
				_give_back(kept);

			kept = { .number = 0, .packet = _nic.rx()->try_get_packet() };

			size_t const least = _odd ? 1 : MIN_SIZE;

			if (kept.packet.size() < least || kept.packet.size() > MAX_SIZE
			 || !_nic.rx()->packet_valid(kept.packet)) {
				_wrong("frame of ", kept.packet.size(), " bytes at ", kept.packet.offset());
				return;
			}
			if (_odd)
				continue;

			memcpy(&kept.number, _nic.rx()->packet_content(kept.packet), sizeof(kept.number));
			_note(kept.number);
		}
	}

	void _finish()
	{
		for (Kept &kept : _kept)
			if (kept.packet.size())
				_give_back(kept);

		if (_gaps && !_links)
			_wrong("frames are lost");

		if (_nic.mac_address() != _mac)
			_wrong("another MAC address");

		if (!_exited)
			log(_num_acks, " frames, at most ", _most, " at once, ", _lost, " lost in ", _gaps,
			    " places, ", _links, " times another link");
		_exit(0);
	}

	void _handle()
	{
		if (_exited)
			return;

		_take_acks();
		_receive();

		if (!_stopping)
			for (Sent &sent : _sent)
				if (!sent.used && !_send(sent))
					break;

		_most = max(_most, _on_their_way());

		_nic.tx()->wakeup();
		_nic.rx()->wakeup();

		if (_stopping && (_odd ? _num_acks > 0 : _last > _end && !_on_their_way()) && !_exited)
			_finish();
	}

	Signal_handler<Main> _handler { _env.ep(), *this, &Main::_handle };

	/**
	 * Send a frame behind the last one, which may have been lost
	 */
	void _handle_timer()
	{
		if (_stopping && _last <= _end)
			for (Sent &sent : _sent)
				if (!sent.used) {
					(void)_send(sent);
					break;
				}
		_handle();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_link()
	{
		_links++;
		if (!_nic.link_state())
			_wrong("there is no link");
	}

	Signal_handler<Main> _link_handler { _env.ep(), *this, &Main::_handle_link };

	void _handle_yield()
	{
		_stopping = true;
		_end      = _number;
		_handle();
	}

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_nic.tx_channel()->sigh_ack_avail(_handler);
		_nic.tx_channel()->sigh_ready_to_submit(_handler);
		_nic.rx_channel()->sigh_packet_avail(_handler);
		_nic.rx_channel()->sigh_ready_to_ack(_handler);
		_nic.link_state_sigh(_link_handler);

		_env.parent().yield_sigh(_yield_handler);

		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(INTERVAL_US);

		_handle();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
