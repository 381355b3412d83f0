/*
 * \brief  Service whose requests have numbers
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COUNT_SESSION_H_
#define _COUNT_SESSION_H_

/* Genode includes */
#include <base/connection.h>
#include <base/rpc_client.h>
#include <base/signal.h>
#include <session/session.h>

namespace Test {

	using namespace Genode;

	struct Count_session;
	struct Count_client;
	struct Slow_session;
	struct Slow_connection;
	struct Count_connection;
}


struct Test::Count_session : Session
{
	static const char *service_name() { return "Count"; }

	static constexpr unsigned CAP_QUOTA = 16;
	static constexpr size_t   RAM_QUOTA = 40*1024;

	/*
	 * What a proxy answers on behalf of a server that is gone is LOST
	 */
	enum class Error { LOST = 0, WRONG_NUMBER = 1 };

	using Result = Attempt<uint64_t, Error>;

	/**
	 * Execute the request of a number, each of which follows the one before
	 *
	 * \return  value that depends on the session, too
	 */
	virtual Result count(unsigned number) = 0;

	static uint64_t value(unsigned session, unsigned number)
	{
		return (uint64_t(session) << 32) | (number*2654435761U);
	}

	/**
	 * Register handler that gets one signal for each request that was executed
	 */
	virtual void sigh(Signal_context_capability) = 0;

	/**
	 * Create a further object with requests of its own
	 */
	virtual Capability<Count_session> object() = 0;

	/**
	 * Return true if a capability is the one of such an object
	 */
	virtual bool knows(Capability<Count_session>) = 0;

	GENODE_RPC(Rpc_count, Result, count, unsigned);
	GENODE_RPC(Rpc_sigh, void, sigh, Signal_context_capability);
	GENODE_RPC(Rpc_object, Capability<Count_session>, object);
	GENODE_RPC(Rpc_knows, bool, knows, Capability<Count_session>);

	GENODE_RPC_INTERFACE(Rpc_count, Rpc_sigh, Rpc_object, Rpc_knows);
};


/**
 * The same with requests that take their time
 */
struct Test::Slow_session : Count_session
{
	static const char *service_name() { return "Slow"; }
};


struct Test::Count_client : Rpc_client<Count_session>
{
	Count_client(Capability<Count_session> cap) : Rpc_client<Count_session>(cap) { }

	Result count(unsigned number) override { return call<Rpc_count>(number); }

	void sigh(Signal_context_capability cap) override { call<Rpc_sigh>(cap); }

	Capability<Count_session> object() override { return call<Rpc_object>(); }

	bool knows(Capability<Count_session> cap) override { return call<Rpc_knows>(cap); }
};


struct Test::Count_connection : Connection<Count_session>, Count_client
{
	Count_connection(Env &env, unsigned session)
	:
		Connection<Count_session>(env, Label(), Ram_quota { RAM_QUOTA }, Args("session=", session)),
		Count_client(cap())
	{ }
};


struct Test::Slow_connection : Connection<Slow_session>, Count_client
{
	Slow_connection(Env &env, unsigned session)
	:
		Connection<Slow_session>(env, Label(), Ram_quota { RAM_QUOTA }, Args("session=", session)),
		Count_client(cap())
	{ }
};

#endif /* _COUNT_SESSION_H_ */
