/*
 * \brief  Freeze and thaw a component again and again
 * \date   2026-11-29
 *
 * While the component is frozen, its IPC gates are replaced by new ones under
 * other badges. A thread that was stopped with a badge in its hands would use
 * the old one afterwards. This is what happens if critical windows are ignored.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <cap_space_monitor/sandbox.h>
#include <rom_session/rom_session.h>
#include <timer_session/connection.h>

/* local includes */
#include <renewal.h>
#include <shared.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Shared_rom;
	struct Test_freezer;
	struct Main;
}


/**
 * Memory that is shared with the component
 */
struct Test::Shared_rom : Rpc_object<Rom_session>
{
	Entrypoint &_ep;

	Attached_ram_dataspace &_ds;

	Shared_rom(Entrypoint &ep, Attached_ram_dataspace &ds)
	: _ep(ep), _ds(ds) { _ep.manage(*this); }

	~Shared_rom() { _ep.dissolve(*this); }

	Rom_dataspace_capability dataspace() override {
		return static_cap_cast<Rom_dataspace>(Dataspace_capability(_ds.cap())); }

	void sigh(Signal_context_capability) override { }
};


struct Test::Test_freezer : Freezer
{
	bool const _ignore_windows;

	Test_freezer(bool ignore_windows) : _ignore_windows(ignore_windows) { }

	bool _critical(addr_t state, addr_t window) const override {
		return !_ignore_windows && Freezer::_critical(state, window); }
};


struct Test::Main : Sandbox::State_handler
{
	static constexpr unsigned LATE_ROUND        = 20,
	                          ROUNDS_PER_REPORT = 20,
	                          MAX_WAITS         = 400;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	unsigned const _num_rounds = _config.node().attribute_value("rounds", 400u);

	/* threads are parked wherever they are, which goes wrong */
	bool const _ignore_windows = _config.node().attribute_value("ignore_windows", false);

