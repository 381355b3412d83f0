/*
 * \brief  Provide sessions and memory of a restored component
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/shadow.h>

using namespace Cap_checkpoint;


bool Restore::_reserve()
{
	size_t const num_threads = _image.num<Image::Thread>();

	size_t num_maps = 0;
	_image.for_each<Image::Dataspace>([&] (size_t, Image::Dataspace const &ds) {
		num_maps += (ds.kind == Image::Dataspace::REGION_MAP); });

	return (_sessions  .reserve(_image.num<Image::Session>())
	     && _dataspaces.reserve(_image.num<Image::Dataspace>())
	     && _kept      .reserve(_image.num<Image::Dataspace>())
	     && _maps      .reserve(num_maps)
	     && _threads   .reserve(num_threads)
	     && _natives   .reserve(num_threads)
	     && _badges    .reserve(num_threads)
	     && _sources   .reserve(_image.num<Image::Source>())
	     && _contexts  .reserve(_image.num<Image::Context>())
	     && _gates     .reserve(_image.num<Image::Gate>()))
	    || _refuse(Refused::Reason::OUT_OF_MEMORY, "objects");
}


/**
 * Return true if a session that is open is the one of the image
 */
bool Restore::_same(Image::Session const &s, Open_session const &open) const
{
	Open_session::Request const &request = open.request;

	Affinity const &affinity = request.affinity;

	return request.id.value == s.id
	    && request.service  == Open_session::Service(s.service)
	    && request.args     == Open_session::Args(s.args)
	    && request.donated.ram.value  == s.ram_quota
	    && request.donated.caps.value == s.cap_quota
	    && affinity.space().width()   == s.affinity[0]
	    && affinity.space().height()  == s.affinity[1]
	    && unsigned(affinity.location().xpos()) == s.affinity[2]
	    && unsigned(affinity.location().ypos()) == s.affinity[3]
	    && affinity.location().width()  == s.affinity[4]
	    && affinity.location().height() == s.affinity[5];
}


/**
 * Close sessions that were opened ahead, and are not those of the image
 */
bool Restore::_close_other_sessions()
{
	using Id = Parent::Client::Id;

	/* those of ROM modules go with their sessions */
	for (size_t i = 0; i < _ahead->_dataspaces.count(); i++) {
		Dataspace *&ds = _ahead->_dataspaces[i];
		if (ds && ds->kind == Image::Dataspace::ROM)
			ds = nullptr;
	}

	for (;;) {
		bool found = false;
		Id   id { };

		_child.parent.for_each_session([&] (Open_session const &open) {

			bool same = false;
			_image.for_each<Image::Session>([&] (size_t, Image::Session const &s) {
				same |= _same(s, open); });

			if (!same && !found) {
				found = true;
				id    = open.request.id;
			}
		});

		if (!found)
			return true;

		if (Parent::Env::session_id(id))
			return _refuse(Refused::Reason::SESSION, "another one in the environment");

		(void)_child.parent.close(id);
	}
}


/**
 * Return true if a session is opened by now
 *
 * Whatever has memory is a server that others may see.
 */
bool Restore::_wanted(size_t session) const
{
	bool memory = false;

	if (_begins)
		_image.for_each<Image::Dataspace>([&] (size_t, Image::Dataspace const &ds) {
			memory |= (ds.kind == Image::Dataspace::SESSION && ds.owner == session); });

	return !memory;
}


