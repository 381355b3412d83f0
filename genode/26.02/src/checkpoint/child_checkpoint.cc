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

	return Message("not frozen: ", reason(stuck.reason), ", thread '", stuck.thread, "', ip ",
	               Hex(stuck.ip), ", slot ", Hex(stuck.slot));
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
	_attempts     = 0;
	_retry_us     = 0;
	_due_us       = _common.now_us() + 1000*_values.interval_ms;
}


bool Managed_child::_freeze()
{
	return _child->freeze().convert<bool>(
		[&] (Frozen const &)      { return true; },
		[&] (Stuck const &stuck) {
			_try_again(_text(stuck));
			return false; });
}


/**
 * Make an image of the frozen child in the memory of the store
 *
 * \param num_bytes  size of the image
 */
bool Managed_child::_save(size_t &num_bytes)
{
	using Cap_checkpoint::Save;
	using Sink = Image::Memory_sink;

	Image_store &store = *_common.store;

	auto save = [&] (Sink &sink)
	{
		Save &save = *new (_common.monitor.heap) Save(*_child, sink, _common.snapshot);

		bool const ok = save.save().convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) {
				_try_again(Message("not saved: ", refused));
				return false; });

		destroy(_common.monitor.heap, &save);
		num_bytes = size_t(sink.needed());
		return ok;
	};

	/* the first image tells how much memory is needed */
	for (unsigned i = 0; i < 2; i++) {

		Sink sink { store.memory(1), store.memory_size() };

		if (!save(sink))
			return false;

		if (sink.complete())
			return true;

		if (!store.memory(num_bytes)) {
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

	if (_stat.image_bytes)
		(void)_common.store->memory(_stat.image_bytes + IMAGE_GROWTH);

	bool     frozen = false, saved = false;
	size_t   num_bytes = 0;
	uint64_t save_us   = 0;

	uint64_t const freeze_us = _common.duration_us([&] { frozen = _freeze(); });

	if (frozen) {
		save_us = _common.duration_us([&] {
			try { saved = _save(num_bytes); }
			catch (...) { _try_again("not saved: out of memory"); } });

		if (!saved || !_stays_frozen())
			_child->thaw();
	}

	if (!saved) {
		_common.store->release();
		return;
	}

	_stat.freeze_us   = freeze_us;
	_stat.save_us     = save_us;
	_stat.image_bytes = num_bytes;

	_wanted   = false;
	_attempts = 0;
	_due_us   = _common.now_us() + 1000*_values.interval_ms;

	if (_stays_frozen())
		_set(State::FROZEN);

	_submit(Operation::WRITE, _started.place);
	_job_number = _child->checkpoints;
	_common.store->write(_started.place, _next_slot, num_bytes);
}
