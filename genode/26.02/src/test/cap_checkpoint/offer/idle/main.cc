/*
 * \brief  Client that has no request at hand for most of the time
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <timer_session/connection.h>

/* local includes */
#include <count_session.h>

namespace Test { struct Main; }


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	unsigned _executed = 0, _sessions = 0, _errors = 0;

	/**
	 * Return false if there was a mistake
	 */
	bool _use_session()
	{
		unsigned const session = 90000 + ++_sessions;

		Count_connection connection { _env, session };

		bool lost = false, right = true;

		for (unsigned i = 1; right && !lost; i++) {

			connection.count(i).with_result(
				[&] (uint64_t value) {
					right = (value == Count_session::value(session, i)); },
				[&] (Count_session::Error e) {
					lost  = (e == Count_session::Error::LOST);
					right = lost; });

			if (!right)
				error("mistake: answer to request ", i, " of session ", _sessions);

			if (lost)
				_errors++;
			else
				log(++_executed, " requests, ", _sessions, " sessions, ", _errors, " errors");

			_timer.msleep(700);
		}
		return right;
	}

	Main(Env &env) : _env(env) { while (_use_session()); }
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