bool Restore::_open_sessions()
{
	bool all = true;

	if (_ahead && !_close_other_sessions())
		return false;

	_image.for_each<Image::Session>([&] (size_t i, Image::Session const &s) {

		if (_ahead)
			_child.parent.for_each_session([&] (Open_session &open) {
				if (_same(s, open))
					_sessions[i] = &open; });

		if (!all || _sessions[i] || !_wanted(i))
			return;

		Affinity::Space    const space    { s.affinity[0], s.affinity[1] };
		Affinity::Location const location { int(s.affinity[2]), int(s.affinity[3]),
		                                    s.affinity[4], s.affinity[5] };

		_child.parent.open({ .id = { (unsigned long)s.id },
		                     .service  = s.service,
		                     .args     = s.args,
		                     .affinity = { space, location },
		                     .donated  = { { size_t(s.ram_quota) }, { size_t(s.cap_quota) } } })
			.with_result([&] (Open_session *session) {
				_sessions[i] = session;
				session->hold(); },
			             [&] (Session_error) {
				all = _refuse(Refused::Reason::SESSION, Cstring(s.service), ", ", Cstring(s.args)); }); });

	return all;
}


/**
 * Make sure that the ROM modules that do not change are those of the saved component
 */
bool Restore::_provide_roms()
{
	bool all = true;

	/* the dataspaces refer to the modules by number */
	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		if (!all || ds.kind != Image::Dataspace::ROM)
			return;

		Image::Rom const rom = _image.get<Image::Rom>(ds.owner);

		bool same = false;
		_sessions[rom.session]->with_rom([&] (Rom_service_session &session) {
			same = session.ds->size == rom.size
			    && session.with_hash([&] (Sha256::Digest const &hash) {
			       	same = hash == rom.hash; })
			    && same;
			_dataspaces[i] = session.ds; });

		if (!same)
			all = _refuse(Refused::Reason::ROM_DIFFERS, Cstring(rom.name)); });

	return all;
}


/**
 * Take dataspaces that were provided ahead, and free those that have vanished since
 */
bool Restore::_take_dataspaces()
{
	Array<Dataspace *> &earlier = _ahead->_dataspaces;

	_filled = _ahead->_filled;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &) {

		uint32_t const origin = _chain.origin(uint32_t(i), _filled - 1);

		if (origin != NONE) {
			_dataspaces[i]  = earlier[origin];
			earlier[origin] = nullptr;
		}
	});

	bool ok = true;

	for (size_t i = 0; i < earlier.count(); i++) {

		Dataspace * const ds = earlier[i];

		if (ds && ds->kind == Image::Dataspace::RAM)
			_child.pd.free(*ds);

		/* there is one that nobody can make empty again */
		if (ds && ds->kind == Image::Dataspace::TRACE)
			ok = _refuse(Refused::Reason::MEMORY, "another trace buffer");
	}
	return ok;
}


bool Restore::_provide_dataspaces()
{
	using Kind = Image::Dataspace::Kind;

	if (_ahead && !_take_dataspaces())
		return false;

	/* those that come along with the child */
	_child.pd.dataspaces.for_each([&] (Dataspace &own) {
		if (own.kind == Kind::STACK_AREA || own.kind == Kind::LINKER_AREA
		 || own.kind == Kind::CAP_SPACE)
			_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {
				if (ds.kind == own.kind && ds.size == own.size)
					_dataspaces[i] = &own; }); });

	_take_shared_memory();

	if (!_begins && !_create_maps())
		return false;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		if (ds.kind == Kind::RAM && !_dataspaces[i])
			_child.pd.alloc(size_t(ds.size), Cache(ds.cache)).with_result(
				[&] (Dataspace *ram) { _dataspaces[i] = ram; }, [&] (Alloc_error) { });

		if (ds.kind == Kind::SESSION && _sessions[ds.owner])
			_dataspaces[i] = _sessions[ds.owner]->provide_memory(ds.part, size_t(ds.size));

		if (ds.kind == Kind::TRACE && _child.cpu.trace_control().valid())
			_dataspaces[i] = _child.cpu.trace;
	});

	bool all = true;

	/* the image decides neither about sizes of what exists, nor beyond this machine's addresses */
	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {
		if (ds.kind == Kind::SESSION && !_sessions[ds.owner])
			return;
		if (ds.kind == Kind::REGION_MAP && _begins)
			return;
		if (all && (!_dataspaces[i] || _dataspaces[i]->size != ds.size))
			all = _refuse(Refused::Reason::MEMORY, "dataspace ", i); });

	return all && (_begins || _memory_is_complete());
}


