/*
 * \brief  Server that can be told to deny, to be late, or to keep what it gets
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <root/root.h>
#include <timer_session/connection.h>
#include <util/arg_string.h>
#include <util/reconstructible.h>

/* local includes */
#include <mood_session.h>

namespace Test {

	struct Object;
	struct Main;
}


struct Test::Object : Rpc_object<Mood_session, Object>
{
	Main          &_main;
	unsigned const _number;

	Signal_context_capability _sigh { };

	Object(Main &main, unsigned number) : _main(main), _number(number) { }

	Result number() override { return _number; }

	void mood(Mood) override;
	void free() override;

	void sigh(Signal_context_capability sigh) override
	{
		_sigh = sigh;
		Signal_transmitter(_sigh).submit();
	}
};


struct Test::Main : Rpc_object<Typed_root<Mood_session>>
{
	static constexpr unsigned MAX_OBJECTS = 8;

	Env &_env;

	Timer::Connection _timer { _env };

	Mood_session::Mood _mood = Mood_session::ACCEPT;

	Constructible<Object> _objects[MAX_OBJECTS] { };

	Constructible<Ram::Allocation> _kept { };

	Main(Env &env) : _env(env) { env.parent().announce(env.ep().manage(*this)); }

	/**
	 * Allocate RAM so that less is left than what a client may have donated
	 */
	void _keep()
	{
		size_t const avail = _env.pd().avail_ram().value;

		if (avail > Mood_session::LEFT)
			_env.ram().try_alloc(avail - Mood_session::LEFT).with_result(
				[&] (Ram::Allocation &a) {
					_kept.construct(_env.ram(), Ram::Allocator::Attr { a.cap, a.num_bytes });
					a.deallocate = false; },
				[&] (Alloc_error) { });
	}

	void mood(Mood_session::Mood mood) { _mood = mood; }

	void free() { _kept.destruct(); }

	Root::Result session(Session_args const &args, Affinity const &) override
	{
		using Mood = Mood_session::Mood;

		/* this one is for the end of a session */
		if (_mood != Mood::LATE_CLOSE) {

			Mood const mood = _mood;
			_mood = Mood::ACCEPT;

			if (mood == Mood::KEEP)
				_keep();

			if (mood == Mood::LATE || mood == Mood::LATE_DENY)
				_timer.msleep(Mood_session::LATE_MS);

			if (mood == Mood::DENY || mood == Mood::KEEP || mood == Mood::LATE_DENY)
				return Session_error::DENIED;

			if (mood == Mood::FOREIGN)
				return { reinterpret_cap_cast<Session>(_env.pd_session_cap()) };
		}

		unsigned const number = unsigned(Arg_string::find_arg(args.string(), "number").ulong_value(0));

		for (Constructible<Object> &object : _objects)
			if (!object.constructed()) {
				object.construct(*this, number);
				return { static_cap_cast<Session>(_env.ep().manage(*object)) };
			}

		return Session_error::DENIED;
	}

	void upgrade(Session_capability, Upgrade_args const &) override { }

	void close(Session_capability cap) override
	{
		if (_mood == Mood_session::LATE_CLOSE) {
			_mood = Mood_session::ACCEPT;
			_timer.msleep(Mood_session::LATE_MS);
		}

		for (Constructible<Object> &object : _objects)
			if (object.constructed() && object->cap() == cap) {
				_env.ep().dissolve(*object);
				object.destruct();
			}
	}
};


void Test::Object::mood(Mood mood) { _main.mood(mood); }


void Test::Object::free() { _main.free(); }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
