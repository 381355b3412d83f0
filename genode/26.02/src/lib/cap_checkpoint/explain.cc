/*
 * \brief  Find out what the capabilities and threads of a frozen component mean
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/save.h>

using namespace Cap_checkpoint;

using State = Base_foc::Restart::State;


/**
 * Number objects as their records follow each other in the image
 */
void Save::_number_objects()
{
	for (uint32_t i = 0; i < _num_members; i++)
		_members[i].pd->dataspaces.for_each([&] (Dataspace &ds) { ds.number = NONE; });

	/* several sessions may have the dataspace of a server, the first one counts */
	auto add = [&] (Dataspace &ds) { ds.number = min(ds.number, _num_dataspaces++); };

	/* first of all, as their pages are written while the component stands still */
	_child.parent.for_each_session([&] (Open_session &session) {
		session.for_each_memory([&] (uint32_t, Dataspace &ds) { add(ds); }); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &map) { add(*map.managed); }); }); });

	_for_each_own_dataspace([&] (uint32_t, Dataspace &ds, uint32_t) { add(ds); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rom([&] (Rom_service_session &rom) { add(*rom.ds); }); });

	uint32_t maps = 0, sources = 0, contexts = 0;
	_for_each_map([&] (Virtual_region_map &map) { map.number = maps++; });

	for (uint32_t i = 0; i < _num_members; i++) {
		Signals &signals = _members[i].pd->signals;
		signals.for_each_source ([&] (Virtual_source &s) { s.number = sources++;  });
		signals.for_each_context([&] (Context        &c) { c.number = contexts++; });
	}
}


bool Save::_look_at_threads()
{
	unsigned count = 0, num_threads = 0;

	Child::Threads threads { _child };

	using Monitored_cpu = Cap_space_monitor::Monitored_cpu;
	using Monitored_pd  = Cap_space_monitor::Monitored_pd;

	threads.for_each([&] (Monitored_cpu &, Monitored_pd &, Monitored_cpu::Thread &) { count++; });

	if (!_threads.reserve(count))
		return _refuse(Refused::Reason::OUT_OF_MEMORY, count, " threads");

	auto in_front = [&] (Thread_info const &a, Thread_info const &b)
	{
		return a.member < b.member || (a.member == b.member && a.index < b.index);
	};

	auto add = [&] (Thread_info const &info)
	{
		/* insertion sort, there are few threads */
		unsigned at = num_threads++;
		for (; at && in_front(info, _threads[at - 1]); at--)
			_threads[at] = _threads[at - 1];
		_threads[at] = info;
	};

	bool complete = true;

	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &pd, Monitored_cpu::Thread &thread) {

		Thread_info info { };
		info.thread   = &thread;
		info.pd       = &pd;
		info.state    = cpu.native_state(thread);
		info.native   = cpu.native_cap(thread);
		info.restart  = info.state.started ? pd.records.state(info.state) : 0;
		info.argument = pd.records.argument(info.state);

		/*
		 * All PDs have their UTCBs at the same place. A child may not say it yet, or say something
		 * wrong, by which the component could not be restored.
		 */
		info.index = _child.pd.records.index(info.state);

		while (_members[info.member].pd != &pd && info.member < _num_members - 1)
			info.member++;

		for (unsigned i = 0; i < _num_cpus; i++)
			if (_cpus[i].cpu == &cpu)
				info.session = _cpus[i].session;

		_members[info.member].started |= info.started();

		if (info.index < Image::MAX_THREADS)
			add(info);
		else
			complete = _refuse(Refused::Reason::THREAD, _named(info.member), thread.name,
			                   " has no record"); });

	for (unsigned i = 0; i < num_threads; i++)
		if (_threads[i].thread->cap == _child.parent.main_thread_cap())
			_main_thread = i;

	/* nobody could start the component anew */
	if (complete && _main_thread == NONE)
		complete = _refuse(Refused::Reason::THREAD, "the main thread is gone");

	return complete;
}


uint32_t Save::_thread_by_badge(uint32_t badge) const
{
	for (unsigned i = 0; i < _threads.count(); i++)
		if (_threads[i].state.id == badge || uint32_t(_threads[i].native.local_name()) == badge)
			return i;

	return NONE;
}


/**
 * Find out which objects there are, a badge means the same one to all members
 */
