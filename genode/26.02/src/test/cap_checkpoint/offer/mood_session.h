/*
 * \brief  Service of a server that can be told how to treat its next client
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MOOD_SESSION_H_
#define _MOOD_SESSION_H_

/* Genode includes */
#include <base/rpc_client.h>
#include <base/signal.h>
#include <session/session.h>

namespace Test {

	using namespace Genode;

	struct Mood_session;
	struct Mood_client;
}


struct Test::Mood_session : Session
{
	static const char *service_name() { return "Mood"; }

	static constexpr unsigned CAP_QUOTA = 28;

	/* time that a late server takes, and the RAM that a greedy one leaves */
	static constexpr unsigned LATE_MS = 1500;
	static constexpr size_t   LEFT    = 200*1024;

	/**
	 * What the server does when the next session is opened, or closed
	 *
	 * ACCEPT:      open the session
	 * DENY:        deny it
	 * KEEP:        use up the RAM of the server, and deny it
	 * LATE:        open it after a while
	 * LATE_DENY:   deny it after a while
	 * FOREIGN:     answer with an object of somebody else
	 * LATE_CLOSE:  take a while to close a session
	 */
	enum Mood { ACCEPT, DENY, KEEP, LATE, LATE_DENY, FOREIGN, LATE_CLOSE };

	/* what a proxy answers on behalf of a server that is gone is LOST */
	enum class Error { LOST = 0 };

	using Result = Attempt<unsigned, Error>;

	/**
	 * Return the number that the session was opened with
	 */
	virtual Result number() = 0;

	virtual void mood(Mood) = 0;

	/**
	 * Free all that was kept
	 */
	virtual void free() = 0;

	/**
	 * Register a handler that gets one signal at once, and no other one
	 */
	virtual void sigh(Signal_context_capability) = 0;

	GENODE_RPC(Rpc_number, Result, number);
	GENODE_RPC(Rpc_mood, void, mood, Mood);
	GENODE_RPC(Rpc_free, void, free);
	GENODE_RPC(Rpc_sigh, void, sigh, Signal_context_capability);

	GENODE_RPC_INTERFACE(Rpc_number, Rpc_mood, Rpc_free, Rpc_sigh);
};


struct Test::Mood_client : Rpc_client<Mood_session>
{
	Mood_client(Capability<Mood_session> cap) : Rpc_client<Mood_session>(cap) { }

	Result number() override { return call<Rpc_number>(); }

	void mood(Mood mood) override { call<Rpc_mood>(mood); }

	void free() override { call<Rpc_free>(); }

	void sigh(Signal_context_capability cap) override { call<Rpc_sigh>(cap); }
};

#endif /* _MOOD_SESSION_H_ */
