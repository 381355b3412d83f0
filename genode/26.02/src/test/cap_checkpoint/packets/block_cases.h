/*
 * \brief  Packets to a block device that make no sense, or do nothing
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BLOCK_CASES_H_
#define _BLOCK_CASES_H_

/* test includes */
#include <cap_checkpoint_test/block_device.h>

/* local includes */
#include <stream.h>

namespace Test { struct Block_cases; }


struct Test::Block_cases
{
	using Packet = Block::Packet_descriptor;
	using Opcode = Packet::Opcode;

	static constexpr size_t BUFFER_SIZE = 128*1024, LENGTH = 4096;

	Env &_env;

	Allocator_avl _alloc;

	Device _device { _env, _alloc, BUFFER_SIZE };

	Block::Session::Info const _info { _device.info() };

	unsigned const _count = unsigned(LENGTH/_info.block_size);

	Stream<Block::Session::Tx> _stream { _env, *_device.tx() };

	void _handle() { }

	Io_signal_handler<Block_cases> _handler { _env.ep(), *this, &Block_cases::_handle };

	Block_cases(Env &env, Allocator &alloc) : _env(env), _alloc(&alloc)
	{
		_device.tx_channel()->sigh_ack_avail(_handler);
		_device.tx_channel()->sigh_ready_to_submit(_handler);
	}

	void _hostile(Packet const &good, unsigned round)
	{
		Block::Packet_descriptor::Tag const tag { round };

		auto packet = [&] (off_t offset, size_t size, Opcode opcode, Block::block_number_t number,
		                   Block::block_count_t count) {
			return Packet(Packet(offset, size), opcode, number, count, tag); };

		using Count = Block::block_count_t;

		size_t const size = good.size();
		off_t  const at   = good.offset();

		_stream.fails("a read into the queues",    packet(0,  size, Packet::READ,  0, _count));
		_stream.fails("a write from the queues",   packet(8,  size, Packet::WRITE, 0, _count));
		_stream.fails("a negative offset",         packet(-4096, size, Packet::READ, 0, _count));
		_stream.fails("an offset behind",          packet(BUFFER_SIZE, size, Packet::READ, 0, _count));
		_stream.fails("a huge offset",             packet(off_t(1UL << (8*sizeof(off_t) - 2)), size, Packet::WRITE, 0, _count));
		_stream.fails("a payload beyond the end",
		              packet(BUFFER_SIZE - _info.block_size, size, Packet::READ, 0, _count));
		_stream.fails("many blocks",               packet(at, size, Packet::READ,  0, BUFFER_SIZE));
		_stream.fails("all blocks",                packet(at, ~0UL, Packet::READ,  0, Count(~0UL)));
		_stream.fails("a length that overflows",
		              packet(at, size, Packet::WRITE, 0, Count(~0UL)/_info.block_size + 2));
		_stream.fails("no blocks",                 packet(at, size, Packet::READ,  0, 0));
		_stream.fails("a block that is not there", packet(at, size, Packet::READ,  ~0ULL - 1, _count));
		_stream.fails("a trim behind the end",     packet(at, size, Packet::TRIM,  _info.block_count, 1));
		_stream.fails("a trim across the end",
		              packet(at, size, Packet::TRIM, _info.block_count - 1, 2));
		_stream.fails("a trim of nothing behind the end",
		              packet(at, size, Packet::TRIM, _info.block_count + 1, 0));
		_stream.fails("a sync behind the end",     packet(at, size, Packet::SYNC,  ~0ULL - 1, _count));
		_stream.fails("no operation",              packet(at, size, Packet::END,   0, _count));
		_stream.fails("an unknown operation",      packet(at, size, Opcode(7),     0, _count));
	}

	void execute(unsigned const round)
	{
		Packet const good = _device.alloc_packet(LENGTH);

		_hostile(good, round);

		char * const content = _device.tx()->packet_content(good);

		auto done = [&] (char const *name, Opcode opcode, Block::block_count_t count) {
			Packet const answer = _stream.execute(Packet(good, opcode, 8, count, { round }));
			if (!answer.succeeded() || answer.tag().value != round || answer.operation() != opcode)
				wrong(name, " is not executed"); };

		for (size_t i = 0; i < LENGTH; i++)
			content[i] = char(round);

		done("a write", Packet::WRITE, _count);

		done("a trim of nothing", Packet::TRIM, 0);
		done("a sync of nothing", Packet::SYNC, 0);
		done("a sync",            Packet::SYNC, _count);

		auto expect = [&] (char const *name, char value) {
			bzero(content, LENGTH);
			done(name, Packet::READ, _count);
			for (size_t i = 0; i < LENGTH; i++)
				if (content[i] != value)
					wrong(name, " gets wrong content"); };

		expect("a read", char(round));
		done("a trim", Packet::TRIM, _count);
		expect("a read behind a trim", 0);

		_device.tx()->release_packet(good);
		_stream.nothing_left();
	}

	void damage(Timer::Connection &timer) { _stream.damage(timer); }
};

#endif /* _BLOCK_CASES_H_ */
