/*
 * \brief  Child that is saved and restored as configured
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;


/*******************
 ** Configuration **
 *******************/

void Managed_child::update(Start_node const &values, Node const &start, Node const &routes)
{
	bool const elsewhere = !(_values.place == values.place) || _values.side != values.side;

	/* what was begun may not be what is wanted now */
	if (_begun.constructed() && !_prepared.constructed())
		_destroy_child();

	bool const here = _child.constructed();

	/* it was not yet removed because of what was being read or written */
	bool const returns = !_present && (_state == State::STOPPED || _state == State::EXITED);

	bool const restart = returns || _values.version != values.version
	                  || (elsewhere && !here && (_state == State::AWAY || _state == State::LOADING));

	/* what the former records say is of no use, the new ones are read before a restore */
	if (elsewhere && !here)
		_ownership.destruct();

	if (here && !restart && (_values.side         != values.side
	                      || _values.place.shared != values.place.shared))
		_refuse("move", "the side changes when the child is started the next time");

	/* it comes back while its last image is being written */
	if (!_present && _state == State::FROZEN)
		_start_again = true;

	_values       = values;
	_present      = true;
	_stop_refused = false;

	_routes.update(routes);
	_config_node.destruct();
	start.with_optional_sub_node("config", [&] (Node const &node) {
		_config_node.construct(_common.alloc, node); });

	_update_offer(start);

	/* the period begins anew if it has become shorter */
	if (_values.interval_ms)
		_due_us = min(_due_us, _common.now_us() + 1000*_values.interval_ms);

	if (restart || _state == State::FAILED)
		_end(State::NEW);

	_changed = true;
}


void Managed_child::request_checkpoint(Version const &version)
{
	if (version == _checkpoint_version)
		return;

	_checkpoint_version = version;
	_wanted   = version.length() > 1;
	_attempts = 0;
}


void Managed_child::request_restore(Version const &version)
{
	if (version == _restore_version)
		return;

	_restore_version = version;
	_reload = version.length() > 1;
}


void Managed_child::request_move(Version const &version, bool here, bool ahead)
{
	if (version == _move_version)
		return;

	_move_version = version;
	_move_wanted  = version.length() > 1 && !here && _state != State::AWAY;
	_move_ahead   = ahead;
	_attempts     = 0;

	_forget_rounds();
}


/**
 * Refuse to move what cannot be moved
 */
void Managed_child::_check_move(bool ended)
{
	bool const starting = _state == State::NEW || _state == State::LOADING,
	           shared   = starting ? _values.place.shared : _ownership.constructed();

	if (_move_wanted && (ended || !shared)) {
		_refuse("move", ended ? "the child has ended"
		                      : "the place of the images is not shared with another system");
		_move_wanted = false;
	}
}


/**************
 ** Sessions **
 **************/

void Managed_child::exited(int value)
{
	_exited     = true;
	_exit_value = value;
	_common.schedule_work();
}


bool Managed_child::permitted(Service const &service, Session_label const &label)
{
	bool result = service == "ROM" && label.last_element() == "config" && _config.constructed();

	if (!result)
		_routes.with_route(_values.name, service, label, [&] (Session_label const &) {
			result = true; });

	return result;
}


Cap_checkpoint::Session_policy::Rom Managed_child::rom(Session_label const &label)
{
	if (label.last_element() == "config" && _config.constructed())
		return { label, _config->ds() };

	Rom rom { };
	_routes.with_route(_values.name, "ROM", label, [&] (Session_label const &target) {
		rom.label = target; });

	return rom;
}


Session_label Managed_child::label(Service const &service, Session_label const &label)
{
	Session_label result = label;
	_routes.with_route(_values.name, service, label, [&] (Session_label const &target) {
		result = target; });

	return result;
}


/**********
 ** Work **
 **********/

bool Managed_child::_due(uint64_t now) const
{
	if (!_started.place.valid() || now < _retry_us || _waits_for_answer(now))
		return false;

	return _wanted || _move_wanted
	    || (!_present && _values.at_stop && !_stop_refused)
	    || (_present && _values.interval_ms && now >= _due_us);
}


/**
 * Start a child, or begin to look for its images
 */
void Managed_child::_work_on_start(uint64_t now)
{
	char const * const mistake = _values.mistake();

	if (mistake) {
		_refuse("start", mistake);
		_end(State::FAILED);
		return;
	}

	bool const restore = _values.place.shared
	                  || (_values.place.valid() && _values.restore != Start_node::Restore::NO);

	if (restore && _common.store_is(Store_state::STARTING)) {
		if (_store_is_late(now) && !_wait_told) {
			_refuse("start", "file systems for images do not answer");
			_wait_told = true;
		}
		return;
	}

	if (_place_is_taken("start"))
		return;

	if (_values.place.valid() && !_common.store.constructed()) {
		_refuse("start", "there is no VFS for images");
		_end(State::FAILED);

	} else if (restore && _common.store_is(Store_state::FAILED)) {
		_refuse("restore", "file systems for images are not available");

		if (_values.restore == Start_node::Restore::ONLY || _values.place.shared)
			_end(State::FAILED);
		else
			_start();

	} else if (!restore) {
		_start();

	} else if (_common.store_is(Store_state::IDLE)) {
		_set(State::LOADING);
		_load_at_start();
	}
}


