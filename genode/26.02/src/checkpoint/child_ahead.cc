/*
 * \brief  Shorten the pause of a move by images that are made and read ahead
 * \date   2026-11-30
 *
 * None of this decides who has the child. If anything goes wrong, the other side reads
 * the whole image once it is offered.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;


/**********************************
 ** System that the child leaves **
 **********************************/

/**
 * Return true if the next image is made while the child runs, ahead of the one of the move
 */
bool Managed_child::_wants_round() const
{
	return _move_wanted && _move_ahead && !_stop_wanted() && !_rounds.over() && _values.ahead_ms
	    && _may_offer() && _copies.constructed() && _copies->usable();
}


/**
 * Find out whether another round is worth it
 *
 * To be called when the copies are up to date, before an image is made of them.
 */
void Managed_child::_decide_on_round()
{
	if (!_wants_round())
		return;

	/* the first one is needed in any case */
	if (!_rounds.count())
		return;

	_round_pages = _copies->pages_written();

	uint64_t const size = align_addr(STATE_BYTES + _round_pages*sizeof(Image::Page), AT_PAGE);

	/* there has to be room for an increment of this size in the end, too */
	bool const fits = _tail.valid && _tail.base.position <= Start_node::MAX_INCREMENTS
	               && _tail.next() + 2*size <= min(_started.place.capacity(),
	                                               _tail.whole + Rounds::room(_tail.whole));

	if (!_announced_us || !_answered || !fits || !_rounds.worth(_round_pages))
		_rounds.end();
}


/**
 * Return until when the other side may answer to what was announced
 *
 * It may have to read all of the chain.
 */
uint64_t Managed_child::_answer_limit_us() const
{
	return _announced_us + 1000*_values.ahead_ms
	     + min(ANSWER_FACTOR*_tail.write_us, 1000*_values.timeout_ms);
}


/**
 * Return true if the child goes on here until the other side has what was announced
 */
bool Managed_child::_waits_for_answer(uint64_t now) const
{
	return _move_wanted && _present && _announced_us && !_answered && now < _answer_limit_us();
}


void Managed_child::_forget_rounds()
{
	_rounds       = { };
	_announced_us = 0;
}


void Managed_child::_announce(Announcement const &announcement)
{
	_announcement = announcement;
	_submit(Operation::ANNOUNCE, place());
	_common.store->announce(_job_place, announcement);
}


void Managed_child::_announce_round()
{
	_rounds.add(_round_pages);
	_announced_us = _common.now_us();
	_answered     = false;

	_announce(Announcement::create(_ownership->side(), Announcement::BASE, _tail.slot,
	                               _tail.base.checkpoint, _tail.end, _tail.base.crc));
}


/**
 * Take note of whether the other side has begun, or will not
 */
void Managed_child::_note_answer(Image_store::Result const &result)
{
	unsigned const other = !_ownership->side();

	Announcement const &answer = result.announcements[other];

	if (!_announced_us || !answer.valid(other) || answer.kind == Announcement::BASE
	 || !answer.same_image(_announcement))
		return;

	_answered = true;

	if (answer.kind == Announcement::UNPREPARED)
		_rounds.end();
}


void Managed_child::_announced(Image_store::Result const &result)
{
	/* nobody answers to what is not on the medium */
	if (!result.ok)
		_announced_us = 0;

	if (_state == State::AWAY || _waits_for_answer(_common.now_us()))
		_poll_later();
}


/************************************
 ** System that the child comes to **
 ************************************/

/**
 * Read an image or increment that was announced
 *
 * \return  false if there is none
 */
bool Managed_child::_read_ahead(Image_store::Result const &result)
{
	unsigned     const  other = !_ownership->side();
	Announcement const &next  = result.announcements[other];

	if (!_present || !_values.ahead_ms || next.kind != Announcement::BASE || !next.valid(other)
	 || result.registers.sides[other].newest.kind != Claim::HELD
	 || next.same_image(_base_announced) || next.num_bytes > place().capacity())
		return false;

	bool const continued = _begun.constructed() && next.slot == _base_announced.slot
	                    && next.num_bytes > _base.chain->size() && next.num_bytes <= _base.size();

	_base_announced = next;

	if (continued) {
		_submit(Operation::ROUND, place());
		_common.store->load_round(_job_place, next.slot, size_t(next.num_bytes), _base);
	} else {
		_read_all_ahead();
	}
	return true;
}


/**
 * Read what was announced from its beginning
 */
