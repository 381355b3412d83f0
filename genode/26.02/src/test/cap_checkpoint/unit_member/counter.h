/*
 * \brief  Component with threads, time, and messages, which reports to another one
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COUNTER_H_
#define _COUNTER_H_

/* local includes */
#include <finishing.h>
#include <local.h>
#include <news.h>
#include <reports.h>
#include <system.h>

namespace Test { struct Counter; }


struct Test::Counter : Finishing
{
	static constexpr unsigned TICKS_PER_LINE = 2;

	Protected_numbers _numbers { };

	Contender _mutex_1 { _env, _verdict, "mutex 1", _numbers },
	          _mutex_2 { _env, _verdict, "mutex 2", _numbers };
	Compute   _compute { _env, _verdict, "compute" };
	Sleeper   _sleeper { _env, _verdict, "sleeper" };

	Ping _ping { _env, _verdict };

	/* where the monitor has some */
	Constructible<News> _news { };

	void _for_each_work(With_work::Ft const &fn) override
	{
		fn(_mutex_1); fn(_mutex_2); fn(_compute); fn(_sleeper);
	}

	/**
	 * Write lines, each of which has to be written once
	 */
	bool _handle_tick() override
	{
		if (_ticks % TICKS_PER_LINE == 0)
			log("line ", _ticks/TICKS_PER_LINE);

		return _ping.complete();
	}

	void _handle_stop() override
	{
		if (_news.constructed())
			_news->check();
		_ping.finish();
	}

	Counter(Env &env, Attached_rom_dataspace &config) : Finishing(env, config)
	{
		if (config.node().attribute_value("news", false))
			_news.construct(env, _verdict);

		_start();
	}
};

#endif /* _COUNTER_H_ */
