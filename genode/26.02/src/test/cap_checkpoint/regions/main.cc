/*
 * \brief  Component with region maps and managed dataspaces of its own
 * \date   2026-12-01
 *
 * It exits with 0 when it is asked to, or with -1 as soon as it sees a mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <timer_session/connection.h>

/* local includes */
#include <demand.h>
#include <nested.h>

namespace Test { struct Main; }


struct Test::Main
{
	Env &_env;

	Verdict _verdict { _env };
	Demand  _demand  { _env, _verdict };
	Nested  _nested  { _env, _demand._ep, _verdict };

	Timer::Connection _timer { _env };

	void _handle_timer()
	{
		_nested.step();
		_demand.step();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_yield()
	{
		log(_nested._count, " steps, ", _demand);
		_verdict.exit(0);
	}

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_env.parent().yield_sigh(_yield_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(2*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
