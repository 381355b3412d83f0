/*
 * \brief  Hand a child over to another system, and take it
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;

using Step = Ownership::Step;


/**
 * Find out who has the child before anything else
 */
void Managed_child::_load_at_start()
{
	_ownership.destruct();

	if (!_values.place.shared) {
		_load();
		return;
	}
	_ownership.construct(_values.side, _values.first);
	_look();
}


void Managed_child::_look()
{
	_submit(Operation::LOOK, place());
	_common.store->look(_job_place);
}


void Managed_child::_poll_later()
{
	/* a child that is begun is offered within moments, and stands still then */
	_poll_us = _common.now_us() + 1000*_values.poll_ms/(_begun.constructed() ? BEGUN_FACTOR : 1);
}


void Managed_child::_write_record()
{
	Owner_record const record { _ownership->side(), _ownership->pending(), _reason.string(),
	                            place().size };

	unsigned const sector = _ownership->sector();

	_submit(Operation::RECORD, place());
	_common.store->write_record(_job_place, sector, record);
}


void Managed_child::_looked(Image_store::Result const &result)
{
	_poll_us = 0;

	/* the child was restarted meanwhile */
	if (_state == State::NEW || !_ownership.constructed())
		return;

	if (!(_job_place == place())) {
		_end(State::NEW);
		return;
	}

	if (!result.ok) {
		if (_told_message != result.message)
			_refuse("move", result.message);
		_told_message = result.message;

		if (_state == State::FROZEN || _state == State::OFFERED)
			_set(State::UNDECIDED);

		_checkpoint_later("records cannot be read or written");
		_poll_later();
		return;
	}

	_told_message = Message();
	_note_answer(result);
	_follow(_ownership->next(result.registers), result);

	if (!busy() && _waits_for_answer(_common.now_us()))
		_poll_later();
}


void Managed_child::_follow(Step step, Image_store::Result const &result)
{
	switch (step) {
	case Step::WAIT:
		_wait_for_other_side(result);
		break;

	case Step::WRITE:
		_write_record();
		break;

	case Step::RUN:
		_run_here(result.reasons[!_ownership->side()]);
		break;

	case Step::PREPARE:
		_offer_us = _common.now_us();
		_set(State::LOADING);
		_load_offer();
		break;

	case Step::END:
		if (_state == State::RUNNING)
			_refuse("move", "the child ends here, the records say that the other system has it");

		if (_state == State::FROZEN)
			_tell_offer();

		if (_state == State::FROZEN || _state == State::OFFERED || _state == State::UNDECIDED) {
			_stat.moved++;
			log(_values.name, ": moved away");
		}
		_end(State::AWAY);
		_poll_later();
		break;
	}
}


void Managed_child::_tell_offer()
{
	log(_values.name, ": offered, image ", _newest, " of ", _stat.image_bytes, " bytes, ",
	    _common.now_us() - _freeze_us, " us since the freeze began: freeze ", _stat.freeze_us,
	    ", copy ", _stat.copy_us, ", save ", _stat.save_us, ", write ", _stat.write_us,
	    ", record ", _common.now_us() - _offer_us, "; ", _stat.last_pages, " pages at last, ",
	    _rounds.count(), " rounds ahead");
}


/**
 * Tell what is in the way, unless it is over within a moment
 */
void Managed_child::_tell_obstacle()
{
	static constexpr uint64_t MOMENT_US = 1000*1000;

	uint64_t const now = _common.now_us();

	if (_obstacle != _ownership->obstacle()) {
		_obstacle      = _ownership->obstacle();
		_obstacle_us   = now;
		_obstacle_told = false;
	}

	char const * const text = Ownership::text(_obstacle);

	if (text && !_obstacle_told && now >= _obstacle_us + MOMENT_US) {
		_obstacle_told = true;
		_refuse("move", text);
	}
}


void Managed_child::_wait_for_other_side(Image_store::Result const &result)
{
	bool const unanswered = _ownership->obstacle() == Ownership::UNANSWERED,
	           here       = _here();

	if (!here) {
		/* what was requested was meant for a child that is here */
		_move_wanted = false;
		if (_state != State::AWAY)
			_set(State::AWAY);

		if (_read_ahead(result))
			return;

		/* the move was given up, or goes on so late that it begins anew here */
		if (_begun.constructed()
		 && _common.now_us() > _answer_us + 1000*(_values.ahead_ms + _values.wait_ms))
			_destroy_child();

	} else if (_state == State::RUNNING) {
		_checkpoint_later("records cannot be written");

	} else if (!unanswered) {
		if (_state != State::UNDECIDED)
			_set(State::UNDECIDED);

	} else {
		if (_state == State::FROZEN)
			_tell_offer();

		if (_state != State::OFFERED)
			_set(State::OFFERED);

		if (_ownership->offered() && _common.now_us() > _offer_us + 1000*_values.wait_ms) {
			_refuse("move", "the other system does not answer");
			(void)_ownership->withdraw();
			_write_record();
			return;
		}
	}
	_tell_obstacle();
	_poll_later();
}


