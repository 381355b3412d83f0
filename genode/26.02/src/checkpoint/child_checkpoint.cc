/*
 * \brief  Save a child to the memory of the store
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;

using Frozen = Cap_space_monitor::Freezer::Frozen;
using Stuck  = Cap_space_monitor::Freezer::Stuck;


Message Managed_child::_text(Stuck const &stuck)
{
	auto reason = [] (Stuck::Reason r)
	{
		switch (r) {
		case Stuck::Reason::NO_RECORDS: return "no restart records";
		case Stuck::Reason::NO_STACK:   return "stack is full";
		case Stuck::Reason::WINDOW:     return "critical window";
		case Stuck::Reason::CALL:       return "call to the outside";
		case Stuck::Reason::BLOCKED:    return "page fault, or blocked in the kernel";
		case Stuck::Reason::BUSY:       return "does not get to its end";
		case Stuck::Reason::NO_RECORD:  return "no restart record";
		}
		return "unknown";
	};

	return Message("not frozen: ", reason(stuck.reason), ", thread '", stuck.thread, "' of ",
	               stuck.pd, ", ip ", Hex(stuck.ip), ", slot ", Hex(stuck.slot));
}


/**
 * Try a checkpoint again later, or give up
 */
void Managed_child::_try_again(Message const &reason)
{
	uint64_t const now = _common.now_us();

	if (!_attempts)
		_first_attempt_us = now;

	if (++_attempts < MAX_ATTEMPTS && now - _first_attempt_us < MAX_ATTEMPTS_US) {
		/* the others are served for most of the time */
		_retry_us = now + max(RETRY_US, PAUSE_FACTOR*(now - _attempt_us));
		return;
	}
	_refuse("checkpoint", reason);
	_give_up();
}


/**
 * Wait for the next occasion to make a checkpoint
 */
void Managed_child::_give_up()
{
	_wanted       = false;
	_move_wanted  = false;
	_stop_refused = !_present;
	_forget_rounds();
	_attempts     = 0;
	_retry_us     = 0;
	_due_us       = _common.now_us() + 1000*_values.interval_ms;
}


/**
 * Freeze the child
 *
 * A frozen child may have requests that its sessions have not received yet. They are
 * served once the entrypoint goes on. If the child goes on as well, or ends at once, an image says
 * rightly that they are still to be sent. If it stays frozen, they must be served before the
 * image is made. Each thread that gets its reply is parked by the next freeze.
 *
 * Behind the requests, servers may have packets of the child. If it stays frozen, they must be
 * executed before the image is made, as the child may go on where nobody knows when they are. The entrypoint
 * serves others meanwhile.
 *
 * \return  false if the child cannot be saved yet
 */
bool Managed_child::_freeze()
{
	return _child->freeze().convert<bool>(

		[&] (Frozen const &frozen) {

			if (!_stays || (!frozen.requests && _child->drained()))
				return true;

			bool const goes_on = frozen.requests ? ++_served < MAX_SERVED
			                                     : _common.now_us() < _freeze_us + MAX_DRAIN_US;
			if (goes_on) {
				_serving  = true;
				_draining = !frozen.requests;

				/* no other child begins in between */
				_submit(Operation::SAVE, _started.place);
				_common.store->reserve();
				return false;
			}
			_child->thaw();
			_try_again(frozen.requests ? "not frozen: its requests do not come to an end"
			                           : "not frozen: a server does not execute its packets");
			return false; },

		[&] (Stuck const &stuck) {

			/* signals of an earlier freeze were kept */
			_child->thaw();
			_try_again(_text(stuck));
			return false; });
}


/**
 * Bring the copies of the memory up to date, so that little is left for the freeze
 *
 * \return  false if the child should have its turn in between
 */
bool Managed_child::_copy_ahead()
{
	if (!_copies.constructed() || !_copies->usable())
		return true;

	uint64_t const start = _common.now_us();

	uint64_t took   = 0;
	bool     enough = false;

	while (!enough && took < TURN_US) {
		enough = _copies->round();
		took   = _common.now_us() - start;
	}
	if (!enough)
		_retry_us = start + 2*took;

	return enough;
}