	Timer::Connection _timer { _env };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), sizeof(Shared) };

	Shared &_shared = *_ds.local_addr<Shared>();

	Monitored_sandbox _sandbox { _env, *this };

	Snapshot_with_memory<> _snapshot { };

	Constructible<Shared_rom> _rom { };

	Test_freezer _freezer { _ignore_windows };

	void handle_sandbox_state() override { }

	struct Rom_service : Sandbox::Local_service_base::Wakeup
	{
		using Local   = Sandbox::Local_service<Shared_rom>;
		using Request = Local::Request;

		Main &_main;

		Local _local { _main._sandbox.sandbox(), *this };

		Rom_service(Main &main) : _main(main) { }

		void wakeup_local_service() override
		{
			_local.for_each_requested_session([&] (Request &request) {
				_main._rom.construct(_main._env.ep(), _main._ds);
				request.deliver_session(*_main._rom); });
		}

	} _rom_service { *this };

	uint64_t _frozen  [Shared::NUM_THREADS] { };
	uint64_t _reported[Shared::NUM_THREADS] { };

	struct Sum
	{
		unsigned attempts, rounds, max_rounds, parked, forwarded, replaced_gates,
		         replacements, stuck;
		unsigned renewed[Base_foc::Restart::PARKED + 1];
		uint64_t us, max_us;

	} _sum { };

	enum class Next { ROUND, PROGRESS, RESULT } _next = Next::ROUND;

	unsigned _round = 0, _waits = 0;

	uint32_t _random = 12345;

	bool _done = false;

	void _finish(auto &&... message)
	{
		_done = true;
		log("--- freeze test ", message..., " ---");
	}

	void _fail(auto &&... message)
	{
		if (_done)
			return;

		if (_ignore_windows)
			_finish("with windows ignored went wrong in round ", _round, ": ", message...);
		else
			_finish("failed in round ", _round, ": ", message...);
	}

	static char const *_name(Freezer::Stuck::Reason reason)
	{
		using Reason = Freezer::Stuck::Reason;

		switch (reason) {
		case Reason::NO_RECORDS: return "no restart records";
		case Reason::NO_STACK:   return "no room on the stack";
		case Reason::WINDOW:     return "critical window";
		case Reason::CALL:       return "call";
		case Reason::BLOCKED:    return "blocked";
		case Reason::BUSY:       return "busy";
		case Reason::NO_RECORD:  return "no record";
		}
		return "unknown";
	}

	static void _sleep_1_ms()
	{
		using namespace Foc;
		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
	}

	/**
	 * Replace all gates of the frozen component
	 */
	void _replace_gates(Monitored_pd &pd)
	{
		pd.replace_gates(_snapshot, [] (Gate const &) { return true; }).with_result(
			[&] (unsigned num) {
				_sum.replaced_gates += num;
				_sum.replacements++; },
			[&] (Monitored_pd::Replace_error) { _fail("replacement of gates failed"); });
	}

	/**
	 * Kill a frozen thread, and start a new one in its place
	 */
	void _renew_thread(Monitored_pd &pd, Monitored_sandbox::Pd_threads &threads,
	                   Freezer::Frozen const &frozen)
	{
		Renewal renewal { pd, _snapshot, threads, frozen.waiting > 0 };

		/* prefer rare states, else take another thread each time */
		unsigned nth = _round;

		bool const found =
			(_round % 4 == 1 && renewal.choose([&] (addr_t state) {
				return Renewal::rare(state); }))
			|| renewal.choose([&] (addr_t) { return !(nth-- % 16); })
			|| renewal.choose([&] (addr_t) { return true; });

		if (!found)
			return;

		if (char const * const failed = renewal.perform())
			_fail("thread '", renewal.name(), "': ", failed);
		else
			_sum.renewed[renewal.state()]++;
	}

	void _while_frozen(Monitored_pd &pd, Monitored_sandbox::Pd_threads &threads,
	                   Freezer::Frozen const &frozen)
	{
		for (unsigned i = 0; i < Shared::NUM_THREADS; i++)
			_frozen[i] = _shared.counters[i];

		/* a call that waits at a gate for its turn would fail along with the gate */
		if (!frozen.waiting)
			_replace_gates(pd);

		_sleep_1_ms();
		_sleep_1_ms();

		for (unsigned i = 0; i < Shared::NUM_THREADS; i++)
			if (_frozen[i] != _shared.counters[i])
				_fail(Shared::names[i], " runs while being frozen");

		/* the new thread goes on at once, as nobody pauses it */
		if (_round % 2)
			_renew_thread(pd, threads, frozen);
	}

	/**
	 * Try to freeze in one round, while it takes two looks to see a frozen thread
	 */
	void _fail_to_freeze(Monitored_sandbox::Pd_threads &threads)
	{
		_freezer.freeze(threads, { .attempts = 1, .rounds = 1 }).with_result(
			[&] (Freezer::Frozen const &) { _fail("frozen within one round"); },
			[&] (Freezer::Stuck const &stuck) {
				_sum.stuck++;
				if (stuck.thread == "")
					_fail("no thread stands in the way"); });
	}

	void _freeze_and_thaw(Monitored_pd &pd)
	{
		Monitored_sandbox::Pd_threads threads { _sandbox, pd };

		if (_round % 8 == 4)
			_fail_to_freeze(threads);

		uint64_t const start_us = _timer.elapsed_us();

		_freezer.freeze(threads, { }).with_result(
			[&] (Freezer::Frozen const &frozen) {

				uint64_t const us = _timer.elapsed_us() - start_us;

				_sum.us         += us;
				_sum.max_us      = max(_sum.max_us, us);
				_sum.attempts   += frozen.attempts;
				_sum.rounds     += frozen.rounds;
				_sum.max_rounds  = max(_sum.max_rounds, frozen.rounds);
				_sum.parked     += frozen.parked;
				_sum.forwarded  += frozen.forwarded;

				_while_frozen(pd, threads, frozen);
				_freezer.thaw(threads);
			},
			[&] (Freezer::Stuck const &stuck) {
				_fail("freeze failed, thread '", stuck.thread, "', ",
				      _name(stuck.reason), ", ip ", Hex(stuck.ip),
				      ", slot ", Hex(stuck.slot)); });

		_round++;
		_waits = 0;
		_next  = (_round % ROUNDS_PER_REPORT) ? Next::ROUND : Next::PROGRESS;

		if (_round == LATE_ROUND)
			_shared.phase = Shared::ALL_THREADS;
	}

	/**
	 * Wait until each thread that has been started has made a step
	 */
	void _check_progress()
	{
		unsigned const num_threads = _shared.phase == Shared::ALL_THREADS
		                           ? Shared::NUM_THREADS : Shared::FIRST_LATE;

		bool const last_try = ++_waits == MAX_WAITS;

		bool complete = true;
		for (unsigned i = 0; i < num_threads; i++) {
			if (_shared.counters[i] != _reported[i])
				continue;

			complete = false;
			if (last_try)
				_fail(Shared::names[i], " stands still after ", _reported[i], " steps");
		}

		if (!complete)
			return;

		uint64_t steps = 0;
		for (unsigned i = 0; i < Shared::NUM_THREADS; i++) {
			steps += _shared.counters[i] - _reported[i];
			_reported[i] = _shared.counters[i];
		}

		if (!_ignore_windows)
			log("round ", _round, ": ", steps, " steps, ", _sum.us/_round, " us on "
			    "average, at most ", _sum.max_us, " us, ", _sum.rounds, " rounds, at most ",
			    _sum.max_rounds, ", ", _sum.attempts, " attempts, ", _sum.parked, " parked, ",
			    _sum.forwarded, " forwarded, ", _sum.replaced_gates, " gates replaced in ",
			    _sum.replacements, " rounds");

		if (!_ignore_windows)
			log("round ", _round, ": ", _sum.stuck, " freezes failed as expected, started anew: ",
			    _sum.renewed[Base_foc::Restart::CALL], " in a call, ",
			    _sum.renewed[Base_foc::Restart::WAIT], " waiting, ",
			    _sum.renewed[Base_foc::Restart::LOCK], " at a lock, ",
			    _sum.renewed[Base_foc::Restart::SIGNAL], " at a signal, ",
			    _sum.renewed[Base_foc::Restart::PARKED], " parked");

		_next = Next::ROUND;
		if (_round < _num_rounds)
			return;

		_shared.phase = Shared::STOP;
		_waits = 0;
		_next  = Next::RESULT;
	}

	void _check_result()
	{
		if (_shared.phase == Shared::SUCCEEDED)
			_finish(_ignore_windows ? "with windows ignored succeeded" : "succeeded");
		else if (_shared.phase == Shared::FAILED)
			_fail("wrong results");
		else if (++_waits == MAX_WAITS)
			_fail("the component does not come to its end");
	}

	void _handle_timer()
	{
		if (_shared.foreign_utcb)
			_fail(Shared::names[_shared.foreign_utcb - 1], " has a foreign UTCB");

		if (_shared.phase != Shared::STARTING)
			_sandbox.for_each_pd([&] (Monitored_pd &pd) {
				switch (_next) {
				case Next::ROUND:    _freeze_and_thaw(pd); break;
				case Next::PROGRESS: _check_progress();    break;
				case Next::RESULT:   _check_result();      break;
				}
			});

		if (_done)
			return;

		_random = _random*1103515245 + 12345;

		_timer.trigger_once(2000 + (_random >> 8) % 15'000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_sandbox.apply_config(_config.node());

		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
