/*
 * \brief  Routes of the sessions of a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ROUTES_H_
#define _ROUTES_H_

/* Genode includes */
#include <base/log.h>
#include <os/session_policy.h>

/* local includes */
#include <types.h>

namespace Checkpoint { class Routes; }


/**
 * Rules in the syntax of init, of which the targets other than 'parent' are ignored
 */
class Checkpoint::Routes : Noncopyable
{
	private:

		using Service = String<64>;
		using Label   = String<Session_label::capacity()>;

		Allocator &_alloc;

		Constructible<Buffered_node> _node { };

		static bool _matches(Node const &rule, Service const &service, Session_label const &label)
		{
			if (!rule.has_type("any-service")
			 && !(rule.has_type("service") && rule.attribute_value("name", Service()) == service))
				return false;

			if (rule.has_attribute("label_last"))
				return rule.attribute_value("label_last", Label()) == label.last_element();

			return !Node_label_score(rule, label).conflict();
		}

	public:

		Routes(Allocator &alloc) : _alloc(alloc) { }

		void update(Node const &node)
		{
			if (!_node.constructed() || node.differs_from(*_node))
				_node.construct(_alloc, node);
		}

		/**
		 * Call 'fn' with the label of a session at the parent if there is a route
		 *
		 * \param label  of the session as told by the child
		 */
		void with_route(Name const &child, Service const &service, Session_label const &label,
		                auto const &fn) const
		{
			if (!_node.constructed())
				return;

			bool decided = false;

			_node->for_each_sub_node([&] (Node const &rule) {

				if (decided || !_matches(rule, service, label))
					return;

				rule.with_optional_sub_node("parent", [&] (Node const &parent) {
					decided = true;
					Label const scoped = prefixed_label(child, label);
					fn(Session_label(parent.attribute_value("label", scoped))); });

				/* a specific rule that leads nowhere denies the session */
				if (!decided && rule.has_type("service")) {
					decided = true;
					if (rule.has_sub_node("child"))
						warning(child, ": a ", service, " session cannot lead to another child of "
						        "this component"); } });
		}
};

#endif /* _ROUTES_H_ */
