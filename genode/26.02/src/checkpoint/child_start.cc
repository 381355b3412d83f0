/*
 * \brief  Start a child anew, or from an image
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
 * Make the content of the child's "config" ROM module
 */
bool Managed_child::_provide_config()
{
	_config.destruct();

	if (!_config_node.constructed())
		return true;

	/* the text may become longer by a different indentation */
	_config.construct(_common.monitor.ram, _common.monitor.local_rm,
	                  2*_config_node->num_bytes() + 4096);

	/* otherwise, a session would lead to another module of this name */
	if (!_config->valid())
		return false;

	using Depth = Generator::Max_depth;

	Generator::generate({ _config->start(), _config->size() }, "config",
		[&] (Generator &g) {
			g.node_attributes(*_config_node);
			if (!g.append_node_content(*_config_node, Depth { 20 }))
				warning(_values.name, ": configuration is nested too deeply");
		}).with_error([&] (Buffer_error) {
			warning(_values.name, ": configuration is too large"); });

	return true;
}


bool Managed_child::_create(char const *operation)
{
	Cap_checkpoint::Monitor &monitor = _common.monitor;

	Ram_quota const ram  { _values.ram.value  + CHILD_RAM };
	Cap_quota const caps { _values.caps.value + CHILD_CAPS };

	if (!available(monitor.own_pd, ram, caps)) {
		_refuse(operation, "quota exceeds what is available: ", ram, " of ",
		        monitor.own_pd.avail_ram(), " bytes, ", caps, " of ",
		        monitor.own_pd.avail_caps(), " capabilities");
		return false;
	}

	_started = _values;
	_exited  = false;

	if (!_provide_config()) {
		_refuse(operation, "not enough RAM for the configuration");
		return false;
	}

	Cap_checkpoint::Virtual_parent::Exit_handler &exit_handler = *this;
	Cap_checkpoint::Session_policy               &policy       = *this;

	try {
		_child.construct(monitor, Session::Label(_values.name),
		                 Cap_checkpoint::Child::Quota { _values.ram, _values.caps },
		                 exit_handler, _values.priority, policy);
	}
	catch (...) {
		_refuse(operation, "sessions at core are not available");
		return false;
	}

	if (_child->has_quota())
		return true;

	_refuse(operation, "quota is not available");
	_child.destruct();
	return false;
}


/**
 * Bring the child to its end, or to its beginning
 */
void Managed_child::_end(State state)
{
	_child.destruct();
	_config.destruct();
	_exited = false;

	/* a request that comes with the start of a child is not lost */
	if (state != State::NEW && state != State::LOADING)
		_wanted = false;

	_set(state);
}


/**
 * Start the child anew
 */
void Managed_child::_start()
{
	using Result = Cap_checkpoint::Child::Start_result;

	if (!_create("start")) {
		_end(State::FAILED);
		return;
	}

	Result result = Result::NO_MEMORY;

	try { result = _child->start(Session_label(_values.binary)); }
	catch (...) { error(_values.name, ": out of memory or capabilities"); }

	if (result != Result::OK) {
		_refuse("start", result == Result::NO_ROM    ? "ROM module or session missing"
		               : result == Result::NO_MEMORY ? "RAM quota too low"
		                                             : "thread not created");
		_end(State::FAILED);
		return;
	}
	_child->checkpoints = _newest;
	_begin();
}


void Managed_child::_begin()
{
	_attempts = 0;
	_retry_us = 0;
	_due_us   = _common.now_us() + 1000*_values.interval_ms;
	_set(State::RUNNING);
}


/**
 * Create the child from an image
 */
void Managed_child::_restore(Image::Reader const &image)
{
	Image::System const system = image.system();

	if (system.ram_quota > _values.ram.value || system.cap_quota > _values.caps.value) {
		_refuse("restore", "quota is too small: ", _values.ram, " of ", system.ram_quota,
		        " bytes, ", _values.caps, " of ", system.cap_quota, " capabilities");
		return;
	}

	/* the one that is to be replaced */
	_end(State::LOADING);

	if (!_create("restore"))
		return;

	uint64_t const start = _common.now_us();

	Cap_checkpoint::Restore restore { *_child, image };

	try {
		restore.restore().with_result(
			[&] (Cap_checkpoint::Restored const &restored) {
				_stat.from_image  = restored;
				_stat.from_number = system.checkpoint;
				_stat.restored++;
				_begin(); },
			[&] (Refused const &refused) {
				_refuse("restore", refused); });
	}
	catch (...) { _refuse("restore", "out of memory or capabilities"); }

	_stat.restore_us = _common.now_us() - start;

	if (_state != State::RUNNING)
		_end(State::LOADING);
}
