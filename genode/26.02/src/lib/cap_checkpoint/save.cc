/*
 * \brief  Put what is known about a frozen component into an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/save.h>

using namespace Cap_checkpoint;


void Save::_put_system()
{
	Image::System system { };

	Offer * const offer   = _child.parent.offer();
	Offer::Costs  donated { { 0 }, { 0 } };

	if (offer)
		donated = offer->donated();

	system.version      = _contents;
	system.architecture = This_system::ARCHITECTURE;
	system.page_size    = Image::PAGE_SIZE;
	system.kernel       = Image::System::FOC;
	system.ram_quota    = _child.quota.ram.value  + donated.ram.value;
	system.cap_quota    = _child.quota.caps.value + donated.caps.value;
	system.checkpoint   = _number = ++_child.checkpoints;
	system.main_thread  = _main_thread;
	system.parent_slot  = _child.parent.slot;
	/* each member of a unit has its own one */
	system.parent_dataspace = _unit ? NONE : _child.parent_ds->number;
	system.parent_offset    = _unit ? 0    : _child.parent_offset;

	(void)Image::put_text(system.release, This_system::RELEASE);
	(void)Image::put_text(system.label, _child.pd.name.string());

	_writer.put(system);
}


void Save::_put_sessions()
{
	_child.parent.for_each_session([&] (Open_session &s) {

		Image::Session session { };

		Affinity const &affinity = s.request.affinity;

		session.id          = s.request.id.value;
		session.slot        = s.slot;
		session.ram_quota   = s.request.donated.ram.value;
		session.cap_quota   = s.request.donated.caps.value;
		session.affinity[0] = affinity.space().width();
		session.affinity[1] = affinity.space().height();
		session.affinity[2] = unsigned(affinity.location().xpos());
		session.affinity[3] = unsigned(affinity.location().ypos());
		session.affinity[4] = affinity.location().width();
		session.affinity[5] = affinity.location().height();

		(void)Image::put_text(session.service, s.request.service.string());
		(void)Image::put_text(session.label,   s.request.label().string());
		(void)Image::put_text(session.args,    s.request.args.string());

		_writer.put(session); });
}


void Save::_put_parts()
{
	_for_each_part([&] (uint32_t session, uint32_t part, Native_capability, uint32_t slot, bool) {
		_writer.put(Image::Part { .session = session, .part = part, .slot = slot, .zero = 0 }); });
}


void Save::_put_handlers()
{
	auto put = [&] (uint32_t session, uint32_t part, Signal_context_capability sigh)
	{
		for (uint32_t i = 0; i < _num_members; i++)
			_members[i].pd->signals.with_context(sigh, [&] (Context &context) {
				_writer.put(Image::Handler { .session = session, .part = part,
				                             .context = context.number, .zero = 0 }); });
	};

	_child.parent.for_each_session([&] (Open_session &session) {

		_with_pd(session, [&] (Virtual_pd &pd) {
			pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) {
				put(session.number, number, map.sigh); }); });

		_with_cpu(session, [&] (Virtual_cpu &cpu) { put(session.number, 0, cpu.sigh); });

		for (uint32_t part = 0; part < Open_session::MAX_HANDLERS; part++)
			put(session.number, part, session.handler(part));

		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t part, Virtual_region_map &map) {
				put(session.number, part, map.sigh); }); }); });

	for (unsigned i = 0; i < Image::Handler::NUM_PARENT; i++)
		put(NONE, i, _child.parent.sighs[i]);
}


void Save::_put_dataspaces()
{
	uint32_t number = 0;

	using Kind = Dataspace::Kind;

	auto put = [&] (Dataspace const &ds, Kind kind, uint32_t owner, uint32_t part,
	                uint32_t member = 0)
	{
		/* a dataspace of several sessions has its slot once */
		uint32_t const slot = (ds.number == number++) ? ds.slot : NONE;

		_writer.put(Image::Dataspace { .kind  = kind,    .cache = uint32_t(ds.cache),
		                               .size  = ds.size, .owner = owner, .part = part,
		                               .slot  = slot,    .member = member });
	};

	_child.parent.for_each_session([&] (Open_session &session) {
		session.for_each_memory([&] (uint32_t part, Dataspace &ds) {
			put(ds, Kind::SESSION, session.number, part); }); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t part, Virtual_region_map &map) {
				put(*map.managed, Kind::REGION_MAP, session.number, part); }); }); });

	_for_each_own_dataspace([&] (uint32_t member, Dataspace &ds, uint32_t owner) {
		put(ds, ds.kind, owner, 0, member); });

	uint32_t roms = 0;
	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rom([&] (Rom_service_session &rom) {
			put(*rom.ds, Kind::ROM, roms++, 0); }); });
}


bool Save::_put_roms()
{
	bool all = true;

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rom([&] (Rom_service_session &rom) {

			Image::Rom record { };

			record.size    = rom.ds->size;
			record.session = session.number;
			(void)Image::put_text(record.name, rom.name.string());

			if (!rom.with_hash([&] (Sha256::Digest const &hash) { record.hash = hash; }))
				all = _refuse(Refused::Reason::OUT_OF_MEMORY, "ROM module ", rom.name);

			_writer.put(record); }); });

	return all;
}


