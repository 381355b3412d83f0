/*
 * A platform for the classes of base_foc: a kernel made of an array, in which
 * each slot of the capability space names an object or nothing (0).
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <base_foc/cap_index_allocator.h>
#include <base_foc/capability_map.h>
#include <base_foc/native_capability.h>
#include <base_foc/object_pool.h>

#include "check.h"

enum { SLOTS = 1024, INITIAL_SLOTS = 512 };

/**
 * Platform
 *
 * \param CAST    object cast
 * \param UNIQUE  tells platforms of one program apart
 */
template <typename CAST, unsigned UNIQUE = 0>
struct Test_platform
{
	using addr_t             = unsigned long;
	using Cap_data           = struct Test_cap_data; /* there is none */
	using Untyped_capability = Base_foc::Native_capability<Test_platform>;
	using Object_cast        = CAST;

	/**
	 * Lock that knows its holder, and names the mistake of one who waits for
	 * itself
	 */
	class Mutex
	{
		private:

			pthread_mutex_t _mutex;

		public:

			Mutex()
			{
				pthread_mutexattr_t attributes;
				CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
				CHECK_EQ(pthread_mutexattr_settype(&attributes,
				                                   PTHREAD_MUTEX_ERRORCHECK), 0);
				CHECK_EQ(pthread_mutex_init(&_mutex, &attributes), 0);
				pthread_mutexattr_destroy(&attributes);
			}

			~Mutex() { pthread_mutex_destroy(&_mutex); }

			void acquire()
			{
				if (kernel().before_acquire)
					kernel().before_acquire();

				int const error = pthread_mutex_lock(&_mutex);
				if (error == EDEADLK) {
					fprintf(stderr, "a thread waits for a lock that it holds, as if "
					        "an object was destroyed inside of its own 'apply'\n");
					_exit(DEADLOCK);
				}
				CHECK_EQ(error, 0);
			}

			void release() { CHECK_EQ(pthread_mutex_unlock(&_mutex), 0); }
	};

	/* exit status of a program in which a thread waits for itself */
	enum { DEADLOCK = 99 };

	enum { FIRST_SLOT = 16, CAP_SHIFT = 12, BADGE_BITS = 28, WAIT_BUDGET = 1000,
	       CORE = 0 };

	struct Kernel
	{
		unsigned object[SLOTS];
		unsigned vanished;           /* calls of 'cap_vanished' */
		unsigned last_badge;
		addr_t   last_kcap;
		bool     refuse;
		void   (*before_acquire)();  /* called for each lock of an object */
		void   (*vanishing)(addr_t); /* called by 'cap_vanished' */
		void   (*comparing)();       /* called once by 'cap_valid' */
	};

	static Kernel &kernel()
	{
		static Kernel kernel;
		return kernel;
	}

	static unsigned &object(addr_t kcap) { return kernel().object[kcap >> CAP_SHIFT]; }

	static unsigned load(addr_t kcap)
	{
		return __atomic_load_n(&object(kcap), __ATOMIC_SEQ_CST);
	}

	static void store(addr_t kcap, unsigned value)
	{
		__atomic_store_n(&object(kcap), value, __ATOMIC_SEQ_CST);
	}

	static Base_foc::Cap_space<Test_platform> &cap_space()
	{
		static Base_foc::Cap_space_with_memory<Test_platform, SLOTS, INITIAL_SLOTS> space;
		return space;
	}

	static bool cap_equal(addr_t a, addr_t b) { return load(a) == load(b); }

	static bool cap_valid(addr_t kcap)
	{
		void (* const comparing)() = kernel().comparing;
		kernel().comparing = nullptr;
		if (comparing)
			comparing();

		return load(kcap) != 0;
	}

	static bool cap_grant(addr_t from, addr_t to)
	{
		if (kernel().refuse)
			return false;

		store(to, load(from));
		store(from, 0);
		return true;
	}

	static void cap_vanished(addr_t kcap, unsigned badge)
	{
		/*
		 * At this time, nobody finds the slot, and nobody gets it. Another
		 * thread may have received the badge anew, in another slot.
		 */
		uint32_t const slot = uint32_t(kcap >> CAP_SHIFT);
		uint32_t other = slot + 1;
		(void)cap_space().owner().find(badge, other);
		CHECK(other != slot);
		if (kernel().vanishing)
			kernel().vanishing(kcap);

		CHECK(cap_space().static_slot(slot)
		   || cap_space().owner().alloc_at(slot) == CAP_MAP_STATUS_IN_USE);

		store(kcap, 0);
		__atomic_fetch_add(&kernel().vanished, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&kernel().last_badge, badge, __ATOMIC_SEQ_CST);
		__atomic_store_n(&kernel().last_kcap,  kcap,  __ATOMIC_SEQ_CST);
	}
};

#endif /* PLATFORM_H */