bool Save::_explain_objects()
{
	using Kind = Meanings::Kind;

	size_t num_gates = 0;

	for (uint32_t i = 0; i < _num_members; i++) {
		Member &member = _members[i];
		member.pd->for_each_gate([&] (Cap_space_monitor::Gate const &) { member.num_gates++; });
		num_gates += member.num_gates;
	}

	/* there is a dataspace for each region map of an RM session */
	size_t count = 1 + 2*_num_dataspaces + num_gates + 3*_threads.count()
	             + (1 + Image::Part::NUM_PD + Open_session::MAX_PARTS)*_num_sessions;

	for (uint32_t i = 0; i < _num_members; i++) {
		_members[i].pd->signals.for_each_source ([&] (Virtual_source &) { count += 2; });
		_members[i].pd->signals.for_each_context([&] (Context        &) { count++;    });
	}

	if (!_gates.reserve(num_gates) || !_meanings.reserve(count))
		return _refuse(Refused::Reason::OUT_OF_MEMORY, count, " objects");

	_meanings.add(_child.parent.cap(), Kind::PARENT, 0, _child.parent.slot, true);

	_child.parent.for_each_session([&] (Open_session &s) {
		_meanings.add(s.session_cap(), Kind::SESSION, s.number, s.slot, true); });

	uint32_t part_number = 0;
	_for_each_part([&] (uint32_t, uint32_t, Native_capability cap, uint32_t &slot, bool served) {
		_meanings.add(cap, Kind::PART, part_number++, slot, served); });

	for (unsigned i = 0; i < _threads.count(); i++) {
		Thread_info &t = _threads[i];
		_meanings.add(t.thread->cap, Kind::THREAD,        i, t.slot,        false, t.member);
		_meanings.add(t.native,      Kind::NATIVE_THREAD, i, t.native_slot, false, t.member);
		_meanings.add(t.state.id,    Kind::THREAD_GATE,   i, t.gate_slot,   false, t.member);
	}

	uint32_t number = 0;
	for (uint32_t i = 0; i < _num_members; i++) {

		Virtual_pd &pd = *_members[i].pd;

		/* nobody has the copy of a ROM module yet that has no number */
		pd.dataspaces.for_each([&] (Dataspace &ds) {
			ds.slot = NONE;
			if (ds.number != NONE)
				_meanings.add(ds.cap, Kind::DATASPACE, ds.number, ds.slot, false, i); });

		pd.signals.for_each_source([&] (Virtual_source &s) {
			_meanings.add(s.cap(),     Kind::SOURCE,    s.number, s.slot, true, i);
			_meanings.add(s.semaphore, Kind::SEMAPHORE, s.number, s.semaphore_slot,
			              false, i); });

		pd.signals.for_each_context([&] (Context &c) {
			_meanings.add(c.cap, Kind::CONTEXT, c.number, c.slot, false, i); });

		pd.for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
			Gate_info &info = _gates[number];
			info.thread = _thread_by_badge(uint32_t(gate.thread.local_name()));
			_meanings.add(gate.cap, Kind::GATE, number++, info.slot, false, i); });
	}

	_meanings.sort();
	return true;
}


/**
 * Note which slots of a member lead to an object, and make sure that each one has a meaning
 */
bool Save::_explain_slots(uint32_t const member)
{
	Virtual_pd &pd = *_members[member].pd;

	if (!Cap_map::ok(pd.cap_space.take(_snapshot)))
		return _refuse(Refused::Reason::NO_TABLE, _named(member), "cannot be read");

	uint32_t const first = _num_objects;

	bool all = true;

	for (unsigned slot = 0; slot < Cap_space_monitor::NUM_SLOTS; slot++) {

		Cap_space_monitor::Snapshot::Entry const entry = _snapshot.entry(slot);

		if (entry.state == CAP_MAP_STATE_FREE)
			continue;

		uint32_t const object = _num_objects++, badge = entry.badge;

		if (entry.state != CAP_MAP_STATE_USED || badge == PSEUDO_BADGE)
			continue;

		Meanings::Meaning const * const meaning = _meanings.find(badge);

		/*
		 * The component may keep the slot of an object that is gone. A child must not get
		 * what belongs to others by saying that it has it.
		 */
		bool const own = meaning && (!member || meaning->owner == member);

		if (!own && !pd.cap_space.confirmed(slot, badge)) {
			_members[member].dead.add(slot);
			continue;
		}

		if (meaning) {

			bool const again = *meaning->slot != NONE && (!_unit || *meaning->slot >= first);

			if (again) {
				unsigned other = 0;
				while (_meaning_of(member, other) != meaning)
					other++;
				all = _refuse(Refused::Reason::AMBIGUOUS_SLOT, _named(member), Hex(slot), " and ",
				              Hex(other), ", badge ", Hex(badge));
			}

			/* the monitor serves the component itself only */
			if (member && meaning->kind == Meanings::Kind::PARENT)
				all = _refuse(Refused::Reason::UNEXPLAINED_SLOT, _named(member), Hex(slot),
				              " is the parent of the component");

			/* a restore has that of a member's own threads only */
			if (meaning->kind == Meanings::Kind::THREAD_GATE && meaning->owner != member)
				all = _refuse(Refused::Reason::UNEXPLAINED_SLOT, _named(member), Hex(slot),
				              " is the gate of a thread of another one");

			*meaning->slot = _unit ? object : slot;

		} else
			all = _refuse(Refused::Reason::UNEXPLAINED_SLOT, _named(member), Hex(slot), ", badge ",
			              Hex(badge));
	}
	return all;
}


