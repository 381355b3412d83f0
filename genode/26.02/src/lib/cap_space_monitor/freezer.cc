/*
 * \brief  Bring all threads of a component to a state that its memory describes
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_space_monitor/freezer.h>
#include <cpu_thread/client.h>

/* local includes */
#include <interrupted.h>

using namespace Cap_space_monitor;


/* rounds without any change after which an attempt is given up */
static constexpr unsigned IDLE_ROUNDS = 6;

/* the same for rounds in a row that let threads execute in their windows */
static constexpr unsigned FORWARD_ROUNDS = 12;


void Freezer::_sleep_ms(unsigned ms)
{
	using namespace Foc;

	/* the exponent says multiples of 8 us */
	for (unsigned i = 0; i < ms; i++)
		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
}


/**
 * Return true if the badge is the one of a gate of one of the components
 */
bool Freezer::_own_gate(Threads &threads, unsigned badge)
{
	bool result = false;
	threads.for_each_pd([&] (Monitored_pd &pd) { result |= pd.own_gate(badge); });
	return result;
}


void Freezer::_hold(Threads &threads, bool yes)
{
	threads.for_each_pd([&] (Monitored_pd &pd) { pd.records.hold(yes); });
}


/**
 * Return false if a component executes that has no records (yet)
 */
bool Freezer::_ready(Threads &threads)
{
	bool result = true;

	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Thread &thread) {

		if (pd.records.attach() || !cpu.native_state(thread).started)
			return;

		_stuck = { .reason = Stuck::Reason::NO_RECORDS, .pd = pd.name, .thread = thread.name,
		           .ip = 0, .slot = 0 };
		result = false;
	});

	return result;
}


/**
 * Find out what is to be done with a thread, and pause it if it is not paused
 */
Freezer::Class Freezer::_class_of(Threads &threads, Monitored_pd &pd, Thread &thread,
                                  Foc_thread_state const &state, Record &record, Tally &tally)
{
	using Reason = Stuck::Reason;

	auto unsettled = [&] (Class c, Reason reason, unsigned slot = 0)
	{
		/* threads that are merely not parked yet wait for one of the others */
		if (_stuck.thread == "" || _stuck.reason == Reason::BUSY || reason != Reason::BUSY)
			_stuck = { .reason = reason, .pd = pd.name, .thread = thread.name,
			           .ip = state.cpu.ip, .slot = slot };
		return c;
	};

	addr_t const s = record.state.get();

	/* the thread has not taken its return address yet, let it do so */
	if (thread.freeze.parking) {
		if (s == State::USER && record.argument.get() == thread.freeze.ip) {
			if (state.paused)
				Cpu_thread_client(thread.cap).resume();
			return unsettled(Class::TRANSIT, Reason::BUSY);
		}
		thread.freeze.parking = false;
	}

	if (!state.paused) {
		Cpu_thread_client(thread.cap).pause();
		return unsettled(Class::OTHER, Reason::BUSY);
	}

	if (s == State::PARKED)
		return Class::SETTLED;

	if (state.in_exception) {
		if (!_critical(s, record.window.get())) {

			if (!Interrupted::returnable(state))
				return unsettled(Class::FORWARD, Reason::BUSY);

			return unsettled(Class::USER, pd.records.room(state, record)
			                            ? Reason::BUSY : Reason::NO_STACK);
		}

		tally.window++;
		return unsettled(Class::FORWARD, Reason::WINDOW);
	}

	if (state.kernel_state & Foc_thread_state::READY)
		return unsettled(Class::OTHER, Reason::BUSY);

	switch (s) {

	case State::WAIT:
	case State::LOCK:
	case State::SIGNAL:

		if (!record.window.get())
			return Class::SETTLED;
		break;

	case State::CALL:
		{
			if (record.window.get())
				break;

			/* the selector is what remains without the flags of the call */
			unsigned const slot = unsigned(record.argument.get() >> Foc::L4_CAP_SHIFT);

			Snapshot::Entry entry { };
			bool const own = Cap_map::ok(pd.cap_space.entry(slot, entry))
			              && entry.state == CAP_MAP_STATE_USED
			              && _own_gate(threads, entry.badge);

			if (state.kernel_state & Foc_thread_state::SEND_WAIT) {
				tally.waiting++;
				tally.requests += !own;
				return Class::SETTLED;
			}

			if (own)
				return Class::SETTLED;

			return unsettled(Class::OTHER, Reason::CALL, slot);
		}

	default:
		break;
	}

	/* a lock that is needed in a window, a page fault, or any other call */
	tally.window++;

	if (s == State::USER && !record.window.get()) {
		thread.freeze.blocked = true;
		tally.blocked++;
	}
	return unsettled(Class::OTHER, s == State::USER ? Reason::BLOCKED : Reason::WINDOW);
}


