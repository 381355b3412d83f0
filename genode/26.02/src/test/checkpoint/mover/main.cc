/*
 * \brief  Manager that sends a child to the other system whenever it is here
 * \date   2026-11-30
 *
 * Each state of the child that 'checkpoint' reports appears in the log. Every other move
 * is not prepared while the child is running.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <os/reporter.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Nothing : Interface
	{
		GENODE_RPC(Rpc_nop, void, nop);
		GENODE_RPC_INTERFACE(Rpc_nop);
	};

	struct Object;
	struct Main;
}


struct Test::Object : Rpc_object<Nothing, Object>
{
	Entrypoint &_ep;

	Object(Entrypoint &ep) : _ep(ep) { ep.manage(*this); }

	~Object() { _ep.dissolve(*this); }

	void nop() { }
};


struct Test::Main
{
	using Name = String<64>;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" }, _state { _env, "state" };

	Expanding_reporter _reporter { _env, "requests", "requests" };

	Timer::Connection _timer { _env };

	uint64_t const _stay_ms = _config.node().attribute_value("stay_ms", uint64_t(300));

	/* core creates gates for the thread behind the capability */
	Object _object { _env.ep() };

	/**
	 * Take badges of core, so that the other system gives others to the child
	 *
	 * Core hands out the badges of objects that are gone again. Whatever objects come and go,
	 * its lowest badges remain in use.
	 */
	void _hold_badges(unsigned count)
	{
		for (unsigned i = 0; i < count; i++)
			_env.pd().alloc_rpc_cap(_object.cap()).with_error([&] (Alloc_error e) {
				error("badge ", i, ": ", e); });
	}

	Name     _last     { };
	uint64_t _refused  = 0;
	unsigned _requests = 0;

	void _handle_timer()
	{
		if (_last != "running")
			return;

		_requests++;
		_reporter.generate([&] (Generator &g) {
			g.node("move", [&] {
				g.attribute("name", "busy");
				g.attribute("version", _requests);
				g.attribute("ahead", bool(_requests % 2)); }); });
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_child(Node const &child)
	{
		Name const state = child.attribute_value("state", Name());

		uint64_t refused = 0, unchanged = 0, dead = 0;
		child.with_optional_sub_node("refused", [&] (Node const &node) {
			refused = node.attribute_value("count", uint64_t(0)); });
		child.with_optional_sub_node("restored", [&] (Node const &node) {
			unchanged = node.attribute_value("unchanged", uint64_t(0));
			dead      = node.attribute_value("dead",      uint64_t(0)); });

		if (state == _last && refused == _refused)
			return;

		if (state == "running" && unchanged > dead)
			error(unchanged, " badges are unchanged");

		/* "failed" is a state as well, which is no failure of the test */
		if (state != _last)
			log("state ", state);

		_last    = state;
		_refused = refused;

		if (state == "running")
			_timer.trigger_once(1000*_stay_ms);
	}

	void _handle_state()
	{
		_state.update();
		_state.node().for_each_sub_node("child", [&] (Node const &child) {
			_handle_child(child); });
	}

	Signal_handler<Main> _state_handler { _env.ep(), *this, &Main::_handle_state };

	Main(Env &env) : _env(env)
	{
		_hold_badges(_config.node().attribute_value("badges", 0u));

		log("started");
		_timer.sigh(_timer_handler);
		_state.sigh(_state_handler);
		_handle_state();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
