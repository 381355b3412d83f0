/*
 * \brief  What an init reports of its children
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INIT_STATE_H_
#define _INIT_STATE_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/log.h>
#include <report_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Init_state;
}


struct Test::Init_state
{
	using Name = String<32>;

	Env &_env;

	Name const _label;

	Attached_rom_dataspace _rom { _env, _label.string() };

	Init_state(Env &env, Name const &label) : _env(env), _label(label) { }

	/**
	 * Forget what a former init has reported
	 */
	void forget()
	{
		Report::Connection other { _env, _label.string() };
		other.submit(0);
	}

	void update() { _rom.update(); }

	void _for_each_child(auto const &fn) const
	{
		_rom.node().for_each_sub_node("child", [&] (Node const &child) {
			fn(child.attribute_value("name", Name()), child); });
	}

	bool exists(Name const &name) const
	{
		bool result = false;
		_for_each_child([&] (Name const &n, Node const &) { result |= (n == name); });
		return result;
	}

	/**
	 * Return true if a child has exited with a value
	 */
	bool exited(Name const &name, unsigned value) const
	{
		bool result = false;
		_for_each_child([&] (Name const &n, Node const &child) {
			result |= (n == name && child.attribute_value("exited", ~0U) == value); });
		return result;
	}

	/**
	 * Return number of heartbeats that a child has left unanswered at most
	 */
	unsigned skipped_heartbeats() const
	{
		unsigned result = 0;
		_for_each_child([&] (Name const &, Node const &child) {
			result = max(result, child.attribute_value("skipped_heartbeats", 0U)); });
		return result;
	}

	/**
	 * What init has assigned to children that did not exit, and how many capabilities core says they have
	 *
	 * The RAM at core depends on what a child has paid to the monitor in advance.
	 */
	using Books = String<400>;

	Books books() const
	{
		using Value = String<32>;

		Books result { };

		_for_each_child([&] (Name const &name, Node const &child) {

			if (child.has_attribute("exited"))
				return;

			Value ram { }, caps { }, quota { };

			child.with_optional_sub_node("ram", [&] (Node const &node) {
				ram = node.attribute_value("assigned", Value()); });

			child.with_optional_sub_node("caps", [&] (Node const &node) {
				caps  = node.attribute_value("assigned", Value());
				quota = node.attribute_value("quota",    Value()); });

			result = Books(result, name, " ", ram, ", ", quota, " of ", caps, "; "); });

		return result;
	}
};

#endif /* _INIT_STATE_H_ */
