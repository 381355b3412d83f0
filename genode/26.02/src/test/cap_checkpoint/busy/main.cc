/*
 * \brief  Component with many busy threads, which check their results
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>

/* local includes */
#include <calls.h>
#include <local.h>
#include <system.h>

namespace Test { struct Main; }


struct Test::Main
{
	static constexpr unsigned TICKS_PER_REPORT = 50, TICKS_TO_FINISH = 300;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Heap _heap { _env.ram(), _env.rm() };

	Verdict _verdict { };

	Servers _servers { _env, _verdict };

	Semaphore _ping { }, _pong { };

	Protected_numbers _numbers { };

	Caller     _call_1  { _env, _verdict, "call 1", _servers, 0 },
	           _call_2  { _env, _verdict, "call 2", _servers, 1 };
	Cap_caller _pass_1  { _env, _verdict, "pass 1", _servers, 2 },
	           _pass_2  { _env, _verdict, "pass 2", _servers, 3 };

	Ping_pong  _semaphore_1 { _env, _verdict, "semaphore 1", _ping, _pong },
	           _semaphore_2 { _env, _verdict, "semaphore 2", _pong, _ping };

	Contender  _mutex_1 { _env, _verdict, "mutex 1", _numbers },
	           _mutex_2 { _env, _verdict, "mutex 2", _numbers };

	Compute    _compute { _env, _verdict, "compute" };
	Sleeper    _sleeper { _env, _verdict, "timer" };
	Signals    _signals { _env, _verdict, "signals" };
	Heap_user  _memory  { _env, _verdict, "heap", _heap };

	Threads       _threads     { _env, _verdict, "threads" };
	Sessions      _sessions    { _env, _verdict, "sessions" };
	Token_players _token       { _env, _verdict, "token" };
	Entrypoints   _entrypoints { _env, _verdict, "entrypoints" };

	/* as many of them are started as the configuration says */
	Work * const _works[16] {
		&_call_1, &_pass_1, &_compute, &_sleeper,
		&_semaphore_1, &_semaphore_2, &_signals, &_memory,
		&_call_2, &_pass_2, &_mutex_1, &_mutex_2,
		&_threads, &_sessions, &_token, &_entrypoints };

	/*
	 * Noncopyable
	 */
	Main(Main const &);
	Main &operator = (Main const &);

	unsigned const _num_works = min(16u, _config.node().attribute_value("threads", 16u));

	void _for_each_work(auto const &fn)
	{
		for (unsigned i = 0; i < _num_works; i++)
			fn(*_works[i]);
	}

	void _for_each_caller(auto const &fn)
	{
		fn(_call_1); fn(_call_2); fn(_pass_1); fn(_pass_2);
	}

	Timer::Connection _timer { _env };

	unsigned _ticks = 0;

	/* the component comes to its end by itself if it is not zero */
	unsigned const _last_tick = _config.node().attribute_value("ticks", 0u);

	/**
	 * Tell how far the threads are, and whether one of them got stuck
	 */
	void _report()
	{
		_for_each_work([&] (Work &work) {
			uint64_t const steps = work.steps;
			log(work.name, ": ", steps, " steps");
			_verdict.check(steps > work.reported, work.name, " is stuck");
			work.reported = steps; });
	}

	unsigned _ticks_since_stop = 0;

	/* the parent was told how it went, and is about to destroy this component */
	bool _exited = false;

	void _exit()
	{
		_exited = true;
		_env.parent().exit(_verdict.mistakes != 0);
	}

	void _handle_timer()
	{
		if (_exited)
			return;

		if (_verdict.stop) {
			_wait_for_works();
			return;
		}

		if (++_ticks % TICKS_PER_REPORT == 0)
			_report();

		if (_verdict.mistakes)
			_exit();
		else if (_ticks == _last_tick)
			_handle_yield();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_yield() { _verdict.stop = true; }

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	/**
	 * Come to the end with all threads, or tell which of them never do
	 */
	void _wait_for_works()
	{
		bool all = true;
		_for_each_work([&] (Work const &work) { all &= work.finished; });

		if (all) {
			_finish();
			return;
		}

		if (++_ticks_since_stop < TICKS_TO_FINISH)
			return;

		_for_each_work([&] (Work const &work) {
			_verdict.check(work.finished, work.name, " does not come to its end"); });

		log("token: ", _token);
		_exit();
	}

	void _finish()
	{
		_for_each_work([&] (Work &work) { work.join(); });

		_for_each_caller([&] (Caller &caller) { caller.check_counts(); });

		_verdict.check(_numbers.a == _mutex_1.steps + _mutex_2.steps,
		               uint64_t(_numbers.a), " changes under mutex");

		_for_each_work([&] (Work &work) { log(work.name, ": finished after ",
		                                      uint64_t(work.steps), " steps"); });
		unsigned first = 0;
		_for_each_work([&] (Work &work) {
			if (work._processor == _works[0]->_processor) first++; });

		_verdict.check((first == _num_works) == (_env.cpu().affinity_space().total() < 2),
		               first, " of ", _num_works, " threads on the first one's processor");

		log("finished with ", uint64_t(_verdict.mistakes), " mistakes");

		_exit();
	}

	/**
	 * Handle signals without ever leaving the call that constructs the component
	 */
	void _stay_in_construct()
	{
		Signal_receiver receiver { };
		Signal_context  tick { }, yield { };

		_env.parent().yield_sigh(receiver.manage(yield));
		_timer.sigh(receiver.manage(tick));

		for (;;) {
			if (receiver.wait_for_signal().context() == &yield)
				_handle_yield();
			else
				_handle_timer();
		}
	}

	Main(Env &env) : _env(env)
	{
		_for_each_work([] (Work &work) { work.start(); });

		_timer.trigger_periodic(100*1000);

		if (_config.node().attribute_value("stay_in_construct", false))
			_stay_in_construct();

		_env.parent().yield_sigh(_yield_handler);
		_timer.sigh(_timer_handler);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
