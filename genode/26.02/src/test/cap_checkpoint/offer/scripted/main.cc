/*
 * \brief  Client that does what it is told
 * \date   2026-12-01
 *
 * It is told by a ROM module, and reports the result.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <os/reporter.h>

/* local includes */
#include <mood_session.h>

namespace Test {

	struct Opened;
	struct Main;
}


/**
 * Session that may be denied
 */
struct Test::Opened : Noncopyable
{
	Env &_env;

	Parent::Client                          _client { };
	Id_space<Parent::Client>::Element const _element { _client, _env.id_space() };

	Capability<Mood_session> cap { };

	Opened(Env &env, unsigned number, size_t ram) : _env(env)
	{
		String<160> const args("label=\"", number, "\", ram_quota=", ram, ", cap_quota=",
		                       +Mood_session::CAP_QUOTA, ", number=", number);

		_env.try_session(Mood_session::service_name(), _element.id(), args.string(), { })
			.with_result([&] (Session_capability c) { cap = reinterpret_cap_cast<Mood_session>(c); },
			             [&] (Session_error) { });
	}

	~Opened()
	{
		if (cap.valid())
			_env.close(_element.id());
	}

	void upgrade(size_t ram)
	{
		_env.upgrade(_element.id(), String<64>("ram_quota=", ram, ", cap_quota=4").string());
	}
};


struct Test::Main
{
	static constexpr unsigned MAX_SESSIONS = 2;

	using Name = String<32>;

	Env &_env;

	Attached_rom_dataspace _step { _env, "step" };
	Reporter               _done { _env, "done" };

	Constructible<Opened> _sessions[MAX_SESSIONS] { };

	Signal_receiver _receiver { };
	Signal_context  _context  { };

	unsigned _number = 0, _opened = 0;

	unsigned _numbers[MAX_SESSIONS] { };

	Name _open(unsigned i, size_t ram)
	{
		_numbers[i] = ++_opened;
		_sessions[i].construct(_env, _numbers[i], ram);

		if (_sessions[i]->cap.valid())
			return "ok";

		_sessions[i].destruct();
		return "denied";
	}

	Name _call(unsigned i)
	{
		return Mood_client(_sessions[i]->cap).number().convert<Name>(
			[&] (unsigned number)       { return number == _numbers[i] ? "right" : "wrong"; },
			[&] (Mood_session::Error) { return "lost"; });
	}

	Name _execute(Name const &action, unsigned i, size_t value)
	{
		if (action == "open")
			return _open(i, value);

		if (action == "quota")
			return { _env.pd().avail_ram(), " ", _env.pd().avail_caps() };

		if (!_sessions[i].constructed())
			return "no session";

		if (action == "call")
			return _call(i);

		if (action == "mood")
			Mood_client(_sessions[i]->cap).mood(Mood_session::Mood(value));

		if (action == "free")
			Mood_client(_sessions[i]->cap).free();

		if (action == "sigh")
			Mood_client(_sessions[i]->cap).sigh(_receiver.manage(_context));

		if (action == "signal") {
			(void)_receiver.wait_for_signal();
			_receiver.dissolve(_context);
		}

		if (action == "upgrade")
			_sessions[i]->upgrade(value);

		if (action == "close")
			_sessions[i].destruct();

		return "ok";
	}

	void _handle()
	{
		_step.update();

		Node const &step = _step.node();

		unsigned const number = step.attribute_value("number", 0u);

		if (number == _number)
			return;

		_number = number;

		Name const result = _execute(step.attribute_value("action", Name()),
		                             step.attribute_value("session", 0u) % MAX_SESSIONS,
		                             step.attribute_value("value", size_t(0)));

		(void)_done.generate([&] (Generator &g) {
			g.attribute("number", number);
			g.attribute("result", result); });
	}

	Signal_handler<Main> _handler { _env.ep(), *this, &Main::_handle };

	Main(Env &env) : _env(env)
	{
		_done.enabled(true);
		_step.sigh(_handler);
		_handle();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
