/*
 * \brief  Save a component by way of copies made while it is running
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <timer_session/connection.h>

/* local includes */
#include <comparison.h>
#include <measurement.h>

namespace Test { struct Main; }


struct Test::Main : Virtual_parent::Exit_handler
{
	/* a child that starts cannot be saved yet */
	static constexpr unsigned MAX_REFUSED_IN_A_ROW = 200;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	template <typename T>
	T _value(char const *attribute, T default_value) const
	{
		return _config.node().attribute_value(attribute, default_value);
	}

	/* clock of the test, and the one of the components */
	Timer::Connection _timer { _env }, _child_timer { _env };

	Monitor _monitor { _env, _child_timer };

	Subject::Snapshot _snapshot { };

	unsigned const _num_rounds = _value("rounds", 100u);
	bool     const _untracked  = _value("untracked", false),
	               _measure    = _value("measure", false),
	               _disturbed  = _value("neighbour", false),
	               _increments = _value("increments", false);

	/* each child has its time if there are many monitors, which all have a higher priority */
	unsigned const _slow_down = _value("slow_down", 1u);

	/* regions of the child that are far from all others */
	unsigned const _scattered = _value("scattered", 0u);

	Neighbour _neighbour { _env };

	static constexpr size_t KB = 1024, MB = 1024*KB;

	/* what is measured, one after the other */
	static constexpr Load LOADS[] = {
		{ .memory = 64*MB, .written = 1*MB,   .writers = 1,  .churn = 0 },
		{ .memory = 64*MB, .written = 0,      .writers = 1,  .churn = 0 },
		{ .memory = 16*MB, .written = 1*MB,   .writers = 1,  .churn = 0 },
		{ .memory = 1*MB,  .written = 256*KB, .writers = 1,  .churn = 0 },
		{ .memory = 16*MB, .written = 1*MB,   .writers = 4,  .churn = 0 },
		{ .memory = 16*MB, .written = 1*MB,   .writers = 8,  .churn = 0 },
		{ .memory = 16*MB, .written = 1*MB,   .writers = 16, .churn = 0 } };

	static constexpr unsigned NUM_LOADS = sizeof(LOADS)/sizeof(LOADS[0]), NUM_RESTORES = 5,
	                          PAGES_PER_STEP = 128;

	Constructible<Subject>     _subject     { };
	Constructible<Comparison>  _comparison  { };
	Constructible<Measurement> _measurement { };

	bool _done = false, _copied = false;

	unsigned _load = 0, _round = 0, _restores = 0, _precopies = 0, _refused = 0,
	         _refused_in_a_row = 0;

	uint64_t _precopied = 0;

	Random _random { 4711 };

	void _finish(auto &&... message)
	{
		if (!_done)
			log("--- precopy test ", message..., " ---");
		_done = true;
	}

	void exited(int) override { _finish("failed: the component exits"); }

	void _start(Load const &load)
	{
		_comparison .destruct();
		_measurement.destruct();
		_subject.construct(_monitor, _snapshot, *this, load);
		_subject->copy_caps = _value("copy_caps", ~0UL);

		_subject->create();
		if (!_untracked)
			_subject->copy_memory();

		if (!_subject->start())
			_finish("failed: component not started");

		if (_measure)
			_measurement.construct(*_subject);
		else
			_comparison.construct(*_subject, _disturbed ? &_neighbour : nullptr,
			                      _increments,
			                      _value("mistake", Comparison::Mistake()));
	}

	/**
	 * Take note of an attempt that a child may refuse while it is starting up
	 */
	void _attempted(bool ok)
	{
		_refused_in_a_row = ok ? 0 : _refused_in_a_row + 1;

		if (!ok)
			_refused++;
		if (_refused_in_a_row == MAX_REFUSED_IN_A_ROW)
			_finish("failed: not saved");
	}