/**
 * Respond to a medium that does not answer
 */
void Managed_child::_work_on_delay(uint64_t now)
{
	if (_job == Operation::SAVE || _job_is_late
	 || now <= _job_start + 1000*_values.timeout_ms)
		return;

	_job_is_late = true;
	_refuse(_job == Operation::LOAD ? "restore" : _job == Operation::WRITE ? "checkpoint" : "move",
	        "medium of ", place().path, " does not answer");

	/* whether a record was written will be known when it can be read */
	if (_state == State::OFFERED)
		_set(State::UNDECIDED);

	/* the image may still become complete */
	if (_state == State::FROZEN && _job == Operation::WRITE)
		_go_on();
}


void Managed_child::work()
{
	uint64_t const now = _common.now_us();

	if (now >= _retry_us)
		_retry_us = 0;

	/* the requests of the frozen child were served meanwhile */
	if (_serving) {
		bool const stays = _state == State::RUNNING && !_exited && _stays_frozen();

		/* the child does nothing by which it would have to be frozen again */
		if (stays && _draining && now < _freeze_us + MAX_DRAIN_US && !_child->drained())
			return;

		_served_requests();

		if (stays) {
			_freeze_and_save();
			return;
		}
		_child->thaw();
		_common.store->release();
	}

	if (_exited && _child.constructed()) {
		log("child \"", _values.name, "\" exited with exit value ", _exit_value);
		_end(State::EXITED);
	}

	_work_on_image(now);

	if (busy())
		_work_on_delay(now);
	else if (!_begun.constructed())
		_base.destruct();

	bool const at_stop = _values.at_stop && _started.place.valid() && _state == State::RUNNING;

	if (!_present && _state != State::FROZEN && !at_stop && _child.constructed())
		_end(State::STOPPED);

	if (_over() && _services.constructed())
		_services->withdraw();

	if (_state == State::NEW && _present && !busy()) {
		_work_on_start(now);
		return;
	}

	bool const running = _state == State::RUNNING,
	           ended   = _state == State::STOPPED || _state == State::EXITED
	                  || _state == State::FAILED;

	_check_move(ended);

	if (running || ended) {
		if (!place().valid())
			_refuse_requests("there is no place for images");

		if (_store_is_late(now) || !_common.store.constructed()
		 || _common.store_is(Store_state::FAILED)) {

			_refuse_requests("file systems for images are not available");
			_wait_told = true;

			if (running && _due(now)) {
				_refuse("checkpoint", "file systems for images are not available");
				_give_up();
			}
		}
	}

	if (_state == State::AWAY)
		_refuse_requests("the other system has the child");

	if (busy() || !_common.store_is(Store_state::IDLE) || !place().valid())
		return;

	if (_poll_us && now >= _poll_us && _present) {
		_look();
		return;
	}

	if (ended && _reload && _present) {

		_conflict = false;
		if (_place_is_taken("restore")) {
			_reload = false;
		} else {
			_set(State::LOADING);
			_load_at_start();
		}

	} else if (running && _may_restore() && (_reload || (_due(now) && !(_known == _started.place)))) {
		_load();

	} else if (running && _due(now)) {
		/* what another system has by now is not overwritten */
		if (_ownership.constructed())
			_look();
		else
			_checkpoint();
	}
}


bool Managed_child::obsolete()
{
	return _over() && !(_services.constructed() && _services->numbers().dead);
}


uint64_t Managed_child::deadline_us() const
{
	uint64_t result = ~0ULL;

	/* the end of a job is an occasion for work anyway */
	bool const able = _common.store_is(Store_state::IDLE)
	               || _common.store_is(Store_state::FAILED)
	               || (_common.store_is(Store_state::STARTING) && _wait_told);

	if (_state == State::RUNNING && !busy() && able && _started.place.valid()) {
		if (_present && _values.interval_ms)
			result = max(_due_us, _retry_us);
		if (_retry_us)
			result = min(result, _retry_us);

		/* nothing is due before, see '_due' */
		uint64_t const now = _common.now_us();
		if (_waits_for_answer(now))
			result = max(result, _answer_limit_us());
	}

	if (_making.constructed())
		result = min(result, _turn_us);

	/* the last client may have closed its session */
	if (_over())
		result = _common.now_us() + CLIENTS_US;

	/* soon, but behind the requests of the child */
	if (_serving)
		result = _draining ? _common.now_us() + DRAIN_TURN_US : 0;

	if (_poll_us && _present && !busy() && able)
		result = min(result, _poll_us);

	if (_common.store_is(Store_state::STARTING) && _wait_us && !_wait_told)
		result = min(result, _wait_us + 1000*_values.timeout_ms + 1);

	if (busy() && _job != Operation::SAVE && !_job_is_late)
		result = min(result, _job_start + 1000*_values.timeout_ms + 1);

	return result;
}


bool Managed_child::give_way()
{
	/* what was begun ahead is begun anew once it is needed */
	if (_begun.constructed() && !_prepared.constructed() && !busy()) {
		_destroy_child();
		_base.destruct();
		return true;
	}

	return _copies.constructed() && !_making.constructed()
	    && _copies->drop("something else needed the RAM");
}
