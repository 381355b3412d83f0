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
#include <base/attached_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <log_session/connection.h>
#include <report_session/connection.h>
#include <terminal_session/connection.h>
#include <timer_session/connection.h>

/* local includes */
#include <count_session.h>

namespace Test {

	struct Requests;
	template <typename> struct Counted;
	struct Logged;
	struct Reported;
	struct Main;
}


/**
 * Requests of one session
 */
struct Test::Requests : Interface
{
	/* a request may be missed while the session remains, or the session is lost */
	enum class Result { RIGHT, MISSED, LOST, MISTAKE };

	/* on a loaded machine, something may take long, and is still on its way */
	static constexpr uint64_t LATE_MS = 1500, MISSING_MS = 60*1000;

	/* what the mistake is */
	String<80> what { };

	Result mistake(auto &&... args)
	{
		what = { args... };
		return Result::MISTAKE;
	}

	/**
	 * Wait for something that comes by itself
	 *
	 * \return  false if it is missing
	 */
	static bool wait_for(Timer::Connection &timer, char const *name, auto const &arrived_fn)
	{
		uint64_t const start_ms = timer.elapsed_ms();

		auto passed_ms = [&] { return timer.elapsed_ms() - start_ms; };

		while (!arrived_fn()) {
			if (passed_ms() > MISSING_MS)
				return false;
			timer.usleep(1000);
		}
		if (passed_ms() > LATE_MS)
			log("late: ", name, ", ", passed_ms(), " ms");

		return true;
	}

	virtual Result request(unsigned number) = 0;
};


template <typename CONNECTION>
struct Test::Counted : Requests
{
	static constexpr unsigned REQUESTS_PER_OBJECT = 7;

	unsigned const _session;

	Timer::Connection &_timer;

	CONNECTION _connection;

	/* each request that is executed leads to one signal */
	Signal_receiver _receiver { };
	Signal_context  _context  { };
	unsigned        _executed = 0, _signals = 0;

	/* object that the session has created */
	Capability<Count_session> _object { };

	Counted(Env &env, Timer::Connection &timer, unsigned session)
	: _session(session), _timer(timer), _connection(env, session)
	{
		_connection.sigh(_receiver.manage(_context));
	}

	~Counted() { _receiver.dissolve(_context); }

	Result _count(Count_client &client, unsigned const session, unsigned const number)
	{
		Result const result = client.count(number).template convert<Result>(
			[&] (uint64_t value) {
				return value == Count_session::value(session, number) ? Result::RIGHT
				                                                      : mistake("value ", Hex(value)); },
			[&] (Count_session::Error e) {
				return e == Count_session::Error::LOST ? Result::LOST : mistake("wrong number"); });

		_executed += (result == Result::RIGHT);
		return result;
	}

	/**
	 * Return false if there are more signals than requests, or less
	 */
	bool _signals_right()
	{
		(void)wait_for(_timer, "signal", [&] {

			for (Signal signal = _receiver.pending_signal(); signal.valid();
			     signal = _receiver.pending_signal())
				_signals += signal.num();

			return _signals >= _executed; });

		return _signals == _executed;
	}

	Result request(unsigned const number) override
	{
		Result const result = _count(_connection, _session, number);

		if (result != Result::RIGHT)
			return result;

		/* one object follows the other */
		unsigned const i = (number - 1) % REQUESTS_PER_OBJECT;

		if (!i)
			_object = _connection.object();

		if (!_object.valid())
			return Result::LOST;

		Count_client object(_object);

		Result const object_result = _count(object, _session + 1000000, i + 1);

		if (object_result != Result::RIGHT)
			return object_result;

		if (i == 3 && !_connection.knows(_object))
			return _connection.object().valid() ? mistake("object is not known") : Result::LOST;

		return _signals_right() ? Result::RIGHT
		                        : mistake(_signals, " signals for ", _executed, " requests");
	}
};


/**
 * Lines of a log that come out at the other end of a terminal
 */
struct Test::Logged : Requests
{
	Log_connection _log;

	Terminal::Connection &_terminal;
	Timer::Connection    &_timer;

	unsigned const _first;  /* number in front of those that this client writes */
	bool     const _lossy;  /* the session may lose lines, which nobody tells */

	Logged(Env &env, Terminal::Connection &terminal, Timer::Connection &timer, unsigned session,
	       bool lossy)
	:
		_log(env, String<16>("log ", session)), _terminal(terminal), _timer(timer),
		_first(100*session), _lossy(lossy)
	{ }

	/* what the terminal says since the last end of a line */
	String<256> _line { };

