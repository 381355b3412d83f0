/*
 * \brief  Services that a child offers to clients
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;


void Managed_child::_update_offer(Node const &start)
{
	_provides.destruct();

	start.with_optional_sub_node("provides", [&] (Node const &node) {
		_provides.construct(_common.alloc, node); });

	if (!_provides.constructed() || _services.constructed())
		return;

	try {
		if (!_common.provider.constructed())
			_common.provider.construct(_common.env);

		Cap_checkpoint::Offer::Policy const &policy = *this;

		_services.construct(_common.monitor, *_common.provider, Session::Label(_values.name),
		                    &policy);
	}
	catch (...) { _refuse("start", "no session requests for the services that it provides"); }
}


bool Managed_child::offered(Service const &service)
{
	bool result = false;

	if (_provides.constructed())
		_provides->for_each_sub_node("service", [&] (Node const &node) {
			result |= (node.attribute_value("name", Service()) == service); });

	return result;
}


bool Managed_child::reopens(Cap_checkpoint::Offer::Name const &service) const
{
	bool result = false;

	if (_provides.constructed())
		_provides->for_each_sub_node("service", [&] (Node const &node) {
			if (node.attribute_value("name", Service()) == Service(service))
				result |= node.attribute_value("reopen", false); });

	return result;
}


/**
 * Let clients know of the end of the child, unless it may go on where it was frozen
 */
void Managed_child::_lose_clients(State state)
{
	bool const over = state == State::EXITED || state == State::FAILED || state == State::AWAY;

	if (over && _services.constructed())
		_services->abandon();
}
