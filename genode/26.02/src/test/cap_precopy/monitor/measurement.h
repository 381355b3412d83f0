/*
 * \brief  Measure how long a child stands still for a checkpoint
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MEASUREMENT_H_
#define _MEASUREMENT_H_

/* Genode includes */
#include <trace/timestamp.h>

/* local includes */
#include <subject.h>

namespace Test {

	struct Ticks;
	struct Measurement;
}


/**
 * Sum and maximum of times, in ticks of the processor
 */
struct Test::Ticks
{
	uint64_t sum = 0, worst = 0, count = 0;

	void add(uint64_t ticks)
	{
		sum   += ticks;
		worst  = max(worst, ticks);
		count++;
	}

	uint64_t average() const { return count ? sum/count : 0; }

	/* 1 tick is 1 ns with QEMU's '-icount shift=0' */
	void print(Output &out) const { Genode::print(out, average()/1000, " (", worst/1000, ")"); }

	static uint64_t of(auto const &fn)
	{
		uint64_t const start = Trace::timestamp();
		fn();
		return Trace::timestamp() - start;
	}
};


/**
 * Checkpoints of one child with and without copies, in turn
 */
struct Test::Measurement
{
	Subject &_subject;

	/* the whole image fits, so nothing is made twice */
	Attached_ram_dataspace _image { _subject._monitor.env.ram(), _subject._monitor.env.rm(),
	                                _subject.load.memory + Subject::EXTRA_RAM };

	size_t _image_size = 0;

	/*
	 * What is measured
	 *
	 * The pause is the time from the request to freeze to the last thread that
	 * goes on. 'freeze', 'state' and 'thaw' are its parts, and 'state' includes
	 * the last round. 'copy' is that of as many pages as the last round has
	 * copied, 'rounds' and 'pages' is what takes place while the child is running.
	 */
	struct Times
	{
		Ticks pause { }, freeze { }, state { }, thaw { }, rounds { }, pages { }, copy { };

		uint64_t last_pages = 0, calls = 0, num_rounds = 0, round_pages = 0;

		void report(char const *name) const
		{
			uint64_t const count = max(uint64_t(1), pause.count);

			log("  ", name, ": pause ", pause, " = freeze ", freeze, " + state ", state,
			    " + thaw ", thaw, "; last round ", last_pages/count, " pages, a copy of them ",
			    copy, ", ", calls/count, " questions; before: ", num_rounds/count, " rounds ",
			    rounds, ", ", round_pages/count, " pages; behind: ", pages);
		}
	};

	/* without copies, frozen at once after the rounds, and some time later */
	Times plain { }, at_once { }, later { };

	Ticks restore { };

	/*
	 * Noncopyable
	 */
	Measurement(Measurement const &);
	Measurement &operator = (Measurement const &);

	Measurement(Subject &subject) : _subject(subject) { }

	/**
	 * Copy pages of the child's largest dataspace once more
	 */
	uint64_t _copy(size_t count)
	{
		Shadow const *largest = nullptr;
		_subject.precopy->for_each_shadow([&] (Shadow const &s) {
			if (!largest || s.num_pages > largest->num_pages)
				largest = &s; });

		if (!largest || largest->num_pages < count)
			return 0;

		char * const to = _image.local_addr<char>();

		return Ticks::of([&] {
			for (size_t i = 0; i < count; i++)
				Shadow::copy_page(to + i*Shadow::PAGE, largest->origin() + i*Shadow::PAGE); });
	}

	Constructible<Subject::Making> _making { };

	Times *_making_times = nullptr;

	bool pending() const { return _making.constructed(); }

	/**
	 * Write some of the pages while the child is running
	 *
	 * \return  false if it failed
	 */
	bool step(size_t num_pages)
	{
		using Step = Subject::Making::Step;

		Step step { };
		_step_ticks += Ticks::of([&] { step = _making->step(num_pages); });

		if (step == Step::MORE)
			return true;

		_making_times->pages.add(_step_ticks);
		_making_times->copy .add(_copy(_making->save.last_round.pages));

		bool const ok = (step == Step::COMPLETE) && _making->complete();

		_image_size = _making->size();
		_making.destruct();
		return ok;
	}

	uint64_t _step_ticks = 0;

	/**
	 * Freeze the child, save it, and let it go on
	 *
	 * Without copies, the image is complete before the child goes on.
	 */
	bool _checkpoint(Times &times, bool use_copies)
	{
		Child &child = *_subject.child;

		bool frozen = false, ok = false;

		uint64_t const freeze = Ticks::of([&] { frozen = child.freeze().ok(); });

		if (!frozen)
			return false;

		_making.construct(_subject, _image, use_copies);

		Save &save = _making->save;

		uint64_t const state = Ticks::of([&] {
			ok = use_copies ? save.save_state().ok()
			                : save.save().ok() && _making->complete(); });

		uint64_t const thaw = Ticks::of([&] { child.thaw(); });

		if (ok) {
			times.pause .add(freeze + state + thaw);
			times.freeze.add(freeze);
			times.state .add(state);
			times.thaw  .add(thaw);
			times.last_pages += save.last_round.pages;
			times.calls      += save.last_round.calls;
		}

		_image_size   = _making->size();
		_making_times = &times;
		_step_ticks   = 0;

		if (!ok || !use_copies)
			_making.destruct();

		return ok;
	}

	bool checkpoint_plain() { return _checkpoint(plain, false); }

	void make_copies(Times &times)
	{
		Precopy::Result result { };

		times.rounds.add(Ticks::of([&] { result = _subject.precopy->rounds(); }));

		times.num_rounds  += result.rounds;
		times.round_pages += result.pages;
	}

	bool checkpoint_with_copies(Times &times) { return _checkpoint(times, true); }

	/**
	 * Let a new child go on from the last image
	 */
	bool restore_child()
	{
		bool ok = false;

		_subject.create();

		restore.add(Ticks::of([&] {
			Image::Chain const image { _image.local_addr<char>(), _image_size };
			ok = image.valid() && Restore(*_subject.child, image).restore().ok(); }));

		return ok;
	}

	void report()
	{
		log(_subject.load, ": times in us, average (worst), restore ", restore);
		plain  .report("without copies");
		at_once.report("frozen at once");
		later  .report("frozen later  ");
	}
};

#endif /* _MEASUREMENT_H_ */
