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
	     && _taken     .reserve(_image.num<Image::Dataspace>())
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
 * Forget the memory that was provided ahead and goes along with a session
 */
void Restore::_forget_memory(Open_session &open)
{
	auto forget = [&] (Dataspace const &ds)
	{
		for (size_t i = 0; i < _ahead->_dataspaces.count(); i++)
			if (_ahead->_dataspaces[i] == &ds)
				_ahead->_dataspaces[i] = nullptr;
	};

	open.for_each_memory([&] (uint32_t, Dataspace &ds) { forget(ds); });

	open.with_pd([&] (Pd_service_session &child) {
		child.pd.dataspaces.for_each([&] (Dataspace &ds) { forget(ds); }); });

	open.with_cpu([&] (Cpu_service_session &session) {
		if (session.cpu.trace)
			forget(*session.cpu.trace); });
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

		_child.parent.for_each_session([&] (Open_session &open) {

			bool same = false;
			_image.for_each<Image::Session>([&] (size_t, Image::Session const &s) {
				same |= _same(s, open); });

			if (!same && !found) {
				found = true;
				id    = open.request.id;
				_forget_memory(open);
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
 * Whatever has memory is a server that others may see. PD and CPU sessions have none, and a ROM
 * session that does not change has none either, whatever the image says.
 */
bool Restore::_wanted(size_t session) const
{
	Image::Session const s = _image.get<Image::Session>(session);

	if (!_begins || !strcmp(s.service, "PD") || !strcmp(s.service, "CPU"))
		return true;

	bool memory = false, unchanging = false;

	_image.for_each<Image::Dataspace>([&] (size_t, Image::Dataspace const &ds) {
		memory |= (ds.kind == Image::Dataspace::SESSION && ds.owner == session); });

	_image.for_each<Image::Rom>([&] (size_t, Image::Rom const &rom) {
		unchanging |= (rom.session == session); });

	return !memory || unchanging;
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

	if (all)
		_find_members();

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

	bool ok = true;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		uint32_t const origin = _chain.origin(uint32_t(i), _filled - 1);

		if (origin == NONE || !earlier[origin])
			return;

		bool const ram   = ds.kind == Image::Dataspace::RAM,
		           trace = ds.kind == Image::Dataspace::TRACE;

		/* all else is not filled ahead */
		if (!ram && !trace)
			return;

		/* a member has what it has allocated */
		bool own = trace && _cpu_of_trace(ds).trace == earlier[origin];
		if (ram)
			_members[ds.member]->dataspaces.with_dataspace(earlier[origin]->cap,
				[&] (Dataspace &) { own = true; }, [&] { });

		if (!own) {
			ok = _refuse(Refused::Reason::IMAGE, "origin of dataspace ", i);
			return;
		}

		_dataspaces[i]  = earlier[origin];
		_taken[i]       = true;
		earlier[origin] = nullptr;
	});

	for (size_t i = 0; i < earlier.count(); i++) {

		Dataspace * const ds = earlier[i];

		if (ds && ds->kind == Image::Dataspace::RAM) {
			Ram_dataspace_capability const cap = static_cap_cast<Ram_dataspace>(ds->cap);
			_child.for_each_pd([&] (Virtual_pd &pd) { pd.free_ram(cap); });
		}

		/* there is one that nobody can make empty again */
		if (ds && ds->kind == Image::Dataspace::TRACE)
			ok = _refuse(Refused::Reason::MEMORY, "another trace buffer");
	}
	return ok;
}


bool Restore::_provide_dataspaces()
{
	using Kind = Image::Dataspace::Kind;

	/* those that come along with each member */
	for (uint32_t member = 0; member < _image.num_members(); member++)
		_members[member]->dataspaces.for_each([&] (Dataspace &own) {
			if (own.kind == Kind::STACK_AREA || own.kind == Kind::LINKER_AREA
			 || own.kind == Kind::CAP_SPACE)
				_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {
					if (ds.member == member && ds.kind == own.kind && ds.size == own.size)
						_dataspaces[i] = &own; }); });

	if (!_take_shared_memory() || (!_begins && !_create_maps()))
		return false;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		if (ds.kind == Kind::RAM && !_dataspaces[i])
			_members[ds.member]->alloc(size_t(ds.size), Cache(ds.cache)).with_result(
				[&] (Dataspace *ram) { _dataspaces[i] = ram; }, [&] (Alloc_error) { });

		if (ds.kind == Kind::SESSION && _sessions[ds.owner])
			_dataspaces[i] = _sessions[ds.owner]->provide_memory(ds.part, size_t(ds.size));

		if (ds.kind == Kind::TRACE) {
			Virtual_cpu &cpu = _cpu_of_trace(ds);
			if (cpu.trace_control().valid())
				_dataspaces[i] = cpu.trace;
		}
	});

	bool all = true;

	/* the image decides neither about sizes of what exists, nor beyond this machine's addresses */
	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {
		if (ds.kind == Kind::SESSION && !_sessions[ds.owner])
			return;
		if (ds.kind == Kind::REGION_MAP && _begins)
			return;
		if (all && (!_dataspaces[i] || _dataspaces[i]->size != ds.size))
			all = _refuse(Refused::Reason::MEMORY, _named(ds.member), "dataspace ", i); });

	return all && (_begins || _memory_is_complete());
}


bool Restore::_fill_pages()
{
	Env::Local_rm &local_rm = _child.monitor().local_rm;

	bool all = true;

	for (size_t i = 0; i < _dataspaces.count(); i++) {

		/* what is new here may have been in former containers nevertheless */
		unsigned const position = _taken[i] ? _filled : 0;

		auto for_each_page = [&] (auto const &fn) {
			_chain.for_each_page(uint32_t(i), fn, position); };

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


bool Restore::_provide()
{
	return _is_of_this_system() && _has_environment() && _reserve() && _child.has_quota() && _read_clients()
	    && _take_donations() && _open_sessions() && _provide_roms() && (!_ahead || _take_dataspaces())
	    && _provide_quota() && _provide_dataspaces() && _fill_pages();
}


bool Restore::begin()
{
	_begins = true;
	return _provide();
}


bool Restore::prepare()
{
	bool const ok =
		_provide() && _servers_fit() && _fill_parent_cap() && _fill_tables()
		&& _attach_regions()  && _faults_are_open() && _create_threads() && _create_sources()
		&& _create_contexts() && _create_gates()    && _assign_parents() && _install_caps()
		&& _register_handlers();

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
		_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {
			_cpu_of(thread.session).kill_thread(_threads[i]); });
	}
	return *_refused;
}
