/*
 * \brief  Child of a component that is saved along with its children
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>

/* local includes */
#include <client.h>
#include <counter.h>
#include <server.h>

namespace Test {

	struct Leaver;
	struct Main;
}


/**
 * Exits after some time
 */
struct Test::Leaver
{
	Env &_env;

	Timer::Connection _timer { _env };

	void _handle_timer() { _env.parent().exit(7); }

	Signal_handler<Leaver> _timer_handler { _env.ep(), *this, &Leaver::_handle_timer };

	Leaver(Env &env) : _env(env)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_once(500*1000);
	}
};


struct Test::Main
{
	using Role = String<16>;

	Attached_rom_dataspace _config;

	Constructible<Server>  _server  { };
	Constructible<Client>  _client  { };
	Constructible<Counter> _counter { };
	Constructible<Pong>    _pong    { };
	Constructible<Leaver>  _leaver  { };

	Main(Env &env) : _config(env, "config")
	{
		Role const role = _config.node().attribute_value("role", Role());

		if (role == "server")  _server .construct(env);
		if (role == "client")  _client .construct(env, _config);
		if (role == "counter") _counter.construct(env, _config);
		if (role == "pong")    _pong   .construct(env);
		if (role == "leaver")  _leaver .construct(env);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
