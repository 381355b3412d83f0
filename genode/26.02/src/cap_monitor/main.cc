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
#include <os/reporter.h>
#include <timer_session/connection.h>

/* local includes */
#include <observed_pd.h>

namespace Cap_monitor { struct Main; }


struct Cap_monitor::Main : Sandbox::State_handler
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Basic_sandbox<Observed_pd> _sandbox { _env, *this };

	Expanding_reporter _reporter { _env, "cap_spaces", "cap_spaces", { 64*1024 } };

	/* too large for the stack */
	Snapshot_with_memory<> _snapshot { };
	Holders                _holders  { };

	Observed_pds _pds { };

	/* parts of the report */
	bool _caps = true, _leaks = false;

	uint64_t _mark_ms    = 0;  /* when to take the mark, by '_timer' */
	bool     _mark_taken = false;

	uint64_t _reported_state = ~0ULL;

	/**
	 * Return number that changes whenever the content of the report changes
	 */
	uint64_t _curr_state()
	{
		uint64_t sum = 0, count = 0;

		_sandbox.for_each_pd([&] (Observed_pd &pd) {
			count++;
			Stamp stamp { };
			Status const status = pd.cap_space.stamp(stamp);
			sum += Cap_map::ok(status) ? stamp.sequence + (stamp.generation << 32)
			                           : uint64_t(status) << 48; });

		return (count << 56) + sum;
	}

	/**
	 * Call 'fn' with the child that made the gate of the badge, if one did
	 */
	void _with_creator(unsigned badge, auto const &fn)
	{
		_pds.for_each([&] (Observed_pd &pd) {
			if (pd.own_gate(badge))
				fn(pd); });
	}

	/**
	 * Count who holds and who made what
	 *
	 * The tables are looked at one after another. A gate that is passed on
	 * meanwhile may be missed.
	 */
	void _count()
	{
		_holders.clear();

		_pds.for_each([&] (Observed_pd &pd) {

			pd.counts = { };

			if (!Cap_map::ok(pd.cap_space.take(_snapshot)))
				return;

			for (unsigned slot = 0; slot < _snapshot.num_slots(); slot++)
				if (_snapshot.entry(slot).state == CAP_MAP_STATE_DETACHED)
					pd.counts.detached++;

			_snapshot.for_each([&] (unsigned, unsigned badge) {
				pd.counts.used++;
				_with_creator(badge, [&] (Observed_pd &) { _holders.add(badge); }); });
		});

		_pds.for_each([&] (Observed_pd &pd) {
			pd.for_each_gate([&] (Gate const &gate) {
				pd.counts.gates++;
				if (!_holders.count(unsigned(gate.cap.local_name())))
					pd.counts.unheld++; }); });
	}

	void _gen_cap_space(Generator &g, Observed_pd &pd)
	{
		g.attribute("name", pd.name);

		Status const status = pd.cap_space.take(_snapshot);

		if (!Cap_map::ok(status)) {
			g.attribute("state", Cap_map::message(status));
			return;
		}

		g.attribute("generation", _snapshot.stamp().generation);
		g.attribute("consistent", _snapshot.consistent());

		if (!_caps)
			return;

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			g.node("cap", [&] {
				g.attribute("slot",      slot);
				g.attribute("selector",  String<32>(Hex(selector(slot))));
				g.attribute("badge",     badge);
				g.attribute("confirmed", pd.cap_space.confirmed(slot, badge));
				_with_creator(badge, [&] (Observed_pd const &creator) {
					g.attribute("made_by", creator.name);
					g.attribute("holders", _holders.count(badge)); }); }); });
	}

	/**
	 * Report what has grown since the mark
	 */
	void _gen_leaks(Generator &g)
	{
		uint64_t const now_ms = _timer.elapsed_ms();

		if (!_mark_taken && now_ms >= _mark_ms) {
			_pds.for_each([&] (Observed_pd &pd) { pd.mark = pd.counts; });
			_mark_ms    = now_ms;
			_mark_taken = true;
		}

		if (!_mark_taken)
			return;

		g.node("leaks", [&] {
			g.attribute("seconds", (now_ms - _mark_ms)/1000);
			_pds.for_each([&] (Observed_pd &pd) {
				pd.counts.for_each(pd.mark, [&] (char const *what, unsigned before,
				                                 unsigned now) {
					if (now > before)
						g.node("growth", [&] {
							g.attribute("name",   pd.name);
							g.attribute("what",   what);
							g.attribute("before", before);
							g.attribute("now",    now); }); }); }); });
	}

	void _report()
	{
		/* determine state first to not miss any change */
		_reported_state = _curr_state();

		_pds.clear();
		_sandbox.for_each_pd([&] (Observed_pd &pd) { _pds.add(pd); });

		_count();

		_reporter.generate([&] (Generator &g) {
			_pds.for_each([&] (Observed_pd &pd) {
				g.node("cap_space", [&] { _gen_cap_space(g, pd); }); });
			if (_leaks)
				_gen_leaks(g); });
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
		_caps      = config.attribute_value("caps",  true);
		_leaks     = config.attribute_value("leaks", false);

		_mark_taken = false;
		_mark_ms    = _timer.elapsed_ms() + config.attribute_value("mark_ms", 0UL);

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
