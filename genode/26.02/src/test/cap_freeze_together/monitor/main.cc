/*
 * \brief  Freeze and thaw components together that call each other
 * \date   2026-12-01
 *
 * The components are an init and its children. Their PD and CPU sessions are
 * provided by the monitor.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>
#include <rom_session/rom_session.h>

/* local includes */
#include <rounds.h>

namespace Test {

	struct Shared_rom;
	struct Main;
}


/**
 * Memory that is shared with the components
 */
struct Test::Shared_rom : Rpc_object<Rom_session>
{
	Entrypoint &_ep;

	Attached_ram_dataspace &_ds;

	Shared_rom(Entrypoint &ep, Attached_ram_dataspace &ds)
	: _ep(ep), _ds(ds) { _ep.manage(*this); }

	~Shared_rom() { _ep.dissolve(*this); }

	Rom_dataspace_capability dataspace() override {
		return static_cap_cast<Rom_dataspace>(Dataspace_capability(_ds.cap())); }

	void sigh(Signal_context_capability) override { }
};


struct Test::Main : Sandbox::State_handler, Subject
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), sizeof(Shared) };

	Monitored_sandbox _sandbox { _env, *this };

	Heap _heap { _env.ram(), _env.rm() };

	Freezer _freezer { };

	Rounds _rounds { *this, *_ds.local_addr<Shared>(), _timer,
	                 _config.node().attribute_value("rounds", 300u),
	                 _config.node().attribute_value("one_by_one", false) };

	void handle_sandbox_state() override { }

	struct Rom_service : Sandbox::Local_service_base::Wakeup
	{
		using Local   = Sandbox::Local_service<Shared_rom>;
		using Request = Local::Request;

		Main &_main;

		Local _local { _main._sandbox.sandbox(), *this };

		Rom_service(Main &main) : _main(main) { }

		void wakeup_local_service() override
		{
			_local.for_each_requested_session([&] (Request &request) {
				request.deliver_session(
					*new (_main._heap) Shared_rom(_main._env.ep(), _main._ds)); });
		}

	} _rom_service { *this };

	/***********************
	 ** Subject interface **
	 ***********************/

	void _with_threads(With_threads::Ft const &fn) override
	{
		Monitored_sandbox::All_threads threads { _sandbox };
		fn(threads);
	}

	Freezer::Result freeze(Threads &threads) override { return _freezer.freeze(threads, { }); }

	void thaw(Threads &threads) override { _freezer.thaw(threads); }


	void _handle_timer() { _rounds.step(); }

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_sandbox.apply_config(_config.node());

		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
