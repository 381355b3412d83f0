/*
 * \brief  Somebody who types at a terminal whose editor may move to another system
 * \date   2026-12-01
 *
 * The next letters are typed once the editor has drawn something since the last ones, so those that are typed while it is
 * somewhere else wait for it at the terminal. Now and then, the editor is told to write its text to the log.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <terminal_session/connection.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	static constexpr unsigned LETTERS_AT_ONCE = 5, PER_LINE = 30, PER_WRITE = 150;

	static constexpr uint64_t INTERVAL_US = 50*1000;

	Env &_env;

	Timer::Connection    _timer    { _env };
	Terminal::Connection _terminal { _env };

	Attached_rom_dataspace _config { _env, "config" };

	using Side = String<8>;

	bool const _second = _config.node().attribute_value("side", Side()) == "b";

	unsigned _typed = 0;
	bool     _drawn = false;

	char _letter(unsigned at) const
	{
		return char((_second ? 'A' : 'a') + (at*7 + at/25) % 26);
	}

	void _type(char const *keys, size_t count)
	{
		if (_terminal.write(keys, count) != count)
			error("mistake: the terminal is full");

		_drawn = false;
	}

	void _type_next()
	{
		/* a command that leaves the editor in insert mode, typed at once, so that nothing of the other side gets in between */
		static char const write[] = "\x0f:silent w! /dev/log\r";

		char   keys[2*LETTERS_AT_ONCE + sizeof(write)];
		size_t count = 0;

		for (unsigned i = 0; i < LETTERS_AT_ONCE; i++) {
			keys[count++] = _letter(_typed++);
			if (_typed % PER_LINE == 0)
				keys[count++] = '\r';
		}

		if (_typed % PER_WRITE == 0)
			for (char const *key = write; *key; key++)
				keys[count++] = *key;

		_type(keys, count);
	}

	void _handle_timer()
	{
		char bytes[256];
		while (_terminal.read(bytes, sizeof(bytes)))
			_drawn = true;

		if (_drawn)
			_type_next();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		/* the line by which one recognises where the text begins */
		if (_second)
			_drawn = true;
		else
			_type("i0\r", 3);

		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(INTERVAL_US);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
