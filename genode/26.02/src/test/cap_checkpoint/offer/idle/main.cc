/*
 * \brief  Client that has no request at hand for most of the time, or does nothing but donate
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <timer_session/connection.h>

/* local includes */
#include <count_session.h>

namespace Test {

	struct Donation;
	struct Main;
}


/**
 * Session that brings the server more RAM than it takes
 */
struct Test::Donation : Connection<Count_session>
{
	Donation(Env &env, Ram_quota ram)
	: Connection<Count_session>(env, Session_label(), ram, Args("session=0")) { }
};


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

	/**
	 * Open and close sessions, as fast as the server lets go of what it gets for them
	 */
	void _donate(Ram_quota const ram)
	{
		for (;;) {
			{
				Donation donation { _env, ram };
			}
			log(++_sessions, " sessions are closed");
		}
	}

	Main(Env &env) : _env(env)
	{
		Attached_rom_dataspace config { env, "config" };

		Number_of_bytes const ram = config.node().attribute_value("donates", Number_of_bytes());

		if (ram)
			_donate(Ram_quota { ram });

		while (_use_session());
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
