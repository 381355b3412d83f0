/*
 * \brief  Component that notices when it stands still, and checks its memory
 * \date   2026-11-30
 *
 * The configuration says how much memory there is, and how much of it is written all
 * the time. Of the rest, one page after the other is written in turn, now and then. Each page
 * tells how often it was written. So a page that is not the one of the instant of a checkpoint is
 * found after the component is restored.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <trace/timestamp.h>

namespace Test {

	using namespace Genode;

	struct Writer;
	struct Main;

	static constexpr size_t PAGE = 4096;
}


struct Test::Writer : Thread
{
	using Ticks = Trace::Timestamp;

	/* of a page that are written and looked at */
	static constexpr unsigned WORDS[] = { 0, 255, 511 };

	/* with one instruction per tick, and 1 ns per tick */
	static constexpr Ticks WINDOW = 500*1000*1000, TURN = 5*1000*1000;

	/* passes over what is written until all of the memory is looked at */
	static constexpr unsigned PASSES = 1000;

	addr_t const _start;
	size_t const _pages, _hot;

	Ticks _last = 0, _longest = 0, _window = 0, _turn = 0;

	/* pages that were written in turn */
	uint64_t _turns = 0;

	Writer(Env &env, addr_t at, size_t pages, size_t hot)
	:
		Thread(env, "writer", Stack_size { 32*1024 }), _start(at), _pages(pages), _hot(hot)
	{
		start();
	}

	uint64_t volatile &_word(size_t page, unsigned number)
	{
		return ((uint64_t volatile *)(_start + page*PAGE))[number];
	}

	void _expect(size_t page, uint64_t value)
	{
		/* no word of a page is as old as another one */
		for (unsigned number : WORDS)
			if (_word(page, number) != value)
				error("mistake: page ", page, " has ", uint64_t(_word(page, number)),
				      " in place of ", value);
	}

	void _watch()
	{
		Ticks const now = Trace::timestamp();

		if (_last)
			_longest = max(_longest, now - _last);

		_last = now;

		if (now - _window < WINDOW)
			return;

		if (_window)
			log("longest gap ", _longest/1000, " us");

		_window = _last = Trace::timestamp();
		_longest = 0;
	}

	void _write(size_t page, uint64_t value)
	{
		for (unsigned number : WORDS)
			_word(page, number) = value;
		_watch();
	}

	/**
	 * Return how often a page was written that is not written all the time
	 */
	uint64_t _value_of(size_t page) const
	{
		size_t const number = page - _hot, count = _pages - _hot;

		return 1 + (_turns + count - 1 - number)/count;
	}

	void _write_in_turn()
	{
		Ticks const now = Trace::timestamp();

		if (now - _turn < TURN || _hot == _pages)
			return;

		_turn = now;

		size_t const page = _hot + _turns++ % (_pages - _hot);
		_write(page, _value_of(page));
	}

	void entry() override
	{
		for (size_t i = 0; i < _pages; i++)
			_write(i, 1);

		log("memory filled");
		_window = 0;

		for (uint64_t value = 1; ; value++) {

			for (size_t i = 0; i < _hot; i++) {
				_expect(i, value);
				_write(i, value + 1);
			}
			_write_in_turn();

			if (value % PASSES == 0)
				for (size_t i = _hot; i < _pages; i++) {
					_expect(i, _value_of(i));
					_watch();
				}
		}
	}
};


struct Test::Main
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	size_t _size(char const *attribute, size_t default_value) const
	{
		return _config.node().attribute_value(attribute, Number_of_bytes(default_value));
	}

	size_t const _memory  = _size("memory",  1024*1024),
	             _written = _size("written", 256*1024);

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), _memory };

	Writer _writer { _env, addr_t(_ds.local_addr<char>()), _memory/PAGE, _written/PAGE };

	Main(Env &env) : _env(env) { }
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
