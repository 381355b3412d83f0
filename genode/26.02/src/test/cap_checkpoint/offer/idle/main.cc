/*
 * \brief  Client that has no request at hand for most of the time, does nothing but donate, or hoards
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
	struct Hoarded;
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


/**
 * Session that may be denied, under a label that looks like the one of another client
 */
struct Test::Hoarded : Noncopyable
{
	using Args = Parent::Session_args;

	Env &_env;

	Parent::Client                           _client  { };
	Id_space<Parent::Client>::Element const  _element { _client, _env.id_space() };

	bool const open;

	Hoarded(Env &env, unsigned number, char const *more_args)
	:
		_env(env),
		open(env.try_session("Count", _element.id(),
		                     String<200>("label=\"", number, " -> crowded_1\", ram_quota=65536, "
		                                 "cap_quota=28, session=", number, more_args).string(),
		                     Affinity()).ok())
	{ }

	~Hoarded() { if (open) _env.close(_element.id()); }
};


struct Test::Main
{
	static constexpr unsigned MAX_SESSIONS = 32;

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

	/**
	 * Keep as many sessions as there are, again and again
	 */
	void _hoard()
	{
		/* with the label that the parent makes of it, this is longer than a session can have */
		char const *too_long = ", filler=123456789012345123456789012345678901234567890123456789012345678901234567890";

		if (Hoarded(_env, 0, too_long).open)
			error("mistake: arguments that are too long are not denied");

		Constructible<Hoarded> hoarded[MAX_SESSIONS] { };

		for (;;) {
			unsigned count = 0;
			while (count < MAX_SESSIONS && (hoarded[count].construct(_env, count, ""), hoarded[count]->open))
				count++;

			if (count > MAX_SESSIONS/2)
				error("mistake: ", count, " sessions of one client");

			log(count, " sessions, then denied");
			_timer.msleep(2000);

			for (Constructible<Hoarded> &session : hoarded)
				session.destruct();
		}
	}

	Main(Env &env) : _env(env)
	{
		Attached_rom_dataspace config { env, "config" };

		Number_of_bytes const ram = config.node().attribute_value("donates", Number_of_bytes());

		if (ram)
			_donate(Ram_quota { ram });

		if (config.node().attribute_value("hoards", false))
			_hoard();

		while (_use_session());
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
