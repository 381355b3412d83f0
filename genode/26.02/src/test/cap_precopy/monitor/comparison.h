/*
 * \brief  Compare images made of copies with those of the frozen child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COMPARISON_H_
#define _COMPARISON_H_

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/rm_session.h>

/* local includes */
#include <chain.h>
#include <neighbour.h>
#include <subject.h>

namespace Test { struct Comparison; }


/**
 * One image from copies, and one from the memory itself, of the same instant
 *
 * The one from copies may be an increment of the one before.
 */
struct Test::Comparison
{
	using Mistake = String<32>;

	Subject       &_subject;
	Neighbour     *_neighbour;  /* nullptr if nobody disturbs */
	bool    const  _increments;
	Mistake const  _mistake;

	Attached_ram_dataspace _images[2];

	Chain _chain { _subject._monitor.env, _images[0], _max_size() };

	/* where the image from copies is, and the size of the other one */
	size_t _at = 0, _whole_size = 0;

	/*
	 * Noncopyable
	 */
	Comparison(Comparison const &);
	Comparison &operator = (Comparison const &);

	Comparison(Subject &subject, Neighbour *neighbour, bool increments, Mistake const &mistake)
	:
		_subject(subject), _neighbour(neighbour), _increments(increments), _mistake(mistake),
		_images { { subject._monitor.env.ram(), subject._monitor.env.rm(),
		            _max_size()*(increments ? 2 : 1) },
		          { subject._monitor.env.ram(), subject._monitor.env.rm(), _max_size() } }
	{ }

	size_t _max_size() const { return _subject.load.memory + Subject::EXTRA_RAM; }

	/* the copies are good until then */
	static constexpr unsigned ROUND_OF_MISTAKE = 10;

	unsigned checkpoints = 0;

	/* results */
	uint64_t pages = 0, calls = 0, differ = 0, increments = 0;

	bool different = false;

	/* what a round must not, and has to come to */
	bool too_many_questions = false, all_questions = false;

	/**
	 * Take away what core would tell in the last round
	 */
	void _lose_round()
	{
		Foc_native_pd_client native_pd { _subject.child->pd.real().native_pd() };

		_subject.child->pd.space.for_each_region([&] (Region &r) {
			(void)native_pd.dirty_pages(r.range.start,
			                            unsigned(min(r.range.num_bytes/Shadow::PAGE,
			                                         size_t(Foc_native_pd::Dirty_pages::MAX)))); });
	}

	/**
	 * Detach the memory of the child without marking it
	 */
	void _detach()
	{
		_subject.child->pd.dataspaces.for_each([&] (Dataspace &ds) {
			if (ds.kind == Dataspace::Kind::RAM)
				(void)with_attached(_subject._monitor.env.rm(), ds.cap, Access::READ,
				                    [&] (char *, size_t) { }); });
	}

	/**
	 * Pretend that each region map of an RM session was looked at
	 */
	void _look_away()
	{
		_subject.child->parent.for_each_session([&] (Open_session &session) {
			session.with_rm([&] (Rm_service_session &rm) {
				rm.for_each_map([&] (uint32_t, Virtual_region_map &map) { map.seen = true; }); }); });
	}

	/**
	 * Forget which pages of the copies differ from the last image
	 */
	void _lose_pages()
	{
		_subject.child->pd.dataspaces.for_each([&] (Dataspace &ds) {
			if (ds.shadow)
				ds.shadow->refer_to(ds.shadow->reference); });
	}

	/**
	 * Take two dataspaces of equal size for each other
	 */
	void _swap_origins()
	{
		Shadow *other = nullptr;

		_subject.child->pd.dataspaces.for_each([&] (Dataspace &ds) {
			if (!ds.shadow || ds.shadow->reference == NONE
			 || ds.shadow->num_pages != Chain::PAGES_OF_CHURN)
				return;

			if (other) {
				uint32_t const reference = other->reference;
				other->reference      = ds.shadow->reference;
				ds.shadow->reference  = reference;
			}
			other = ds.shadow; });
	}

	/**
	 * Compare copies with the memory while the child stands still
	 */
	void _compare_pages()
	{
		_subject.precopy->for_each_shadow([&] (Shadow const &s) {
			for (size_t i = 0; i < s.num_pages; i++)
				if (memcmp(s.copy() + i*Shadow::PAGE, s.origin() + i*Shadow::PAGE, Shadow::PAGE))
					differ++; });
	}

	/**
	 * Compare the image that was made of copies with the one of the memory itself
	 */
	void _compare_images()
	{
		char const * const whole = _images[1].local_addr<char>();

		different |= !_chain.add(_at, _making->size(), _making->save.next_base())
		          || !_chain.same(whole, _whole_size);
	}

	Constructible<Subject::Making> _making { };

	bool pending() const { return _making.constructed(); }

	/**
	 * Write some of the pages while the child is running
	 *
	 * \return  false if it failed
	 */
	bool step(size_t num_pages)
	{
		auto const step = _making->step(num_pages);

		if (step == Subject::Making::Step::MORE)
			return true;

		bool const ok = (step == Subject::Making::Step::COMPLETE) && _making->complete();

		if (ok)
			_compare_images();

		_making.destruct();
		return ok;
	}

	/**
	 * Freeze the child, make one image, begin the other one, and let the child go on
	 *
	 * \return  false if it is no moment for it
	 */
	bool checkpoint()
	{
		if (!_subject.child->freeze().ok())
			return false;

		if (_subject.ready() && checkpoints++ >= ROUND_OF_MISTAKE) {
			if (_mistake == "round lost") _lose_round();
			if (_mistake == "detached")   _detach();
			if (_mistake == "looked away") _look_away();
			if (_mistake == "page lost")  _lose_pages();
			if (_mistake == "other origin") _swap_origins();
		}

		if (_neighbour)
			_neighbour->disturb();

		bool const increment = _increments && _chain.goes_on(_max_size()/2);

		_at = increment ? _chain.next() : 0;

		if (increment) {
			_making.construct(_subject, _images[0], *_chain.base, _at);
			increments++;
		} else {
			_chain.begin();
			_making.construct(_subject, _images[0], true);
		}

		bool ok = _making->save.save_state().ok();

		Precopy::Round const last = _making->save.last_round;

		pages += last.pages;
		calls += last.calls;

		too_many_questions |= last.calls >  _subject.precopy->max_calls();
		all_questions      |= last.calls == _subject.precopy->max_calls();

		if (ok) {
			_compare_pages();

			/* both are the same checkpoint */
			_subject.child->checkpoints--;

			Subject::Making whole { _subject, _images[1], false };
			ok = whole.save.save().ok() && whole.complete();
			_whole_size = whole.size();
		}

		_subject.child->thaw();

		if (!ok)
			_making.destruct();

		return ok;
	}
};

#endif /* _COMPARISON_H_ */
