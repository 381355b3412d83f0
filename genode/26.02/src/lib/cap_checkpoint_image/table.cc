/*
 * \brief  Capability table within an image, and what its slots lead to
 * \date   2026-11-29
 *
 * The table does not change, so one pass suffices. See 'How to read' in doc/layout.md
 * of the project that the table comes from.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"

using namespace Cap_checkpoint::Image;


enum Word : size_t {
	MAGIC_WORD = 0x00, VERSION = 0x08, SIZE = 0x10, CAPACITY = 0x18, FIRST_USER = 0x20,
	SHIFT = 0x28, BADGE_BITS = 0x30, SLOTS_OFFSET = 0x38, LABEL = 0x40, BATCH = 0x80,
	HIGH_WATER = 0xd0, KIND = 0x100, PD_BADGE = 0x118, PARENT_BADGE = 0x120,
	AREA_OFFSET = 0x128, AREA_LENGTH = 0x130, AREA_VERSION = 0x138, CHECKSUM = 0x140,
	SLOTS = 0x200 };

static constexpr uint64_t TABLE_MAGIC   = 0x4341505441424c45,
                          TABLE_VERSION = 2,
                          PUBLISHED     = 3,
                          LIMIT_32      = 1ULL << 32;

static constexpr size_t MIN_SLOTS = 64, MAX_SLOTS = 128*1024, LABEL_SIZE = 64;


/**
 * Return true if the bytes in front of the first zero, and those behind it, are UTF-8
 */
static bool utf8(uint8_t const *p, size_t num_bytes)
{
	for (size_t i = 0; i < num_bytes; ) {

		uint8_t const c = p[i++];

		unsigned const more = (c < 0x80) ? 0 : (c >= 0xc2 && c < 0xe0) ? 1
		                    : (c >= 0xe0 && c < 0xf0) ? 2
		                    : (c >= 0xf0 && c < 0xf5) ? 3 : ~0U;

		if (more > num_bytes - i)
			return false;

		/* the first one of the bytes that follow excludes long forms and surrogates */
		uint8_t const low  = (c == 0xe0) ? 0xa0 : (c == 0xf0) ? 0x90 : 0x80,
		              high = (c == 0xed) ? 0x9f : (c == 0xf4) ? 0x8f : 0xbf;

		for (unsigned k = 0; k < more; k++, i++)
			if (p[i] < (k ? 0x80 : low) || p[i] > (k ? 0xbf : high))
				return false;
	}
	return true;
}


uint64_t Reader::_table_word(Table const &table, size_t at) const
{
	return _read<uint64_t>(_places[TABLE].offset + table.at + at);
}


uint64_t Reader::_table_checksum(Table const &table) const
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t at = 0; at < KIND + 0x40; at++) {

		/* words that change are not covered */
		if (at == BATCH)
			at = KIND;

		sum ^= _read<uint8_t>(_places[TABLE].offset + table.at + at);
		sum *= 0x100000001b3;
	}
	return sum;
}


/**
 * Check header
 *
 * \return  what is wrong, or nullptr
 */
