/*
 * \brief  What core does when a component has used up its quotas
 * \date   2026-11-29
 *
 * The test uses up the quota of a PD session through each function that
 * allocates something, and calls for the IRQ object of a CPU session that has
 * no quota. Core must deny the allocation with an error. A denied allocation
 * must cost nothing, and must work once something was freed. The quota must not
 * grow by freeing what is not one's own. Furthermore, core must deny RPC
 * capabilities for references that belong to no thread.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <cpu_session/connection.h>
#include <foc_native_cpu/client.h>
#include <foc_native_pd/client.h>
#include <pd_session/connection.h>
#include <util/volatile_object.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	enum { MAX = 1000, REPETITIONS = 100, SESSIONS = 600 };

	Env &_env;

	Capability<Pd_session> const _pd_cap { env()->pd_session_cap() };

	Foc_native_cpu_client _native_cpu { _env.cpu().native_cpu() };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref { _native_cpu.native_cap(Thread::myself()->cap()) };

	Pd_connection _pd { _env, "quota" };

	Capability<Signal_source> const _source { _pd.alloc_signal_source() };

	Native_capability _caps[MAX];

	unsigned _count = 0, _errors = 0;

	template <typename... ARGS>
	void _fail(ARGS &&... args) { _errors++; error(args...); }


	/*
	 * Kinds of allocations, each with the reverse operation
	 */

	struct Rpc_cap
	{
		static char const *name() { return "RPC capabilities"; }

		static Native_capability alloc(Main &m) { return m._pd.alloc_rpc_cap(m._ref); }

		static void free(Main &m, Native_capability cap) { m._pd.free_rpc_cap(cap); }
	};

	struct Context
	{
		static char const *name() { return "signal contexts"; }

		static Native_capability alloc(Main &m) { return m._pd.alloc_context(m._source, 1); }

		static void free(Main &m, Native_capability cap) {
			m._pd.free_context(reinterpret_cap_cast<Signal_context>(cap)); }
	};

	/**
	 * Return true if there is one more capability now
	 */
	template <typename KIND>
	bool _alloc()
	{
		try {
			Native_capability const cap = KIND::alloc(*this);
			if (!cap.valid())
				_fail("invalid capability among ", KIND::name());
			_caps[_count++] = cap;
			return true;
		} catch (Pd_session::Out_of_metadata) { return false; }
	}

	template <typename KIND>
	void _free_latest()
	{
		KIND::free(*this, _caps[--_count]);
		_caps[_count] = Native_capability();
	}

	template <typename KIND>
	void _exhaust()
	{
		while (_count < MAX && _alloc<KIND>());

		if (_count == MAX)
			_fail(_count, " ", KIND::name(), " and no end");
		else
			log(_count, " ", KIND::name(), ", then out of quota");

		for (unsigned i = 0; i < REPETITIONS && _count < MAX; i++)
			if (_alloc<KIND>())
				_fail(KIND::name(), " available without anything freed");

		/* neither invalid nor foreign capabilities bring back quota */
		KIND::free(*this, Native_capability());
		KIND::free(*this, _pd_cap);
		if (_count < MAX && _alloc<KIND>())
			_fail(KIND::name(), " available by freeing what is not ours");

		_free_latest<KIND>();

		/* contexts share their meta data, capabilities do not */
		if (!_alloc<KIND>())
			_fail(KIND::name(), " still denied after one was freed");

		while (_count)
			_free_latest<KIND>();
	}

	/**
	 * A capability refers to a thread as long as this exists
	 */
	void _check_references()
	{
		auto expect_denied = [&] (char const *what, Native_capability ref)
		{
			if (_pd.alloc_rpc_cap(ref).valid())
				_fail("RPC capability for ", what);
			else
				log("no RPC capability for ", what);
		};

		expect_denied("invalid reference", Native_capability());

		expect_denied("task", Foc_native_pd_client(_pd.native_pd()).task_cap());

		expect_denied("IRQ object", _native_cpu.alloc_irq());

		Thread_capability const first =
			_env.cpu().create_thread(_pd_cap, "first",
			                         Affinity::Location(), Cpu_session::Weight());

		Native_capability const gate =
			_pd.alloc_rpc_cap(_native_cpu.native_cap(first));

		_env.cpu().kill_thread(first);

		expect_denied("gate of dead thread", gate);

		/* core uses the memory of the first thread for the second one */
		Thread_capability const second =
			_env.cpu().create_thread(_pd_cap, "second",
			                         Affinity::Location(), Cpu_session::Weight());

		expect_denied("gate of replaced thread", gate);

		_env.cpu().kill_thread(second);
	}

	/**
	 * CPU session whose quota suffices for the session itself only
	 */
	struct Poor_cpu : Connection<Cpu_session>, Cpu_session_client
	{
		Poor_cpu(Env &env, unsigned quota)
		:
			Connection<Cpu_session>(env, session(env.parent(), "ram_quota=%u", quota)),
			Cpu_session_client(cap())
		{ }
	};

	void _exhaust_cpu_session()
	{
		unsigned denied = 0;

		for (unsigned quota = 8*1024; quota <= 32*1024; quota += 1024) {

			Lazy_volatile_object<Poor_cpu> cpu;

			/* core needs some quota for the session itself */
			try { cpu.construct(_env, quota); }
			catch (...) { continue; }

			if (!Foc_native_cpu_client(cpu->native_cpu()).alloc_irq().valid())
				denied++;
		}

		if (denied)
			log("IRQ objects are denied to poor CPU sessions");
		else
			_fail("no CPU session was poor enough");
	}

	/**
	 * Allocate more IRQ objects than core has slots, in one session at a time
	 */
	void _exhaust_irqs()
	{
		unsigned total = 0;

		for (unsigned i = 0; i < SESSIONS; i++) {

			Cpu_connection cpu(_env);

			unsigned count = 0;
			while (count < MAX && Foc_native_cpu_client(cpu.native_cpu()).alloc_irq().valid())
				count++;

			if (!count) {
				_fail("no IRQ object in CPU session ", i);
				break;
			}
			total += count;
		}
		log(total, " IRQ objects allocated and released");
	}

	Main(Env &env) : _env(env)
	{
		log("--- core quota test ---");

		_check_references();

		_exhaust<Rpc_cap>();
		_exhaust<Context>();

		/* everything is as before */
		_exhaust<Rpc_cap>();

		_exhaust_cpu_session();
		_exhaust_irqs();

		if (_errors)
			error("--- core quota test failed, ", _errors, " errors ---");
		else
			log("--- core quota test succeeded ---");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
