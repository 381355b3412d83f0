/*
 * \brief  Freeze and thaw a component along with its children
 * \date   2026-12-01
 *
 * The component is one that can be saved, an init with three children.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_checkpoint/child.h>

/* local includes */
#include <rounds.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Policy;
	struct Main;
}


/**
 * Policy for a component whose children share memory with the monitor
 */
struct Test::Policy : Session_policy
{
	Dataspace_capability const _shared;

	Rom rom(Session_label const &label) override
	{
		Session_label const name = label.last_element();

		if (name == "shared")
			return { name, _shared };

		return { name == "config" ? Session_label("unit.config") : name };
	}

	Policy(Dataspace_capability shared) : _shared(shared) { }
};


struct Test::Main : Subject, Virtual_parent::Exit_handler
{
	static constexpr long PRIORITY = 32*1024;  /* lower than that of the monitor */

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), sizeof(Shared) };

	Policy _policy { _ds.cap() };

	Monitor _monitor { _env, _timer };

	Child _child { _monitor, "unit", { { 24*1024*1024 }, { 2000 } }, *this, PRIORITY, _policy };

	Rounds _rounds { *this, *_ds.local_addr<Shared>(), _timer,
	                 _config.node().attribute_value("rounds", 300u) };

	void exited(int value) override { error("the component exits with ", value); }


	/***********************
	 ** Subject interface **
	 ***********************/

	void _with_threads(With_threads::Ft const &fn) override
	{
		Child::Threads threads { _child };
		fn(threads);
	}

	Freezer::Result freeze(Threads &) override { return _child.freeze(); }

	void thaw(Threads &) override { _child.thaw(); }


	void _handle_timer() { _rounds.step(); }

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (_child.start("init") != Child::Start_result::OK)
			error("the component does not start");

		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
