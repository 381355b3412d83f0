/*
 * \brief  What core does when it has no capability slot left
 * \date   2026-11-29
 *
 * A PD session with a large quota allocates RPC capabilities until core has no
 * slot left. In this state, core must deny everything that needs another one,
 * and must keep working. The test gives back a few capabilities, and tries to
 * create a session of each kind and a thread with more and more slots being
 * available, so that core runs out of slots at each step of their creation.
 * Sessions that are denied for another reason must not take slots either.
 * Finally, with all capabilities given back, everything must work again.
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
#include <parent/client.h>
#include <pd_session/connection.h>
#include <ram_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	enum {
		/* capabilities known to the test, to be given back one by one */
		KEPT = 1000,

		/* more than what the creation of a session takes */
		STEPS = 40,

		/* denied sessions that would use up the slots of all steps */
		DENIED_SESSIONS = 200,
	};

	Env &_env;

	Capability<Pd_session> const _pd_cap { env()->pd_session_cap() };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref {
		Foc_native_cpu_client(_env.cpu().native_cpu())
			.native_cap(Thread::myself()->cap()) };

	/* sessions and parent that never ask for more quota by themselves */
	Parent_client  _parent { dynamic_cast<Parent_client &>(_env.parent()) };
	Pd_connection  _pd     { _env, "slots" };
	Cpu_connection _cpu    { _env, "slots" };
	Ram_connection _ram    { "slots" };

	Native_capability _kept[KEPT];

	unsigned _count = 0, _total = 0, _errors = 0;

	template <typename... ARGS>
	void _fail(ARGS &&... args) { _errors++; error(args...); }

	/**
	 * Allocate capabilities until core denies it
	 */
	void _fill()
	{
		for (;;) {
			try {
				Native_capability const cap = _pd.alloc_rpc_cap(_ref);

				/* the interface has no error that says this */
				if (!cap.valid())
					return;

				/* the test's own slots do not suffice for all of them */
				if (_count < KEPT)
					_kept[_count++] = cap;
				_total++;
			} catch (Pd_session::Out_of_metadata) { return; }
		}
	}

	void _free(unsigned n)
	{
		for (; n && _count; n--, _total--) {
			_pd.free_rpc_cap(_kept[--_count]);
			_kept[_count] = Native_capability();
		}
	}

	/*
	 * Each function returns true if what it tries has worked
	 */

	bool _session(char const *name, char const *args)
	{
		try {
			Session_capability const cap = _parent.session(name, args, Affinity());
			if (!cap.valid()) {
				_fail("invalid ", name, " session returned as success");
				return false;
			}
			_parent.close(cap);
			return true;
		}
		catch (Parent::Service_denied) { return false; }
		catch (Parent::Quota_exceeded) { return false; }
		catch (Parent::Unavailable)    { return false; }
	}

	bool _thread()
	{
		try {
			Thread_capability const cap =
				_cpu.create_thread(_pd_cap, "thread", Affinity::Location(),
				                   Cpu_session::Weight());
			if (!cap.valid()) {
				_fail("invalid thread returned as success");
				return false;
			}
			_cpu.kill_thread(cap);
			return true;
		}
		catch (Cpu_session::Thread_creation_failed) { return false; }
		catch (Cpu_session::Out_of_metadata)        { return false; }
	}

	bool _context()
	{
		try {
			Capability<Signal_context> const cap =
				_pd.alloc_context(Capability<Signal_source>(), 1);
			/* the interface has no error that says this */
			if (!cap.valid())
				return false;

			_pd.free_context(cap);
			return true;
		}
		catch (Pd_session::Out_of_metadata) { return false; }
	}

	bool _dataspace()
	{
		try {
			Ram_dataspace_capability const cap = _ram.alloc(4096);
			if (!cap.valid()) {
				_fail("invalid dataspace returned as success");
				return false;
			}
			_ram.free(cap);
			return true;
		}
		catch (Ram_session::Alloc_failed) { return false; }
	}

	template <typename FN>
	void _try(char const *name, FN const &fn)
	{
		unsigned freed = 0;

		for (; freed < STEPS; freed++) {

			_fill();
			_free(freed);

			size_t const avail = _ram.avail();

			if (fn())
				break;

			if (_ram.avail() != avail)
				_fail("denied ", name, " took ", avail - _ram.avail(), " bytes of RAM");
		}

		if (freed == STEPS)
			_fail(name, " denied with ", freed, " capabilities given back");
		else
			log(name, " takes the slots of ", freed, " capabilities, denied with less");
	}

	/**
	 * An interrupt that is used already, or that does not exist
	 */
	void _try_denied_sessions()
	{
		_fill();
		_free(STEPS);

		for (unsigned i = 0; i < DENIED_SESSIONS; i++)
			if (_session("IRQ", "ram_quota=8K, irq_number=5000"))
				_fail("session for interrupt that does not exist");

		if (_session("PD", "ram_quota=200K"))
			log("sessions denied for another reason take no slots");
		else
			_fail("no slots left after ", (unsigned)DENIED_SESSIONS, " denied sessions");
	}

	Main(Env &env) : _env(env)
	{
		log("--- core slots test ---");

		_parent.upgrade(_pd.cap(), "ram_quota=36M");
		_parent.upgrade(_cpu.cap(), "ram_quota=256K");
		_ram.ref_account(_env.ram_session_cap());
		_env.ram().transfer_quota(_ram.cap(), 256*1024);

		_fill();
		log(_total, " capabilities allocated, core is out of slots");

		_try("signal context", [&] { return _context(); });
		_try("dataspace",      [&] { return _dataspace(); });
		_try("thread",         [&] { return _thread(); });

		_try("PD session",  [&] { return _session("PD",  "ram_quota=200K"); });
		_try("CPU session", [&] { return _session("CPU", "ram_quota=200K"); });
		_try("RAM session", [&] { return _session("RAM", "ram_quota=200K"); });
		_try("RM session",  [&] { return _session("RM",  "ram_quota=200K"); });
		_try("IRQ session", [&] { return _session("IRQ", "ram_quota=8K, irq_number=9"); });

		_try_denied_sessions();

		_free(KEPT);

		if (!_session("PD", "ram_quota=200K") || !_thread())
			_fail("no session or thread although there are slots");

		if (_errors)
			error("--- core slots test failed, ", _errors, " errors ---");
		else
			log("--- core slots test succeeded ---");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
