/*
 * \brief  Manager that sends children to the other system whenever they are here
 * \date   2026-11-30
 *
 * Each state of a child that 'checkpoint' reports appears in the log. Every other move
 * is not prepared while the child is running.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/registry.h>
#include <os/reporter.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	using Name = String<64>;

	struct Nothing : Interface
	{
		GENODE_RPC(Rpc_nop, void, nop);
		GENODE_RPC_INTERFACE(Rpc_nop);
	};

	struct Object;
	struct Child;
	struct Main;
}


struct Test::Object : Rpc_object<Nothing, Object>
{
	Entrypoint &_ep;

	Object(Entrypoint &ep) : _ep(ep) { ep.manage(*this); }

	~Object() { _ep.dissolve(*this); }

	void nop() { }
};


struct Test::Child : Interface
{
	Name const name;

	/* when to request the next move, 0 if the child is not running here */
	uint64_t move_at_ms = 0;

	unsigned requests = 0;

	private:

		Name     _last    { };
		uint64_t _refused = 0;

	public:

		Child(Name const &name) : name(name) { }

		void update(Node const &child, uint64_t now_ms, uint64_t stay_ms)
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
				error(name, ": ", unchanged, " badges are unchanged");

			/* "failed" is a state as well, which is no failure of the test */
			if (state != _last)
				log("state of ", name, ": ", state);

			_last      = state;
			_refused   = refused;
			move_at_ms = (state == "running") ? now_ms + stay_ms : 0;
		}
};


struct Test::Main
{
	static constexpr uint64_t INTERVAL_US = 20*1000;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" }, _state { _env, "state" };

	Expanding_reporter _reporter { _env, "requests", "requests" };

	Timer::Connection _timer { _env };

	uint64_t const _stay_ms = _config.node().attribute_value("stay_ms", uint64_t(300));

	Registry<Registered<Child>> _children { };

	/* core creates gates for the thread behind the capability */
	Object _object { _env.ep() };

	/**
	 * Take badges of core, so that the other system gives others to the children
	 *
	 * Core hands out badges in turn. Two systems that create and destroy the same objects
	 * may come to the same numbers, if one is not far ahead.
	 */
	void _hold_badges(unsigned count)
	{
		for (unsigned i = 0; i < count; i++)
			_env.pd().alloc_rpc_cap(_object.cap()).with_error([&] (Alloc_error e) {
				error("badge ", i, ": ", e); });
	}

	void _handle_timer()
	{
		uint64_t const now_ms = _timer.elapsed_ms();
		bool           any    = false;

		_children.for_each([&] (Child &child) {
			if (child.move_at_ms && child.move_at_ms <= now_ms) {
				child.move_at_ms = 0;
				child.requests++;
				any = true;
			} });

		if (!any)
			return;

		/* what was requested before is known, and not done again */
		_reporter.generate([&] (Generator &g) {
			_children.for_each([&] (Child const &child) {
				if (child.requests)
					g.node("move", [&] {
						g.attribute("name",    child.name);
						g.attribute("version", child.requests);
						g.attribute("ahead",   bool(child.requests % 2)); }); }); });
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	void _handle_state()
	{
		_state.update();
		_state.node().for_each_sub_node("child", [&] (Node const &node) {
			_children.for_each([&] (Child &child) {
				if (node.attribute_value("name", Name()) == child.name)
					child.update(node, _timer.elapsed_ms(), _stay_ms); }); });
	}

	Signal_handler<Main> _state_handler { _env.ep(), *this, &Main::_handle_state };

	Main(Env &env) : _env(env)
	{
		_config.node().for_each_sub_node("child", [&] (Node const &node) {
			new (_heap) Registered<Child>(_children, node.attribute_value("name", Name())); });

		_hold_badges(_config.node().attribute_value("badges", 0u));

		log("started");
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(INTERVAL_US);
		_state.sigh(_state_handler);
		_handle_state();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
