/*
 * \brief  Find out what is special about a component that has children, and put it into an image
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/save.h>

using namespace Cap_checkpoint;


/**
 * Number sessions, and find those that threads and memory of members belong to
 */
bool Save::_find_members()
{
	_child.parent.for_each_session([&] (Open_session &session) {

		session.number = _num_sessions++;

		_with_pd(session, [&] (Virtual_pd &pd) {
			if (_num_members < MAX_MEMBERS) {
				Member &member = _members[_num_members++];
				member.pd      = &pd;
				member.session = &session;
			} });

		_with_cpu(session, [&] (Virtual_cpu &cpu) {
			if (_num_cpus < MAX_MEMBERS)
				_cpus[_num_cpus++] = { &cpu, session.number }; }); });

	/* the root of a unit is the first one */
	if (_members[0].pd != &_child.pd)
		return _refuse(Refused::Reason::CHILDREN, "a PD session is in front of the environment's");

	/* the image of a single component tells of one trace control only */
	for (unsigned i = 0; i < _num_cpus && !_unit; i++)
		if (_cpus[i].cpu != &_child.cpu && _cpus[i].cpu->trace)
			return _refuse(Refused::Reason::CHILDREN, "a further CPU session has a trace control");

	/* a component that does not execute yet has none */
	for (uint32_t i = 1; i < _num_members; i++)
		_members[i].table = _members[i].pd->cap_space.attach() != CAP_MAP_STATUS_UNPUBLISHED;

	return true;
}


/**
 * Look at the tables one after another, as there is memory for one copy
 */
bool Save::_explain_members()
{
	for (uint32_t i = 0; i < _num_members; i++) {

		if (!_members[i].table && !_members[i].started)
			continue;

		if (!_explain_slots(i) || !_find_calls(i))
			return false;

		_find_signal_threads(i);
	}
	return true;
}


/**
 * Return true if a dataspace has the capability of the parent as passed to the member
 */
bool Save::_holds_parent(Member const &member, Dataspace const &ds, size_t const offset)
{
	using Raw = Untyped_capability::Raw;

	bool result = false;

	if (!with_attached(_child.monitor().local_rm, ds.cap, Access::READ,
		[&] (char *start, size_t) {
			Raw const raw = member.pd->parent.raw();
			result = !memcmp(start, &raw, sizeof(raw));
		}, { .offset = offset, .size = Image::PAGE_SIZE }))
		(void)_refuse(Refused::Reason::OUT_OF_MEMORY, "dataspace of a parent capability");

	return result;
}


/**
 * Find the memory by which a member gets to know its parent
 *
 * \param at  address where the dynamic linker looks for it
 */
bool Save::_find_parent_memory(uint32_t const number, addr_t const at)
{
	Member &member = _members[number];

	auto look_at = [&] (Dataspace &ds, size_t offset)
	{
		if (!member.parent_ds && ds.kind == Dataspace::Kind::RAM
		 && _holds_parent(member, ds, offset)) {
			member.parent_ds     = &ds;
			member.parent_offset = offset;
		}
	};

	member.pd->space.for_each_region([&] (Region &r) {
		if (r.ds && r.range.start == at)
			look_at(*r.ds, r.offset); });

	/* whoever loads the member writes the capability before it attaches the memory */
	if (!member.started)
		member.pd->dataspaces.for_each([&] (Dataspace &ds) { look_at(ds, 0); });

	if (_refused.constructed())
		return false;

	return member.parent_ds || !member.started
	    || _refuse(Refused::Reason::CHILDREN, _named(number), "its parent capability is not where "
	               "the dynamic linker expects it");
}


/**
 * Find the parent of each member, which is an object of another one
 */