void Freezer::_look(Threads &threads, Tally &tally)
{
	_stuck = { .reason = Stuck::Reason::BUSY, .pd = { }, .thread = { }, .ip = 0, .slot = 0 };

	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Thread &thread) {

		Foc_thread_state const state = cpu.native_state(thread);

		Class c = Class::SETTLED;

		thread.freeze.blocked = false;

		if (state.started) {

			Record * const record = pd.records.record(state);

			if (!record) {
				_stuck = { .reason = Stuck::Reason::NO_RECORD, .pd = pd.name,
				           .thread = thread.name, .ip = 0, .slot = 0 };
				tally.unsettled++;
				return;
			}

			c = _class_of(threads, pd, thread, state, *record, tally);

			Thread::Freeze::Seen const seen {
				.state        = record->state.get(),
				.kernel_state = state.kernel_state,
				.exceptions   = state.exceptions };

			if (seen != thread.freeze.seen) {
				thread.freeze.seen = seen;
				tally.changed++;

				/* it may be on the move */
				if (c == Class::SETTLED && _stuck.thread == "")
					_stuck = { .reason = Stuck::Reason::BUSY, .pd = pd.name,
					           .thread = thread.name, .ip = 0, .slot = 0 };
			}
		}

		thread.freeze.forward = (c == Class::FORWARD);
		thread.freeze.user    = (c == Class::USER);

		if (c == Class::FORWARD) tally.forward++;
		if (c == Class::USER)    tally.user++;
		if (c != Class::SETTLED) tally.unsettled++;
	});
}


/**
 * Let threads execute to the end of their critical windows
 *
 * At the end, they park themselves, unless they block in a system call before.
 */
void Freezer::_forward(Threads &threads, Frozen &result)
{
	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Thread &thread) {

		if (!thread.freeze.forward)
			return;

		if (Record * const record = pd.records.record(cpu.native_state(thread)))
			record->request.set(Record::PARK);

		Cpu_thread_client(thread.cap).resume();
		result.forwarded++;
	});

	_sleep_ms(1);

	threads.for_each([&] (Monitored_cpu &, Monitored_pd &, Thread &thread) {
		if (thread.freeze.forward)
			Cpu_thread_client(thread.cap).pause(); });
}


/**
 * Let threads in user mode save their registers
 */
void Freezer::_park(Threads &threads, Frozen &result)
{
	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Thread &thread) {

		if (!thread.freeze.user)
			return;

		Foc_thread_state  state  = cpu.native_state(thread);
		Record    * const record = pd.records.record(state);

		if (!record || !state.in_exception || !pd.records.room(state, *record))
			return;

		thread.freeze.parking = true;
		thread.freeze.ip      = Interrupted::return_ip(state);

		record->argument.set(thread.freeze.ip);

		Interrupted::divert(state, pd.records.park_ip());

		Cpu_thread_client(thread.cap).state(state);
		Cpu_thread_client(thread.cap).resume();
		result.parked++;
	});
}


bool Freezer::_try(Threads &threads, Bound const &bound, Frozen &result)
{
	/* those that an earlier freeze has sent to be parked may not be there yet */
	threads.for_each([&] (Monitored_cpu &, Monitored_pd &, Thread &thread) {
		if (!thread.freeze.parking)
			Cpu_thread_client(thread.cap).pause(); });

	unsigned idle = 0, forward = 0;

	while (idle < IDLE_ROUNDS && forward < FORWARD_ROUNDS && result.rounds < bound.rounds) {

		result.rounds++;

		Tally tally { };
		_look(threads, tally);

		/* nothing to do, as already seen in the round before */
		if (!tally.unsettled && !tally.changed) {
			result.waiting  = tally.waiting;
			result.requests = tally.requests;
			return true;
		}

		idle = tally.changed ? 0 : idle + 1;

		/* threads in windows may wait for one that is paused, and get nowhere */
		forward = tally.forward ? forward + 1 : 0;

		/*
		 * A thread in a window may need a lock of the base library. So threads
		 * in user mode, which may hold it, come last.
		 */
		if (tally.forward)
			_forward(threads, result);
		else if (tally.blocked)
			_release_faulters(threads);
		else if (tally.user && !tally.window)
			_park(threads, result);

		if (!tally.forward)
			_sleep_ms(1);
	}

	return false;
}


Freezer::Result Freezer::freeze(Threads &threads, Bound bound)
{
	Frozen result { };

	while (result.attempts < bound.attempts && result.rounds < bound.rounds) {

		result.attempts++;

		/* a component may have been started since the attempt before */
		if (!_ready(threads))
			return _stuck;

		/* the components execute between two attempts */
		_begin(threads);

		_hold(threads, true);

		if (_try(threads, bound, result))
			return result;

		thaw(threads);

		/*
		 * Different numbers, to get out of step with the components, and growing,
		 * to let a thread have its turn that others wait for
		 */
		_sleep_ms(1 + result.attempts);
	}

	return _stuck;
}


void Freezer::thaw(Threads &threads)
{
	/* one that is on its way to be parked must not go on from there */
	threads.for_each([&] (Monitored_cpu &, Monitored_pd &, Thread &thread) {
		if (_waits(thread))
			Cpu_thread_client(thread.cap).pause(); });

	_hold(threads, false);

	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Thread &thread) {

		if (Record * const record = pd.records.record(cpu.native_state(thread)))
			record->request.set(0);

		if (!_waits(thread))
			Cpu_thread_client(thread.cap).resume();
	});
}