void Managed_child::_read_all_ahead()
{
	_destroy_child();
	_base.destruct();

	Cap_checkpoint::Monitor &monitor = _common.monitor;

	size_t const num_bytes = size_t(_base_announced.num_bytes);

	/* increments that do not fit are read anew with the whole image */
	auto provide = [&] (uint64_t room, size_t needed_besides)
	{
		size_t const size = size_t(min(num_bytes + room, place().capacity()));

		return available(monitor.own_pd, { size + BLOCK_SIZE + needed_besides }, { 0 })
		    && _base.provide(monitor.ram, monitor.local_rm, monitor.own_pd, size);
	};

	if (!provide(Rounds::room(num_bytes), _values.ram.value + CHILD_RAM)
	 && !provide(Rounds::least_room(num_bytes), 0)) {
		_answer(Announcement::UNPREPARED);
		return;
	}

	_submit(Operation::BASE, place());
	_common.store->load_base(_job_place, _base_announced.slot, num_bytes, _base);
}


void Managed_child::_answer(Announcement::Kind kind)
{
	Announcement const &base = _base_announced;

	_answer_us = _common.now_us();
	_announce(Announcement::create(_ownership->side(), kind, base.slot, base.number,
	                               base.num_bytes, base.image_crc));
}


/**
 * Provide sessions and memory of the child
 *
 * \param continued  the child exists, and an increment was read
 */
bool Managed_child::_begin_ahead(bool continued)
{
	if (continued && !_begun.constructed())
		return false;

	Image::Reader const &image = _base.chain->last();

	return image.system().checkpoint == _base_announced.number
	    && image.header_crc()        == _base_announced.image_crc
	    && (continued ? _has_quota_for(image) : _create_for(image))
	    && _begun.proceed(*_child, *_base.chain);
}


void Managed_child::_round_read(Image_store::Result const &result, bool continued)
{
	/* the configuration may have changed meanwhile */
	if (_state != State::AWAY || !_present || !(_job_place == place())) {
		if (_state == State::AWAY)
			_poll_later();
		return;
	}

	bool const ok = result.ok && _begin_ahead(continued);

	/* the slot may have another chain by now */
	if (!ok && continued) {
		_read_all_ahead();
		return;
	}

	if (!ok)
		_destroy_child();

	_set(State::AWAY);
	_answer(ok ? Announcement::PREPARED : Announcement::UNPREPARED);
}


/**
 * Return true if the child that was created has the quota that an increment says
 */
bool Managed_child::_has_quota_for(Image::Reader const &image) const
{
	Image::System const system = image.system();

	/* the clients of a child may have donated something to it, which the restore looks at */
	return _services.constructed()
	    || (system.ram_quota <= _started.ram.value && system.cap_quota <= _started.caps.value);
}


/**
 * Read the image that is offered, or what it has more than the one that was read ahead
 */
void Managed_child::_load_offer()
{
	bool const begun = _begun.constructed() && !_ownership->taken_before()
	                && _ownership->image().slot == _base_announced.slot;

	if (!begun) {
		_destroy_child();
		_base.destruct();
	}

	_submit(begun ? Operation::MORE : Operation::LOAD, place());

	if (begun)
		_common.store->load_more(_job_place, _ownership->image().slot, _base);
	else
		_common.store->load(_job_place, _ownership->taken_before() ? Image_store::ALL_SLOTS
		                                                           : _ownership->image().slot);
}


/**
 * Restore the child that was begun, but for the start of its threads
 */
bool Managed_child::_prepare_increment()
{
	Claim         const  claim = _ownership->image();
	Image::Chain  const &chain = *_base.chain;
	Image::System const  system = chain.last().system();

	if (system.checkpoint != claim.number || chain.last().header_crc() != claim.image_crc
	 || !_has_quota_for(chain.last()))
		return false;

	_prepared.construct(*_child, chain, &_begun.latest());

	bool ok = false;
	try { ok = _prepared->prepare(); }
	catch (...) { }

	if (!ok)
		return false;

	_known       = _job_place;
	_newest      = claim.number;
	_next_slot   = Place::NUM_SLOTS - 1 - claim.slot;
	_from_number = _newest;
	return true;
}


void Managed_child::_more_read(Image_store::Result const &result)
{
	/* the child was restarted meanwhile, and whether it is here will be looked up anew */
	if (_state != State::LOADING)
		return;

	if (!_present || !(_job_place == place()) || !_ownership.constructed()) {
		_end(State::NEW);
		return;
	}

	_read_us = _common.now_us();

	if (result.ok && _begun.constructed() && _prepare_increment()) {
		_prepared_us = _common.now_us();
		_reason      = Message();
		(void)_ownership->take();
		_write_record();
		return;
	}

	log(_values.name, ": what was begun ahead is of no use");

	_destroy_child();
	_load_offer();
}