bool Save::_find_parents()
{
	if (!_unit)
		return true;

	_members[0].parent_ds     = _child.parent_ds;
	_members[0].parent_offset = _child.parent_offset;

	/* all have the same dynamic linker */
	addr_t at = 0;
	_child.pd.space.for_each_region([&] (Region &r) {
		if (r.ds == _child.parent_ds && r.offset == _child.parent_offset)
			at = r.range.start; });

	for (uint32_t i = 1; i < _num_members; i++) {

		Member &member = _members[i];

		Native_capability const parent = member.pd->parent;

		if (!parent.valid())
			continue;

		uint32_t number = 0, owner = NONE;
		for (uint32_t j = 0; j < _num_members; j++)
			_members[j].pd->for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
				if (gate.cap == parent) {
					member.parent = number;
					owner = j;
				}
				number++; });

		if (owner == i)
			return _refuse(Refused::Reason::CHILDREN, _named(i), "is its own parent");

		unsigned const slot  = unsigned(Foc::PARENT_CAP >> Foc::L4_CAP_SHIFT),
		               badge = unsigned(parent.local_name());

		/* it may be gone */
		if (!member.pd->cap_space.confirmed(slot, badge)) {
			member.parent = NONE;
			continue;
		}

		if (member.parent == NONE)
			return _refuse(Refused::Reason::CHILDREN, _named(i),
			               "its parent is no object of another component");

		if (!_find_parent_memory(i, at))
			return false;
	}
	return true;
}


/**
 * Return size of the memory of a member for its table
 */
static size_t table_size(Virtual_pd &pd)
{
	size_t result = 0;

	pd.dataspaces.for_each([&] (Cap_checkpoint::Dataspace &ds) {
		if (ds.kind == Cap_checkpoint::Dataspace::Kind::CAP_SPACE)
			result = ds.size; });

	return result;
}


void Save::_put_members()
{
	for (uint32_t i = 0; i < _num_members && _unit; i++) {

		Member &m = _members[i];

		Cap_space_monitor::Pd const * const account = m.pd->reference_account();

		Image::Member member { .session          = m.session->number,
		                       .account          = NONE,
		                       .parent           = m.parent,
		                       .parent_dataspace = m.parent_ds ? m.parent_ds->number : NONE,
		                       .parent_offset    = m.parent_offset,
		                       .table_size       = m.table ? table_size(*m.pd) : 0,
		                       .ram_quota        = 0,
		                       .cap_quota        = 0,
		                       .num_gates        = m.num_gates,
		                       .zero             = 0 };

		/* the root has what the others leave of the quota of the unit */
		for (uint32_t j = 0; j < _num_members && i; j++)
			if (account == _members[j].pd) {
				Virtual_pd::Costs const received = m.pd->received();
				member.account   = j;
				member.ram_quota = received.ram.value;
				member.cap_quota = received.caps.value;
			}

		_writer.put(member);
	}
}


bool Save::_put_tables()
{
	bool all = true;

	for (uint32_t i = 0; i < _num_members; i++)
		if (_members[i].table
		 && !with_attached(_child.monitor().local_rm, _members[i].pd->cap_space.ds(), Access::READ,
			[&] (char *start, size_t size) { _writer.table(start, size); }))
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, _named(i), "capability table");

	return all;
}


/**
 * Put what the slots of a member lead to
 */
void Save::_put_objects_of(uint32_t const member)
{
	using Object = Image::Object;

	for (unsigned slot = 0; slot < Cap_space_monitor::NUM_SLOTS; slot++) {

		Cap_space_monitor::Snapshot::Entry const entry = _snapshot.entry(slot);

		if (entry.state == CAP_MAP_STATE_FREE)
			continue;

		Object object { .slot = slot, .badge = entry.badge, .kind = Object::DEAD,
		                .number = 0, .member = member, .previous = _unit ? NONE : 0 };

		if (entry.state == CAP_MAP_STATE_USED && entry.badge == PSEUDO_BADGE)
			object.kind = Object::PSEUDO;

		else if (Meanings::Meaning const * const meaning = _meaning_of(member, slot)) {

			object.kind   = meaning->kind;
			object.number = meaning->number;

			if (_unit) {
				object.previous = *meaning->slot;
				*meaning->slot  = _num_objects;
			}
		}
		_writer.put(object);
		_num_objects++;
	}
}


bool Save::_put_objects()
{
	/* the copy of the only table is still there */
	if (!_unit) {
		_put_objects_of(0);
		return true;
	}

	/* the same slots once more, this time each record follows those in front of it */
	_meanings.forget_slots();
	_num_objects = 0;

	for (uint32_t i = 0; i < _num_members; i++) {

		if (!_members[i].table)
			continue;

		if (!Cap_map::ok(_members[i].pd->cap_space.take(_snapshot)))
			return _refuse(Refused::Reason::NO_TABLE, _named(i), "cannot be read");

		_put_objects_of(i);
	}
	return true;
}
