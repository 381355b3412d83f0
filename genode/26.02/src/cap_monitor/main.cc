/*
 * \brief  Init-like component that reports the capability spaces of children
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
#include <os/reporter.h>
#include <timer_session/connection.h>

namespace Cap_monitor {

	using namespace Cap_space_monitor;

	struct Main;
}


struct Cap_monitor::Main : Sandbox::State_handler
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Monitored_sandbox _sandbox { _env, *this };

	Expanding_reporter _reporter { _env, "cap_spaces", "cap_spaces", { 64*1024 } };

	/* too large for the stack */
	Snapshot_with_memory<> _snapshot { };

	uint64_t _reported_state = ~0ULL;

	/**
	 * Return number that changes whenever the content of the report changes
	 */
	uint64_t _curr_state()
	{
		uint64_t sum = 0, count = 0;

		_sandbox.for_each_pd([&] (Monitored_pd &pd) {
			count++;
			Stamp stamp { };
			Status const status = pd.cap_space.stamp(stamp);
			sum += Cap_map::ok(status) ? stamp.sequence + (stamp.generation << 32)
			                           : uint64_t(status) << 48; });

		return (count << 56) + sum;
	}

	void _gen_cap_space(Generator &g, Monitored_pd &pd)
	{
		g.attribute("name", pd.name);

		Status const status = pd.cap_space.take(_snapshot);

		if (!Cap_map::ok(status)) {
			g.attribute("state", Cap_map::message(status));
			return;
		}

		g.attribute("generation", _snapshot.stamp().generation);
		g.attribute("consistent", _snapshot.consistent());

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			g.node("cap", [&] {
				g.attribute("slot",      slot);
				g.attribute("selector",  String<32>(Hex(selector(slot))));
				g.attribute("badge",     badge);
				g.attribute("confirmed", pd.cap_space.confirmed(slot, badge)); }); });
	}

	void _report()
	{
		/* determine state first to not miss any change */
		_reported_state = _curr_state();

		_reporter.generate([&] (Generator &g) {
			_sandbox.for_each_pd([&] (Monitored_pd &pd) {
				g.node("cap_space", [&] { _gen_cap_space(g, pd); }); }); });
	}

	uint64_t _period_us = 0;

	void _handle_timer()
	{
		if (_curr_state() != _reported_state)
			_report();

		/* leave the time in between to the children, which depend on us */
		_timer.trigger_once(_period_us);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	/**
	 * Apply configuration
	 *
	 * A report is generated for each update. So a report can be requested by
	 * changing the configuration in any way.
	 */
	void _handle_config()
	{
		_config.update();

		Node const config = _config.node();

		_period_us = 1000*max(10UL, config.attribute_value("period_ms", 1000UL));

		_sandbox.apply_config(config);

		_report();

		_timer.trigger_once(_period_us);
	}

	Signal_handler<Main> _config_handler {
		_env.ep(), *this, &Main::_handle_config };

	/**
	 * Sandbox::State_handler interface
	 */
	void handle_sandbox_state() override { }

	/*
	 * Let requests for more resources fail instead of waiting for them
	 */
	void _handle_resource_avail() { }

	Signal_handler<Main> _resource_avail_handler {
		_env.ep(), *this, &Main::_handle_resource_avail };

	Main(Env &env) : _env(env)
	{
		_config.sigh(_config_handler);
		_timer.sigh(_timer_handler);

		_env.parent().resource_avail_sigh(_resource_avail_handler);

		_handle_config();
	}
};


void Component::construct(Genode::Env &env) { static Cap_monitor::Main main(env); }
