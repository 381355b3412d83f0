/*
 * \brief  Service that knows which request of which thread comes next
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COUNTING_SESSION_H_
#define _COUNTING_SESSION_H_

/* Genode includes */
#include <base/connection.h>
#include <base/rpc_client.h>
#include <base/signal.h>
#include <session/session.h>

namespace Test {

	using namespace Genode;

	struct Number;
	struct Counting_session;
	struct Counting_client;
	struct Counting_connection;
}


/**
 * Object of a client, which the server calls while it handles a request
 */
struct Test::Number : Interface
{
	GENODE_RPC(Rpc_value, uint64_t, value);
	GENODE_RPC_INTERFACE(Rpc_value);
};


/**
 * Each request has the number of the thread, and counts the requests of this thread
 *
 * The answer is the sum of all numbers so far.
 */
struct Test::Counting_session : Session
{
	static const char *service_name() { return "Counting"; }

	static constexpr unsigned CAP_QUOTA = 4, MAX_THREADS = 4;

	GENODE_RPC(Rpc_count,  uint64_t, count, unsigned, uint64_t);
	GENODE_RPC(Rpc_pass,   Capability<Number>, pass, unsigned, uint64_t, Capability<Number>);
	GENODE_RPC(Rpc_submit, uint64_t, submit, unsigned, uint64_t, Signal_context_capability);

	GENODE_RPC_INTERFACE(Rpc_count, Rpc_pass, Rpc_submit);
};


struct Test::Counting_client : Rpc_client<Counting_session>
{
	Counting_client(Capability<Counting_session> cap) : Rpc_client<Counting_session>(cap) { }

	uint64_t count(unsigned thread, uint64_t n) { return call<Rpc_count>(thread, n); }

	/**
	 * Return the capability that was passed, or an invalid one if anything is wrong
	 */
	Capability<Number> pass(unsigned thread, uint64_t n, Capability<Number> number) {
		return call<Rpc_pass>(thread, n, number); }

	uint64_t submit(unsigned thread, uint64_t n, Signal_context_capability context) {
		return call<Rpc_submit>(thread, n, context); }
};


struct Test::Counting_connection : Connection<Counting_session>, Counting_client
{
	Counting_connection(Env &env)
	:
		Connection<Counting_session>(env, Session_label(), Ram_quota { 16*1024 }, Args()),
		Counting_client(cap())
	{ }
};

#endif /* _COUNTING_SESSION_H_ */
