/*
 * \brief  Shorten the pause of a move by an image that is made and read ahead
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
 * Return true if the next image is made while the child runs, and the one behind it for the move
 */
bool Managed_child::_wants_base() const
{
	return _move_wanted && _move_ahead && !_stop_wanted() && !_base_tried && _values.ahead_ms
	    && _may_offer() && _copies.constructed() && _copies->usable();
}


/**
 * Return true if the child goes on here until the other side has begun
 */
bool Managed_child::_waits_for_answer(uint64_t now) const
{
	return _move_wanted && _present && _announced_us && !_answered
	    && now < _announced_us + 1000*_values.ahead_ms;
}


void Managed_child::_forget_base()
{
	_base_tried   = false;
	_announced_us = 0;
}


void Managed_child::_announce(Announcement const &announcement)
{
	_announcement = announcement;
	_submit(Operation::ANNOUNCE, place());
	_common.store->announce(_job_place, announcement);
}


void Managed_child::_announce_base()
{
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

	if (_announced_us && answer.valid(other) && answer.kind != Announcement::BASE
	 && answer.same_image(_announcement))
		_answered = true;
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
 * Read an image that was announced
 *
 * \return  false if there is none
 */
bool Managed_child::_read_ahead(Image_store::Result const &result)
{
	/* room for an increment */
	static constexpr uint64_t MIN_ROOM = 4*1024*1024;

	unsigned     const  other = !_ownership->side();
	Announcement const &base  = result.announcements[other];

	if (!_present || !_values.ahead_ms || base.kind != Announcement::BASE || !base.valid(other)
	 || result.registers.sides[other].newest.kind != Claim::HELD
	 || base.same_image(_base_announced) || base.num_bytes > place().capacity())
		return false;

	_base_announced = base;

	_destroy_child();
	_base.destruct();

	uint64_t const size = min(base.num_bytes + max(MIN_ROOM, base.num_bytes/4),
	                          place().capacity());

	Cap_checkpoint::Monitor &monitor = _common.monitor;

	if (!_base.provide(monitor.ram, monitor.local_rm, monitor.own_pd, size_t(size))) {
		_answer(Announcement::UNPREPARED);
		return true;
	}

	_submit(Operation::BASE, place());
	_common.store->load_base(_job_place, base.slot, size_t(base.num_bytes), _base);
	return true;
}


void Managed_child::_answer(Announcement::Kind kind)
{
	Announcement const &base = _base_announced;

	_announce(Announcement::create(_ownership->side(), kind, base.slot, base.number,
	                               base.num_bytes, base.image_crc));
}


/**
 * Create the child, and provide its sessions and memory
 */
bool Managed_child::_begin_ahead()
{
	Image::Reader const &image = _base.chain->last();

	if (image.system().checkpoint != _base_announced.number
	 || image.header_crc()        != _base_announced.image_crc || !_create_for(image))
		return false;

	_begun.construct(*_child, *_base.chain);

	try { return _begun->begin(); }
	catch (...) { return false; }
}


void Managed_child::_base_read(Image_store::Result const &result)
{
	/* the configuration may have changed meanwhile */
	if (_state != State::AWAY || !_present || !(_job_place == place())) {
		if (_state == State::AWAY)
			_poll_later();
		return;
	}

	bool const ok = result.ok && _begin_ahead();

	if (!ok)
		_destroy_child();

	_set(State::AWAY);
	_answer(ok ? Announcement::PREPARED : Announcement::UNPREPARED);
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

	/* the clients of a child may have donated something to it, which the restore looks at */
	bool const quota = system.ram_quota <= _started.ram.value && system.cap_quota <= _started.caps.value;

	if (system.checkpoint != claim.number || chain.last().header_crc() != claim.image_crc
	 || !(quota || _services.constructed()))
		return false;

	_prepared.construct(*_child, chain, &*_begun);

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
