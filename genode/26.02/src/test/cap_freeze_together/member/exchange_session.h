/*
 * \brief  Service that calls its clients back, and signals them
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _EXCHANGE_SESSION_H_
#define _EXCHANGE_SESSION_H_

/* Genode includes */
#include <base/connection.h>
#include <base/rpc_client.h>
#include <base/signal.h>
#include <session/session.h>

namespace Exchange {

	using namespace Genode;

	struct Object;
	struct Session;
	struct Session_client;
	struct Connection;
}


/**
 * Object of a client, which the server calls while it handles a request
 */
struct Exchange::Object : Interface
{
	GENODE_RPC(Rpc_square, uint64_t, square, uint64_t);
	GENODE_RPC_INTERFACE(Rpc_square);
};


struct Exchange::Session : Genode::Session
{
	static const char *service_name() { return "Exchange"; }

	static constexpr unsigned CAP_QUOTA = 4;

	GENODE_RPC(Rpc_sum,       uint64_t, sum,       uint64_t, uint64_t);
	GENODE_RPC(Rpc_call_back, uint64_t, call_back, Capability<Object>, uint64_t);
	GENODE_RPC(Rpc_long_call, uint64_t, long_call, uint64_t);
	GENODE_RPC(Rpc_submit,    void,     submit,    Signal_context_capability);

	GENODE_RPC_INTERFACE(Rpc_sum, Rpc_call_back, Rpc_long_call, Rpc_submit);
};


struct Exchange::Session_client : Rpc_client<Session>
{
	Session_client(Capability<Session> cap) : Rpc_client<Session>(cap) { }

	uint64_t sum(uint64_t a, uint64_t b) { return call<Rpc_sum>(a, b); }

	uint64_t call_back(Capability<Object> object, uint64_t n) { return call<Rpc_call_back>(object, n); }

	uint64_t long_call(uint64_t n) { return call<Rpc_long_call>(n); }

	void submit(Signal_context_capability context) { call<Rpc_submit>(context); }
};


struct Exchange::Connection : Genode::Connection<Session>, Session_client
{
	Connection(Env &env)
	:
		Genode::Connection<Session>(env, Session_label(), Ram_quota { 16*1024 }, Args()),
		Session_client(cap())
	{ }
};

#endif /* _EXCHANGE_SESSION_H_ */