char const *Reader::_table_fault(Table &table)
{
	size_t const bytes = table.size;

	if (bytes < SLOTS + 8*MIN_SLOTS) return "too small for a table";

	auto word = [&] (Word at) { return _table_word(table, at); };

	if (word(MAGIC_WORD) != TABLE_MAGIC)    return "no table";
	if (word(VERSION) != TABLE_VERSION)     return "version of the table is not the one that is read";
	if (word(CHECKSUM) != _table_checksum(table)) return "checksum of the table's header does not match";

	uint64_t const slots = word(CAPACITY), size = SLOTS + 8*slots;

	if (slots < MIN_SLOTS || slots > MAX_SLOTS)        return "bad number of slots";
	if (word(SIZE) != size || size > bytes)            return "bad size of the table";
	if (word(FIRST_USER) >= slots)                     return "bad first user slot";
	if (word(SHIFT) > 32)                              return "bad selector shift";
	if (!word(BADGE_BITS) || word(BADGE_BITS) > 28)    return "bad number of badge bits";
	if (word(SLOTS_OFFSET) != SLOTS)                   return "bad offset of the slots";

	uint8_t const *label = (uint8_t const *)_start + _places[TABLE].offset + table.at + LABEL;
	if (!utf8(label, LABEL_SIZE))                      return "bad label";

	if (word(KIND) != PUBLISHED)                       return "table is not published";
	if (word(PD_BADGE)     >= LIMIT_32
	 || word(PARENT_BADGE) >= LIMIT_32)                return "bad badge in the table's header";

	uint64_t const offset = word(AREA_OFFSET), length = word(AREA_LENGTH);

	bool const numbers = offset < LIMIT_32 && length < LIMIT_32
	                  && word(AREA_VERSION) < LIMIT_32;
	bool const place   = offset % 64 == 0 && offset >= size && length % 8 == 0
	                  && offset + length <= bytes;

	if (!numbers || ((offset || length) && !place))    return "bad area behind the table";

	uint64_t const batch = word(BATCH);

	if (batch & 1)                                     return "table is retired";

	table.num_slots  = uint32_t(slots);
	table.first_user = uint32_t(word(FIRST_USER));
	table.high_water = uint32_t(word(HIGH_WATER) < slots ? word(HIGH_WATER) : slots);
	table.bank       = unsigned(batch >> 19 & 1);

	return nullptr;
}


Reader::Slot Reader::_table_slot(Table const &table, uint32_t slot) const
{
	if (slot >= table.high_water)
		return { Slot::FREE, 0 };

	uint64_t const word  = _table_word(table, SLOTS + 8*size_t(slot));
	uint32_t const badge = (word >> (table.bank ? 5 : 33)) & ((1U << 28) - 1);

	switch (word >> 61) {
	case 0:  return { Slot::FREE,     0 };
	case 2:  return { Slot::USED,     badge };
	case 3:  return { Slot::DETACHED, badge };
	default: return { Slot::CORRUPT,  0 };
	}
}


bool Reader::_check_tables()
{
	for (uint32_t member = 0; member < _num_members; member++) {

		Table &table = _tables[member];

		/* a member that does not execute yet has none */
		if (member && !table.size)
			continue;

		if (char const * const fault = _table_fault(table))
			return _refuse(TABLE, table.at, fault);

		for (uint32_t slot = 0; slot < table.high_water; slot++)
			if (_table_slot(table, slot).state == Slot::CORRUPT)
				return _refuse(TABLE, table.at + SLOTS + 8*size_t(slot), "slot is corrupt");
	}
	return true;
}


/**
 * Return number of records that an object of this kind may name
 */
size_t Reader::_num_records(Kind kind) const
{
	switch (kind) {
	case Object::SESSION:       return num<Session>();
	case Object::PART:          return num<Part>();
	case Object::DATASPACE:     return num<Dataspace>();
	case Object::THREAD:
	case Object::NATIVE_THREAD:
	case Object::THREAD_GATE:   return num<Thread>();
	case Object::GATE:          return num<Gate>();
	case Object::SOURCE:
	case Object::SEMAPHORE:     return num<Source>();
	case Object::CONTEXT:       return num<Context>();
	case Object::PARENT:
	case Object::PSEUDO:
	case Object::DEAD:          break;
	}
	return 1;
}


/**
 * Return the slot that the record of an object names, 'NONE' if it has no record
 */
uint32_t Reader::_slot_of(Object const &object) const
{
	size_t const n = object.number;

	switch (object.kind) {
	case Object::PARENT:        return system().parent_slot;
	case Object::SESSION:       return get<Session>(n).slot;
	case Object::PART:          return get<Part>(n).slot;
	case Object::DATASPACE:     return get<Dataspace>(n).slot;
	case Object::THREAD:        return get<Thread>(n).slot;
	case Object::NATIVE_THREAD: return get<Thread>(n).native_slot;
	case Object::THREAD_GATE:   return get<Thread>(n).gate_slot;
	case Object::GATE:          return get<Gate>(n).slot;
	case Object::SOURCE:        return get<Source>(n).slot;
	case Object::SEMAPHORE:     return get<Source>(n).semaphore_slot;
	case Object::CONTEXT:       return get<Context>(n).slot;
	}
	return NONE;
}