/**
 * Find out who owes a reply to the threads of a member, be it another member
 */
bool Save::_find_calls(uint32_t const member)
{
	for (unsigned i = 0; i < _threads.count(); i++) {

		Thread_info &t = _threads[i];

		if (t.member != member || !t.in_call())
			continue;

		unsigned const slot = _slot_of_call(t);

		Meanings::Meaning const * const meaning = _meaning_of(member, slot);

		bool const received = !(t.state.kernel_state & Foc_thread_state::SEND_WAIT);

		if (!meaning || (meaning->kind != Image::Object::GATE && (!meaning->served || received)))
			return _refuse(Refused::Reason::OUTSIDE_CALL, _named(member), t.thread->name,
			               ", slot ", Hex(slot), ", state ", Hex(t.state.kernel_state));

		if (!received)
			continue;

		uint32_t const server = _gates[meaning->number].thread;

		/* another component that waits for requests owes none a reply, whatever the client says */
		bool const waits = server != NONE && _threads[server].member != member
		                && _threads[server].restart == State::WAIT;

		if (server == NONE || _threads[server].serves != NONE || waits)
			return _refuse(Refused::Reason::OUTSIDE_CALL, _named(member), t.thread->name,
			               ", slot ", Hex(slot), " has no server");

		t.called = server;
		_threads[server].serves = i;
	}
	return true;
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
 * Find out which threads of a member wait for the semaphore of a signal source
 */
void Save::_find_signal_threads(uint32_t const member)
{
	for (unsigned i = 0; i < _threads.count(); i++) {

		Thread_info const &t = _threads[i];

		if (t.member != member || t.restart != State::SIGNAL)
			continue;

		Meanings::Meaning const * const meaning = _meaning_of(member, _slot_of_call(t));

		if (!meaning || meaning->kind != Meanings::Kind::SEMAPHORE)
			continue;

		for (uint32_t j = 0; j < _num_members; j++)
			_members[j].pd->signals.for_each_source([&] (Virtual_source &source) {
				if (source.number == meaning->number)
					source.thread = t.native; });
	}
}


/**
 * Decide which thread receives the signals of each source
 */
bool Save::_choose_signal_threads()
{
	bool all = true;

	for (uint32_t member = 0; member < _num_members; member++)
		_members[member].pd->signals.for_each_source([&] (Virtual_source &source) {

			source.thread_number = source.thread.valid()
			                     ? _thread_by_badge(uint32_t(source.thread.local_name())) : NONE;

			/* the one that the base library creates */
			for (unsigned i = 0; i < _threads.count() && source.thread_number == NONE; i++)
				if (_threads[i].member == member && _threads[i].thread->name == "signal handler")
					source.thread_number = i;

			/* the threads of a component that ends are gone */
			if (source.thread_number == NONE && source.semaphore_slot != NONE
			 && _members[member].started)
				all = _refuse(Refused::Reason::NO_SIGNAL_THREAD, _named(member), "semaphore at ",
				              _unit ? "object " : "slot ", Hex(source.semaphore_slot)); });

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


Save_result Save::save_state()
{
	_child.parent.for_each_session([&] (Open_session &session) { session.before_save(); });
	_child.parent.with_offer([&] (Offer &offer, Offer_state &state) { offer.save_state(state); });

	if (!_find_members())
		return _result(false);

	_number_objects();

	return _result(_look_at_threads() && _explain_objects() && _explain_members()
	            && _find_calls_of_clients() && _choose_signal_threads() && _find_parents()
	            && _put_state());
}
