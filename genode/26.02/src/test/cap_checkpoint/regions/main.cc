/*
 * \brief  Component with region maps and managed dataspaces of its own
 * \date   2026-12-01
 *
 * When it is asked to exit, it does so with the number of heartbeats that it got, once all threads that have to go
 * on do. It exits with -1 as soon as it sees a mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <timer_session/connection.h>

/* test includes */
#include <cap_checkpoint_test/signal_counter.h>

/* local includes */
#include <crowd.h>
#include <demand.h>
#include <nested.h>

namespace Test { struct Main; }


struct Test::Main
{
	Env &_env;

	Verdict _verdict { _env };
	Demand  _demand  { _env, _verdict };
	Nested  _nested  { _env, _demand._ep, _verdict };
	Crowd   _crowd   { _env, _demand._ep, _verdict };
	Detour  _detour  { _env, _demand._ep, _verdict };

	Timer::Connection _timer { _env };

	Signal_counter _heartbeats { };

	unsigned _last_round = 0;

	void _handle_timer()
	{
		_nested.step();
		_demand.step();
		_crowd.step();
		_detour.step();

		if (!_last_round || _crowd.rounds < _last_round || !_detour.settled())
			return;

		log(_nested._count, " steps, ", _demand, ", ", _crowd.rounds, " crowds, ", _detour.rounds, " detours");
		_verdict.exit(int(_heartbeats.count));
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	/* two more crowds, as the one that is waiting may just have come */
	void _handle_yield() { _last_round = _crowd.rounds + 2; }

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_env.parent().heartbeat_sigh(_env.ep().manage(_heartbeats));
		_env.parent().yield_sigh(_yield_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(2*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
