/*
 * \brief  Memory shared between components that call each other and their monitor
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SHARED_H_
#define _SHARED_H_

/* Genode includes */
#include <base/stdint.h>

namespace Test { struct Shared; }


struct Test::Shared
{
	static constexpr unsigned NUM_CLIENTS = 2;

	/**
	 * Names of the counting threads of a client, the index is the one of the counter
	 */
	static constexpr char const *names[] = {
		"caller", "called back", "long call", "signal", "parent", "session" };

	static constexpr unsigned NUM_THREADS = sizeof(names)/sizeof(names[0]);

	enum { CALLER, CALLED_BACK, LONG_CALL, SIGNAL, PARENT, SESSION };

	/**
	 * Return true if a thread serves nobody, so that a new one may take its place at any time
	 */
	static constexpr bool serves_nobody(unsigned) { return true; }

	enum Phase { RUN, STOP };

	Phase volatile phase;

	/* requests of each kind that the server has handled */
	Genode::uint64_t volatile handled[NUM_THREADS];

	struct Client
	{
		/* incremented by the threads after each step that went well */
		Genode::uint64_t volatile counters[NUM_THREADS];

		/* threads that have made their first step, and their last one */
		unsigned volatile started, finished;

		unsigned volatile failures;

	} clients[NUM_CLIENTS];
};

#endif /* _SHARED_H_ */
