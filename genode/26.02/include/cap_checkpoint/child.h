/*
 * \brief  Component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__CHILD_H_
#define _INCLUDE__CAP_CHECKPOINT__CHILD_H_

/* Genode includes */
#include <base/heap.h>
#include <cap_checkpoint/parent.h>
#include <cap_checkpoint/rom_session.h>
#include <cap_space_monitor/freezer.h>
#include <cpu_session/connection.h>
#include <pd_session/connection.h>

namespace Cap_checkpoint {

	struct Monitor;
	class  Child;
	class  Child_freezer;
}


/**
 * What all children of a monitor have in common
 */
struct Cap_checkpoint::Monitor : Noncopyable
{
	Env               &env;
	Timer::Connection &timer;

	/*
	 * Resources for what is needed on behalf of a child
	 *
	 * Unlike the environment, which asks the parent for resources until it
	 * gets them, these fail.
	 */
	Pd_session_client own_pd        { env.pd_session_cap() };
	Region_map_client address_space { own_pd.address_space() };
	Pd_ram_allocator  ram           { own_pd };
	Pd_local_rm       local_rm      { address_space };

	Heap heap { ram, local_rm };

	/* accepts virtualized PD sessions as targets of quota transfers */
	Cap_space_monitor::Pd ref_pd { env.ep(), env.pd_session_cap() };

	Monitor(Env &env, Timer::Connection &timer) : env(env), timer(timer) { }
};


/**
 * Freezer that knows of the region maps of a component
 */
class Cap_checkpoint::Child_freezer : public Cap_space_monitor::Freezer
{
	private:

		Virtual_pd     &_pd;
		Virtual_parent &_parent;

		/*
		 * Questions to core about faults and blocked threads
		 *
		 * For each fault, all blocked threads are looked at. The bound keeps a round of
		 * the freezer short, in which other components of the monitor wait, and is enough
		 * for one fault if all maps have handlers, and all threads are blocked.
		 */
		static constexpr unsigned MAX_QUESTIONS = 1024;

		unsigned _questions = 0;

		void _for_each_left(Threads &, auto const &fn);

		bool _release(Threads &, Virtual_region_map &);

		void _begin(Threads &) override;

		bool _waits(Thread const &thread) const override { return _pd.faults.waits(thread.cap); }

	protected:

		void _release_faulters(Threads &) override;

	public:

		Child_freezer(Virtual_pd &pd, Virtual_parent &parent) : _pd(pd), _parent(parent) { }
};


/**
 * Component with its sessions
 *
 * It must be created, used, and destroyed by the entrypoint of the environment,
 * which serves the component.
 */
class Cap_checkpoint::Child : private Virtual_parent::Core_sessions, Noncopyable
{
	public:

		using Label = Session::Label;

		struct Quota { Ram_quota ram; Cap_quota caps; };

	private:

		Monitor       &_monitor;
		Pd_connection  _real_pd;
		Cpu_connection _real_cpu;
		long const     _priority;

		void upgrade_pd (Session::Resources const &r) override { _real_pd .upgrade(r); }
		void upgrade_cpu(Session::Resources const &r) override { _real_cpu.upgrade(r); }

		long priority() const override { return _priority; }

		/*
		 * Noncopyable
		 */
		Child(Child const &);
		Child &operator = (Child const &);

	public:

		Unit           unit { };
		Virtual_pd     pd;
		Virtual_cpu    cpu;
		Virtual_parent parent;

		Child_freezer freezer { pd, parent };

		/* where the parent capability is stored in the memory of the component */
		Dataspace *parent_ds     = nullptr;
		size_t     parent_offset = 0;

		Quota    const quota;
		uint64_t       checkpoints = 0;

		/* what a restored component has in addition, from former clients */
		Offer::Costs donated { { 0 }, { 0 } };

		void donate(Offer::Costs const &more)
		{
			pd.repay(more);
			donated.ram.value  += more.ram.value;
			donated.caps.value += more.caps.value;
		}

		/**
		 * Take back what is more than a state needs that came later
		 */
		void limit_donations(Offer::Costs const &most)
		{
			auto excess = [] (size_t value, size_t limit) { return value - min(value, limit); };

			Offer::Costs const costs { { excess(donated.ram.value,  most.ram.value)  },
			                           { excess(donated.caps.value, most.caps.value) } };
			if (pd.pay(costs).ok()) {
				donated.ram.value  -= costs.ram.value;
				donated.caps.value -= costs.caps.value;
			}
		}

		/**
		 * Constructor
		 *
		 * \param priority  of all threads of the component
		 * \param policy    is asked for each session that the component opens
		 *
		 * \throw  what the connections to core throw, and Out_of_ram or Out_of_caps if the monitor
		 *         lacks memory or capabilities
		 */
		Child(Monitor &, Label const &, Quota const &, Virtual_parent::Exit_handler &,
		      long priority = Cpu_session::DEFAULT_PRIORITY,
		      Session_policy &policy = Session_policy::any());

		~Child();

		/**
		 * Return true if the child got the quota it is meant to have
		 */
		bool has_quota() const { return _has_quota; }

		enum class Start_result { OK, NO_ROM, NO_MEMORY, NO_THREAD };

		/**
		 * Start a component anew
		 */
		Start_result start(Rom_service_session::Name const &binary);

		Monitor &monitor() { return _monitor; }

		using With_pd = Callable<void, Virtual_pd &>;

		void _for_each_pd(With_pd::Ft const &);

		/**
		 * Call 'fn' with the 'Virtual_pd &' of the component, and of each of its children
		 */
		void for_each_pd(auto const &fn) { _for_each_pd(With_pd::Fn { fn }); }

		/**
		 * Threads of the component and its children, to be frozen
		 *
		 * An object is valid until the entrypoint serves a request.
		 */
		class Threads : public Cap_space_monitor::Freezer::Threads
		{
			private:

				static constexpr unsigned MAX = 1 + Virtual_parent::MAX_CHILDREN;

				Virtual_pd  *_pds[MAX]  { };
				Virtual_cpu *_cpus[MAX] { };

				unsigned _num_pds = 0, _num_cpus = 0;

				/*
				 * Noncopyable
				 */
				Threads(Threads const &);
				Threads &operator = (Threads const &);

			public:

				Threads(Child &);

				void _for_each_pd(With_pd::Ft const &fn) override
				{
					for (unsigned i = 0; i < _num_pds; i++)
						fn(*_pds[i]);
				}

				void _for_each(With_thread::Ft const &) override;
		};

		/**
		 * Freeze all threads, and keep pending signals
		 *
		 * The caller must not return to the entrypoint before the child is
		 * saved. A timer that expired then would submit a signal that no image
		 * contains.
		 */
		Cap_space_monitor::Freezer::Result freeze();

		/**
		 * Return true if no server has anything left to execute for the frozen component
		 *
		 * Its sessions begin nothing any more until it goes on. What a server has by now could come behind
		 * what the component does elsewhere.
		 */
		bool drained();

		/**
		 * Close what the frozen, saved, and drained component opens anew if it goes on elsewhere
		 *
		 * A server may not let it do everything there as long as this is open here, for example not use the name of a
		 * file that it deletes.
		 */
		void leave();

		/**
		 * Let the component go on as if nothing had been
		 */
		void thaw();

	private:

		bool const _has_quota;

		bool _obtain_quota();

		Start_result _load(Rom_service_session &linker, addr_t &entry);
};

#endif /* _INCLUDE__CAP_CHECKPOINT__CHILD_H_ */