bool Restore::_fill_pages()
{
	Env::Local_rm &local_rm = _child.monitor().local_rm;

	bool all = true;

	for (size_t i = 0; i < _dataspaces.count(); i++) {

		auto for_each_page = [&] (auto const &fn) {
			_chain.for_each_page(uint32_t(i), fn, _filled); };

		Dataspace * const ds = _dataspaces[i];

		/* pages of an increment may be a small part of the dataspace */
		uint32_t first = NONE, end = 0;
		for_each_page([&] (uint32_t page, char const *) {
			first = min(first, page);
			end   = max(end, page + 1); });

		if (ds && !_kept[i] && first < end && end <= ds->size/Image::PAGE_SIZE
		 && !with_attached(local_rm, ds->cap, Access::WRITE,
			[&] (char *start, size_t) {
				for_each_page([&] (uint32_t page, char const *bytes) {
					Shadow::copy_page(start + (page - first)*Image::PAGE_SIZE, bytes); }); },
			{ .offset = first*Image::PAGE_SIZE, .size = (end - first)*Image::PAGE_SIZE }))
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, "dataspace ", i);
	}
	_filled = _chain.length();

	return all;
}


/**
 * Let the component find the capability of its new parent
 */
bool Restore::_fill_parent_cap()
{
	Image::System const system = _image.system();

	_child.parent_ds     = _dataspaces[system.parent_dataspace];
	_child.parent_offset = size_t(system.parent_offset);
	_child.checkpoints   = system.checkpoint;

	return with_attached(_child.monitor().local_rm, _child.parent_ds->cap, Access::WRITE,
		[&] (char *start, size_t) {
			*(Untyped_capability::Raw *)(start + _child.parent_offset) =
				Native_capability(_child.parent.cap()).raw(); })
		|| _refuse(Refused::Reason::OUT_OF_MEMORY, "parent capability");
}


bool Restore::_fill_table()
{
	bool fits = false;

	(void)with_attached(_child.monitor().local_rm, _child.pd.cap_space.ds(), Access::WRITE,
		[&] (char *start, size_t size) {
			_image.with_table([&] (char const *table, size_t table_size) {
				if (table_size <= size) {
					memcpy(start, table, table_size);
					fits = true;
				} }); });

	return (fits && Cap_map::ok(_child.pd.cap_space.attach()))
	    || _refuse(Refused::Reason::NO_TABLE, "cannot be filled");
}


bool Restore::_provide()
{
	return _is_of_this_system() && _is_childless() && _reserve() && _child.has_quota() && _read_clients()
	    && _take_donations() && _open_sessions() && _provide_roms() && _provide_dataspaces() && _fill_pages();
}


bool Restore::begin()
{
	_begins = true;
	return _provide();
}


bool Restore::prepare()
{
	bool const ok =
		_provide() && _servers_fit() && _fill_parent_cap() && _fill_table()
		&& _attach_regions()  && _faults_are_open() && _create_threads() && _create_sources()
		&& _create_contexts() && _create_gates()    && _install_caps()   && _register_handlers();

	if (ok)
		_resume_clients();
	else if (!_refused.constructed())
		(void)_refuse(Refused::Reason::MEMORY, "quota exceeds what the monitor has");

	return ok;
}


Restore_result Restore::start()
{
	if (!_refused.constructed()) {
		_set_timers();

		if (_start_threads()) {
			_submit_signals();
			return _restored;
		}

		/* no half of a component goes on, which might exist elsewhere as a whole */
		for (size_t i = 0; i < _image.num<Image::Thread>(); i++)
			_child.cpu.kill_thread(_threads[i]);
	}
	return *_refused;
}
