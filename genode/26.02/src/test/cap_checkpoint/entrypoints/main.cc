/*
 * \brief  Component that uses the capabilities by which entrypoints come and go
 * \date   2026-11-30
 *
 * There are four of them that no session hands out to the component on demand:
 * the blocking semaphore of the signal source, the gate by which the component
 * is constructed, and for each entrypoint its signal proxy and its exit
 * handler. A thread that depends on none of them makes use of each after the
 * component was restored, and names the one that does not do its work.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/signal.h>
#include <base/sleep.h>
#include <base/thread.h>
#include <util/reconstructible.h>

/* local includes */
#include <cap_checkpoint_test/clock.h>

namespace Test {

	struct Side;
	struct Destructor;
	struct Watcher;
	struct Main;
}


/**
 * Entrypoint that is created before, and used and destroyed after a restore
 */
struct Test::Side
{
	Entrypoint _ep;

	bool volatile handled = false;

	void _handle() { handled = true; }

	Signal_handler<Side> handler { _ep, *this, &Side::_handle };

	Side(Env &env) : _ep(env, 32*1024, "side", { }) { }
};


/**
 * Thread that may wait forever for the end of an entrypoint
 */
struct Test::Destructor : Thread
{
	Constructible<Side> &_side;

	bool volatile done = false;

	void entry() override
	{
		_side.destruct();
		done = true;
	}

	Destructor(Env &env, Constructible<Side> &side)
	: Thread(env, "destructor", Stack_size { 32*1024 }), _side(side) { start(); }
};


struct Test::Watcher : Thread
{
	Env &_env;

	Clock _clock { _env };

	Constructible<Side> _side { };

	/* set by the initial entrypoint */
	bool volatile constructed = false, handled = false;

	Signal_context_capability sigh { };

	void _expect(char const *what, auto const &condition)
	{
		bool const works = _clock.wait_until(condition);

		log(what, works ? " works" : " is lost");
		if (works)
			return;

		_env.parent().exit(1);
		sleep_forever();
	}

	void _use_semaphore()
	{
		Signal_receiver receiver { };
		Signal_context  context  { };

		Signal_context_capability const cap = receiver.manage(context);

		_clock.wait_for_restore();
		Signal_transmitter(cap).submit();
		_expect("blocking semaphore", [&] { return receiver.pending_signal().valid(); });

		receiver.dissolve(context);
	}

	void _use_constructor()
	{
		_clock.wait_for_restore();
		constructed = true;

		Signal_transmitter(sigh).submit();
		_expect("constructor gate", [&] { return handled; });
	}

	void _use_side()
	{
		_side.construct(_env);

		_clock.wait_for_restore();
		Signal_transmitter(_side->handler).submit();
		_expect("signal proxy", [&] { return _side->handled; });

		_clock.wait_for_restore();
		Destructor destructor { _env, _side };
		_expect("exit handler", [&] { return destructor.done; });
		destructor.join();
	}

	void entry() override
	{
		_use_semaphore();
		_use_constructor();
		_use_side();
		_env.parent().exit(0);
	}

	Watcher(Env &env) : Thread(env, "watcher", Stack_size { 32*1024 }), _env(env) { }
};


struct Test::Main
{
	Watcher _watcher;

	void _handle() { _watcher.handled = true; }

	Signal_handler<Main> _handler;

	Main(Env &env) : _watcher(env), _handler(env.ep(), *this, &Main::_handle)
	{
		_watcher.sigh = _handler;
		_watcher.start();

		/* the component is saved and restored while it is being constructed */
		while (!_watcher.constructed)
			for (unsigned volatile i = 0; i < 1000; )
				i = i + 1;
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
