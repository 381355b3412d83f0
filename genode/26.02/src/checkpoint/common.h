/*
 * \brief  What all children share
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COMMON_H_
#define _COMMON_H_

/* Genode includes */
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/offer.h>
#include <util/callable.h>

/* local includes */
#include <image_store.h>

namespace Checkpoint {

	struct Common;
	class  Managed_child;
}


struct Checkpoint::Common : Interface
{
	using Snapshot = Cap_space_monitor::Snapshot_with_memory<>;

	Env                     &env;
	Allocator               &alloc;
	Timer::Connection       &timer;
	Cap_checkpoint::Monitor &monitor;

	Constructible<Image_store> store    { };
	Snapshot                   snapshot { };

	/* requests of clients, once a child may have any */
	Constructible<Cap_checkpoint::Provider> provider { };

	Common(Env &env, Allocator &alloc, Timer::Connection &timer, Cap_checkpoint::Monitor &monitor)
	: env(env), alloc(alloc), timer(timer), monitor(monitor) { }

	/**
	 * Let 'Managed_child::work' be called soon, outside of any request of a child
	 */
	virtual void schedule_work() = 0;

	using With_child = Callable<void, Managed_child const &>;

	/**
	 * Call 'fn' with each child that has a prior right to a place for images
	 */
	virtual void for_each_prior_user(Managed_child const &, Place const &,
	                                 With_child::Ft const &) const = 0;

	/**
	 * Free RAM of what children can do without
	 *
	 * \return  true if RAM became free
	 */
	virtual bool reclaim_ram() = 0;

	bool store_is(Image_store::State state) const
	{
		return store.constructed() && store->state() == state;
	}

	uint64_t now_us() { return timer.curr_time().trunc_to_plain_us().value; }

	/**
	 * Return microseconds that 'fn' takes
	 */
	uint64_t duration_us(auto const &fn)
	{
		uint64_t const start = now_us();
		fn();
		return now_us() - start;
	}
};

#endif /* _COMMON_H_ */
