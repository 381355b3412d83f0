/*
 * \brief  Manager that leads the component 'checkpoint' through steps
 * \date   2026-11-30
 *
 * At each step, a configuration or requests are reported. The next step follows once
 * the state that 'checkpoint' reports is the expected one.
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
#include <os/reporter.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	using Name = String<64>;
	using Text = String<256>;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" }, _state { _env, "state" };

	Expanding_reporter _config_reporter   { _env, "config",   "config"   },
	                   _requests_reporter { _env, "requests", "requests" };

	unsigned _step = 0;

	/* what 'checkpoint' used at a former step */
	uint64_t _ram = 0, _caps = 0, _heap = 0;

	/* reports that were seen at this step */
	unsigned _reports = 0;

	/* checkpoints of a child that were told of */
	Name     _told_name { };
	uint64_t _told = 0;

	void _with_step(auto const &fn) const
	{
		unsigned i = 0;
		_config.node().for_each_sub_node("step", [&] (Node const &step) {
			if (i++ == _step)
				fn(step); });
	}

	void _report(Node const &step, char const *type, Expanding_reporter &reporter)
	{
		step.with_optional_sub_node(type, [&] (Node const &node) {
			reporter.generate([&] (Generator &g) {
				g.node_attributes(node);
				if (!g.append_node_content(node, Generator::Max_depth { 20 }))
					error("too deeply nested"); }); });
	}

	void _enter_step()
	{
		_reports = 0;
		_with_step([&] (Node const &step) {
			log("step ", _step, ": ", step.attribute_value("name", Name()));
			_report(step, "config",   _config_reporter);
			_report(step, "requests", _requests_reporter); });
	}

	static uint64_t _sub_value(Node const &child, char const *type, char const *attribute)
	{
		uint64_t result = 0;
		child.with_optional_sub_node(type, [&] (Node const &node) {
			result = node.attribute_value(attribute, uint64_t(0)); });
		return result;
	}

	/**
	 * Tell of a new checkpoint
	 */
	void _tell(Node const &state)
	{
		state.for_each_sub_node("child", [&] (Node const &child) {

			Name     const name        = child.attribute_value("name", Name());
			uint64_t const checkpoints = child.attribute_value("checkpoints", uint64_t(0));

			if (!checkpoints || (name == _told_name && checkpoints <= _told))
				return;

			_told_name = name;
			_told      = checkpoints;

			auto value = [&] (char const *type, char const *attribute) {
				return _sub_value(child, type, attribute); };

			log(name, ": checkpoint ", checkpoints,
			    ", pause ",    value("image",  "pause_us"),  ", freeze ",  value("image", "freeze_us"),
			    ", save ",     value("image",  "save_us"),   ", fill ",    value("image", "fill_us"),
			    ", write ",    value("image",  "write_us"),  " us, bytes ", value("image", "bytes"),
			    ", position ", value("image",  "position"),
			    ", copies ",   value("copies", "bytes"),     ", rounds ",  value("copies", "rounds"),
			    ", pages ",    value("copies", "pages"),     ", at last ",
			    value("copies", "last_pages")); });
	}

	static bool _begins_with(Text const &text, Text const &start)
	{
		return !strcmp(text.string(), start.string(), start.length() - 1);
	}

	/**
	 * Return true if the child is in the state that the condition tells
	 */
	static bool _matches(Node const &condition, Node const &child)
	{
		auto at_least = [&] (char const *name, uint64_t value) {
			return value >= condition.attribute_value(name, uint64_t(0)); };

		bool ok = at_least("checkpoints", child.attribute_value("checkpoints", uint64_t(0)))
		       && at_least("restored",    _sub_value(child, "restored", "count"))
		       && at_least("refused",     _sub_value(child, "refused",  "count"));

		if (condition.has_attribute("max_refused"))
			ok &= _sub_value(child, "refused", "count")
			      <= condition.attribute_value("max_refused", uint64_t(0));

		if (condition.has_attribute("state"))
			ok &= condition.attribute_value("state", Name()) == child.attribute_value("state", Name());

		/* of the newest image in its chain */
		if (condition.has_attribute("position"))
			ok &= _sub_value(child, "image", "position")
			      == condition.attribute_value("position", uint64_t(0));

		/* an image is being written, or the child stands still behind it */
		if (condition.attribute_value("saving", false)) {
			bool const running = child.attribute_value("state", Name()) == "running";
			child.with_sub_node("write", [&] (Node const &) { }, [&] { ok &= !running; });
		}

		/* capabilities of objects that were alive must have got other badges */
		if (condition.attribute_value("other_badges", false))
			ok &= _sub_value(child, "restored", "rewritten") > 0
			   && _sub_value(child, "restored", "unchanged") <= _sub_value(child, "restored", "dead");

		if (condition.has_attribute("unchanged"))
			ok &= _sub_value(child, "restored", "rewritten") > 0
			   && _sub_value(child, "restored", "unchanged")
			      == condition.attribute_value("unchanged", uint64_t(0));

		if (condition.has_attribute("reason")) {
			Text reason { };
			child.with_optional_sub_node("refused", [&] (Node const &refused) {
				reason = refused.attribute_value("reason", Text()); });
			ok &= _begins_with(reason, condition.attribute_value("reason", Text()));
		}
		return ok;
	}

	static bool _complete(Node const &step, Node const &state)
	{
		bool all = !step.has_attribute("vfs")
		        || step.attribute_value("vfs", Name()) == state.attribute_value("vfs", Name());

		step.for_each_sub_node("child", [&] (Node const &condition) {

			bool found = false, ok = false;

			state.for_each_sub_node("child", [&] (Node const &child) {
				if (child.attribute_value("name", Name()) == condition.attribute_value("name", Name())) {
					found = true;
					ok    = _matches(condition, child);
				} });

			all &= condition.attribute_value("gone", false) ? !found : ok; });

		return all;
	}

	/**
	 * Compare what 'checkpoint' uses
	 */
	bool _same_resources(Node const &step, Node const &state)
	{
		using Number = uint64_t;

		Number const ram  = state.attribute_value("ram_used",  Number(0)),
		             caps = state.attribute_value("caps_used", Number(0)),
		             heap = state.attribute_value("heap_used", Number(0));

		if (step.attribute_value("remember", false)) {
			_ram  = ram;
			_caps = caps;
			_heap = heap;
		}

		if (!step.attribute_value("same_resources", false))
			return true;

		log("in use: RAM ", _ram, " -> ", ram, ", capabilities ", _caps, " -> ", caps,
		    ", heap ", _heap, " -> ", heap);

		/* the heap takes RAM in large blocks, and keeps them, so these tell nothing of small ones */
		bool const same_heap = _heap == heap || !step.attribute_value("same_heap", false);

		return _ram == ram && _caps == caps && same_heap;
	}

	void _handle_state()
	{
		_state.update();

		Node const state = _state.node();

		bool complete = false;
		_with_step([&] (Node const &step) {

			if (step.attribute_value("tell", false))
				_tell(state);

			/* a report that is on its way may be the one of the former step */
			complete = _reports++ >= step.attribute_value("skip", 0u) && _complete(step, state);

			if (complete && !_same_resources(step, state))
				log("--- checkpoint test failed: resources are lost ---"); });

		if (!complete)
			return;

		_step++;

		bool end = true;
		_with_step([&] (Node const &) { end = false; });

		if (end)
			log("--- checkpoint test finished after ", _step, " steps ---");
		else
			_enter_step();
	}

	Signal_handler<Main> _state_handler { _env.ep(), *this, &Main::_handle_state };

	Main(Env &env) : _env(env)
	{
		_enter_step();
		_state.sigh(_state_handler);
		_handle_state();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