bool Save::_put_regions()
{
	bool all = true;

	uint32_t const NUM_MAPS = Image::Region::NUM_MAPS;

	_for_each_map([&] (Virtual_region_map &map) {
		map.for_each_region([&] (Region &r) {

			/* the areas of an environment belong to the address space in front of them */
			bool const area = r.ds && r.ds->area && r.ds->kind != Dataspace::Kind::REGION_MAP;

			bool const misplaced = area && map.number + r.ds->area->number % NUM_MAPS
			                            != r.ds->area->number;

			if (!r.ds || r.ds->number == NONE || misplaced) {
				all = _refuse(Refused::Reason::FOREIGN_MEMORY, _named(map.number/NUM_MAPS),
				              "map ", map.number, " at ", Hex(r.range.start));
				return;
			}

			_writer.put(Image::Region {
				.map    = map.number,
				.dataspace = r.ds->number,
				.at     = r.range.start,
				.size   = r.range.num_bytes,
				.offset = r.offset,
				.rights = (r.writeable  ? uint32_t(Image::Region::WRITE)   : 0)
				        | (r.executable ? uint32_t(Image::Region::EXECUTE) : 0),
				.zero   = 0 }); }); });

	return all;
}


void Save::_put_faults()
{
	using Type = Region_map::Fault::Type;

	/* in the order of threads */
	for (uint32_t i = 0; i < _threads.count(); i++)
		_child.unit.faults.for_each([&] (Faults::Pending const &pending) {

			if (pending.thread != _threads[i].thread->cap)
				return;

			Type const type = pending.fault.type;

			_writer.put(Image::Fault {
				.thread  = i,
				.map     = pending.map->number,
				.address = pending.fault.addr,
				.type    = (type == Type::WRITE) ? Image::Fault::WRITE :
				           (type == Type::EXEC)  ? Image::Fault::EXECUTE
				                                 : Image::Fault::READ,
				.zero    = 0 }); });
}


void Save::_put_threads()
{
	for (unsigned i = 0; i < _threads.count(); i++) {

		Thread_info const &t = _threads[i];

		Image::Thread thread { };

		thread.index       = t.index;
		thread.state       = uint32_t(t.restart);
		thread.session     = t.session;
		thread.called      = t.called;
		thread.serves      = t.serves;
		thread.handler     = NONE;
		thread.slot        = t.slot;
		thread.native_slot = t.native_slot;
		thread.gate_slot   = t.gate_slot;
		thread.member      = t.member;
		thread.utcb        = t.state.utcb;

		Affinity::Location const location = t.thread->location;

		thread.affinity[0] = unsigned(location.xpos());
		thread.affinity[1] = unsigned(location.ypos());
		thread.affinity[2] = location.width();
		thread.affinity[3] = location.height();

		if (t.started()) {
			thread.ip = t.pd->records.restart_ip();
			thread.sp = t.pd->records.restart_sp(t.state);
		}
		(void)Image::put_text(thread.name, t.thread->name.string());

		_writer.put(thread);
	}
}


void Save::_put_signals()
{
	for (size_t i = 0; i < _gates.count(); i++)
		_writer.put(Image::Gate { .thread = _gates[i].thread, .slot = _gates[i].slot });

	for (uint32_t i = 0; i < _num_members; i++)
		_members[i].pd->signals.for_each_source([&] (Virtual_source &s) {
			_writer.put(Image::Source { .thread = s.thread_number, .slot = s.slot,
			                            .semaphore_slot = s.semaphore_slot, .member = i }); });

	for (uint32_t i = 0; i < _num_members; i++) {

		/* there is one as soon as there is a context */
		uint32_t source = 0;
		_members[i].pd->signals.for_each_source([&] (Virtual_source &s) { source = s.number; });

		_members[i].pd->signals.for_each_context([&] (Context &c) {
			_writer.put(Image::Context { .source  = source, .slot = c.slot,
			                             .imprint = c.imprint, .pending = c.pending,
			                             .zero    = 0 }); });
	}
}


void Save::_put_timers()
{
	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_timer([&] (Timer_service_session &timer) {

			Timer_service_session::State const state = timer.state();

			_writer.put(Image::Timer { .session  = session.number, .zero = 0,
			                           .elapsed  = state.elapsed,
			                           .deadline = state.deadline,
			                           .period   = state.period }); }); });
}


bool Save::_put_state()
{
	/* without a copy of each dataspace, all are saved as they are */
	if (_precopy) {
		last_round = _precopy->round();
		if (_precopy->complete()) {
			_precopy->pin();
			_pinned = _from_copies = true;
		}
	}

	if (_base.constructed() && !_pinned)
		return _refuse(Refused::Reason::OUT_OF_MEMORY, "copies for an increment");

	_put_system();
	_put_members();

	if (!_put_tables() || !_put_objects())
		return false;

	_put_sessions();
	_put_parts();
	_put_handlers();
	_put_dataspaces();

	if (!_put_roms() || !_put_regions())
		return false;

	_put_threads();
	_put_faults();
	_put_signals();
	_put_timers();

	if (_base.constructed())
		_put_base();

	return _put_session_pages() && (_pinned || _put_pages());
}
