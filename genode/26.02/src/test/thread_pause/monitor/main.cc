/*
 * \brief  Pause and resume all threads of a component again and again
 * \date   2026-11-29
 *
 * The monitor provides the CPU session of the component, and so knows all of
 * its threads, including those that the base library creates.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <cpu_session/connection.h>
#include <cpu_thread/client.h>
#include <rom_session/rom_session.h>
#include <sandbox/sandbox.h>
#include <timer_session/connection.h>
#include <util/arg_string.h>

/* local includes */
#include <shared.h>

namespace Test {

	using namespace Genode;

	struct Cpu;
	struct Shared_rom;
	struct Main;
}


struct Test::Cpu : Rpc_object<Cpu_session>
{
	struct Thread
	{
		Name              name { };
		Thread_capability cap  { };
	};

	static constexpr unsigned MAX_THREADS = 32;

	Entrypoint    &_ep;
	Cpu_connection _real;

	Thread   threads[MAX_THREADS] { };
	unsigned num_threads = 0;

	/* the monitor must get its turn though some threads never wait */
	static constexpr long PRIORITY = PRIORITY_LIMIT/2;

	Cpu(Env &env, Session_label const &label)
	: _ep(env.ep()), _real(env, label, PRIORITY) { _ep.manage(*this); }

	~Cpu() { _ep.dissolve(*this); }

	void upgrade(Session::Resources const &r) { _real.upgrade(r); }

	Create_thread_result create_thread(Capability<Pd_session> pd, Name const &name,
	                                   Affinity::Location location, addr_t utcb) override
	{
		if (num_threads == MAX_THREADS)
			return Create_thread_error::DENIED;

		return _real.create_thread(pd, name, location, utcb)
			.convert<Create_thread_result>(
				[&] (Thread_capability cap) {
					threads[num_threads++] = { name, cap };
					return cap; },
				[&] (Create_thread_error e) { return e; });
	}

	void kill_thread(Thread_capability cap) override { _real.kill_thread(cap); }

	void exception_sigh(Signal_context_capability sigh) override {
		_real.exception_sigh(sigh); }

	Affinity::Space affinity_space() const override { return _real.affinity_space(); }

	Dataspace_capability trace_control() override { return _real.trace_control(); }

	Capability<Native_cpu> native_cpu() override { return _real.native_cpu(); }
};


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

	void upgrade(Session::Resources const &) { }

	Rom_dataspace_capability dataspace() override {
		return static_cap_cast<Rom_dataspace>(Dataspace_capability(_ds.cap())); }

	void sigh(Signal_context_capability) override { }
};


