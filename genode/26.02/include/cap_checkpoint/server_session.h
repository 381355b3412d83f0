/*
 * \brief  Session at a server that stands behind one of a component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SERVER_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__SERVER_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/sessions.h>

namespace Cap_checkpoint { class Server_session; }


/**
 * Session of the monitor
 *
 * Unlike a 'Connection', which stops a component whose request is denied, the
 * constructor returns.
 */
class Cap_checkpoint::Server_session : Noncopyable
{
	public:

		using Costs = Open_session::Costs;

	private:

		/*
		 * Each component on the way to the server may take a share of the quota, most of
		 * all one that stands in front of a server that is saved
		 */
		static constexpr unsigned MAX_ATTEMPTS = 16;

		Env &_env;

		Parent::Client _client { };

		Id_space<Parent::Client>::Element const _element { _client, _env.id_space() };

		Session_capability _cap { };

	public:

		/**
		 * What the server demanded beyond the usual quota
		 */
		Costs surcharge { { 0 }, { 0 } };

		/**
		 * Constructor
		 *
		 * \param usual  quota of the first attempt
		 * \param args   further arguments, each with a comma in front
		 */
		Server_session(Env &, char const *service, Session_label const &, Costs usual,
		               Open_session::Args const &args = { }, Affinity const & = { });

		~Server_session();

		void upgrade(Costs const &);

		/**
		 * Return session capability, invalid if the session is denied
		 */
		Session_capability cap() const { return _cap; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SERVER_SESSION_H_ */
