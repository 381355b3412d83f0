/*
 * \brief  Find out what the capabilities and threads of a frozen component mean
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/rm_session.h>
#include <cap_checkpoint/save.h>

using namespace Cap_checkpoint;

using State = Base_foc::Restart::State;


/**
 * Number objects as their records follow each other in the image
 */
void Save::_number_objects()
{
	_child.parent.for_each_session([&] (Open_session &session) {

		if (session.request.service == "PD")  _pd_session  = _num_sessions;
		if (session.request.service == "CPU") _cpu_session = _num_sessions;

		session.number = _num_sessions++; });

	_child.pd.dataspaces.for_each([&] (Dataspace &ds) { ds.number = NONE; });

	/* several sessions may have the dataspace of a server, the first one counts */
	auto add = [&] (Dataspace &ds) { ds.number = min(ds.number, _num_dataspaces++); };

	/* first of all, as their pages are written while the component stands still */
	_child.parent.for_each_session([&] (Open_session &session) {
		session.for_each_memory([&] (uint32_t, Dataspace &ds) { add(ds); }); });

	uint32_t num_maps = Image::Region::NUM_MAPS;
	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &map) {
				map.number = num_maps++;
				add(*map.managed); }); }); });

	_child.pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) { map.number = number; });

	_child.pd.dataspaces.for_each([&] (Dataspace &ds) {
		if (ds.of_no_session())
			add(ds); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rom([&] (Rom_service_session &rom) { add(*rom.ds); }); });

	uint32_t sources = 0, contexts = 0;
	_child.pd.signals.for_each_source ([&] (Virtual_source &s) { s.number = sources++;  });
	_child.pd.signals.for_each_context([&] (Context        &c) { c.number = contexts++; });
}


bool Save::_look_at_threads()
{
	auto by_index = [&] (Thread_info const &info)
	{
		/* insertion sort, there are 128 threads at most */
		unsigned at = _num_threads++;
		for (; at && _threads[at - 1].index > info.index; at--)
			_threads[at] = _threads[at - 1];
		_threads[at] = info;
	};

	bool complete = true;

	Child::Threads { _child }.for_each([&] (Cap_space_monitor::Monitored_cpu &cpu,
	                                        Cap_space_monitor::Monitored_pd  &pd,
	                                        Cap_space_monitor::Monitored_cpu::Thread &thread) {

		Thread_info info { };
		info.thread   = &thread;
		info.state    = cpu.native_state(thread);
		info.native   = cpu.native_cap(thread);
		info.index    = pd.records.index(info.state);
		info.restart  = info.state.started ? pd.records.state(info.state) : 0;
		info.argument = pd.records.argument(info.state);

		if (_num_threads < Image::MAX_THREADS && info.index < Image::MAX_THREADS)
			by_index(info);
		else
			complete = _refuse(Refused::Reason::THREAD, thread.name, " has no record"); });

	for (unsigned i = 0; i < _num_threads; i++)
		if (_threads[i].thread->cap == _child.parent.main_thread_cap())
			_main_thread = i;

	/* nobody could start the component anew */
	if (_main_thread == NONE)
		complete = _refuse(Refused::Reason::THREAD, "the main thread is gone");

	return complete;
}


uint32_t Save::_thread_by_badge(uint32_t badge) const
{
	for (unsigned i = 0; i < _num_threads; i++)
		if (_threads[i].state.id == badge || uint32_t(_threads[i].native.local_name()) == badge)
			return i;

	return NONE;
}


