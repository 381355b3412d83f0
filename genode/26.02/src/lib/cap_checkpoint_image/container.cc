/*
 * \brief  Sections of an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_checkpoint/crc32.h>
#include <cap_checkpoint/image_reader.h>

using namespace Cap_checkpoint::Image;
using Cap_checkpoint::Crc32;


/* offsets within the header */
enum { MAGIC_SIZE = 8, VERSION = 8, COUNT = 12, LENGTH = 16, TABLE_CRC = 24, HEADER_CRC = 28 };

/* offsets within an entry of the section table */
enum { ENTRY_OFFSET = 16, ENTRY_LENGTH = 24, ENTRY_CRC = 32, ENTRY_ZERO = 36 };


static bool equal(char const *a, char const *b, size_t num_bytes)
{
	for (size_t i = 0; i < num_bytes; i++)
		if (a[i] != b[i])
			return false;
	return true;
}


bool Container::_refuse(size_t offset, char const *reason)
{
	_refusal = { reason, nullptr, Refusal::NO_RECORD, offset };
	return false;
}


bool Container::_refuse(Section section, size_t offset, char const *reason)
{
	_refusal = { reason, SECTION_NAMES[section], Refusal::NO_RECORD,
	             _places[section].offset + offset };
	return false;
}


bool Container::begins(void const *bytes, size_t num_bytes)
{
	return num_bytes >= MAGIC_SIZE && equal((char const *)bytes, MAGIC, MAGIC_SIZE);
}


uint64_t Container::size(void const *bytes, size_t num_bytes)
{
	if (num_bytes < HEADER_SIZE)
		return 0;

	Container const head { bytes, HEADER_SIZE, COMPLETE };

	bool const ok = begins(bytes, num_bytes)
	             && head._read<uint32_t>(VERSION)    == FORMAT_VERSION
	             && head._read<uint32_t>(HEADER_CRC) == Crc32::of(bytes, HEADER_CRC);

	return ok ? head._read<uint64_t>(LENGTH) : 0;
}


/**
 * Return checksum of a section
 */
uint32_t Container::_checksum(size_t offset, size_t length) const
{
	static constexpr size_t STEP = 64*1024;

	Crc32 crc { };

	for (size_t done = 0; done < length; ) {

		size_t const size = length - done < STEP ? length - done : STEP;

		crc.append(_start + offset + done, size);
		done += size;

		if (_pace)
			_pace->passed(size);
	}
	return crc.value();
}


/**
 * Obtain name of the section with the entry at 'at'
 */
bool Container::_parse_name(size_t at, char (&name)[NAME_SIZE])
{
	__builtin_memcpy(name, _start + at, NAME_SIZE);

	bool end = false, ok = name[0] != 0;
	for (char c : name) {
		ok  &= !(c & 0x80) && (!end || !c);
		end |= !c;
	}
	return ok || _refuse(at, "name of a section is malformed");
}


/**
 * Obtain place of the section with the entry at 'at', which follows what ends at 'end'
 */
bool Container::_parse_entry(size_t at, size_t end, Place &place)
{
	char name[NAME_SIZE];
	if (!_parse_name(at, name))
		return false;

	size_t const unaligned = end % SECTION_ALIGN,
	             offset    = end + (unaligned ? SECTION_ALIGN - unaligned : 0);

	if (_read<uint64_t>(at + ENTRY_OFFSET) != offset)
		return _refuse(at + ENTRY_OFFSET, "section is not where the one before ends");

	uint64_t const length = _read<uint64_t>(at + ENTRY_LENGTH);

	if (offset > _num_bytes || length > _num_bytes - offset)
		return _refuse(at + ENTRY_LENGTH, "section does not fit in the file");

	if (_read<uint32_t>(at + ENTRY_ZERO))
		return _refuse(at + ENTRY_ZERO, "reserved field is not zero");

	for (size_t i = end; i < offset; i++)
		if (_start[i])
			return _refuse(end, "padding before a section is not zero");

	if (_sums == Sums::CHECKED
	 && _checksum(offset, size_t(length)) != _read<uint32_t>(at + ENTRY_CRC))
		return _refuse(offset, "checksum of a section does not match");

	place = { offset, size_t(length) };
	return true;
}


