/*
 * \brief  Client of a Block session that knows what each block contains
 * \date   2026-12-01
 *
 * Ranges of blocks at random positions are written, and others read and compared, in turn. No request may fail.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <block_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Job;
	struct Main;

	using Block_connection = Block::Connection<Job>;
	using Type             = Block::Operation::Type;
}


struct Test::Job : Block::Connection<Job>::Job
{
	using Block::Connection<Test::Job>::Job::Job;
};


struct Test::Main
{
	static constexpr size_t   BLOCK_SIZE = 512, MAX_BLOCKS = 2048, MAX_COUNT = 200;
	static constexpr unsigned WORDS = BLOCK_SIZE/sizeof(uint64_t);

	Env &_env;

	Heap                   _heap   { _env.ram(), _env.rm() };
	Allocator_avl          _alloc  { &_heap };
	Attached_rom_dataspace _config { _env, "config" };
	Block_connection       _block  { _env, &_alloc, 256*1024 };

	unsigned const _rounds = _config.node().attribute_value("rounds", 100U);

	uint64_t _versions[MAX_BLOCKS] { };  /* 0 for a block that was not written yet */
	uint64_t _state    = 1;
	uint64_t _version  = 0;
	unsigned _round    = 0;
	unsigned _mistakes = 0;

	Constructible<Job> _job { };

	Signal_handler<Main> _handler { _env.ep(), *this, &Main::_handle };

	uint64_t _random(uint64_t below)
	{
		_state ^= _state << 13;
		_state ^= _state >> 7;
		_state ^= _state << 17;
		return _state % below;
	}

	static uint64_t _word(uint64_t block, uint64_t version, unsigned i)
	{
		return version ? (version << 32 | block << 16 | i) : 0;
	}

	void _mistake(auto &&... text)
	{
		_mistakes++;
		error("mistake: ", text...);
	}

	void _next()
	{
		uint64_t const count = 1 + _random(MAX_COUNT),
		               at    = _random(MAX_BLOCKS - count);

		Type const type = _round % 8 == 7 ? Type::SYNC : _round % 2 ? Type::READ : Type::WRITE;

		if (type == Type::WRITE) {
			_version++;
			for (uint64_t block = at; block < at + count; block++)
				_versions[block] = _version;
		}

		if (type == Type::SYNC)
			_job.construct(_block, Block::Operation { type, 0, _block.info().block_count });
		else
			_job.construct(_block, Block::Operation { type, at, count });
	}

	void produce_write_content(Job &job, Block::off_t offset, char *dst, size_t length)
	{
		uint64_t const first = job.operation().block_number + offset/BLOCK_SIZE;
		uint64_t      *words = (uint64_t *)dst;

		for (size_t n = 0; n < length/BLOCK_SIZE; n++)
			for (unsigned i = 0; i < WORDS; i++)
				*words++ = _word(first + n, _versions[first + n], i);
	}

	void consume_read_result(Job &job, Block::off_t offset, char const *src, size_t length)
	{
		uint64_t const  first = job.operation().block_number + offset/BLOCK_SIZE;
		uint64_t const *words = (uint64_t const *)src;

		for (size_t n = 0; n < length/BLOCK_SIZE; n++)
			for (unsigned i = 0; i < WORDS; i++)
				if (*words++ != _word(first + n, _versions[first + n], i)) {
					_mistake("block ", first + n, " has other content");
					return;
				}
	}

	void completed(Job &job, bool success)
	{
		if (!success)
			_mistake(job.operation(), " failed");
	}

	void _handle()
	{
		while (_round < _rounds) {

			(void)_block.update_jobs(*this);

			if (!_job->completed())
				return;

			_job.destruct();

			if (++_round == _rounds)
				log("finished after ", _rounds, " requests: ", _mistakes, " mistakes");
			else
				_next();
		}
	}

	Main(Env &env) : _env(env)
	{
		Block::Session::Info const info = _block.info();

		if (info.block_size != BLOCK_SIZE || info.block_count < MAX_BLOCKS) {
			error("mistake: unexpected device");
			return;
		}
		_block.sigh(_handler);
		_next();
		_handle();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
