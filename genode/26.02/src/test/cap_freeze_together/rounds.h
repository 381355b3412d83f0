/*
 * \brief  Rounds in which components that call each other are frozen, and go on
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ROUNDS_H_
#define _ROUNDS_H_

/* Genode includes */
#include <base/log.h>
#include <cap_space_monitor/freezer.h>
#include <timer_session/connection.h>

/* local includes */
#include <renewal.h>
#include <shared.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Subject;
	struct Pd_threads;
	class  Rounds;
}


/**
 * Components that are frozen together
 */
struct Test::Subject : Interface
{
	using Threads      = Freezer::Threads;
	using With_threads = Callable<void, Threads &>;

	virtual void _with_threads(With_threads::Ft const &) = 0;

	/**
	 * Call 'fn' with the 'Threads &' of all components
	 */
	void with_threads(auto const &fn) { _with_threads(With_threads::Fn { fn }); }

	virtual Freezer::Result freeze(Threads &) = 0;

	virtual void thaw(Threads &) = 0;
};


/**
 * Threads of one of the components
 */
struct Test::Pd_threads : Freezer::Threads
{
	Freezer::Threads &_all;
	Monitored_pd     &_pd;

	Pd_threads(Freezer::Threads &all, Monitored_pd &pd) : _all(all), _pd(pd) { }

	void _for_each_pd(With_pd::Ft const &fn) override { fn(_pd); }

	void _for_each(With_thread::Ft const &fn) override
	{
		_all.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Monitored_cpu::Thread &thread) {
			if (&pd == &_pd)
				fn(cpu, pd, thread); });
	}
};


class Test::Rounds
{
	private:

		static constexpr unsigned ROUNDS_PER_REPORT = 20,
		                          MAX_WAITS         = 6000,
		                          NUM_PDS           = 2 + Shared::NUM_CLIENTS;

		using State   = Restart_records::State;
		using Threads = Freezer::Threads;

		Subject           &_subject;
		Shared            &_shared;
		Timer::Connection &_timer;
		unsigned const     _num_rounds;

		/* components are frozen one after the other, which goes wrong */
		bool const _one_by_one;

		Snapshot_with_memory<> _snapshot { };

		struct Sum
		{
			unsigned attempts, rounds, max_rounds, parked, forwarded, calls, renewed;
			uint64_t us, max_us;

		} _sum { };

		uint64_t _reported[Shared::NUM_CLIENTS][Shared::NUM_THREADS] { };

		enum class Next { ROUND, PROGRESS, RESULT } _next = Next::ROUND;

		unsigned _round = 0, _waits = 0;

		uint32_t _random = 12345;

		bool _done = false;

		void _finish(auto &&... message)
		{
			_done = true;
			_shared.phase = Shared::STOP;
			log("--- freeze test ", message..., " ---");
		}

		void _fail(auto &&... message)
		{
			if (_done)
				return;

			if (_one_by_one)
				_finish("one by one went wrong in round ", _round, ": ", message...);
			else
				_finish("failed in round ", _round, ": ", message...);
		}

		static void _sleep_1_ms()
		{
			using namespace Foc;
			l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
		}

		static void _for_each_counter(auto const &fn)
		{
			for (unsigned client = 0; client < Shared::NUM_CLIENTS; client++)
				for (unsigned i = 0; i < Shared::NUM_THREADS; i++)
					fn(client, i);
		}