/**
 * Provide memory for an image at the expense of copies
 */
bool Managed_child::_provide_memory(size_t num_bytes)
{
	auto provide = [&] { return _common.store->memory(num_bytes) != nullptr; };

	return provide() || (_common.reclaim_ram() && provide());
}


/**
 * Return where the chain on the medium has to end
 *
 * All increments of a chain take as much as its complete image at most, so a
 * restore does not take longer and longer. Those that are sent ahead of a move have some more behind a
 * small image. The last one of a move is not bound by this, as the other side has the rest already.
 */
uint64_t Managed_child::_chain_limit() const
{
	uint64_t const capacity = _started.place.capacity();

	if (!_move_wanted || !_rounds.count())
		return min(capacity, 2*_tail.whole);

	return _stays ? capacity : min(capacity, _tail.whole + Rounds::room(_tail.whole));
}


/**
 * Return true if the next image is to be an increment of the one on the medium
 */
bool Managed_child::_continues() const
{
	if (!_tail.valid || !_copies.constructed() || !_copies->usable())
		return false;

	/* the other side has the image that was announced */
	if (_move_wanted && _rounds.count())
		return _tail.next() < _chain_limit();

	return _tail.base.position <= _values.increments
	    && _tail.next() + _tail.last < _chain_limit();
}


/**
 * Save the frozen child to the memory of the store
 *
 * Pages that there are copies of are left for later, if the child does not wait for them.
 *
 * \param increment  save what differs from the tail
 */
bool Managed_child::_save(bool const increment)
{
	using Step = Making::Step;

	uint64_t const room = increment ? _chain_limit() - _tail.next() : ~0ULL;

	_job_tail = increment ? _tail : Tail { .valid = false, .slot = _next_slot, .end = 0,
	                                       .whole = 0, .last = 0, .write_us = 0, .base = { } };

	/* without copies, the first image tells how much memory is needed */
	for (unsigned i = 0; i < 2; i++) {

		_making.construct(*_child, *_common.store, _common.snapshot,
		                  _copies.constructed() ? _copies->precopy() : nullptr,
		                  increment ? &_job_tail.base : nullptr, room);

		auto refused = [&] (Refused const &refused) {
			_try_again(Message("not saved: ", refused)); };

		if (!_making->state().convert<bool>([&] (Ok) { return true; },
		                                    [&] (Refused const &r) { refused(r); return false; }))
			return false;

		/* what comes next refers to this image, whether it will be on the medium or not */
		_tail.valid = false;

		if (_making->pages_left() && !_stays)
			return true;

		Step   const step      = _making->step(Making::ALL_PAGES, refused);
		size_t const num_bytes = _making->num_bytes();

		if (step == Step::COMPLETE)
			return true;

		_making.destruct();

		/* another increment would refer to this one */
		if (increment && step != Step::REFUSED)
			return _save(false);

		if (step == Step::REFUSED)
			return false;

		if (!_provide_memory(num_bytes)) {
			_try_again(Message("not saved: out of memory: image of ", num_bytes, " bytes"));
			return false;
		}
	}
	_try_again("not saved: the image grows");
	return false;
}


void Managed_child::_checkpoint()
{
	_attempt_us = _common.now_us();

	/* compute hashes while the child is still running */
	_child->parent.for_each_session([&] (Cap_checkpoint::Open_session &session) {
		session.with_rom([&] (Cap_checkpoint::Rom_service_session &rom) {
			rom.with_hash([&] (Cap_checkpoint::Sha256::Digest const &) { }); }); });

	/* this takes its time once */
	if (_common.now_us() - _attempt_us > TURN_US && _copies.constructed()) {
		_retry_us = 2*_common.now_us() - _attempt_us;
		return;
	}

	if (!_copy_ahead())
		return;

	_decide_on_round();

	/* copies may have to go while the child is frozen, which changes nothing for this attempt */
	_stays = _stays_frozen();

	size_t const expected = _expected_bytes           ? _expected_bytes
	                      : _copies.constructed()
	                     && _copies->usable()         ? STATE_BYTES + _copies->pages_size() : 0;
	if (expected)
		(void)_provide_memory(expected + IMAGE_GROWTH);

	_freeze_us = _common.now_us();
	_served    = 0;

	_freeze_and_save();
}