/**
 * Return true if the object is the one that its record names
 *
 * Records of a unit name the last object of several ones, each of which names the one
 * before. They descend, so the loop ends.
 */
bool Reader::_named(Object const &object, size_t const number) const
{
	uint32_t at = _slot_of(object);

	if (!is_unit(_contents))
		return at == object.slot;

	for (uint32_t i = 1; i < _num_members && at > number && at < num<Object>(); i++)
		at = get<Object>(at).previous;

	return at == number;
}


/**
 * Return true if the slot, as it is in a record, leads to the record
 */
bool Reader::_leads_to(uint32_t slot, Kind kind, size_t number) const
{
	bool result = false;

	auto compare = [&] (Object const &object) {
		result = object.kind == kind && object.number == number; };

	if (!is_unit(_contents))
		with_object(slot, compare);
	else if (slot < num<Object>())
		compare(get<Object>(slot));

	return result;
}


bool Reader::_check_objects()
{
	/* the member that is being dealt with, and slot behind those that have been dealt with */
	uint32_t member = 0, next = 0;

	auto badge_before = [&] (uint32_t of_member, uint32_t slot)
	{
		for (;;) {
			Table    const &table = _tables[member];
			uint32_t const  end   = (member < of_member) ? table.num_slots : slot;

			for (; next < end; next++)
				if (_table_slot(table, next).state != Slot::FREE)
					return true;

			if (member == of_member)
				return false;

			member++, next = 0;
		}
	};

	bool const each_ok = _check_each<Object>([&] (auto const &item) {

		Object const &o = item.r;

		if (!item.member())
			return false;
		if (o.member < member)
			return item.refuse(o.member, OUT_OF_ORDER);

		Table const &table = _tables[o.member];

		if (o.slot >= table.num_slots)
			return item.refuse(o.slot, "no such slot");
		if (o.member == member && o.slot < next)
			return item.refuse(o.slot, OUT_OF_ORDER);
		if (badge_before(o.member, o.slot))
			return item.refuse(o.slot, "a slot with a badge is missing in front of it");

		Slot const slot = _table_slot(table, o.slot);

		if (slot.state == Slot::FREE)
			return item.refuse(o.slot, "slot carries no badge");
		if (slot.badge != o.badge)
			return item.refuse(o.badge, "badge is not the one of the slot");

		if (o.kind < Object::PARENT || o.kind > Object::DEAD)
			return item.refuse(o.kind, "unknown kind of object");
		if (slot.state == Slot::DETACHED && o.kind != Object::DEAD)
			return item.refuse(o.kind, "detached slot does not lead to a dead object");
		if (o.kind == Object::PSEUDO && (o.slot >= table.first_user || o.badge != 1))
			return item.refuse(o.kind, "not the slot of a pseudo badge");
		if (o.kind == Object::PARENT && o.member)
			return item.refuse(o.kind, "member is not the root");

		if (o.number >= _num_records(Kind(o.kind)))
			return item.refuse(o.number, "no such record");

		bool const has_record = o.kind != Object::PSEUDO && o.kind != Object::DEAD;

		if (has_record && !_named(o, item.number))
			return item.refuse(o.number, "record does not name this slot");

		next = o.slot + 1;

		if (!is_unit(_contents))
			return item.zero(o.previous);
		if (o.previous == NONE)
			return true;
		if (o.previous >= item.number)
			return item.refuse(o.previous, OUT_OF_ORDER);

		Object const previous = get<Object>(o.previous);

		if (previous.kind != o.kind || previous.number != o.number || !has_record)
			return item.refuse(o.previous, "other slot does not lead to this record");

		return previous.member < o.member
		    || item.refuse(o.previous, "member has two slots of the record");
	});

	if (each_ok && badge_before(_num_members - 1, _tables[_num_members - 1].num_slots))
		return _refuse(OBJECTS, _places[OBJECTS].length, "slots with badges are missing");

	return each_ok;
}