/**
 * Try a checkpoint again, which has to wait for the records
 */
void Managed_child::_checkpoint_later(Message const &reason)
{
	uint64_t const now = _common.now_us();

	if (_state == State::RUNNING && _due(now)) {
		_attempt_us = now;
		_try_again(reason);
	}
}


/**
 * Let the child run, as nobody else has it
 *
 * \param reason  what the other side says about an offer that it declines
 */
void Managed_child::_run_here(Message const &reason)
{
	bool const running = _state == State::RUNNING,
	           ended   = _state == State::FAILED || _state == State::EXITED
	                  || _state == State::STOPPED;

	_obstacle = Ownership::NO_OBSTACLE;

	/* the offer that it was begun for does not come */
	if (_begun.constructed() && !_prepared.constructed())
		_destroy_child();

	if (_prepared.constructed()) {
		_start_prepared();

	} else if (_child.constructed() && !running) {
		if (reason.length() > 1 && _ownership->declined())
			_refuse("move", "the other system says: ", reason);
		_go_on();

		/* the image that was offered may be damaged, and is the newest one by the records */
		_wanted = true;
	}

	if (!_ownership->holds()) {
		_write_record();

	} else if (_child.constructed()) {
		/* the newest image is not overwritten before it is known which one it is */
		if (running && _due(_common.now_us()) && _known == _started.place)
			_checkpoint();

	} else if (!ended) {
		_set(State::LOADING);
		_load();
	}
}


/**
 * Save the place of the image that was written, and offer it
 */
void Managed_child::_offer(Image_store::Result const &result)
{
	unsigned const slot = Place::NUM_SLOTS - 1 - _next_slot;

	(void)_ownership->offer(slot, _newest, result.slots[slot].crc);

	_offer_us = _common.now_us();
	_reason   = Message();
	_write_record();
}


/**
 * Restore the child from the image that is offered, but for the start of its threads
 */
bool Managed_child::_prepare_from(Image_store::Result const &result)
{
	using Slot = Image_store::Slot;

	Claim const image = _ownership->image();
	bool  const any   = _ownership->taken_before();
	int   const slot  = any ? result.newest : int(image.slot);

	if (!result.ok) {
		_refuse("move", result.message);
		return false;
	}

	bool const valid = slot >= 0 && result.slots[slot].state == Slot::State::VALID,
	           same  = valid && result.slots[slot].number == image.number
	                         && result.slots[slot].crc    == image.image_crc,
	           newer = valid && result.slots[slot].number > image.number && any;

	if (!same && !newer) {
		_refuse("move", "image ", image.number, " is not there as it was offered");
		return false;
	}

	bool ok = false;
	_common.store->with_image(unsigned(slot), [&] (Image::Chain const &chain) {

		if (!_create_for(chain.last()))
			return;

		_prepared.construct(*_child, chain);
		try { ok = _prepared->prepare(); }
		catch (...) { _refuse("restore", "out of memory or capabilities"); return; }

		if (!ok)
			_prepared->start().with_error([&] (Refused const &refused) {
				_refuse("restore", refused); }); });

	_known       = _job_place;
	_newest      = result.slots[slot].number;
	_next_slot   = Place::NUM_SLOTS - 1 - unsigned(slot);
	_from_number = _newest;
	return ok;
}


void Managed_child::_prepare(Image_store::Result const &result)
{
	_reason  = Message();
	_read_us = _common.now_us();

	if (_prepare_from(result)) {
		(void)_ownership->take();
	} else {
		_reason = _stat.refusal;
		_end(State::LOADING);
		(void)_ownership->decline();
	}
	_prepared_us = _common.now_us();
	_write_record();
}


void Managed_child::_start_prepared()
{
	uint64_t const taken_us = _common.now_us();

	try {
		_prepared->start().with_result(
			[&] (Cap_checkpoint::Restored const &restored) {
				_stat.from_image  = restored;
				_stat.from_number = _from_number;
				_stat.restored++;
				_stat.arrived++;
				_begin(); },
			[&] (Refused const &refused) {
				_refuse("restore", refused); });
	}
	catch (...) { _refuse("restore", "out of memory or capabilities"); }

	bool const ahead = _begun.constructed();

	_prepared.destruct();
	_begun.destruct();

	if (_state != State::RUNNING) {
		_end(State::FAILED);
		return;
	}
	/* the medium need not have any more what was read before the offer */
	_wanted |= ahead;

	uint64_t const now = _common.now_us();

	_stat.restore_us = now - _offer_us;
	log(_values.name, ": taken over, image ", _newest, ", ", _stat.restore_us,
	    " us since the offer was seen: read ", _read_us - _offer_us, ", prepare ",
	    _prepared_us - _read_us, ", record ", taken_us - _prepared_us, ", start ", now - taken_us,
	    ahead ? "; begun ahead" : "");
}
