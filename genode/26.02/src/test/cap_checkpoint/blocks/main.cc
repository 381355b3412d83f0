/*
 * \brief  Component with many requests to a block device in flight
 * \date   2026-12-01
 *
 * It counts the acknowledgements of each request, and knows what each block contains after all requests that
 * were submitted, in their order. It exits with 0 when it is asked to or after a number of requests, with
 * no request left and the content of the device as it should be, or with a number that tells a mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/connection.h>
#include <base/heap.h>
#include <base/log.h>
#include <block_session/client.h>

namespace Test {

	using namespace Genode;

	struct Device;
	struct Main;
}


struct Test::Device : Connection<Block::Session>, Block::Session_client
{
	static constexpr size_t BUFFER_SIZE = 512*1024;

	Device(Env &env, Range_allocator &alloc)
	:
		Connection<Block::Session>(env, Label(), Ram_quota { 14*1024 + BUFFER_SIZE },
		                           Args("tx_buf_size=", BUFFER_SIZE)),
		Session_client(cap(), alloc, env.rm())
	{ }
};


struct Test::Main
{
	using Packet = Block::Packet_descriptor;
	using Opcode = Packet::Opcode;

	static constexpr unsigned MAX_BLOCKS = 1024, MAX_COUNT = 6, MAX_REQUESTS = 120;

	Env &_env;

	Heap          _heap  { _env.ram(), _env.rm() };
	Allocator_avl _alloc { &_heap };

	Device _device { _env, _alloc };

	size_t   const _block_size = _device.info().block_size;
	unsigned const _num_blocks = unsigned(min(Block::block_number_t(MAX_BLOCKS),
	                                          _device.info().block_count));

	struct Request
	{
		unsigned long tag;  /* 0 if there is none */
		Opcode        opcode;
		unsigned      first, count;
		unsigned      versions[MAX_COUNT];  /* of the blocks, once it is executed */
	};

	Request _requests[MAX_REQUESTS] { };

	/* number of the write that each block is from, the content is unknown before */
	unsigned _versions[MAX_BLOCKS] { };

	/* a component that stays comes to its end by itself */
	Attached_rom_dataspace _config { _env, "config" };

	unsigned long const _max_acks = _config.node().attribute_value("requests", ~0UL);

	/* a component beside others leaves something to them */
	unsigned const _at_once = min(MAX_REQUESTS, _config.node().attribute_value("at_once", MAX_REQUESTS));

	/* how often to tell how many there were, 0 for never */
	unsigned long const _tell = _config.node().attribute_value("tell", 0UL);

	/* a device that does something to blocks that are trimmed lets them be zero */
	bool const _trim = _config.node().attribute_value("trim", false);

	static constexpr unsigned TRIMMED = ~0U;

	unsigned long _next_tag = 1, _num_acks = 0;
	unsigned      _outstanding = 0, _most = 0, _verified = 0, _num_writes = 0;

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

	static uint64_t _word(unsigned block, unsigned version, size_t i)
	{
		return version == TRIMMED ? 0 : (uint64_t(block) << 40 ^ uint64_t(version) << 8 ^ i)*0x9e3779b97f4a7c15ULL;
	}

	/**
	 * Call 'fn' with some words of each block that was written, and their values
	 */
	void _for_each_word(char *content, Request const &request, auto const &fn)
	{
		size_t const num_words = _block_size/sizeof(uint64_t), step = 8;

		for (unsigned b = 0; b < request.count; b++)
			for (size_t i = 0; i < num_words && request.versions[b]; i += step)
				fn(((uint64_t *)content)[b*num_words + i],
				   _word(request.first + b, request.versions[b], i));
	}

	static bool _payload(Opcode opcode) { return opcode == Packet::READ || opcode == Packet::WRITE; }

	/**
	 * Return false if there is no room
	 */
	bool _submit(Request &request)
	{
		Packet content { };

		if (!_device.tx()->ready_to_submit())
			return false;

		if (_payload(request.opcode)) {
			try { content = _device.alloc_packet(request.count*_block_size); }
			catch (Block::Session::Tx::Source::Packet_alloc_failed) { return false; }
		}

		for (unsigned b = 0; b < request.count; b++) {

			unsigned &version = _versions[request.first + b];

			if (request.opcode == Packet::WRITE) version = ++_num_writes;
			if (request.opcode == Packet::TRIM)  version = TRIMMED;

			request.versions[b] = version;
		}

		request.tag = _next_tag++*MAX_REQUESTS + unsigned(&request - _requests);

		if (request.opcode == Packet::WRITE)
			_for_each_word(_device.tx()->packet_content(content), request,
			               [&] (uint64_t &to, uint64_t value) { to = value; });

		(void)_device.tx()->try_submit_packet(Packet(content, request.opcode, request.first,
		                                             request.count, { request.tag }));
		_outstanding++;
		_most = max(_most, _outstanding);
		return true;
	}

	/**
	 * Choose something, or go through the device at last
	 */
	bool _next(Request &request)
	{
		if (_stopping) {
			request.opcode = Packet::READ;
			request.first  = _verified;
			request.count  = min(MAX_COUNT, _num_blocks - _verified);

			if (!request.count || !_submit(request))
				return false;

			_verified += request.count;
			return true;
		}

		/* some blocks are in use all the time */
		bool const narrow = !_any(4);

		unsigned const kind = _any(40);

		request.opcode = kind == 0          ? Packet::SYNC
		               : kind == 1 && _trim ? Packet::TRIM
		               : kind < 18          ? Packet::WRITE : Packet::READ;
		request.count  = 1 + _any(MAX_COUNT);
		request.first  = _any((narrow ? 10 : _num_blocks - MAX_COUNT));

		return _submit(request);
	}

	void _check(Request const &request, Packet const &ack)
	{
		if (!ack.succeeded() || ack.operation() != request.opcode
		 || ack.block_number() != request.first || ack.block_count() != request.count)
			_wrong("request ", request.tag, " was not executed");

		if (request.opcode != Packet::READ)
			return;

		bool same = true;
		_for_each_word(_device.tx()->packet_content(ack), request,
		               [&] (uint64_t &have, uint64_t value) { same &= (have == value); });

		if (!same)
			_wrong("block ", request.first, " has the wrong content");
	}

	void _handle_device()
	{
		while (_device.tx()->ack_avail() && !_exited) {

			Packet const ack = _device.tx()->try_get_acked_packet();

			Request &request = _requests[ack.tag().value % MAX_REQUESTS];

			if (!request.tag || request.tag != ack.tag().value) {
				_wrong("acknowledged twice");
				return;
			}

			_check(request, ack);
			_device.tx()->release_packet(ack);

			request.tag = 0;
			_outstanding--;
			_num_acks++;

			if (_tell && _num_acks % _tell == 0)
				log(_num_acks, " requests, ", _outstanding, " in flight");
		}

		_stopping |= (_num_acks >= _max_acks);

		for (unsigned i = 0; i < _at_once; i++)
			if (!_requests[i].tag && !_next(_requests[i]))
				break;

		_device.tx()->wakeup();

		if (_stopping && !_outstanding && _verified == _num_blocks && !_exited) {
			log(_num_acks, " requests executed, at most ", _most, " at once");
			_exit(0);
		}
	}

	Signal_handler<Main> _device_handler { _env.ep(), *this, &Main::_handle_device };

	void _handle_yield()
	{
		_stopping = true;
		_handle_device();
	}

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_device.tx_channel()->sigh_ack_avail(_device_handler);
		_device.tx_channel()->sigh_ready_to_submit(_device_handler);

		_env.parent().yield_sigh(_yield_handler);

		_handle_device();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