bool Save::_explain_objects()
{
	using Kind = Meanings::Kind;

	Virtual_pd &pd = _child.pd;

	size_t num_gates = 0;
	pd.for_each_gate([&] (Cap_space_monitor::Gate const &) { num_gates++; });

	/* there is a dataspace for each region map */
	size_t count = 2*_num_dataspaces + (1 + Open_session::MAX_PARTS)*_num_sessions + 3*_num_threads + num_gates + 8;
	pd.signals.for_each_source ([&] (Virtual_source &) { count += 2; });
	pd.signals.for_each_context([&] (Context        &) { count++;    });

	if (!_gates.reserve(num_gates) || !_meanings.reserve(count))
		return _refuse(Refused::Reason::OUT_OF_MEMORY, count, " objects");

	_meanings.add(_child.parent.cap(), Kind::PARENT, 0, _child.parent.slot);

	_child.parent.for_each_session([&] (Open_session &s) {
		_meanings.add(s.session_cap(), Kind::SESSION, s.number, s.slot); });

	pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) {
		_meanings.add(map.cap(), Kind::PART, number, map.slot); });

	_meanings.add(pd.native_pd(), Kind::PART, Meanings::NATIVE_PD, pd.native_slot);
	_meanings.add(_child.cpu.native_cpu(), Kind::PART, Meanings::NATIVE_CPU,
	              _child.cpu.native_slot);

	uint32_t part_number = Meanings::NUM_FIXED_PARTS;
	_child.parent.for_each_session([&] (Open_session &s) {
		s.for_each_part([&] (uint32_t, Native_capability cap, uint32_t &slot) {
			_meanings.add(cap, Kind::PART, part_number++, slot); });
		s.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &map) {
				_meanings.add(map.cap(), Kind::PART, part_number++, map.slot); }); }); });

	/* the component does not have the copy of a ROM module yet that has no number */
	pd.dataspaces.for_each([&] (Dataspace &ds) {
		if (ds.number != NONE)
			_meanings.add(ds.cap, Kind::DATASPACE, ds.number, ds.slot); });

	pd.signals.for_each_source([&] (Virtual_source &s) {
		_meanings.add(s.cap(),     Kind::SOURCE,    s.number, s.slot);
		_meanings.add(s.semaphore, Kind::SEMAPHORE, s.number, s.semaphore_slot); });

	pd.signals.for_each_context([&] (Context &c) {
		_meanings.add(c.cap, Kind::CONTEXT, c.number, c.slot); });

	for (unsigned i = 0; i < _num_threads; i++) {
		Thread_info &t = _threads[i];
		_meanings.add(t.thread->cap, Kind::THREAD,        i, t.slot);
		_meanings.add(t.native,      Kind::NATIVE_THREAD, i, t.native_slot);
		_meanings.add(t.state.id,    Kind::THREAD_GATE,   i, t.gate_slot);
	}

	uint32_t number = 0;
	pd.for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
		Gate_info &info = _gates[number];
		info.thread = _thread_by_badge(uint32_t(gate.thread.local_name()));
		_meanings.add(gate.cap, Kind::GATE, number++, info.slot); });

	_meanings.sort();
	return true;
}


/* badge that each component has for its main thread */
static constexpr uint32_t PSEUDO_BADGE = 1;


/**
 * Note the slot of each object, and make sure that no other slot has a meaning
 */
bool Save::_explain_slots()
{
	if (!Cap_map::ok(_child.pd.cap_space.take(_snapshot)))
		return _refuse(Refused::Reason::NO_TABLE, "cannot be read");

	bool all = true;

	_snapshot.for_each([&] (unsigned slot, unsigned badge) {

		if (badge == PSEUDO_BADGE)
			return;

		if (Meanings::Meaning const * const meaning = _meanings.find(badge)) {

			if (*meaning->slot != NONE)
				all = _refuse(Refused::Reason::AMBIGUOUS_SLOT, Hex(slot), " and ",
				              Hex(*meaning->slot), ", badge ", Hex(badge));

			*meaning->slot = slot;
			return;
		}

		/* the component may keep the slot of an object that is gone */
		if (_child.pd.cap_space.confirmed(slot, badge))
			all = _refuse(Refused::Reason::UNEXPLAINED_SLOT, Hex(slot), ", badge ", Hex(badge));
	});

	return all;
}


/**
 * Find out who owes a reply to whom
 */