bool Container::_parse_unique(size_t at)
{
	for (size_t other = HEADER_SIZE; other < at; other += ENTRY_SIZE)
		if (equal(_start + other, _start + at, NAME_SIZE))
			return _refuse(at, "section occurs twice");

	return true;
}


bool Container::_parse()
{
	auto ended = [&] { return _refuse(_num_bytes, "the file ends within its header"); };

	if (_num_bytes < MAGIC_SIZE)
		return ended();

	if (!begins(_start, _num_bytes))
		return _refuse(0, "this is not a checkpoint file");

	if (_num_bytes < VERSION + 4)
		return ended();

	if (_read<uint32_t>(VERSION) != FORMAT_VERSION)
		return _refuse(VERSION, "format version is not the one that is read");

	if (_num_bytes < HEADER_SIZE)
		return ended();

	if (Crc32::of(_start, HEADER_CRC) != _read<uint32_t>(HEADER_CRC))
		return _refuse(HEADER_CRC, "checksum of the header does not match");

	uint64_t const length = _read<uint64_t>(LENGTH);

	if (length != _num_bytes)
		return _refuse(length < _num_bytes ? size_t(length) : _num_bytes,
		               "the file has not the length that its header says");

	size_t const count = _read<uint32_t>(COUNT);

	if (count > MAX_SECTIONS)
		return _refuse(COUNT, "too many sections");

	size_t const start = HEADER_SIZE + count*ENTRY_SIZE;

	if (start > _num_bytes)
		return _refuse(COUNT, "sections do not fit in the file");

	if (Crc32::of(_start + HEADER_SIZE, count*ENTRY_SIZE) != _read<uint32_t>(TABLE_CRC))
		return _refuse(TABLE_CRC, "checksum of the section table does not match");

	Place place { .offset = start, .length = 0 };

	for (size_t at = HEADER_SIZE; at < start; at += ENTRY_SIZE)
		if (!_parse_entry(at, place.offset + place.length, place) || !_parse_unique(at))
			return false;

	size_t const end = place.offset + place.length;

	return end == _num_bytes || _refuse(end, "bytes behind the last section");
}


/**
 * Find section of a container that was parsed
 */
bool Container::_find(char const *section, Place &place) const
{
	char name[NAME_SIZE];
	put_text(name, section);

	size_t const count = _read<uint32_t>(COUNT);

	for (size_t i = 0; i < count; i++) {

		size_t const at = HEADER_SIZE + i*ENTRY_SIZE;

		if (equal(_start + at, name, NAME_SIZE)) {
			place = { size_t(_read<uint64_t>(at + ENTRY_OFFSET)),
			          size_t(_read<uint64_t>(at + ENTRY_LENGTH)) };
			return true;
		}
	}
	return false;
}


/**
 * Find out where the sections of a component's image are
 */
bool Container::_find_sections()
{
	for (unsigned section = 0; section < NUM_SECTIONS; section++) {

		if (!has_section(_contents, section))
			continue;

		if (!_find(SECTION_NAMES[section], _places[section])) {
			if (may_be_missing(section))
				continue;
			return _refuse(Section(section), 0, "is missing");
		}

		/* other versions may have other sections and records */
		Place const place = _places[section];
		if (section == SYSTEM && place.length >= sizeof(uint32_t)) {

			uint32_t const version = _read<uint32_t>(place.offset);

			if (version < COMPLETE || version > UNIT_INCREMENT
			 || is_increment(Contents(version)) != is_increment(_contents))
				return _refuse(SYSTEM, 0, "version of the contents is not the one that is read");

			_contents = Contents(version);
		}
	}

	for (unsigned section = 0; section < NUM_SECTIONS; section++) {

		size_t const length  = _places[section].length,
		             partial = length % record_size(Section(section));

		if (partial)
			return _refuse(Section(section), length - partial, "ends within a record");
	}

	auto one = [&] (Section section)
	{
		return _places[section].length == record_size(section)
		    || _refuse(section, 0, "is not one record");
	};

	return one(SYSTEM) && (!is_increment(_contents) || one(BASE));
}
