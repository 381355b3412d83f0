/*
 * \brief  Page faults that a component has yet to resolve
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__FAULTS_H_
#define _INCLUDE__CAP_CHECKPOINT__FAULTS_H_

/* Genode includes */
#include <cap_checkpoint/dataspaces.h>
#include <cap_space_monitor/cpu.h>
#include <cpu_thread/client.h>
#include <region_map/region_map.h>

namespace Cap_checkpoint { class Faults; }


/**
 * Threads of a component and its children that wait, paused, for the resolution of a page fault
 *
 * A thread that core has stopped because of a fault cannot be saved. So it was made to leave the
 * kernel in front of the instruction with the fault. It stays there until something is
 * attached where the fault has occurred, as it would have stayed in the kernel. The component
 * was told of the fault once, and is not told again.
 */
class Cap_checkpoint::Faults : Noncopyable
{
	public:

		/* of the CPU sessions of a component and of those for its children */
		static constexpr unsigned
			MAX_CHILDREN = Image::MAX_MEMBERS - 1,
			MAX_THREADS  = (1 + MAX_CHILDREN)*Cap_space_monitor::Monitored_cpu::MAX_THREADS;

		struct Pending
		{
			Thread_capability   thread;
			Virtual_region_map *map;
			Region_map::Fault   fault;
		};

	private:

		/* there is one for each thread at most */
		Constructible<Pending> _pending[MAX_THREADS] { };

		/**
		 * Let threads go on whose faults satisfy the condition
		 */
		void _resume(auto const &condition)
		{
			for (Constructible<Pending> &pending : _pending) {

				if (!pending.constructed() || !condition(*pending))
					continue;

				Thread_capability const thread = pending->thread;

				pending.destruct();
				Cpu_thread_client(thread).resume();
			}
		}

	public:

		/**
		 * Take note of the fault of a thread, which is paused
		 */
		void add(Thread_capability thread, Virtual_region_map &map, Region_map::Fault const &fault)
		{
			forget(thread);

			for (Constructible<Pending> &pending : _pending)
				if (!pending.constructed()) {
					pending.construct(thread, &map, fault);
					return;
				}
		}

		/**
		 * Forget fault of a thread that vanishes
		 */
		void forget(Thread_capability thread)
		{
			for (Constructible<Pending> &pending : _pending)
				if (pending.constructed() && pending->thread == thread)
					pending.destruct();
		}

		/**
		 * Call 'fn' with each 'Pending const &'
		 */
		void for_each(auto const &fn) const
		{
			for (Constructible<Pending> const &pending : _pending)
				if (pending.constructed())
					fn(*pending);
		}

		/**
		 * Return true if the thread waits
		 */
		bool waits(Thread_capability thread) const
		{
			bool result = false;
			for_each([&] (Pending const &p) { result |= (p.thread == thread); });
			return result;
		}

		/**
		 * Return a fault of the map, of the type NONE if there is none
		 */
		Region_map::Fault first(Virtual_region_map const &map) const
		{
			Region_map::Fault result { Region_map::Fault::Type::NONE, 0 };

			for_each([&] (Pending const &p) {
				if (p.map == &map && result.type == Region_map::Fault::Type::NONE)
					result = p.fault; });

			return result;
		}

		/**
		 * Let threads go on that waited for what is attached to the map now
		 */
		void resolve(Virtual_region_map const &map, Region_map::Range const &range)
		{
			_resume([&] (Pending const &p) {
				return p.map == &map && p.fault.addr >= range.start
				    && p.fault.addr - range.start < range.num_bytes; });
		}

		/**
		 * Let threads meet their faults again, as the map vanishes
		 */
		void map_vanishes(Virtual_region_map const &map)
		{
			_resume([&] (Pending const &p) { return p.map == &map; });
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__FAULTS_H_ */