	void _report()
	{
		log("round ", _round, ": ", _precopied, " pages copied in ", _precopies,
		    " rounds before, ", _comparison->pages, " in the last ones, ", _comparison->calls,
		    " questions, ", _comparison->increments, " increments, ", _refused, " refused, ",
		    _comparison->differ, " pages differ");
	}

	char const *_verdict() const
	{
		Comparison const &c = *_comparison;

		return _subject->precopy->count() > _subject->copy_caps ? "failed: too many copies"
		     : !_subject->precopy->complete()                   ? "failed: no copies"
		     : _disturbed && !_neighbour.count                  ? "failed: nobody disturbs"
		     : _increments && !c.increments                     ? "failed: no increments"
		     : c.too_many_questions                             ? "failed: too many questions"
		     : _scattered && !c.all_questions                   ? "failed: few questions"
		                                                        : "succeeded";
	}

	/**
	 * Make a checkpoint, or one or several rounds of copies
	 *
	 * An image is completed in some steps, between which the child is served.
	 */
	void _compare()
	{
		if (_untracked && !_subject->precopy.constructed())
			_subject->copy_memory();

		if (_comparison->pending()) {
			if (!_comparison->step(1 + _random(1000)))
				_finish("failed: image not complete");
			else if (!_comparison->pending() && _subject->ready() && ++_round % 50 == 0)
				_report();
		} else if (_random(3)) {
			_precopies++;
			_precopied += _random(2) ? _subject->precopy->round().pages
			                         : _subject->precopy->rounds().pages;
		} else
			_attempted(_comparison->checkpoint());

		if (_comparison->different) {
			_report();
			_finish("failed: memory differs");
		}
		else if (_round == _num_rounds)
			_finish(_verdict());
	}

	/**
	 * Make a checkpoint of one of three kinds, in the end restore the child several times
	 *
	 * \return  time in ms until the next step
	 */
	unsigned _measure_next()
	{
		Measurement &m = *_measurement;

		unsigned const gap = 50 + _random(100);

		/* the child fills its memory first */
		if (!_subject->ready())
			return gap;

		/* let the child have at least half of the time while its image is written */
		if (m.pending()) {
			if (!m.step(PAGES_PER_STEP))
				_finish("failed: image not complete");
			return m.pending() ? 5 : gap;
		}

		if (_round < 3*_num_rounds) {

			bool ok = false;

			switch (_round % 3) {
			case 0:
				ok = m.checkpoint_plain();
				break;
			case 1:
				m.make_copies(m.at_once);
				ok = m.checkpoint_with_copies(m.at_once);
				break;
			case 2:
				_copied = !_copied;
				if (_copied) {
					m.make_copies(m.later);
					return 10;
				}
				ok = m.checkpoint_with_copies(m.later);
			}
			_attempted(ok);
			_round += ok;
			return gap;
		}

		if (_restores < NUM_RESTORES) {
			_subject->precopy.destruct();
			bool const saved = m.checkpoint_plain();
			_attempted(saved);
			if (saved && !m.restore_child())
				_finish("failed: not restored");
			_restores += saved;
			return gap;
		}

		m.report();
		_round = _restores = 0;

		if (++_load == NUM_LOADS)
			_finish("finished");
		else
			_start(LOADS[_load]);

		return 1000;
	}

	void _handle_timer()
	{
		if (_done)
			return;

		unsigned us = (1000 + _random(60*1000))*_slow_down;

		if (_measure)
			us = 1000*_measure_next();
		else
			_compare();

		_timer.trigger_once(us);
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000);

		if (_measure)
			_start(LOADS[0]);
		else
			_start({ .memory  = _value("memory",  Num_bytes(1024*1024)),
			         .written = _value("written", Num_bytes(256*1024)),
			         .writers = _value("writers", 2u),
			         .churn   = _value("churn",   2u),
			         .scattered = _scattered,
			         .nested    = _value("nested",  false),
			         .managed   = _value("managed", false) });
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
