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

/* local includes */
#include <neighbour.h>
#include <subject.h>

namespace Test { struct Comparison; }


/**
 * One image from copies, and one from the memory itself, of the same instant
 */
struct Test::Comparison
{
	using Mistake = String<32>;

	Subject       &_subject;
	Neighbour     *_neighbour;  /* nullptr if nobody disturbs */
	Mistake const  _mistake;

	Attached_ram_dataspace _images[2];

	/*
	 * Noncopyable
	 */
	Comparison(Comparison const &);
	Comparison &operator = (Comparison const &);

	Comparison(Subject &subject, Neighbour *neighbour, Mistake const &mistake)
	:
		_subject(subject), _neighbour(neighbour), _mistake(mistake),
		_images { { subject._monitor.env.ram(), subject._monitor.env.rm(), _max_size() },
		          { subject._monitor.env.ram(), subject._monitor.env.rm(), _max_size() } }
	{ }

	size_t _max_size() const { return _subject.load.memory + Subject::EXTRA_RAM; }

	/* the copies are good until then */
	static constexpr unsigned ROUND_OF_MISTAKE = 10;

	unsigned checkpoints = 0;

	/* results */
	uint64_t pages = 0, calls = 0, differ = 0;

	bool different = false;

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

	struct Entry
	{
		char     name[Image::NAME_SIZE];
		uint64_t offset, length;
		uint32_t crc, zero;
	};

	static_assert(sizeof(Entry) == Image::ENTRY_SIZE);

	bool _same(Entry const &a, Entry const &b)
	{
		/* the clock of the timers goes on */
		if (!strcmp(a.name, "timers"))
			return a.length == b.length;

		return !memcmp(&a, &b, sizeof(a))
		    && !memcmp(_images[0].local_addr<char>() + a.offset,
		               _images[1].local_addr<char>() + b.offset, size_t(a.length));
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
	 * Compare the sections of both images
	 */
	void _compare_images()
	{
		Entry const * const a = (Entry *)(_images[0].local_addr<char>() + Image::HEADER_SIZE),
		            * const b = (Entry *)(_images[1].local_addr<char>() + Image::HEADER_SIZE);

		for (unsigned i = 0; i < Image::NUM_SECTIONS; i++)
			if (!_same(a[i], b[i])) {
				log("section '", Cstring(a[i].name), "' is not the same");
				different = true;
			}

		/* an image must hold all of it, and be readable */
		Image::Reader const image { _images[0].local_addr<char>(), _making->size() };
		if (!image.valid()) {
			log("image ", image.refusal());
			different = true;
		}
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

		if (checkpoints++ >= ROUND_OF_MISTAKE) {
			if (_mistake == "round lost") _lose_round();
			if (_mistake == "detached")   _detach();
		}

		if (_neighbour)
			_neighbour->disturb();

		_making.construct(_subject, _images[0], true);

		bool ok = _making->save.save_state().ok();

		pages += _making->save.last_round.pages;
		calls += _making->save.last_round.calls;

		if (ok) {
			_compare_pages();

			/* both are the same checkpoint */
			_subject.child->checkpoints--;

			Subject::Making whole { _subject, _images[1], false };
			ok = whole.save.save().ok() && whole.complete();
		}

		_subject.child->thaw();

		if (!ok)
			_making.destruct();

		return ok;
	}
};

#endif /* _COMPARISON_H_ */
