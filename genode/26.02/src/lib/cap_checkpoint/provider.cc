/*
 * \brief  Service requests from the parent of the monitor
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/offer.h>

using namespace Cap_checkpoint;


static Parent::Server::Id id_of(Node const &request)
{
	return { request.attribute_value("id", 0UL) };
}


void Provider::add(Offer &offer) { _offers.insert(&offer); }


void Provider::remove(Offer &offer) { _offers.remove(&offer); }


bool Provider::taken(Offer const &by, Offer_state::Name const &name) const
{
	for (Offer const *offer = _offers.first(); offer; offer = offer->next())
		if (offer != &by && offer->provides(name))
			return true;

	return false;
}


void Provider::announce(Offer_state::Name const &name)
{
	_env.parent().announce(name.string());

	/* there may be requests that wait for it */
	_handler.local_submit();
}


/**
 * Call 'fn' with the 'Offer &' that the client of a session belongs to
 */
void Provider::_with_offer(Parent::Server::Id id, auto const &fn, auto const &missing_fn)
{
	for (Offer *offer = _offers.first(); offer; offer = offer->next())
		if (offer->has_client(id)) {
			fn(*offer);
			return;
		}

	missing_fn();
}


void Provider::_create(Node const &request)
{
	using Name = Offer_state::Name;
	using Args = Offer::Wanted_args;

	Name const service = request.attribute_value("service", Name());

	auto create = [&]
	{
		Args const args = request.with_sub_node("args",
			[&] (Node const &node) { return Args(Node::Quoted_content(node)); },
			[]                     { return Args(); });

		for (Offer *offer = _offers.first(); offer; offer = offer->next())
			if (offer->provides(service)) {
				offer->create(id_of(request), service, args);
				return;
			}
	};

	_with_offer(id_of(request), [&] (Offer &) { }, create);
}


void Provider::_upgrade(Node const &request)
{
	Offer::Costs const amount { { request.attribute_value("ram_quota", 0UL) },
	                            { request.attribute_value("cap_quota", 0UL) } };

	_with_offer(id_of(request), [&] (Offer &offer) { offer.upgrade(id_of(request), amount); }, [] { });
}


void Provider::_close(Node const &request)
{
	_with_offer(id_of(request),
		[&] (Offer &offer) { offer.close(id_of(request)); },
		[&] {
			_env.parent().session_response(id_of(request), Parent::Session_response::CLOSED); });
}


void Provider::_handle()
{
	_requests.update();

	Node const requests = _requests.node();

	auto for_each = [&] (char const *type, auto const &fn)
	{
		requests.for_each_sub_node(type, [&] (Node const &request) {
			if (request.has_attribute("id"))
				fn(request); });
	};

	/* a session that is closed makes room for another one */
	for_each("upgrade", [&] (Node const &request) { _upgrade(request); });
	for_each("close",   [&] (Node const &request) { _close  (request); });
	for_each("create",  [&] (Node const &request) { _create (request); });
}
