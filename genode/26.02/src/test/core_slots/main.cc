/*
 * \brief  What core does when it has no capability slot left
 * \date   2026-11-28
 *
 * A component with a large quota allocates RPC capabilities until core has
 * none left. In this state, core must deny everything that needs another one,
 * and must keep working. The test gives back a few capabilities, and tries to
 * create a session of each kind and a thread with more and more slots being
 * available, so that core runs out of slots at each step of their creation.
 * Finally, with all capabilities given back, everything must work again.
 *
 * The meta data of capabilities uses quota but no slot. In a core with 128 Ki
 * slots, the quota is used up before the slots. The test needs a core with
 * 4 Ki slots.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <cpu_session/client.h>
#include <pd_session/client.h>

namespace Test {

	using namespace Genode;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_dummy, void, dummy);
		GENODE_RPC_INTERFACE(Rpc_dummy);
	};

	struct Object : Rpc_object<Dummy, Object> { void dummy() { } };

	struct Main;

	/* capabilities known to the test, to be given back one by one */
	static constexpr unsigned KEPT = 1000;

	/*
	 * A thread takes more slots of core than capabilities of the quota. Without
	 * them, the quota that core assigns to init would be used up first.
	 */
	static constexpr unsigned THREADS = 100;

	/* more slots than the creation of a session takes */
	static constexpr unsigned STEPS = 40;
}


struct Test::Main
{
	Env &_env;

	Object _object { };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref { _env.ep().manage(_object) };

	/* never ask for more quota */
	Pd_session_client  _pd  { _env.pd_session_cap() };
	Cpu_session_client _cpu { _env.cpu_session_cap() };

	Native_capability _kept[KEPT] { };

	unsigned _count = 0, _total = 0, _errors = 0;

	void _fail(auto &&... args) { _errors++; error(args...); }

	/**
	 * Allocate capabilities until core denies it
	 *
	 * \return false if the quota was used up before
	 */
	bool _fill()
	{
		bool slots_used_up = true;

		for (bool ok = true; ok; ) {
			ok = _pd.alloc_rpc_cap(_ref).convert<bool>(
				[&] (Native_capability cap) {
					if (!cap.valid())
						_fail("invalid capability returned as success");
					else if (_count < KEPT)
						_kept[_count++] = cap;
					return cap.valid();
				},
				[&] (Alloc_error e) {
					slots_used_up = (e == Alloc_error::DENIED);
					return false;
				});
			_total += ok;
		}
		return slots_used_up;
	}

	void _free(unsigned n)
	{
		for (; n && _count; n--, _total--) {
			_pd.free_rpc_cap(_kept[--_count]);
			_kept[_count] = { };
		}
	}

	/**
	 * Try to create a session, return true if this worked
	 */
	bool _session(char const *name, char const *args)
	{
		Parent::Client client { };

		Id_space<Parent::Client>::Element const element { client, _env.id_space() };

		bool const ok = _env.try_session(name, element.id(), args, { })
			.convert<bool>([&] (Session_capability cap) { return cap.valid(); },
			               [&] (auto) { return false; });
		if (ok)
			_env.close(element.id());

		return ok;
	}

	bool _thread()
	{
		return _cpu.create_thread(_env.pd_session_cap(), "thread", { }, { })
			.convert<bool>(
				[&] (Thread_capability cap) {
					if (!cap.valid()) {
						_fail("invalid thread returned as success");
						return false;
					}
					_cpu.kill_thread(cap);
					return true;
				},
				[&] (auto) { return false; });
	}

	void _create_threads()
	{
		for (unsigned i = 0; i < THREADS; i++)
			_env.cpu().create_thread(_env.pd_session_cap(), "idle", { }, { })
				.with_result(
					[&] (Thread_capability cap) {

						/* leave quota for one thread in the CPU session */
						if (i + 1 == THREADS)
							_cpu.kill_thread(cap);
					},
					[&] (auto) { _fail("unable to create thread ", i); });
	}

	bool _context()
	{
		return _pd.alloc_context({ }, { 1 }).convert<bool>(
			[&] (Capability<Signal_context> cap) {
				if (!cap.valid()) {
					_fail("invalid signal context returned as success");
					return false;
				}
				_pd.free_context(cap);
				return true;
			},
			[&] (Alloc_error) { return false; });
	}

	bool _dataspace()
	{
		return _pd.alloc_ram(4096).convert<bool>(
			[&] (Ram_dataspace_capability cap) {
				if (!cap.valid()) {
					_fail("invalid dataspace returned as success");
					return false;
				}
				_pd.free_ram(cap);
				return true;
			},
			[&] (Alloc_error) { return false; });
	}

	void _try(char const *name, auto const &fn)
	{
		unsigned freed = 0;

		for (; freed < STEPS; freed++) {

			if (!_fill())
				_fail("quota used up while trying ", name);

			_free(freed);

			if (fn())
				break;
		}

		if (freed == STEPS)
			_fail(name, " denied with ", freed, " slots available");
		else
			log(name, " takes ", freed, " slots, denied with less");
	}

	Main(Env &env) : _env(env)
	{
		log("--- core slots test ---");

		_create_threads();

		if (!_fill()) {
			error("--- core slots test failed, core has more slots than the "
			      "quota of ", _total, " capabilities ---");
			return;
		}

		log(_total, " capabilities allocated, core is out of slots, ",
		    _pd.avail_caps().value, " left in the quota");

		_try("signal context", [&] { return _context(); });
		_try("dataspace",      [&] { return _dataspace(); });
		_try("thread",         [&] { return _thread(); });

		_try("PD session",  [&] { return _session("PD",  "ram_quota=512K, cap_quota=60"); });
		_try("CPU session", [&] { return _session("CPU", "ram_quota=512K, cap_quota=60"); });
		_try("RM session",  [&] { return _session("RM",  "ram_quota=512K, cap_quota=60"); });
		_try("IRQ session", [&] { return _session("IRQ", "ram_quota=512K, cap_quota=60, irq_number=9"); });

		_free(KEPT);

		if (!_session("PD", "ram_quota=512K, cap_quota=60") || !_thread())
			_fail("no session or thread although there are slots");

		if (_errors)
			error("--- core slots test failed, ", _errors, " errors ---");
		else
			log("--- core slots test succeeded ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
