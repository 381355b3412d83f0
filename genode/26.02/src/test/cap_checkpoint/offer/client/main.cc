/*
 * \brief  Client of a server that is saved and restored
 * \date   2026-12-01
 *
 * It has one session after the other, and compares each answer. The line that it prints now
 * and then says how many requests were executed.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <log_session/connection.h>
#include <terminal_session/connection.h>
#include <timer_session/connection.h>

/* local includes */
#include <count_session.h>

namespace Test {

	struct Requests;
	template <typename> struct Counted;
	struct Logged;
	struct Main;
}


/**
 * Requests of one session
 */
struct Test::Requests : Interface
{
	enum class Result { RIGHT, LOST, MISTAKE };

	virtual Result request(unsigned number) = 0;
};


template <typename CONNECTION>
struct Test::Counted : Requests
{
	unsigned const _session;

	CONNECTION _connection;

	Counted(Env &env, unsigned session) : _session(session), _connection(env, session) { }

	Result request(unsigned const number) override
	{
		return _connection.count(number).template convert<Result>(
			[&] (uint64_t value) {
				return value == Count_session::value(_session, number) ? Result::RIGHT
				                                                       : Result::MISTAKE; },
			[&] (Count_session::Error e) {
				return e == Count_session::Error::LOST ? Result::LOST : Result::MISTAKE; });
	}
};


/**
 * Lines of a log that come out at the other end of a terminal
 */
struct Test::Logged : Requests
{
	Log_connection _log;

	Terminal::Connection &_terminal;

	Logged(Env &env, Terminal::Connection &terminal, unsigned session)
	: _log(env, String<16>("log ", session)), _terminal(terminal) { }

	/* what the terminal says since the last end of a line */
	String<256> _line { };

	/**
	 * Return number in the next line, or 0 if there is no complete one yet
	 */
	unsigned _next()
	{
		char c = 0;
		while (_terminal.read(&c, 1)) {

			if (c != '\n' && c != '\r') {
				_line = { _line, Char(c) };
				continue;
			}

			String<256> const line = _line;
			_line = { };

			for (char const *s = line.string(); *s; s++)
				if (!strcmp(s, "number ", 7)) {
					unsigned number = 0;
					ascii_to(s + 7, number);
					return number;
				}
		}
		return 0;
	}

	Result request(unsigned const number) override
	{
		_log.write(String<32>("number ", number, "\n").string());

		unsigned const seen = _next();

		return seen == number && !_next() ? Result::RIGHT : Result::MISTAKE;
	}
};


struct Test::Main
{
	static constexpr unsigned REQUESTS_PER_SESSION = 37, REQUESTS_PER_LINE = 100;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	using Name = String<16>;

	Name     const _service = _config.node().attribute_value("service", Name());
	unsigned const _number  = _config.node().attribute_value("number", 0u);

	Timer::Connection _timer { _env };

	Constructible<Terminal::Connection> _terminal { };

	Constructible<Counted<Count_connection>> _count { };
	Constructible<Counted<Slow_connection>>  _slow  { };
	Constructible<Logged>                    _log   { };

	unsigned _executed = 0, _sessions = 0, _errors = 0;

	Requests &_open()
	{
		unsigned const session = 10000*_number + ++_sessions;

		if (_service == "Slow") { _slow.construct(_env, session);            return *_slow; }
		if (_service == "LOG")  { _log .construct(_env, *_terminal, session); return *_log; }

		_count.construct(_env, session);
		return *_count;
	}

	void _close()
	{
		_count.destruct();
		_slow .destruct();
		_log  .destruct();
	}

	/**
	 * Return false if there was a mistake
	 */
	bool _use_session()
	{
		Requests &requests = _open();

		for (unsigned i = 1; i <= REQUESTS_PER_SESSION; i++) {

			Requests::Result const result = requests.request(i);

			if (result == Requests::Result::MISTAKE) {
				error("mistake: answer to request ", i, " of session ", _sessions);
				return false;
			}

			if (result == Requests::Result::LOST) {
				_errors++;
				break;
			}

			if (++_executed % REQUESTS_PER_LINE == 0)
				log(_executed, " requests, ", _sessions, " sessions, ", _errors, " errors");

			_timer.usleep(200*(_executed % 11));
		}
		_close();
		return true;
	}

	Main(Env &env) : _env(env)
	{
		if (_service == "LOG")
			_terminal.construct(_env);

		while (_use_session());
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
