/*
 * \brief  Give a component a large capability table
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	static constexpr unsigned SLOTS = 32*1024, MANY = 20*1000, SAMPLE = 100;

	struct Large_pd;
	struct Main;
}


struct Test::Large_pd : Monitored_pd
{
	Large_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
	         Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc)
	:
		Monitored_pd(ep, real, name, ram, local_rm, alloc, SLOTS)
	{ }
};


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Basic_sandbox<Large_pd> _sandbox { _env, *this };

	Snapshot_with_memory<SLOTS> _snapshot { };

	/* table as it was at the previous look */
	unsigned _used = 0;

	void handle_sandbox_state() override { }

	struct Seen { unsigned used, last, samples, confirmed; };

	Seen _look(Large_pd &pd)
	{
		Seen seen { };

		if (!Cap_map::ok(pd.cap_space.take(_snapshot)) || !_snapshot.consistent())
			return seen;

		_snapshot.for_each([&] (unsigned slot, unsigned) {
			seen.used++;
			seen.last = slot; });

		return seen;
	}

	/**
	 * Let core confirm some of the capabilities
	 */
	void _confirm(Large_pd &pd, Seen &seen)
	{
		unsigned i = 0;

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			if (i++ % SAMPLE || slot < NUM_SLOTS)
				return;
			seen.samples++;
			seen.confirmed += pd.cap_space.confirmed(slot, badge); });
	}

	void _handle_timer()
	{
		bool finished = false;

		_sandbox.for_each_pd([&] (Large_pd &pd) {

			Seen seen = _look(pd);

			/* the component has settled when nothing changes anymore */
			if (seen.used == _used && seen.used >= MANY) {

				_confirm(pd, seen);

				log(seen.used, " capabilities up to slot ", seen.last, ", ",
				    seen.confirmed, " of ", seen.samples, " samples confirmed");

				finished = true;
			}
			_used = seen.used;
		});

		if (!finished)
			_timer.trigger_once(2*1000*1000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_sandbox.apply_config(_config.node());

		_timer.sigh(_timer_handler);
		_timer.trigger_once(2*1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
