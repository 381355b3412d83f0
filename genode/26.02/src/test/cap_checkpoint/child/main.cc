/*
 * \brief  Component that is checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <timer_session/connection.h>

/* test includes */
#include <cap_checkpoint_test/signal_counter.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	uint64_t _ticks = 0, _last_us = 0, _last_tick = 0;

	void _handle_timer()
	{
		uint64_t const us = _timer.elapsed_us();

		if (us < _last_us)
			error("clock jumps back from ", _last_us, " to ", us);

		if (++_ticks % 100 == 0)
			log(_ticks, " ticks, ", us, " us");

		_last_us = us;

		if (_last_tick && _ticks >= _last_tick) {
			log("finished after ", _ticks, " ticks and ", _heartbeats.count, " heartbeats");
			_env.parent().exit(int(_heartbeats.count));
		}
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Signal_counter _heartbeats { };

	/* heartbeats may be pending that were submitted before */
	void _handle_yield() { _last_tick = _ticks + 2; }

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		/* each line is to bear the name of the component */
		log("one text\nof two lines");

		/* the second call tells that the component has started up */
		_env.parent().heartbeat_sigh(_env.ep().manage(_heartbeats));
		_env.parent().yield_sigh(_yield_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(10*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