	/**
	 * Return number in the next line of this client, or 0 if there is no complete one yet
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
					if (number/1000000 == _first/1000000)
						return number;
				}
		}
		return 0;
	}

	Result request(unsigned const number) override
	{
		_log.write(String<32>("number ", _first + number, "\n").string());

		unsigned const seen = _next();

		if (!seen && _lossy) {
			_timer.msleep(20);
			return Result::MISSED;
		}
		return seen == _first + number && !_next() ? Result::RIGHT : mistake("line ", seen);
	}
};


/**
 * Reports that come back as a ROM module, by memory that is shared with the server
 */
struct Test::Reported : Requests
{
	static constexpr size_t SIZE = 3*4096;

	Timer::Connection &_timer;

	Report::Connection _report;
	Attached_dataspace _buffer;

	Attached_rom_dataspace _rom;

	Signal_receiver _receiver { };
	Signal_context  _context  { };

	unsigned _seen = 0;

	Reported(Env &env, Timer::Connection &timer)
	:
		_timer(timer), _report(env, "versions", SIZE), _buffer(env.rm(), _report.dataspace()),
		_rom(env, "versions")
	{
		_rom.sigh(_receiver.manage(_context));
	}

	~Reported() { _receiver.dissolve(_context); }

	static char _byte(unsigned number, size_t at) { return char('a' + (number + at/97) % 26); }

	/**
	 * Return number in the module, 0 if it is empty, ~0 if it is not as it should be
	 */
	unsigned _content()
	{
		_rom.update();

		unsigned number = 0;
		if (!_rom.valid() || !ascii_to(_rom.local_addr<char>(), number))
			return 0;

		bool right = _rom.size() >= 2*4096;
		for (size_t i = 16; right && i < SIZE - 4096; i++)
			right = _rom.local_addr<char>()[i] == _byte(number, i);

		return right ? number : ~0U;
	}

	Result request(unsigned const number) override
	{
		char * const bytes = _buffer.local_addr<char>();

		for (size_t i = 0; i < SIZE - 4096; i++)
			bytes[i] = _byte(number, i);

		String<16> const text(number, " ");
		memcpy(bytes, text.string(), text.length() - 1);

		_report.submit(SIZE - 4096);

		bool     lost    = false;
		unsigned waiting = 0;

		/* the server tells about the change, and needs no other occasion */
		bool const arrived = wait_for(_timer, "report", [&] {

			if (_receiver.pending_signal().valid())
				_seen = _content();

			/* the memory is there as long as the session */
			lost = _seen < number && ++waiting % 100 == 0 && !_report.dataspace().valid();

			return lost || _seen >= number; });

		if (lost)
			bytes[0] = 0;

		return lost                       ? Result::LOST
		     : arrived && _seen == number ? Result::RIGHT
		                                  : mistake("report ", _seen);
	}
};


struct Test::Main
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	using Name = String<16>;

	Name     const _service = _config.node().attribute_value("service", Name());
	bool     const _lossy   = _config.node().attribute_value("lossy", false);
	unsigned const _number  = _config.node().attribute_value("number", 0u);

	unsigned const _per_session = _config.node().attribute_value("requests_per_session", 37u);

	unsigned const _requests_per_line = _config.node().attribute_value("requests_per_line", 50u);

	Timer::Connection _timer { _env };

	Constructible<Terminal::Connection> _terminal { };

	Constructible<Counted<Count_connection>> _count { };
	Constructible<Counted<Slow_connection>>  _slow  { };
	Constructible<Logged>                    _log   { };
	Constructible<Reported>                  _report { };

	unsigned _executed = 0, _sessions = 0, _errors = 0;

	Requests &_open()
	{
		unsigned const session = 10000*_number + ++_sessions;

		if (_service == "Slow") { _slow.construct(_env, _timer, session);     return *_slow; }
		if (_service == "LOG")  { _log .construct(_env, *_terminal, _timer, session, _lossy); return *_log; }

		if (_service == "Report") { _report.construct(_env, _timer); return *_report; }

		_count.construct(_env, _timer, session);
		return *_count;
	}

	void _close()
	{
		_count.destruct();
		_slow .destruct();
		_log  .destruct();
		_report.destruct();
	}

	/**
	 * Return false if there was a mistake
	 */
	bool _use_session()
	{
		Requests &requests = _open();

		for (unsigned i = 1; i <= _per_session; i++) {

			Requests::Result const result = requests.request(i);

			if (result == Requests::Result::MISTAKE) {
				error("mistake: request ", i, " of session ", _sessions, ": ", requests.what);
				return false;
			}

			if (result == Requests::Result::LOST) {
				_errors++;
				break;
			}

			if (result == Requests::Result::MISSED) {
				_errors++;
				continue;
			}

			if (++_executed % _requests_per_line == 0)
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
