/*
 * \brief  Other end of programs of the release that use services
 * \date   2026-11-30
 *
 * It reports versions, each of which 'rom_reporter' has to report back before the next one,
 * and types at a terminal whose program has to echo each byte once. It may request of the
 * component 'checkpoint' to restore the program.
 *
 * If the programs move between two systems, each has a peer with versions and letters of its own,
 * as what was typed in one system may be echoed in the other one. What is echoed appears in
 * the log then.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <os/reporter.h>
#include <terminal_session/connection.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	static constexpr unsigned PER_LINE = 20, PER_REQUEST = 10;

	/* bytes that a program may find when it comes to this system */
	static constexpr unsigned MAX_AHEAD = 500;

	/* a version is not succeeded before its readers had time to print it */
	static constexpr uint64_t INTERVAL_US = 50*1000, MIN_VERSION_US = 200*1000;

	Env &_env;

	Timer::Connection    _timer    { _env };
	Terminal::Connection _terminal { _env };
	Expanding_reporter   _versions { _env, "config", "versions" };

	Attached_rom_dataspace _reported { _env, "reported" };

	/* child of 'checkpoint' that is to be restored now and then, if any */
	using Name = String<32>;

	Attached_rom_dataspace _config { _env, "config" };

	Name const _child = _config.node().attribute_value("restore", Name());

	/* "a" or "b" if the programs move between systems with these names */
	Name const _side   = _config.node().attribute_value("side", Name());
	bool const _moving = (_side != Name()), _second = (_side == "b");

	unsigned const _step = _moving ? 2 : 1;

	bool _of_this_side(unsigned version) const
	{
		return !_moving || version % 2 == _second;
	}

	Expanding_reporter _requests { _env, "requests", "requests" };

	Constructible<Attached_rom_dataspace> _state { };

	unsigned _version = _second ? 1 : 0;
	uint64_t _version_us = 0;

	unsigned _chunk = 0, _typed_bytes = 0, _echoed = 0, _typed_ahead = 0;

	/* the program says a line when it starts, by which time it may have moved */
	bool _intro_seen = _moving, _in_intro = false, _wrong = false;

	void _fail(auto &&... what)
	{
		if (!_wrong)
			error("mistake: ", what...);
		_wrong = true;
	}

	void _report_next_version()
	{
		_version += _step;
		_version_us = _timer.elapsed_us();

		_versions.generate([&] (Generator &g) {
			g.attribute("version", _version);
			g.attribute("rom", "versions");
			g.node("counter", [&] {
				String<16> const text(_version);
				g.append_quoted(text.string(), text.length() - 1); }); });
	}

	void _request_restore()
	{
		_requests.generate([&] (Generator &g) {
			g.node("restore", [&] {
				g.attribute("name",    _child);
				g.attribute("version", _version); }); });

		_state->update();
		_state->node().for_each_sub_node("child", [&] (Node const &child) {
			child.with_optional_sub_node("restored", [&] (Node const &restored) {
				log("restored ", restored.attribute_value("count", 0u), " times"); }); });
	}

	void _handle_versions()
	{
		_reported.update();

		unsigned const seen = _reported.node().attribute_value("version", 0u);

		/* a program that comes from the other system reports once more what it knows */
		if (!_of_this_side(seen))
			return;

		if (seen > _version)
			_fail("version ", seen, " was never reported");

		if (seen != _version || _timer.elapsed_us() < _version_us + MIN_VERSION_US)
			return;

		if (_version && _version % PER_LINE < _step)
			log(_version, " versions reported back");

		if (_state.constructed() && _version && _version % PER_REQUEST == 0)
			_request_restore();

		_report_next_version();
	}

	char _byte(unsigned at) const
	{
		return char((_second ? 'A' : 'a') + (at*7 + at/25) % 26);
	}

	void _type()
	{
		char bytes[100];

		/* the program reads so many at once, and waits for a signal then */
		unsigned const count = 1 + (_chunk*37) % unsigned(sizeof(bytes));

		for (unsigned i = 0; i < count; i++)
			bytes[i] = _byte(_typed_bytes + i);

		size_t const written = _terminal.write(bytes, count);

		/* without a program, the buffer between the two terminals fills up */
		if (written != count && !_moving)
			_fail("terminal is full");

		_typed_bytes += unsigned(written);
		_typed_ahead += unsigned(written);
		_chunk++;
	}

	void _log_echo()
	{
		/* fits into one message to the log */
		char bytes[128];

		while (size_t const count = _terminal.read(bytes, sizeof(bytes))) {

			unsigned letters = 0;

			for (size_t i = 0; i < count; i++) {
				if (bytes[i] == '-')
					_in_intro = true;
				if (!_in_intro && bytes[i] >= 'A')
					bytes[letters++] = bytes[i];
				if (bytes[i] == '\n')
					_in_intro = false;
			}
			if (letters)
				log("echoed ", Cstring(bytes, letters));

			_typed_ahead -= min(_typed_ahead, letters);
		}
	}

	void _handle_terminal_of_moving_program()
	{
		_log_echo();

		if (_typed_ahead < MAX_AHEAD && !_wrong)
			_type();
	}

	void _read_echo()
	{
		char bytes[256];
		while (size_t const count = _terminal.read(bytes, sizeof(bytes)))
			for (size_t i = 0; i < count; i++) {

				/* the program has started */
				if (!_echoed && !_typed_bytes) {
					_intro_seen = true;
					continue;
				}
				if (bytes[i] != _byte(_echoed++))
					_fail("byte ", _echoed, " is ", bytes[i]);
			}
	}

	void _handle_terminal()
	{
		_read_echo();

		if (_echoed > _typed_bytes)
			_fail(_echoed, " bytes instead of ", _typed_bytes);

		if (!_intro_seen || _echoed != _typed_bytes || _wrong)
			return;

		if (_chunk && _chunk % PER_LINE == 0)
			log(_chunk, " times typed, ", _echoed, " bytes echoed");

		_type();
	}

	void _handle_timer()
	{
		_handle_versions();

		if (_moving)
			_handle_terminal_of_moving_program();
		else
			_handle_terminal();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (_child != Name())
			_state.construct(_env, "state");

		_report_next_version();

		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(INTERVAL_US);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