		/**
		 * Check that each thread is where its record says, by other means than those of the freezer
		 */
		void _check_records(Threads &threads)
		{
			threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Monitored_cpu::Thread &thread) {

				Foc_thread_state const state = cpu.native_state(thread);
				addr_t           const where = pd.records.state(state);

				bool const ready = state.kernel_state & Foc_thread_state::READY;

				/* a call to core, which core has not received, may come to its end */
				bool const moved = ready && where != State::PARKED && where != State::CALL;

				if (state.started && (!state.paused || where < State::CALL || moved))
					_fail("thread '", thread.name, "' of ", pd.name, " is not where it was frozen, ",
					      "state ", where, ", kernel state ", Hex(state.kernel_state));

				/* received, as the reply is what the client waits for */
				if (state.started && where == State::CALL
				 && !(state.kernel_state & Foc_thread_state::SEND_WAIT))
					_sum.calls++;
			});
		}

		/**
		 * Kill a frozen thread, and start a new one in its place
		 */
		void _renew_thread(Threads &threads)
		{
			unsigned pd_index = 0;

			threads.for_each_pd([&] (Monitored_pd &pd) {

				if (pd_index++ != (_round/2) % NUM_PDS)
					return;

				Pd_threads pd_threads { threads, pd };

				/* a server must not be started anew, as other components know its gates */
				Renewal renewal { pd, _snapshot, pd_threads, true };

				unsigned nth = _round;

				if (!renewal.choose([&] (addr_t state) { return state == State::CALL; })
				 && !renewal.choose([&] (addr_t)       { return !(nth-- % 4); }))
					return;

				if (char const * const failed = renewal.perform())
					_fail("thread '", renewal.name(), "' of ", pd.name, ": ", failed);
				else
					_sum.renewed++;
			});
		}

		void _while_frozen(Threads &threads)
		{
			uint64_t frozen[Shared::NUM_CLIENTS][Shared::NUM_THREADS];

			auto counter = [&] (unsigned client, unsigned i) {
				return _shared.clients[client].counters[i]; };

			_for_each_counter([&] (unsigned client, unsigned i) {
				frozen[client][i] = counter(client, i); });

			_sleep_1_ms();
			_sleep_1_ms();

			_for_each_counter([&] (unsigned client, unsigned i) {
				if (frozen[client][i] != counter(client, i))
					_fail(Shared::names[i], " of client ", client, " runs while being frozen"); });

			_check_records(threads);

			/* the new thread goes on at once, as nobody pauses it */
			if (_round % 2)
				_renew_thread(threads);
		}

		/**
		 * Call 'fn' with the sum of all freezes that it takes
		 */
		void _with_frozen(Threads &threads, auto const &fn)
		{
			Freezer::Frozen sum { };

			auto freeze = [&] (Threads &threads)
			{
				return _subject.freeze(threads).convert<bool>(

					[&] (Freezer::Frozen const &frozen) {
						sum.attempts  += frozen.attempts;
						sum.rounds    += frozen.rounds;
						sum.parked    += frozen.parked;
						sum.forwarded += frozen.forwarded;
						return true; },

					[&] (Freezer::Stuck const &stuck) {
						_fail("freeze failed, thread '", stuck.thread, "' of ", stuck.pd, ", reason ",
						      unsigned(stuck.reason), ", ip ", Hex(stuck.ip), ", slot ",
						      Hex(stuck.slot));
						return false; });
			};

			bool frozen = true;

			if (_one_by_one)
				threads.for_each_pd([&] (Monitored_pd &pd) {
					Pd_threads pd_threads { threads, pd };
					frozen = frozen && freeze(pd_threads); });
			else
				frozen = freeze(threads);

			if (frozen)
				fn(sum);
		}

		void _freeze_and_thaw(Threads &threads)
		{
			uint64_t const start_us = _timer.elapsed_us();

			_with_frozen(threads, [&] (Freezer::Frozen const &frozen) {

				uint64_t const us = _timer.elapsed_us() - start_us;

				_sum.us         += us;
				_sum.max_us      = max(_sum.max_us, us);
				_sum.attempts   += frozen.attempts;
				_sum.rounds     += frozen.rounds;
				_sum.max_rounds  = max(_sum.max_rounds, frozen.rounds);
				_sum.parked     += frozen.parked;
				_sum.forwarded  += frozen.forwarded;

				_while_frozen(threads);
				_subject.thaw(threads);
			});

			_round++;
			_waits = 0;
			_next  = (_round % ROUNDS_PER_REPORT) ? Next::ROUND : Next::PROGRESS;
		}

		/**
		 * Wait until each thread has made a step
		 */
		void _check_progress()
		{
			bool const last_try = ++_waits == MAX_WAITS;

			uint64_t steps    = 0;
			bool     complete = true;

			_for_each_counter([&] (unsigned client, unsigned i) {

				uint64_t const count = _shared.clients[client].counters[i];

				steps += count - _reported[client][i];

				if (count != _reported[client][i])
					return;

				complete = false;
				if (last_try)
					_fail(Shared::names[i], " of client ", client, " stands still after ", count,
					      " steps");
			});

			if (!complete)
				return;

			_for_each_counter([&] (unsigned client, unsigned i) {
				_reported[client][i] = _shared.clients[client].counters[i]; });

			if (!_one_by_one)
				log("round ", _round, ": ", steps, " steps, ", _sum.us/_round, " us on "
				    "average, at most ", _sum.max_us, " us, ", _sum.rounds, " rounds, at most ",
				    _sum.max_rounds, ", ", _sum.attempts, " attempts, ", _sum.parked, " parked, ",
				    _sum.forwarded, " forwarded, ", _sum.calls, " calls in flight, ", _sum.renewed,
				    " threads started anew");

			_next = Next::ROUND;
			if (_round < _num_rounds)
				return;

			_shared.phase = Shared::STOP;
			_waits = 0;
			_next  = Next::RESULT;
		}

		/**
		 * Each request must have been handled once by the server
		 */
		void _check_requests()
		{
			uint64_t made[Shared::NUM_THREADS] { };

			_for_each_counter([&] (unsigned client, unsigned i) {
				made[i] += _shared.clients[client].counters[i]; });

			auto check = [&] (unsigned kind, uint64_t expected)
			{
				if (_shared.handled[kind] != expected)
					_fail(_shared.handled[kind], " of ", expected, " requests '",
					      Shared::names[kind], "' were handled");
			};

			check(Shared::CALLER,      made[Shared::CALLER] + made[Shared::SESSION]);
			check(Shared::CALLED_BACK, made[Shared::CALLED_BACK]);
			check(Shared::LONG_CALL,   made[Shared::LONG_CALL]);
			check(Shared::SIGNAL,      made[Shared::SIGNAL]);
		}

		void _check_result()
		{
			bool finished = true;

			for (Shared::Client const &client : _shared.clients) {
				finished &= (client.finished == Shared::NUM_THREADS);
				if (client.failures)
					_fail("wrong results");
			}

			if (!finished) {
				if (++_waits == MAX_WAITS)
					_fail("the components do not come to their end");
				return;
			}

			_check_requests();

			/* what happens at random must have happened */
			if (!_sum.calls || !_sum.renewed)
				_fail(_sum.calls, " calls in flight, ", _sum.renewed, " threads started anew");

			if (!_done)
				_finish(_one_by_one ? "one by one succeeded" : "succeeded");
		}

		bool _started(Threads &threads) const
		{
			unsigned started = 0, pds = 0;

			threads.for_each_pd([&] (Monitored_pd &) { pds++; });

			for (Shared::Client const &client : _shared.clients)
				started += client.started;

			return started == Shared::NUM_CLIENTS*Shared::NUM_THREADS && pds == NUM_PDS;
		}

	public:

		/**
		 * Constructor
		 *
		 * \param one_by_one  components are frozen one after the other, which goes wrong
		 */
		Rounds(Subject &subject, Shared &shared, Timer::Connection &timer, unsigned num_rounds,
		       bool one_by_one = false)
		:
			_subject(subject), _shared(shared), _timer(timer), _num_rounds(num_rounds),
			_one_by_one(one_by_one)
		{ }

		/**
		 * Make a step, and let the timer expire at a random moment if there is a next one
		 */
		void step()
		{
			_subject.with_threads([&] (Threads &threads) {

				if (!_started(threads))
					return;

				switch (_next) {
				case Next::ROUND:    _freeze_and_thaw(threads); break;
				case Next::PROGRESS: _check_progress();         break;
				case Next::RESULT:   _check_result();           break;
				}
			});

			if (_done)
				return;

			_random = _random*1103515245 + 12345;

			_timer.trigger_once(2000 + (_random >> 8) % 15'000);
		}
};

#endif /* _ROUNDS_H_ */
