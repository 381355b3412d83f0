/*
 * \brief  ROM session with the requests for sessions that a component provides
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/node.h>
#include <cap_checkpoint/requests_session.h>

using namespace Cap_checkpoint;


Requests_service_session::Requests_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                                   Offer *offer, Id_space<Open_session> &space,
                                                   Request const &request)
:
	Open_session(space, request), _ep(ep), _pd(pd), _offer(offer),
	_content(pd, env.rm(), CONTENT_SIZE), _state(pd, env.rm(), STATE_SIZE)
{
	_ep.manage(*this);

	if (_offer)
		_offer->add(*this);
}


Requests_service_session::~Requests_service_session()
{
	if (_offer)
		_offer->remove(*this);

	_ep.dissolve(*this);
}


void Requests_service_session::requests_changed()
{
	if (_sigh.valid())
		_pd.real().submit(_sigh, 1);
}


void Requests_service_session::_generate()
{
	bool complete = false;

	/* leave out the last ones that do not fit */
	for (unsigned max = Offer_state::MAX_SESSIONS; !complete; max /= 2)
		complete = Generator::generate({ _content.start(), _content.size() }, "session_requests",
			[&] (Generator &g) {
				if (_offer)
					_offer->generate_requests(g, max); })
			.convert<bool>([&] (size_t used) {
				bzero(_content.start() + used, _content.size() - used);
				return true; },
				[&] (Buffer_error) { return !max; });
}


void Requests_service_session::after_restore()
{
	if (_offer && _offer->pending())
		_pd.signals.raise(_sigh);
}
