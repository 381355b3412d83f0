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
 * Make the content of the child's "config" ROM module, which is empty without a 'config' node
 */
bool Managed_child::_provide_config()
{
	_config.destruct();

	/* the text may become longer by a different indentation */
	size_t const max_size = 2*(_config_node.constructed() ? _config_node->num_bytes() : 0) + 4096;

	Buffer const text { _common.monitor.ram, _common.monitor.local_rm, max_size };

	if (!text.valid())
		return false;

	bool complete = true;

	size_t const size = Generator::generate({ text.start(), text.size() }, "config",
		[&] (Generator &g) {
			if (_config_node.constructed()) {
				g.node_attributes(*_config_node);
				complete = g.append_node_content(*_config_node, Generator::Max_depth { 20 });
			}
		}).convert<size_t>([] (size_t n)     { return n; },
		                   [] (Buffer_error) { return 0UL; });

	if (!complete || !size)
		return false;

	/* the size depends on the content only, as images contain a hash */
	_config.construct(_common.monitor.ram, _common.monitor.local_rm, size);

	if (!_config->valid())
		return false;

	memcpy(_config->start(), text.start(), size);
	return true;
}


/**
 * Return true if there is enough for the child, given that the former one ends
 *
 * \param least  quota that an image asks for, which may be anything
 */
bool Managed_child::_affordable(char const *operation, Image::System const &least)
{
	Pd_session &pd = _common.monitor.own_pd;

	using Costs = Cap_checkpoint::Offer::Costs;

	Costs returned { { 0 }, { 0 } };

	if (_child.constructed()) {
		Costs const donated = _services.constructed() ? _services->donated() : returned;
		returned = { { _started.ram.value  + donated.ram.value },
		             { _started.caps.value + donated.caps.value } };
	}

	auto missing = [] (size_t configured, uint64_t least, size_t own, size_t returned)
	{
		/* the sum must not wrap */
		size_t const needed = max(configured, size_t(min(least, uint64_t(~0UL/2)))) + own;

		return needed > returned ? needed - returned : 0;
	};

	Ram_quota const ram  { missing(_values.ram.value,  least.ram_quota, CHILD_RAM,
	                               returned.ram.value) };
	Cap_quota const caps { missing(_values.caps.value, least.cap_quota, CHILD_CAPS,
	                               returned.caps.value) };

	if (available(pd, ram, caps) || (_common.reclaim_ram() && available(pd, ram, caps)))
		return true;

	_refuse(operation, "quota exceeds what is available: ", ram.value, " of ",
	        pd.avail_ram().value, " bytes, ", caps.value, " of ",
	        pd.avail_caps().value, " capabilities");
	return false;
}


/**
 * Make sure that nobody else uses the place of the images by now
 */
bool Managed_child::_place_is_free(char const *operation)
{
	_conflict = false;

	if (!_place_is_taken(operation))
		return true;

	if (!_conflict)
		_refuse(operation, "another child still has its images at ", _values.place.path);

	return false;
}


bool Managed_child::_create(char const *operation)
{
	Cap_checkpoint::Monitor &monitor = _common.monitor;

	if (!_affordable(operation, { }))
		return false;

	if (!_place_is_free(operation))
		return false;

	_started = _values;
	_exited  = false;

	if (!_provide_config()) {
		_refuse(operation, "configuration is nested too deeply, or there is not enough RAM for it");
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

	if (!_child->has_quota()) {
		_refuse(operation, "quota is not available");
		_child.destruct();
		return false;
	}

	/* the kernel takes notes of what is written from the first page on */
	if (_values.copies)
		_copies.construct(*_child, Cap_checkpoint::Precopy::Limit { .ram  = _values.copies,
		                                                            .caps = _values.copy_caps });

	return true;
}


void Managed_child::_destroy_child()
{
	_prepared.destruct();
	_begun.destruct();
	_making.destruct();

	if (_copies.constructed()) {
		_copies.destruct();
		(void)_common.store->trim();
	}
	_child.destruct();

	if (_serving) {
		_served_requests();
		_common.store->release();
	}
}


/**
 * Bring the child to its end, or to its beginning
 */
void Managed_child::_end(State state)
{
	/* what was saved is not lost */
	if (_making.constructed()) {
		Message const reason = _append_pages(Making::ALL_PAGES);
		if (reason.length() > 1)
			_refuse("checkpoint", reason);
	}

	_destroy_child();
	_lose_clients(state);
	_forget_rounds();
	_tail.valid = _job_tail.valid = false;
	_config.destruct();
	_exited      = false;
	_start_again = false;
	_conflict    = false;
	_poll_us     = 0;

	/* a request that comes with the start of a child is not lost */
	if (state != State::NEW && state != State::LOADING) {
		_wanted      = false;
		_move_wanted = false;
	}

	_set(state);

	/* somebody may wait for the place of the images */
	_common.schedule_work();
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
 * Create a child that an image fits to, in place of the one that may be there
 */
bool Managed_child::_create_for(Image::Reader const &image)
{
	Image::System const system = image.system();

	/* the clients of a child may have donated something to it */
	bool const clients = _services.constructed();

	if (!clients && (system.ram_quota > _values.ram.value || system.cap_quota > _values.caps.value)) {
		_refuse("restore", "quota is too small: ", _values.ram.value, " of ", system.ram_quota,
		        " bytes, ", _values.caps.value, " of ", system.cap_quota, " capabilities");
		return false;
	}

	if (!_affordable("restore", system) || !_place_is_free("restore"))
		return false;

	/* the one that is to be replaced */
	_end(State::LOADING);

	return _create("restore");
}


/**
 * Create the child from an image
 */
void Managed_child::_restore(Image::Chain const &image)
{
	if (!_create_for(image.last()))
		return;

	uint64_t const start = _common.now_us();

	Cap_checkpoint::Restore restore { *_child, image };

	try {
		restore.restore().with_result(
			[&] (Cap_checkpoint::Restored const &restored) {
				_stat.from_image  = restored;
				_stat.from_number = image.last().system().checkpoint;
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
