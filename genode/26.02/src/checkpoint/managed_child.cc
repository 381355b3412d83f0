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
	bool const restart = _values.version != values.version;

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

	/* the period begins anew if it has become shorter */
	if (_values.interval_ms)
		_due_us = min(_due_us, _common.now_us() + 1000*_values.interval_ms);

	if (restart || _state == State::FAILED)
		_end(State::NEW);

	_changed = true;
}


void Managed_child::conflict(bool conflict)
{
	if (conflict && !_conflict)
		_refuse("start", "another child has its images at ", _values.place.path);

	_conflict = conflict;
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


/***********
 ** Store **
 ***********/

void Managed_child::_submit(Operation operation)
{
	_job         = operation;
	_job_start   = _common.now_us();
	_job_is_late = false;
	_changed     = true;
}


void Managed_child::_load()
{
	_load_place = place();
	_submit(Operation::LOAD);
	_common.store->load(_load_place);
}


void Managed_child::finish_job()
{
	Image_store::Result const &result = _common.store->result();

	Operation const job = _job;

	_job     = Operation::NONE;
	_changed = true;

	if (job == Operation::LOAD)
		_loaded(result);
	else
		_written(result);

	_common.store->release();
}


void Managed_child::_loaded(Image_store::Result const &result)
{
	/* the configuration may have changed meanwhile */
	if (!_present || !(_load_place == place())) {
		if (_state == State::LOADING)
			_set(State::NEW);
		return;
	}

	_known     = _load_place;
	_newest    = result.newest >= 0 ? result.slots[result.newest].number : 0;
	_next_slot = result.newest >= 0 ? Place::NUM_SLOTS - 1 - result.newest : 0;

	if (!_child.constructed() || _reload) {

		bool const reload = _reload;
		_reload = false;

		/* tell about images that are not usable, but for what was never completed */
		bool told = false;
		for (Image_store::Slot const &slot : result.slots)
			if (slot.refusal.length() > 1 && result.newest < 0) {
				_refuse("restore", slot.refusal);
				told = true;
			}

		if (!result.ok)
			_refuse("restore", result.message);

		if (result.newest >= 0)
			_common.store->with_image(unsigned(result.newest), [&] (Image::Reader const &image) {
				_restore(image); });
		else if (!told && (reload || _values.restore == Start_node::Restore::ONLY))
			_refuse("restore", "no image at ", place().path);

		if (!_child.constructed()) {
			if (_values.restore == Start_node::Restore::ONLY || reload)
				_end(State::FAILED);
			else
				_start();
		}
	} else {
		_child->checkpoints = max(_child->checkpoints, _newest);
	}
}


void Managed_child::_written(Image_store::Result const &result)
{
	if (result.ok) {
		_stat.checkpoints++;
		_stat.write_us = _common.now_us() - _job_start;
		_newest       = _job_number;
		_next_slot    = Place::NUM_SLOTS - 1 - _next_slot;
		_stop_refused = false;
	} else {
		_refuse("checkpoint", "not written: ", result.message);
	}

	if (_state != State::FROZEN)
		return;

	if (result.ok) {
		_end(_start_again ? State::NEW : State::STOPPED);
		_start_again = false;
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
	_stop_refused = !_present;
	_set(State::RUNNING);
}


/**********
 ** Work **
 **********/

bool Managed_child::_due(uint64_t now) const
{
	if (!_started.place.valid() || now < _retry_us)
		return false;

	return _wanted
	    || (!_present && _values.at_stop && !_stop_refused)
	    || (_present && _values.interval_ms && now >= _due_us);
}


void Managed_child::work()
{
	uint64_t const now = _common.now_us();

	if (_exited && _child.constructed()) {
		log("child \"", _values.name, "\" exited with exit value ", _exit_value);
		_end(State::EXITED);
	}

	if (busy() && !_job_is_late && now > _job_start + 1000*_values.timeout_ms) {
		_job_is_late = true;
		_refuse(_job == Operation::LOAD ? "restore" : "checkpoint", "medium of ", place().path,
		        " does not answer");

		/* the image may still become complete */
		if (_state == State::FROZEN)
			_go_on();
	}

	bool const at_stop = _values.at_stop && _started.place.valid() && _state == State::RUNNING;

	if (!_present && _state != State::FROZEN && !at_stop && _child.constructed())
		_end(State::STOPPED);

	bool const store_is_idle = _common.store.constructed() && _common.store->idle();

	if (_state == State::NEW && _present && !_conflict && !busy()) {

		char const * const mistake = _values.mistake();

		if (mistake || (_values.place.valid() && !_common.store.constructed())) {
			_refuse("start", mistake ? mistake : "there is no VFS for images");
			_end(State::FAILED);

		} else if (!_values.place.valid() || _values.restore == Start_node::Restore::NO) {
			_start();

		} else if (store_is_idle) {
			_set(State::LOADING);
			_load();
		}
		return;
	}

	if (busy() || !store_is_idle || !place().valid())
		return;

	bool const running = _state == State::RUNNING,
	           ended   = _state == State::STOPPED || _state == State::EXITED
	                  || _state == State::FAILED;

	if (ended && _reload && _present && !_conflict) {
		_set(State::LOADING);
		_load();

	} else if (running && (_reload || !(_known == _started.place))) {
		_load();

	} else if (running && _due(now)) {
		_checkpoint();
	}
}


uint64_t Managed_child::deadline_us() const
{
	uint64_t result = ~0ULL;

	/* the end of a job is an occasion for work anyway */
	bool const idle = _common.store.constructed() && _common.store->idle();

	if (_state == State::RUNNING && !busy() && idle && _started.place.valid()) {
		if (_values.interval_ms)
			result = max(_due_us, _retry_us);
		if (_attempts)
			result = min(result, _retry_us);
	}

	if (busy() && !_job_is_late)
		result = min(result, _job_start + 1000*_values.timeout_ms + 1);

	return result;
}


