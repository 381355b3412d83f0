/*
 * \brief  Testbed as platform of the base_foc classes
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_PLATFORM_HPP
#define TESTBED_PLATFORM_HPP

#include <sched.h>

#include <base_foc/cap_index_allocator.h>
#include <base_foc/capability_map.h>
#include <base_foc/native_capability.h>
#include <base_foc/object_pool.h>

#include "kernel.hpp"

namespace Testbed {

	struct Mutex;
	struct Platform;

	using Cap_space         = Base_foc::Cap_space<Platform>;
	using Cap_index         = Base_foc::Cap_index<Platform>;
	using Native_capability = Base_foc::Native_capability<Platform>;

	/*
	 * Both have no state
	 */
	inline Base_foc::Capability_map<Platform>      &cap_map();
	inline Base_foc::Cap_index_allocator<Platform> &cap_idx_alloc();
}


/**
 * Lock without kernel object, as it is part of the memory that is restored
 */
struct Testbed::Mutex
{
	int _taken = 0;

	void acquire()
	{
		while (__atomic_exchange_n(&_taken, 1, __ATOMIC_ACQUIRE))
			sched_yield();
	}

	void release() { __atomic_store_n(&_taken, 0, __ATOMIC_RELEASE); }
};


struct Testbed::Platform
{
	using addr_t             = size_t;
	using Cap_data           = struct Testbed_cap_data; /* there is none */
	using Untyped_capability = Base_foc::Native_capability<Platform>;
	using Mutex              = Testbed::Mutex;
	using Object_cast        = Base_foc::Dynamic_object_cast;

	static constexpr uint32_t FIRST_SLOT = Testbed::FIRST_SLOT;
	static constexpr uint32_t CAP_SHIFT  = Testbed::CAP_SHIFT;
	static constexpr uint32_t BADGE_BITS = Testbed::BADGE_BITS;

	/* calls of sched_yield, each of which may take milliseconds on a busy machine */
	static constexpr uint32_t WAIT_BUDGET = 16;

	/* set before the capability space is made; both programs are in one file */
	static inline bool CORE = false;

	static inline Base_foc::Cap_space<Platform> *_cap_space = nullptr;

	static Base_foc::Cap_space<Platform> &cap_space() { return *_cap_space; }

	/**
	 * Tell which capability space this process has
	 */
	static void cap_space(Base_foc::Cap_space<Platform> &space) { _cap_space = &space; }

	static bool cap_equal(addr_t a, addr_t b)     { return Kernel::equal(a, b); }
	static bool cap_valid(addr_t kcap)            { return Kernel::valid(kcap); }
	static bool cap_grant(addr_t from, addr_t to) { return Kernel::map(from, to); }

	/*
	 * As on Fiasco.OC, the kernel keeps what is in a slot until the slot is
	 * used again.
	 */
	static void cap_vanished(addr_t, uint32_t) { }
};


inline Base_foc::Capability_map<Testbed::Platform> &Testbed::cap_map()
{
	static Base_foc::Capability_map<Platform> instance { };
	return instance;
}


inline Base_foc::Cap_index_allocator<Testbed::Platform> &Testbed::cap_idx_alloc()
{
	static Base_foc::Cap_index_allocator<Platform> instance { };
	return instance;
}

#endif /* TESTBED_PLATFORM_HPP */
