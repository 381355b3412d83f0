/*
 * \brief  Component that uses services whose state a checkpoint has to keep
 * \date   2026-11-30
 *
 * It tells each version of a ROM module by a report, and, once it has got the answer to another
 * report, by the label of a LOG session. It exits with the last one when it is asked to, or with a
 * number that tells a mistake.
 * It echoes what it reads from a terminal, with some bits changed.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <log_session/connection.h>
#include <report_session/connection.h>
#include <terminal_session/connection.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Versions;
	struct Seen_report;
	struct Question;
	struct Echo;
	struct Main;
}


/**
 * ROM module whose content is a number, and what follows from it
 */
struct Test::Versions
{
	Attached_rom_dataspace _rom;

	unsigned version = 0;
	size_t   _size   = 0;
	unsigned _sum    = 0;

	Versions(Env &env) : _rom(env, "versions") { note(); }

	unsigned _sum_of_content() const
	{
		unsigned sum = 0;
		for (size_t i = 0; i < _rom.size(); i++)
			sum = sum*31 + _rom.local_addr<unsigned char>()[i];
		return sum;
	}

	void note()
	{
		if (!_rom.valid())
			return;

		version = 0;
		parse_unsigned(_rom.local_addr<char>(), version);

		_size = _rom.size();
		_sum  = _sum_of_content();
	}

	/**
	 * Return false if the content has changed unasked
	 */
	bool unchanged() const
	{
		return _rom.size() == _size && (!_rom.valid() || _sum_of_content() == _sum);
	}

	static bool parse_unsigned(char const *s, unsigned &result)
	{
		return ascii_to(s, result) > 0;
	}

	void update()
	{
		_rom.update();
		note();
	}
};


/**
 * Report of the version, after which the buffer has another content
 */
struct Test::Seen_report
{
	Report::Connection _report;
	Attached_dataspace _buffer;

	static constexpr char MARK = 'x';

	unsigned _reported = 0;

	Seen_report(Env &env)
	: _report(env, "seen"), _buffer(env.rm(), _report.dataspace()) { }

	void submit(unsigned version)
	{
		String<16> const text(version, " ");

		copy_cstring(_buffer.local_addr<char>(), text.string(), _buffer.size());
		_report.submit(text.length());

		_reported = version;
		for (size_t i = 0; i < _buffer.size(); i++)
			_buffer.local_addr<char>()[i] = char(MARK + version + i);
	}

	bool unchanged() const
	{
		for (size_t i = 0; i < _buffer.size() && _reported; i++)
			if (_buffer.local_addr<char>()[i] != char(MARK + _reported + i))
				return false;
		return true;
	}
};


/**
 * Report that is answered
 */
struct Test::Question
{
	Report::Connection _report;
	Attached_dataspace _buffer;

	Question(Env &env)
	: _report(env, "question"), _buffer(env.rm(), _report.dataspace()) { }

	void ask(unsigned version)
	{
		String<16> const text(version);

		copy_cstring(_buffer.local_addr<char>(), text.string(), _buffer.size());
		_report.submit(text.length());
	}

	bool answered(unsigned version)
	{
		String<64> const expected("answer ", version);

		return _report.obtain_response() == expected.length()
		    && !strcmp(_buffer.local_addr<char const>(), expected.string());
	}
};


/**
 * Terminal whose input is read in small portions
 */
struct Test::Echo
{
	static constexpr char FLIPPED = 0x55;

	Terminal::Connection _terminal;

	Echo(Env &env) : _terminal(env) { }

	/**
	 * Return false if the terminal has not what it says, or does not take all of it
	 */
	bool echo()
	{
		char bytes[100];

		while (_terminal.avail()) {

			size_t const count = _terminal.read(bytes, sizeof(bytes));

			for (size_t i = 0; i < count; i++)
				bytes[i] ^= FLIPPED;

			if (!count || _terminal.write(bytes, count) != count)
				return false;
		}
		return true;
	}
};


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	Versions    _versions { _env };
	Seen_report _report   { _env };
	Question    _question { _env };
	Echo        _echo     { _env };

	unsigned _told = 0, _answered = 0;

	bool _stopped = false;

	void _exit(int value)
	{
		if (!_stopped)
			_env.parent().exit(value);
		_stopped = true;
	}

	void _wrong(auto &&... what)
	{
		error(what...);
		_exit(-1);
	}

	void _tell_version()
	{
		if (_versions.version < _told)
			_wrong("version ", _versions.version, " follows ", _told);

		if (_versions.version == _told)
			return;

		_told = _versions.version;
		_report.submit(_told);
		_question.ask(_told);
	}

	/* the report, and so the signal, is repeated by a restore */
	void _handle_answer()
	{
		if (!_question.answered(_told))
			_wrong("wrong answer to ", _told);

		if (_answered == _told)
			return;

		_answered = _told;
		Log_connection told { _env, String<32>("seen ", _told) };
	}

	Signal_handler<Main> _answer_handler { _env.ep(), *this, &Main::_handle_answer };

	void _handle_versions()
	{
		if (!_versions.unchanged())
			_wrong("content changes unasked");

		_versions.update();
		_tell_version();
	}

	Signal_handler<Main> _versions_handler { _env.ep(), *this, &Main::_handle_versions };

	void _handle_terminal()
	{
		if (!_echo.echo())
			_wrong("terminal does not have or take all");
	}

	Signal_handler<Main> _terminal_handler { _env.ep(), *this, &Main::_handle_terminal };

	void _handle_timer()
	{
		if (!_versions.unchanged() || !_report.unchanged())
			_wrong("content changes unasked");
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_yield() { _exit(int(_versions.version)); }

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_versions._rom.sigh(_versions_handler);
		_echo._terminal.read_avail_sigh(_terminal_handler);
		_question._report.response_sigh(_answer_handler);

		/* the monitor changes nothing before, as a component without a handler needs the same */
		_tell_version();

		_env.parent().yield_sigh(_yield_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(5*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
