/*
 * \brief  Memory shared between a component and the monitor that pauses it
 * \date   2026-11-29
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
	/**
	 * Names of the counting threads, the index is the one of the counter
	 */
	static constexpr char const *names[] = {
		"compute 1", "compute 2", "caller 1", "caller 2", "server", "forwarder",
		"semaphore 1", "semaphore 2", "mutex 1", "mutex 2", "receiver",
		"submitter", "fault", "deep", "late 1", "late 2" };

	static constexpr unsigned NUM_THREADS = sizeof(names)/sizeof(names[0]);

	/* the last ones exist from the beginning, but are started later */
	static constexpr unsigned FIRST_LATE = NUM_THREADS - 2;

	enum { SERVER = 4, FORWARDER = 5 };

	/**
	 * Return true if a thread serves nobody, so that a new one may take its place at any time
	 */
	static constexpr bool serves_nobody(unsigned i) { return i != SERVER && i != FORWARDER; }

	enum Phase { STARTING, EARLY_THREADS, ALL_THREADS, STOP, SUCCEEDED, FAILED };

	Phase volatile phase;

	/* one more than the index of a thread that has lost its UTCB */
	unsigned volatile foreign_utcb;

	/* incremented by the threads after each step that went well */
	Genode::uint64_t volatile counters[NUM_THREADS];
};

#endif /* _SHARED_H_ */
