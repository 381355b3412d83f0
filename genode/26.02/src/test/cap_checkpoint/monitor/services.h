/*
 * \brief  Services that change while a component is being saved and restored
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SERVICES_H_
#define _SERVICES_H_

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <cap_checkpoint/child.h>
#include <report_session/connection.h>
#include <terminal_session/connection.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Services;
}


/**
 * Other end of the sessions of 'test-cap_checkpoint-services'
 *
 * Each round, there is one new version of the ROM module, and the next round
 * waits until the component has told that it has seen it.
 */
struct Test::Services : Session_policy
{
	/**
	 * When the services change, which is another moment from round to round
	 */
	enum class Moment { BEFORE_FREEZE, FROZEN, GONE, NUM };

	static constexpr size_t   BUFFER_SIZE = 16*1024;
	static constexpr unsigned MAX_WAITS   = 500;

	Env &_env;

	Report::Connection _versions { _env, "versions", BUFFER_SIZE };

	Attached_dataspace _buffer { _env.rm(), _versions.dataspace() };

	/* the component has the only session that reports it, while it exists */
	Attached_rom_dataspace _report { _env, "seen" };

	/* the component is at the other end */
	Terminal::Connection _terminal { _env };

	size_t _written = 0, _echoed = 0;
	bool   mistake  = false;

	unsigned version = 0, _seen = 0, _waits = 0, _reported_before = 0;

	Services(Env &env) : _env(env) { _change(); }

	/**
	 * Wait for the first message of a new component
	 */
	void start() { _seen = 0; }

	/**
	 * Return byte at a position of all that is written to the terminal
	 */
	static char _byte(size_t at) { return char(at*7 + at/251); }

	/**
	 * Write less than what the terminal keeps
	 */
	void _type()
	{
		char bytes[3700];

		size_t const count = 200 + (version % 6)*700;

		for (size_t i = 0; i < count; i++)
			bytes[i] = _byte(_written + i);

		mistake  |= (_terminal.write(bytes, count) != count);
		_written += count;
	}

	/**
	 * Compare what the component has echoed, in which some bits are changed
	 */
	void _read_echo()
	{
		char   bytes[512];
		size_t count;

		while ((count = _terminal.read(bytes, sizeof(bytes))))
			for (size_t i = 0; i < count; i++, _echoed++)
				mistake |= (bytes[i] != (_byte(_echoed) ^ 0x55));

		mistake |= (_echoed > _written);
	}

	/**
	 * Submit a new version, which takes one page or several
	 */
	void _change()
	{
		version++;

		size_t const size = 100 + (version % 4)*3000;

		String<16> const text(version, " ");

		for (size_t i = 0; i < size; i++)
			_buffer.local_addr<char>()[i] = i < text.length() - 1 ? text.string()[i]
			                                                    : char('a' + version % 26);

		_versions.submit(size);
	}

	unsigned _reported()
	{
		_report.update();

		unsigned result = 0;
		if (_report.valid())
			ascii_to(_report.local_addr<char>(), result);

		return result;
	}

	/**
	 * Let the report server have something else than what the component has reported
	 */
	void _overwrite_report()
	{
		Report::Connection other { _env, "seen" };
		other.submit(0);
	}

	/**
	 * Return true if the report server has the last report again
	 */
	bool report_restored() { return _reported() == _reported_before; }

	void at(Moment moment, unsigned round)
	{
		if (moment == Moment::FROZEN) _reported_before = _reported();
		if (moment == Moment::GONE)   _overwrite_report();

		if (round % unsigned(Moment::NUM) == unsigned(moment)) {
			_change();
			_type();
		}
	}

	/**
	 * Return true if the component knows all that has changed
	 */
	bool settled()
	{
		_read_echo();

		bool const result = (_seen == version && _reported() == version
		                  && _echoed == _written && !mistake);

		_waits = result ? 0 : _waits + 1;
		return result;
	}

	bool overdue() const { return _waits > MAX_WAITS; }

	bool permitted(Open_session::Service const &service, Session_label const &label) override
	{
		char const * const prefix = "seen ";

		if (service == "LOG" && !strcmp(label.string(), prefix, strlen(prefix)))
			ascii_to(label.string() + strlen(prefix), _seen);

		return true;
	}
};

#endif /* _SERVICES_H_ */
