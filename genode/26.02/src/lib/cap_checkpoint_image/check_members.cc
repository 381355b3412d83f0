/*
 * \brief  Check of what the members of a unit are, and what they are started with
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"

using namespace Cap_checkpoint::Image;


static constexpr char const *NOT_RAM         = "dataspace is not RAM",
                            *TO_FREE         = "dataspace is the component's to free",
                            *NO_ROOM         = "does not fit in the dataspace",
                            *NOT_OF_THE_ROOT = "the root has none";


Member Reader::member(uint32_t const number) const
{
	if (is_unit(_contents))
		return get<Member>(number);

	System const s = system();

	Member single { .session          = 0,
	                .account          = NONE,
	                .parent           = NONE,
	                .parent_dataspace = s.parent_dataspace,
	                .parent_offset    = s.parent_offset,
	                .table_size       = _places[TABLE].length,
	                .ram_quota        = 0,
	                .cap_quota        = 0,
	                .num_gates        = uint32_t(num<Gate>()),
	                .zero             = 0 };

	while (single.session < num<Session>() && !_service(single.session, "PD"))
		single.session++;

	return single;
}


uint32_t Reader::member_of_gate(size_t const gate) const
{
	uint32_t number = 0;
	for (size_t end = member(0).num_gates; end <= gate; end += member(number).num_gates)
		number++;

	return number;
}


/**
 * Return true if the quota of a member comes, by way of others, from itself
 */
bool Reader::_account_circle(uint32_t const number) const
{
	uint32_t at = number;

	for (uint32_t i = 0; i < _num_members; i++) {

		at = get<Member>(at).account;

		if (at == number)       return true;
		if (at >= _num_members) return false;
	}
	return false;
}


/**
 * Check the members of a unit
 *
 * The quota of the root is what the others have left of the unit's.
 */
bool Reader::_check_members()
{
	size_t const tables = _places[TABLE].length;

	if (!is_unit(_contents)) {
		_tables[0].size = tables;
		return true;
	}

	if (num<Member>() < 2 || num<Member>() > MAX_MEMBERS)
		return _refuse(MEMBERS, 0, "is not 2 to 8 records");

	_num_members = uint32_t(num<Member>());

	System const sys = system();

	uint32_t session = 0;
	size_t   table = 0, gates = 0;
	uint64_t ram = 0, caps = 0;

	bool const each_ok = _check_each<Member>([&] (auto const &item) {

		Member const &m = item.r;

		bool const root = !item.number;

		if (item.number && m.session <= session)
			return item.refuse(m.session, OUT_OF_ORDER);
		if (!_service(m.session, "PD"))
			return item.refuse(m.session, "is not a PD session");

		if (root && m.account != NONE)
			return item.refuse(m.account, NOT_OF_THE_ROOT);
		if (!item.names_or_none(m.account, _num_members, NO_MEMBER))
			return false;
		if (_account_circle(uint32_t(item.number)))
			return item.refuse(m.account, "quota of a member comes from itself");

		if (root && m.parent != NONE)
			return item.refuse(m.parent, NOT_OF_THE_ROOT);
		if (!item.names_or_none(m.parent, num<Gate>(), "no such gate"))
			return false;
		if (m.parent >= gates && m.parent - gates < m.num_gates)
			return item.refuse(m.parent, "member is its own parent");

		if (root || m.parent_dataspace != NONE) {

			if (!root && m.parent == NONE)
				return item.refuse(m.parent_dataspace, "member has no parent");
			if (!item.names(m.parent_dataspace, num<Dataspace>(), NO_DATASPACE))
				return false;

			Dataspace const ds = get<Dataspace>(m.parent_dataspace);

			if (ds.kind != Dataspace::RAM)
				return item.refuse(m.parent_dataspace, NOT_RAM);
			if (root && ds.slot != NONE)
				return item.refuse(m.parent_dataspace, TO_FREE);
			if (exceeds(m.parent_offset, System::PARENT_CAP_SIZE, ds.size))
				return item.refuse(m.parent_offset, NO_ROOM);

		} else if (!item.zero(m.parent_offset))
			return false;

		if (m.table_size % sizeof(uint64_t))
			return item.refuse(m.table_size, "is not a number of words");
		if (exceeds(table, m.table_size, tables))
			return item.refuse(m.table_size, "exceeds the section of tables");

		if (root && m.ram_quota)
			return item.refuse(m.ram_quota, NOT_OF_THE_ROOT);
		if (exceeds(ram, m.ram_quota, sys.ram_quota))
			return item.refuse(m.ram_quota, "exceeds the RAM quota");

		if (root && m.cap_quota)
			return item.refuse(m.cap_quota, NOT_OF_THE_ROOT);
		if (exceeds(caps, m.cap_quota, sys.cap_quota))
			return item.refuse(m.cap_quota, "exceeds the capability quota");

		if (exceeds(gates, m.num_gates, num<Gate>()))
			return item.refuse(m.num_gates, "exceeds the number of gates");

		_tables[item.number].at   = table;
		_tables[item.number].size = size_t(m.table_size);

		session = m.session;
		table  += size_t(m.table_size);
		ram    += m.ram_quota;
		caps   += m.cap_quota;
		gates  += m.num_gates;

		return item.zero(m.zero);
	});

	if (!each_ok)
		return false;

	if (table != tables)
		return _refuse(TABLE, table, "bytes behind the last table");

	return gates == num<Gate>()
	    || _refuse(GATES, gates*sizeof(Gate), "gate of no member");
}


/**
 * Check what a component is started with
 */
bool Reader::_check_start()
{
	return _check_each<System>([&] (auto const &item) {

		System const &s = item.r;

		if (!item.names(s.main_thread, num<Thread>(), NO_THREAD))
			return false;
		if (is_unit(_contents) && get<Thread>(s.main_thread).member)
			return item.refuse(s.main_thread, "member is not the root");

		if (!_leads_to(s.parent_slot, Object::PARENT, 0))
			return item.refuse(s.parent_slot, "slot does not lead to this");

		if (is_unit(_contents)) {
			if (s.parent_dataspace != NONE)
				return item.refuse(s.parent_dataspace, "is said of each member");
			return item.zero(s.parent_offset);
		}

		if (!item.names(s.parent_dataspace, num<Dataspace>(), NO_DATASPACE))
			return false;

		Dataspace const ds = get<Dataspace>(s.parent_dataspace);

		if (ds.kind != Dataspace::RAM)
			return item.refuse(s.parent_dataspace, NOT_RAM);
		if (ds.slot != NONE)
			return item.refuse(s.parent_dataspace, TO_FREE);
		if (exceeds(s.parent_offset, System::PARENT_CAP_SIZE, ds.size))
			return item.refuse(s.parent_offset, NO_ROOM);

		return true;
	});
}
