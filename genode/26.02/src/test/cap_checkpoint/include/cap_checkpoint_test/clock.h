/*
 * \brief  Time, and what tells of a restore, without any signal
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__CLOCK_H_
#define _CAP_CHECKPOINT_TEST__CLOCK_H_

/* Genode includes */
#include <base/log.h>
#include <base/sleep.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Clock;
}


struct Test::Clock
{
	static constexpr uint64_t MAX_WAIT_MS = 5*1000, MAX_WAIT_FOR_RESTORE_MS = 20*1000;

	Env &_env;

	Timer::Connection _timer { _env };

	Clock(Env &env) : _env(env) { }

	/**
	 * Wait until a condition holds
	 *
	 * \return  false if it takes too long
	 */
	bool wait_until(auto const &condition, uint64_t max_ms = MAX_WAIT_MS)
	{
		uint64_t const start_ms = _timer.elapsed_ms();

		while (!condition())
			if (_timer.elapsed_ms() > start_ms + max_ms)
				return false;

		return true;
	}

	/**
	 * Wait until the component has been restored, and so has new badges
	 */
	void wait_for_restore()
	{
		auto badge = [&] { return _env.pd_session_cap().local_name(); };

		auto const before = badge();

		if (wait_until([&] { return badge() != before; }, MAX_WAIT_FOR_RESTORE_MS))
			return;

		log("nobody restores the component");
		_env.parent().exit(1);
		sleep_forever();
	}
};

#endif /* _CAP_CHECKPOINT_TEST__CLOCK_H_ */
