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


uint64_t Reader::_table_word(size_t at) const
{
	return _read<uint64_t>(_places[TABLE].offset + at);
}


uint64_t Reader::_table_checksum() const
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t at = 0; at < KIND + 0x40; at++) {

		/* words that change are not covered */
		if (at == BATCH)
			at = KIND;

		sum ^= _read<uint8_t>(_places[TABLE].offset + at);
		sum *= 0x100000001b3;
	}
	return sum;
}


/**
 * Check header
 *
 * \return  what is wrong, or nullptr
 */
char const *Reader::_table_fault()
{
	size_t const bytes = _places[TABLE].length;

	if (bytes < SLOTS + 8*MIN_SLOTS) return "too small for a table";

	auto word = [&] (Word at) { return _table_word(at); };

	if (word(MAGIC_WORD) != TABLE_MAGIC)    return "no table";
	if (word(VERSION) != TABLE_VERSION)     return "version of the table is not the one that is read";
	if (word(CHECKSUM) != _table_checksum()) return "checksum of the table's header does not match";

	uint64_t const slots = word(CAPACITY), size = SLOTS + 8*slots;

	if (slots < MIN_SLOTS || slots > MAX_SLOTS)        return "bad number of slots";
	if (word(SIZE) != size || size > bytes)            return "bad size of the table";
	if (word(FIRST_USER) >= slots)                     return "bad first user slot";
	if (word(SHIFT) > 32)                              return "bad selector shift";
	if (!word(BADGE_BITS) || word(BADGE_BITS) > 28)    return "bad number of badge bits";
	if (word(SLOTS_OFFSET) != SLOTS)                   return "bad offset of the slots";

	uint8_t const *label = (uint8_t const *)_start + _places[TABLE].offset + LABEL;
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

	_table = { .num_slots  = uint32_t(slots),
	           .first_user = uint32_t(word(FIRST_USER)),
	           .high_water = uint32_t(word(HIGH_WATER) < slots ? word(HIGH_WATER) : slots),
	           .bank       = unsigned(batch >> 19 & 1) };

	return nullptr;
}


Reader::Slot Reader::_table_slot(uint32_t slot) const
{
	if (slot >= _table.high_water)
		return { Slot::FREE, 0 };

	uint64_t const word  = _table_word(SLOTS + 8*size_t(slot));
	uint32_t const badge = (word >> (_table.bank ? 5 : 33)) & ((1U << 28) - 1);

	switch (word >> 61) {
	case 0:  return { Slot::FREE,     0 };
	case 2:  return { Slot::USED,     badge };
	case 3:  return { Slot::DETACHED, badge };
	default: return { Slot::CORRUPT,  0 };
	}
}


bool Reader::_check_table()
{
	if (char const * const fault = _table_fault())
		return _refuse(TABLE, 0, fault);

	for (uint32_t slot = 0; slot < _table.high_water; slot++)
		if (_table_slot(slot).state == Slot::CORRUPT)
			return _refuse(TABLE, SLOTS + 8*size_t(slot), "slot is corrupt");

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
 * Return the slot that the record of an object names
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

	/* nothing names the slot of a pseudo badge or of a dead object */
	return object.slot;
}


/**
 * Return true if the slot leads to the record
 */
bool Reader::_leads_to(uint32_t slot, Kind kind, size_t number) const
{
	bool result = false;
	with_object(slot, [&] (Object const &object) {
		result = object.kind == kind && object.number == number; });
	return result;
}


bool Reader::_check_objects()
{
	uint32_t next = 0;  /* slots in front of it have been dealt with */

	auto badge_before = [&] (uint32_t slot)
	{
		for (; next < slot; next++)
			if (_table_slot(next).state != Slot::FREE)
				return true;
		return false;
	};

	bool const each_ok = _check_each<Object>([&] (auto const &item) {

		Object const &o = item.r;

		if (o.slot >= _table.num_slots)
			return item.refuse(o.slot, "no such slot");
		if (o.slot < next)
			return item.refuse(o.slot, "is out of order");
		if (badge_before(o.slot))
			return item.refuse(o.slot, "a slot with a badge is missing in front of it");

		Slot const slot = _table_slot(o.slot);

		if (slot.state == Slot::FREE)
			return item.refuse(o.slot, "slot carries no badge");
		if (slot.badge != o.badge)
			return item.refuse(o.badge, "badge is not the one of the slot");

		if (o.kind < Object::PARENT || o.kind > Object::DEAD)
			return item.refuse(o.kind, "unknown kind of object");
		if (slot.state == Slot::DETACHED && o.kind != Object::DEAD)
			return item.refuse(o.kind, "detached slot does not lead to a dead object");
		if (o.kind == Object::PSEUDO && (o.slot >= _table.first_user || o.badge != 1))
			return item.refuse(o.kind, "not the slot of a pseudo badge");

		if (o.number >= _num_records(Kind(o.kind)))
			return item.refuse(o.number, "no such record");
		if (_slot_of(o) != o.slot)
			return item.refuse(o.number, "record does not name this slot");

		next = o.slot + 1;
		return item.zero(o.zero);
	});

	if (each_ok && badge_before(_table.num_slots))
		return _refuse(OBJECTS, _places[OBJECTS].length, "slots with badges are missing");

	return each_ok;
}
