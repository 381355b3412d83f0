/*
 * \brief  Which of two systems has a child
 * \date   2026-11-30
 *
 * Each side writes records of its own and reads those of the other one. Nothing but
 * their order decides. There is no input or output here, so that a test on the host
 * can go through all orders.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _OWNERSHIP_H_
#define _OWNERSHIP_H_

/* local includes */
#include <claim.h>

namespace Checkpoint { class Ownership; }


/**
 * Decides what a side does next
 *
 * After each step, the records of both sides are read anew, and passed to 'next'. No child
 * runs on the word of an older view.
 */
class Checkpoint::Ownership
{
	public:

		using uint32_t = Genode::uint32_t;
		using uint64_t = Genode::uint64_t;

		enum class Step {
			WAIT,     /* look again later */
			WRITE,    /* write 'pending' to 'sector' of this side */
			RUN,      /* the child runs here, or goes on */
			PREPARE,  /* restore from the offered image without starting threads,
			             then call 'take' or 'decline' */
			END       /* the child that is here must not go on */
		};

		/**
		 * Why nothing is done, for reports
		 */
		enum Obstacle : uint32_t {
			NO_OBSTACLE,
			NOBODY_BEGINS,  /* there are no records, and the other side begins */
			ELSEWHERE,      /* the other side has it */
			DAMAGED,        /* a record of the other side */
			UNANSWERED,     /* the offer */
			UNDECIDED,      /* the offer may be taken */
			CONTRADICTION,
			SAME_SIDE,      /* another system writes the records of this side */
			NOT_KEPT        /* what was written is not on the medium */
		};

		/**
		 * Return what to tell about an obstacle, nullptr if it is none to tell about
		 */
		static char const *text(Obstacle);

	private:

		enum Phase : uint32_t {
			START, CLAIM, WITHDRAW, YIELD, HOLD, CONFIRM, OFFER, PREPARING, TAKE, LEAVE, AWAY };

		uint32_t _phase = START;

		uint32_t _side;
		uint32_t _first;              /* begins if there is no record */
		uint32_t _obstacle = NO_OBSTACLE;
		uint32_t _present  = 0;       /* a child is here, running, frozen, or prepared */
		uint32_t _sector   = 0;

		Claim    _pending { };  /* to be written, or written at last */
		Claim    _basis   { };  /* record of the other side that it follows */
		uint64_t _latest = 0;   /* epoch of the other side that was seen */
		uint64_t _offer  = 0;   /* what the other side answers to, epoch of the latest offer */
		uint64_t _tried  = 0;   /* non-zero once it was attempted to write 'pending' */

		Register _mine { }, _theirs { };

		Step _wait(Obstacle obstacle)
		{
			_obstacle = obstacle;
			return Step::WAIT;
		}

		Step _write(Phase phase, Claim::Kind kind, Claim const &image, uint64_t seen)
		{
			/* what was lost with a damaged sector had a number, too */
			uint64_t const epoch = _max(_max(_mine.newest.epoch, _pending.epoch), _seen())
			                     + (_mine.damaged ? 2 : 1);

			_pending = Claim { epoch, seen, 0, 0, 0, kind, 0 }.with_image_of(image);
			_basis   = _theirs.newest;
			_phase   = phase;
			return _attempt();
		}

		Step _attempt()
		{
			_sector = _mine.next;
			_tried  = 1;
			return Step::WRITE;
		}

		/**
		 * Return true if no record can follow
		 */
		bool _exhausted() const
		{
			/* see '_write' */
			return _max(_max(_mine.newest.epoch, _pending.epoch), _seen()) > Claim::MAX_EPOCH - 2;
		}

		/**
		 * Return claim with the image that the child is at least as new as
		 */
		Claim const &_image() const
		{
			return _mine.newest.number > _theirs.newest.number ? _mine.newest : _theirs.newest;
		}

		static uint64_t _max(uint64_t a, uint64_t b) { return a > b ? a : b; }

		/**
		 * Return epoch of the other side that was seen, even if it is damaged by now
		 */
		uint64_t _seen() const
		{
			uint64_t const known = _mine.newest.kind == Claim::WITHDRAWN ? 0 : _mine.newest.seen;

			return _max(_max(_theirs.newest.epoch, _latest), known);
		}

		/* nobody but this side can have the child */
		Step _claim() { return _write(CLAIM, Claim::HELD, _image(), _seen()); }

