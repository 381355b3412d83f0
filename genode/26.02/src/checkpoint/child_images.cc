/*
 * \brief  Images of a child on the medium
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;


/**
 * Return true if the file systems of the store are not there after some time
 */
bool Managed_child::_store_is_late(uint64_t now)
{
	if (!_common.store_is(Store_state::STARTING))
		return false;

	if (!_wait_us)
		_wait_us = now;

	return now > _wait_us + 1000*_values.timeout_ms;
}


bool Managed_child::uses(Place const &other) const
{
	return !_over() && (!place().distinct(other)
	                    || (busy() && !_job_place.distinct(other)));
}


/**
 * Return true if another child has a prior right to the place of the images
 *
 * If that child is about to go, it is worth waiting.
 */
bool Managed_child::_place_is_taken(char const *operation)
{
	bool taken = false, told = false;

	auto respond = [&] (Managed_child const &other)
	{
		taken = true;

		if (!other._present || told)
			return;

		told = true;
		if (!_conflict)
			_refuse(operation, "another child has its images at ", _values.place.path);
	};

	_common.for_each_prior_user(*this, _values.place, Common::With_child::Fn { respond });
	_conflict = told;

	return taken;
}


void Managed_child::_submit(Operation operation, Place const &place)
{
	_job         = operation;
	_job_place   = place;
	_job_start   = _common.now_us();
	_job_is_late = false;
	_changed    |= operation != Operation::LOOK;
}


void Managed_child::_load()
{
	_submit(Operation::LOAD, place());
	_common.store->load(_job_place, Image_store::ALL_SLOTS);
}


void Managed_child::finish_job()
{
	Image_store::Result const &result = _common.store->result();

	Operation const job = _job;

	/* copies are worth less than an image */
	if (!result.ok && (result.short_of_ram || job == Operation::WRITE) && _common.reclaim_ram()) {
		_job_start = _common.now_us();
		_common.store->repeat();
		return;
	}

	_job      = Operation::NONE;
	_changed |= job != Operation::LOOK;

	switch (job) {
	case Operation::LOAD:     _loaded(result);    break;
	case Operation::WRITE:    _written(result);   break;
	case Operation::LOOK:
	case Operation::RECORD:   _looked(result);    break;
	case Operation::BASE:     _round_read(result, false); break;
	case Operation::ROUND:    _round_read(result, true);  break;
	case Operation::MORE:     _more_read(result); break;
	case Operation::ANNOUNCE: _announced(result); break;
	case Operation::SAVE:
	case Operation::NONE:     break;
	}

	if (busy())
		return;

	/* the image goes */
	if (_prepared.constructed())
		_destroy_child();

	_common.store->release(_copies.constructed() && _copies->usable());
}


/**
 * Take note of what is on the medium
 *
 * \return  false if this is not known
 */
bool Managed_child::_note(Image_store::Result const &result)
{
	if (!result.ok)
		return false;

	_known     = _job_place;
	_newest    = result.newest >= 0 ? result.slots[result.newest].number : 0;
	_next_slot = result.newest >= 0 ? Place::NUM_SLOTS - 1 - result.newest : 0;

	if (_child.constructed())
		_child->checkpoints = max(_child->checkpoints, _newest);

	return true;
}


void Managed_child::_loaded(Image_store::Result const &result)
{
	/* the child was restarted meanwhile, and whether it is here will be looked up anew */
	if (_state == State::NEW)
		return;

	bool const starting = _state == State::LOADING,
	           current  = _job_place == place(),
	           noted    = current && _note(result);

	/* the configuration may have changed meanwhile */
	if (starting && (!current || !_present)) {
		_set(State::NEW);

	} else if (starting && _ownership.constructed() && !_ownership->holds()) {
		_prepare(result);

	} else if (current && (starting || _reload) && _may_restore()) {
		_restore_newest(result);

	} else if (current && !noted) {
		_refuse("checkpoint", result.message);
		_give_up();
	}
}


/**
 * Restore the child, or start it anew if this is what the configuration says
 */
void Managed_child::_restore_newest(Image_store::Result const &result)
{
	/* a child that has been elsewhere does not begin anew, nor from where it was before */
	uint64_t const least = _ownership.constructed() ? _ownership->image().number : 0;

	bool const only = _values.restore == Start_node::Restore::ONLY || _reload || least,
	           late = result.newest >= 0 && result.slots[result.newest].number < least;

	_reload = false;

	/* tell about images that are passed over, but not about what was never completed */
	bool told = !result.ok;
	for (Image_store::Slot const &slot : result.slots)
		if (slot.state != Image_store::Slot::State::UNKNOWN && slot.refusal.length() > 1) {
			_refuse("restore", slot.refusal);
			told = true;
		}

	if (!result.ok)
		_refuse("restore", result.message);

	if (late)
		_refuse("restore", "image ", least, " is missing, by which the child came here");
	else if (result.ok && result.newest >= 0)
		_common.store->with_image(unsigned(result.newest), [&] (Image::Chain const &image) {
			_restore(image); });
	else if (!told && only)
		_refuse("restore", "no image at ", place().path);

	if (_child.constructed())
		return;

	if (only)
		_end(State::FAILED);
	else
		_start();
}


void Managed_child::_written(Image_store::Result const &result)
{
	if (result.ok) {
		_stat.checkpoints++;
		_stat.write_us    = _common.now_us() - _job_start;
		_job_tail.write_us = max(_job_tail.write_us, _stat.write_us);
		_stat.position    = _job_tail.base.position - 1;
		_stat.chain_bytes = _job_tail.end;
		_newest       = _job_number;
		_next_slot    = Place::NUM_SLOTS - 1 - _job_tail.slot;
		_tail         = _job_tail;
		_stop_refused = false;
	} else {
		_refuse("checkpoint", "not written: ", result.message);
	}

	if (_state != State::FROZEN) {
		if (_state == State::RUNNING && _wants_round()) {
			if (result.ok && _tail.valid)
				_announce_round();
			else
				_rounds.end();
		}
		return;
	}

	bool const offer = result.ok && _move_wanted;

	if (offer && _may_offer()) {
		_offer(result);
	} else if (offer && !_stop_wanted()) {
		_refuse("move", "the place of the images is not shared, or no further record can be written");
		_go_on();
	} else if (result.ok && (_stop_wanted() || _start_again)) {
		_end(_start_again ? State::NEW : State::STOPPED);
	} else {
		_go_on();
	}
}


/**
 * Let a child go on that was meant to end
 */
void Managed_child::_go_on()
{
	_child->thaw();
	_start_again  = false;
	_move_wanted  = false;
	_stop_refused = !_present;
	_forget_rounds();
	_set(State::RUNNING);
}
