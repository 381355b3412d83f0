/*
 * \brief  Component whose threads come to their end when its configuration says so
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FINISHING_H_
#define _FINISHING_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <log_session/connection.h>
#include <timer_session/connection.h>

/* local includes */
#include <work.h>

namespace Test { struct Finishing; }


struct Test::Finishing : Interface
{
	/* reports, and those in whose time each thread has to make a step */
	static constexpr unsigned TICKS_PER_REPORT = 50, REPORTS_PER_STEP = 15;

	Env &_env;

	Attached_rom_dataspace &_config;

	Timer::Connection _timer { _env };

	Verdict _verdict { };

	bool _stop_wanted = false, _exited = false;

	/**
	 * To be called each 20 ms
	 *
	 * \return  true if nothing is left to be done before the exit
	 */
	virtual bool _handle_tick() = 0;

	using With_work = Callable<void, Work &>;

	virtual void _for_each_work(With_work::Ft const &) = 0;

	/**
	 * Call 'fn' with each 'Work &'
	 */
	void for_each_work(auto const &fn) { _for_each_work(With_work::Fn { fn }); }

	/**
	 * Return true if 'fn' returns true for each 'Work const &'
	 */
	bool _all_works(auto const &fn)
	{
		bool all = true;
		for_each_work([&] (Work &work) { all &= fn(work); });
		return all;
	}

	unsigned _ticks = 0;

	/**
	 * Tell how far the threads are, and whether one of them got stuck
	 */
	void _report()
	{
		for_each_work([&] (Work &work) {
			uint64_t const steps = work.steps;
			log(work.name, ": ", steps, " steps");

			if (_ticks % (REPORTS_PER_STEP*TICKS_PER_REPORT))
				return;

			_verdict.check(steps > work.reported, work.name, " is stuck");
			work.reported = steps; });
	}

	void _handle_timer()
	{
		if (++_ticks % TICKS_PER_REPORT == 0 && !_verdict.stop)
			_report();

		/* nothing stops before it has done something */
		if (_stop_wanted && !_verdict.stop
		 && _all_works([&] (Work const &work) { return work.steps > 0; })) {
			_handle_stop();
			_verdict.stop = true;
		}

		bool const complete = _handle_tick();

		if (_exited || !_verdict.stop || !complete
		 || !_all_works([&] (Work const &work) { return bool(work.finished); }))
			return;

		for_each_work([&] (Work &work) {
			work.join();
			log(work.name, ": finished after ", uint64_t(work.steps), " steps"); });

		_exited = true;
		_env.parent().exit(_verdict.mistakes != 0);
	}

	virtual void _handle_stop() { }

	void _handle_config()
	{
		_config.update();
		_stop_wanted |= _config.node().attribute_value("stop", false);
	}

	Signal_handler<Finishing> _timer_handler  { _env.ep(), *this, &Finishing::_handle_timer  },
	                          _config_handler { _env.ep(), *this, &Finishing::_handle_config };

	Finishing(Env &env, Attached_rom_dataspace &config) : _env(env), _config(config) { }

	/**
	 * To be called when the object is complete
	 *
	 * The label of the session tells the monitor.
	 */
	void _start()
	{
		for_each_work([&] (Work &work) { work.start(); });

		Log_connection { _env, "working" };

		_config.sigh(_config_handler);
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(20*1000);
		_handle_config();
	}
};

#endif /* _FINISHING_H_ */