		Step _leave()
		{
			(void)_write(LEAVE, Claim::LEFT, _image(), _seen());

			/* what is damaged may have said that the child was here and has been saved */
			if (_mine.damaged)
				_pending.seen = _pending.epoch - 1;

			return Step::WRITE;
		}

		/**
		 * Claim the child unless the other side turns out to have answered
		 */
		Step _withdraw() { return _write(WITHDRAW, Claim::WITHDRAWN, _image(), _offer); }

		Step _withdraw_since(uint64_t offer)
		{
			_offer = offer;
			return _withdraw();
		}

		Step _run()
		{
			_obstacle = NO_OBSTACLE;
			_present  = 1;
			return Step::RUN;
		}

		/**
		 * Let the child run, and say so
		 */
		Step _run_and_confirm()
		{
			(void)_write(CONFIRM, Claim::HELD, _image(), _seen());
			return _run();
		}

		Step _end()
		{
			_phase    = AWAY;
			_obstacle = ELSEWHERE;

			if (!_present)
				return Step::WAIT;

			_present = 0;
			return Step::END;
		}

		Step _prepare()
		{
			_phase   = PREPARING;
			_present = 1;
			return Step::PREPARE;
		}

		/**
		 * Return true if the other side has the child, which was offered to it
		 *
		 * Whether it has taken the child is not known before it says so.
		 */
		bool _they_have_it() const
		{
			Claim const &t = _theirs.newest;

			return t.seen >= _offer
			    && (t.kind == Claim::HELD || t.kind == Claim::OFFERED || t.kind == Claim::WITHDRAWN);
		}

		bool _they_took_it() const
		{
			return _theirs.newest.seen >= _offer && _theirs.newest.kind == Claim::TAKEN;
		}

		bool _they_left() const { return _theirs.newest.kind == Claim::LEFT; }

		bool _both_begin() const;

		Step _yield();
		Step _repair();
		Step _step_on_theirs();
		Step _step_at_start();
		Step _step_on_claim();
		Step _step_away();
		Step _step_on_withdrawal();
		Step _step_on_yield();
		Step _step_on_offer();
		Step _step_on_taking();
		Step _step_on_holding();
		Step _step();

		bool _writing() const
		{
			return _phase == CLAIM || _phase == WITHDRAW || _phase == CONFIRM
			    || _phase == OFFER || _phase == TAKE     || _phase == LEAVE;
		}

	public:

		Ownership(unsigned side, bool first) : _side(side), _first(first) { }

		/**
		 * Return what to do, given the records of both sides
		 */
		Step next(Registers const &);

		/**
		 * Offer the child, which is frozen, from an image that is on the medium
		 *
		 * To be called after 'next' has returned 'RUN' only, if 'can_offer'.
		 */
		Step offer(unsigned slot, uint64_t number, uint32_t image_crc)
		{
			(void)_write(OFFER, Claim::OFFERED, { 0, 0, number, image_crc, slot, 0, 0 }, _seen());
			_offer = _pending.epoch;
			return Step::WRITE;
		}

		/**
		 * Give up waiting for the other side
		 */
		Step withdraw() { return _withdraw(); }

		/**
		 * Respond to 'PREPARE'
		 */
		Step take() { return _write(TAKE, Claim::TAKEN, _theirs.newest, _theirs.newest.epoch); }

		Step decline()
		{
			_present = 0;
			return _leave();
		}

		Claim const &pending() const { return _pending; }
		unsigned     sector()  const { return _sector; }
		unsigned     side()    const { return _side; }

		/**
		 * Return image that the child is at least as new as, or that is offered
		 */
		Claim const &image() const { return _image(); }

		/**
		 * Return true if the child may have been here since it was offered
		 *
		 * There may be a newer image than the offered one.
		 */
		bool taken_before() const
		{
			return _phase == PREPARING && (_mine.newest.kind == Claim::TAKEN || _mine.damaged);
		}

		/**
		 * Return true if the records say that the child is here
		 */
		bool holds() const { return _phase == HOLD; }

		bool can_offer() const { return holds() && !_exhausted(); }

		/**
		 * Return true while an offer can be withdrawn
		 */
		bool offered() const { return _phase == OFFER && _mine.newest == _pending; }

		/**
		 * Return true if the other side says that it does not take what was offered
		 */
		bool declined() const { return _they_left() && _theirs.newest.seen >= _offer; }

		Obstacle obstacle() const { return Obstacle(_obstacle); }

		uint64_t epoch() const
		{
			return _max(_mine.newest.epoch, _theirs.newest.epoch);
		}
};

#endif /* _OWNERSHIP_H_ */
