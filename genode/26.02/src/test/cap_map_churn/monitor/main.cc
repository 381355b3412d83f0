/*
 * \brief  Take snapshots of a capability table that changes all the time
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>

/* local includes */
#include <churn.h>

namespace Test { struct Main; }


Test::Source_component *Test::Churn_pd::source_ptr;


/*
 * The snapshots are taken by a thread of its own because the entrypoint has to
 * serve the PD session of the child.
 */
struct Test::Main : Sandbox::State_handler, Worker
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Churn _churn { _env };

	Basic_sandbox<Churn_pd> _sandbox { _env, *this };

	void handle_sandbox_state() override { }

	void entry() override
	{
		/* the only child, which never exits */
		_churn._timer.msleep(1000);
		_sandbox.for_each_pd([&] (Churn_pd &pd) { (void)_churn.test(pd.cap_space); });
	}

	Main(Env &env) : Worker(env, "test"), _env(env)
	{
		_sandbox.apply_config(_config.node());
		start();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