bool Save::_find_calls()
{
	for (unsigned i = 0; i < _num_threads; i++) {

		Thread_info &t = _threads[i];

		if (!t.in_call())
			continue;

		unsigned const slot = unsigned(t.argument >> Foc::L4_CAP_SHIFT);

		Cap_space_monitor::Snapshot::Entry const entry = _snapshot.entry(slot);

		Meanings::Meaning const * const meaning = entry.state == CAP_MAP_STATE_USED
		                                        ? _meanings.find(entry.badge) : nullptr;

		bool const received = !(t.state.kernel_state & Foc_thread_state::SEND_WAIT);

		if (!meaning || (meaning->kind != Image::Object::GATE && (!meaning->served() || received)))
			return _refuse(Refused::Reason::OUTSIDE_CALL, t.thread->name, ", slot ", Hex(slot),
			               ", state ", Hex(t.state.kernel_state));

		if (!received)
			continue;

		uint32_t const server = _gates[meaning->number].thread;

		if (server == NONE || _threads[server].serves != NONE)
			return _refuse(Refused::Reason::OUTSIDE_CALL, t.thread->name, ", slot ", Hex(slot),
			               " has no server");

		t.called = server;
		_threads[server].serves = i;
	}
	return _find_calls_of_clients();
}


/**
 * Find out who owes a reply to clients outside
 */
bool Save::_find_calls_of_clients()
{
	bool all = true;

	_child.parent.with_offer([&] (Offer &offer, Offer_state &state) {
		offer.number_memory();
		offer.for_each_received(state, [&] (uint32_t badge, uint32_t &server) {

			Meanings::Meaning const * const meaning = _meanings.find(badge);

			server = meaning && meaning->kind == Image::Object::GATE
			       ? _gates[meaning->number].thread : NONE;

			/*
			 * A thread that went on without a reply has forgotten its client. One that waits for
			 * requests owes none: that of the client may be on its way.
			 */
			if (server == NONE || _threads[server].serves != NONE || _threads[server].serves_client
			 || _threads[server].restart == State::WAIT)
				all = _refuse(Refused::Reason::OUTSIDE_CALL, "client, badge ", Hex(badge),
				              " has no server");
			else
				_threads[server].serves_client = true; }); });

	return all;
}


/**
 * Find out which thread waits for the semaphore of a signal source
 */
bool Save::_find_signal_threads()
{
	bool all = true;

	_child.pd.signals.for_each_source([&] (Virtual_source &source) {

		for (unsigned i = 0; i < _num_threads; i++)
			if (_threads[i].restart == State::SIGNAL && source.semaphore_slot != NONE
			 && unsigned(_threads[i].argument >> Foc::L4_CAP_SHIFT) == source.semaphore_slot)
				source.thread = _threads[i].native;

		source.thread_number = source.thread.valid()
		                     ? _thread_by_badge(uint32_t(source.thread.local_name())) : NONE;

		/* the one that the base library creates */
		for (unsigned i = 0; i < _num_threads && source.thread_number == NONE; i++)
			if (_threads[i].thread->name == "signal handler")
				source.thread_number = i;

		if (source.thread_number == NONE && source.semaphore_slot != NONE)
			all = _refuse(Refused::Reason::NO_SIGNAL_THREAD, "semaphore at slot ",
			              Hex(source.semaphore_slot)); });

	return all;
}


Save_result Save::_result(bool ok)
{
	if (ok)
		return Ok();

	if (!_refused.constructed())
		(void)_refuse(Refused::Reason::IMAGE, "not complete");

	return *_refused;
}


Save_result Save::possible(Child &child)
{
	Virtual_parent::Children const children = child.parent.children();

	if (children.pds || children.cpus)
		return Refused { Refused::Reason::CHILDREN,
		                 String<160>("the component has ", children.pds, " PD and ",
		                             children.cpus, " CPU sessions for them") };

	return Ok();
}


Save_result Save::save_state()
{
	Save_result const possible = Save::possible(_child);
	if (possible.failed())
		return possible;

	_child.parent.for_each_session([&] (Open_session &session) { session.before_save(); });
	_child.parent.with_offer([&] (Offer &offer, Offer_state &state) { offer.save_state(state); });

	_number_objects();

	return _result(_look_at_threads() && _explain_objects() && _explain_slots()
	            && _find_calls() && _find_signal_threads() && _put_state());
}