void Managed_child::_freeze_and_save()
{
	Cap_checkpoint::Precopy::Result const ahead = _copies.constructed() ? _copies->attempted()
	                                            : Cap_checkpoint::Precopy::Result();
	bool     saved   = false;
	uint64_t save_us = 0;

	bool     const frozen    = _freeze();
	uint64_t const freeze_us = _common.now_us() - _freeze_us;

	if (frozen) {
		save_us = _common.duration_us([&] {
			try { saved = _save(_continues()); }
			catch (...) { _try_again("not saved: out of memory"); } });

		if (!saved || !_stays)
			_child->thaw();
	}

	if (!saved) {
		_making.destruct();
		if (!_serving)
			_common.store->release();
		return;
	}

	_stat.pause_us   = _common.now_us() - _freeze_us;
	_stat.freeze_us  = freeze_us;
	_stat.save_us    = save_us;
	_stat.rounds     = ahead.rounds;
	_stat.pages      = ahead.pages;
	_stat.last_pages = _making->last_round().pages;
	_stat.copy_us    = _making->last_round().copy_us;

	_wanted = false;
	_due_us = _common.now_us() + 1000*_values.interval_ms;

	if (_stays)
		_set(State::FROZEN);

	_job_number = _child->checkpoints;
	_submit(Operation::SAVE, _started.place);
	_common.store->reserve();

	if (_making->pages_left())
		_turn_us = _common.now_us() + TURN_US;
	else
		_write_image();
}


void Managed_child::_write_image()
{
	_stat.image_bytes = _making->num_bytes();
	_stat.fill_us     = _common.now_us() - _job_start;
	_attempts         = 0;

	uint64_t const behind = _job_tail.end;

	if (!behind)
		_job_tail.whole = _expected_bytes = _stat.image_bytes;
	else
		_job_tail.last = _stat.image_bytes;

	_job_tail.valid = _making->from_copies();
	_job_tail.end   = _job_tail.next() + _stat.image_bytes;
	_job_tail.base  = _making->next_base();

	_making.destruct();

	if (_copies.constructed())
		_copies->image_made();

	bool const frozen = _state == State::FROZEN;

	/* the other side reads what is offered, and declines it if it is damaged */
	bool const offered = frozen && _move_wanted && !_stop_wanted() && _may_offer();

	/* if it does, nothing continues it */
	_job_tail.valid &= !offered;

	_submit(Operation::WRITE, _job_place);
	_common.store->write(_job_place, _job_tail.slot, behind, _stat.image_bytes, !frozen, !offered);
	if (offered)
		_child->leave(); /* while the medium is at work */
}


/**
 * Append pages to the image, and let it be written once it is complete
 *
 * \return  reason why there is no image, empty otherwise
 */
Message Managed_child::_append_pages(size_t num_pages)
{
	using Step = Making::Step;

	Message reason { };

	uint64_t const start = _common.now_us();

	Step const step = _making->step(num_pages, [&] (Refused const &refused) {
		reason = Message("not saved: ", refused); });

	/* let the child have half of the time at least */
	if (step == Step::MORE)
		_turn_us = 2*_common.now_us() - start;

	if (step == Step::COMPLETE)
		_write_image();

	/* the next attempt has more memory, or begins a chain in the other place */
	if (step == Step::TOO_LARGE) {
		if (!_job_tail.end)
			_expected_bytes = _making->num_bytes();
		reason = Message("not saved: the image grows");
	}

	if (reason.length() > 1) {
		_making.destruct();
		_common.store->release();
		_job     = Operation::NONE;
		_changed = true;
	}
	return reason;
}


/**
 * Go on with an image whose pages come from copies
 */
void Managed_child::_work_on_image(uint64_t now)
{
	if (!_making.constructed() || now < _turn_us)
		return;

	Message const reason = _append_pages(Making::PAGES_PER_STEP);

	if (reason.length() > 1) {
		_wanted     = true;
		_attempt_us = _common.now_us();
		_try_again(reason);
	}
}
