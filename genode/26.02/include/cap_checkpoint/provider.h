/*
 * \brief  Service requests from the parent of the monitor
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PROVIDER_H_
#define _INCLUDE__CAP_CHECKPOINT__PROVIDER_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <cap_checkpoint/offer_state.h>
#include <parent/parent.h>
#include <util/list.h>

namespace Cap_checkpoint {

	class Offer;
	class Provider;
}


/**
 * Service requests from the parent of the monitor, for one or several offers
 */
class Cap_checkpoint::Provider : Noncopyable
{
	private:

		Env &_env;

		Attached_rom_dataspace _requests { _env, "session_requests" };

		List<Offer> _offers { };

		void _handle();

		Signal_handler<Provider> _handler { _env.ep(), *this, &Provider::_handle };

		void _with_offer(Parent::Server::Id, auto const &fn, auto const &missing_fn);

		void _create (Node const &);
		void _upgrade(Node const &);
		void _close  (Node const &);

	public:

		Provider(Env &env) : _env(env) { _requests.sigh(_handler); }

		void add   (Offer &);
		void remove(Offer &);

		/**
		 * Let the parent know that there is somebody who provides a service
		 */
		void announce(Offer_state::Name const &);

		/**
		 * Return true if another child provides the service
		 */
		bool taken(Offer const &, Offer_state::Name const &) const;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PROVIDER_H_ */