struct Test::Main : Sandbox::State_handler
{
	static constexpr unsigned NUM_ROUNDS        = 400,
	                          LATE_ROUND        = 100,
	                          ROUNDS_PER_REPORT = 40,
	                          MAX_WAITS         = 400;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), sizeof(Shared) };

	Shared &_shared = *_ds.local_addr<Shared>();

	Sandbox _sandbox { _env, *this };

	Constructible<Cpu>        _cpu { };
	Constructible<Shared_rom> _rom { };

	void handle_sandbox_state() override { }

	template <typename SESSION>
	struct Service : Sandbox::Local_service_base::Wakeup
	{
		using Local   = Sandbox::Local_service<SESSION>;
		using Request = typename Local::Request;

		Main &_main;

		Local _local { _main._sandbox, *this };

		Service(Main &main) : _main(main) { }

		void wakeup_local_service() override
		{
			_local.for_each_requested_session([&] (Request &request) {
				request.deliver_session(_main._create((SESSION *)nullptr, request)); });

			_local.for_each_upgraded_session([&] (SESSION &session,
			                                      Session::Resources const &amount) {
				session.upgrade(amount);
				return Local::Upgrade_response::CONFIRMED; });
		}
	};

	Cpu &_create(Cpu *, auto const &request)
	{
		_cpu.construct(_env, request.label);
		return *_cpu;
	}

	Shared_rom &_create(Shared_rom *, auto const &)
	{
		_rom.construct(_env.ep(), _ds);
		return *_rom;
	}

	Service<Cpu>        _cpu_service { *this };
	Service<Shared_rom> _rom_service { *this };

	using Counters = uint64_t [Shared::NUM_THREADS];

	Counters _paused   { };  /* at the time all threads of a round were paused */
	Counters _reported { };

	enum class Next { CHECK, ROUND, PROGRESS, RESULT } _next = Next::ROUND;

	unsigned _round = 0, _waits = 0, _pauses = 0;

	bool _done = false;

	void _finish(auto &&... message)
	{
		_done = true;
		log("--- thread-pause test ", message..., " ---");
	}

	void _fail(auto &&... message)
	{
		error("round ", _round, ": ", message...);
		if (!_done)
			_finish("failed");
	}

	void _for_each_thread(auto const &fn)
	{
		for (unsigned i = 0; i < _cpu->num_threads; i++)
			fn(_cpu->threads[i], i);
	}

	void _pause(Cpu::Thread const &thread)
	{
		Cpu_thread_client(thread.cap).pause();
		_pauses++;
	}

	void _resume(Cpu::Thread const &thread) { Cpu_thread_client(thread.cap).resume(); }

	/* variants of a round */
	enum { ALL, AT_ONCE, TWICE, SOME, NUM_VARIANTS };

	bool _concerned(unsigned thread_index) const
	{
		return _round % NUM_VARIANTS != SOME || (thread_index + _round/NUM_VARIANTS) % 2;
	}

	/**
	 * Call 'fn' with each counter whose thread has to stand still
	 */
	void _for_each_paused_counter(auto const &fn)
	{
		_for_each_thread([&] (Cpu::Thread const &thread, unsigned i) {
			if (_concerned(i))
				for (unsigned c = 0; c < Shared::NUM_THREADS; c++)
					if (thread.name == Shared::names[c])
						fn(c); });
	}

	void _pause_threads()
	{
		if (_round % NUM_VARIANTS == AT_ONCE) {
			_for_each_thread([&] (Cpu::Thread const &thread, unsigned) {
				_pause(thread);
				_resume(thread);
				_resume(thread); });

			_end_round();
			return;
		}

		_for_each_thread([&] (Cpu::Thread const &thread, unsigned i) {
			if (!_concerned(i))
				return;

			_pause(thread);
			if (_round % NUM_VARIANTS == TWICE)
				_pause(thread); });

		_for_each_paused_counter([&] (unsigned i) { _paused[i] = _shared.counters[i]; });

		_next = Next::CHECK;
	}

	void _check_and_resume_threads()
	{
		_for_each_paused_counter([&] (unsigned i) {
			if (_paused[i] != _shared.counters[i])
				_fail(Shared::names[i], " runs while being paused"); });

		_for_each_thread([&] (Cpu::Thread const &thread, unsigned i) {
			if (_concerned(i))
				_resume(thread); });

		_end_round();
	}

	void _end_round()
	{
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

		for (unsigned i = num_threads; i < Shared::NUM_THREADS; i++)
			if (_shared.counters[i])
				_fail(Shared::names[i], " runs before its start");

		if (!complete)
			return;

		uint64_t steps = 0;
		for (unsigned i = 0; i < Shared::NUM_THREADS; i++) {
			steps += _shared.counters[i] - _reported[i];
			_reported[i] = _shared.counters[i];
		}

		log("round ", _round, ": ", _cpu->num_threads, " threads paused ",
		    _pauses, " times, ", steps, " steps");

		_next = Next::ROUND;
		if (_round < NUM_ROUNDS)
			return;

		_shared.phase = Shared::STOP;
		_waits = 0;
		_next  = Next::RESULT;
	}

	void _check_result()
	{
		if (_shared.phase == Shared::SUCCEEDED)
			_finish("succeeded");
		else if (_shared.phase == Shared::FAILED)
			_fail("wrong results");
		else if (++_waits == MAX_WAITS)
			_fail("the component does not come to its end");
	}

	void _handle_timer()
	{
		if (_shared.foreign_utcb)
			_fail(Shared::names[_shared.foreign_utcb - 1], " has a foreign UTCB");

		if (_done)
			return;

		if (_shared.phase != Shared::STARTING) {
			if (_next == Next::ROUND && _round == 0)
				log("begin to pause ", _cpu->num_threads, " threads");

			switch (_next) {
			case Next::ROUND:    _pause_threads();            break;
			case Next::CHECK:    _check_and_resume_threads(); break;
			case Next::PROGRESS: _check_progress();           break;
			case Next::RESULT:   _check_result();             break;
			}
		}
		if (!_done)
			_timer.trigger_once((5 + _round % 7)*1000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] { g.attribute("name", name); fn(); });
	}

	void _start_child()
	{
		Generated_node(_heap, 4*1024, "config", [&] (Generator &g) {

			g.node("parent-provides", [&] {
				static constexpr char const *names[] {
					"LOG", "PD", "CPU", "ROM", "Timer" };

				for (char const *name : names)
					_gen_service(g, name, [&] { }); });

			g.node("start", [&] {
				g.attribute("name", "test-thread_pause-child");
				g.attribute("caps", 300);
				g.attribute("ram", "6M");

				g.node("route", [&] {
					_gen_service(g, "CPU", [&] { g.node("local"); });
					g.node("service", [&] {
						g.attribute("name", "ROM");
						g.attribute("label", "shared");
						g.node("local"); });
					g.node("any-service", [&] { g.node("parent"); }); }); });

		}).node.with_result(
			[&] (Node const &config) { _sandbox.apply_config(config); },
			[&] (Buffer_error)       { error("config exceeds buffer"); });
	}

	Main(Env &env) : _env(env)
	{
		_start_child();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
