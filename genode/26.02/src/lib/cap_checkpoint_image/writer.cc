/*
 * \brief  Writer of the image of a component
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_checkpoint/image_writer.h>

using namespace Cap_checkpoint::Image;
using Cap_checkpoint::Crc32;


/**
 * Return size of header and section table
 */
static constexpr size_t head_size(Contents contents)
{
	return HEADER_SIZE + num_sections(contents)*ENTRY_SIZE;
}

static_assert(HEADER_SIZE % SECTION_ALIGN == 0 && ENTRY_SIZE % SECTION_ALIGN == 0
           && NUM_SECTIONS <= MAX_SECTIONS);


/**
 * Header and section table, as they are with all sections
 */
struct Head
{
	char     magic[8];
	uint32_t version;
	uint32_t num_sections;
	uint64_t length;
	uint32_t table_crc;
	uint32_t header_crc;

	struct
	{
		char     name[NAME_SIZE];
		uint64_t offset, length;
		uint32_t crc, zero;

	} entries[NUM_SECTIONS];
};

static_assert(sizeof(Head) == head_size(UNIT_INCREMENT));


bool Cap_checkpoint::Image::zero_page(void const *page)
{
	using Words = uint64_t __attribute__((may_alias));

	Words const *p = (Words const *)page, * const end = p + PAGE_SIZE/sizeof(*p);

	/* pages in use mostly end the loop early */
	for (; p < end; p += 8)
		if (p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7])
			return false;

	return true;
}


Writer::Writer(Sink &sink, Contents contents)
: _sink(sink), _contents(contents), _offset(head_size(contents)) { }


void Writer::_fail(char const *failure)
{
	if (!_failure)
		_failure = failure;
}


void Writer::_write(void const *bytes, size_t num_bytes)
{
	if (_failure)
		return;

	if (_sink.write(_offset, bytes, num_bytes))
		_offset += num_bytes;
	else
		_fail("destination of the image does not take it");
}


/**
 * Conclude the sections in front of 'section'
 */
bool Writer::_advance(unsigned const section)
{
	if (section < _current) {
		_fail("sections of the image are written out of order");
		return false;
	}

	for (; _current < section; _current++, _begun = false) {

		Entry &entry = _entries[_current];

		if (!_begun)
			entry.offset = _offset;

		entry.length = _offset - entry.offset;
		entry.crc    = _crc.value();
		_crc         = { };

		/* the last section needs no padding because of the size of its records */
		static constexpr char ZEROS[SECTION_ALIGN] { };
		size_t const unaligned = _offset % SECTION_ALIGN;
		if (unaligned)
			_write(ZEROS, SECTION_ALIGN - unaligned);
	}
	return !_failure;
}


void Writer::_append(Section section, void const *bytes, size_t num_bytes)
{
	if (!_advance(section))
		return;

	if (!has_section(_contents, section)) {
		_fail("section is not one of such an image");
		return;
	}

	if (!_begun)
		_entries[section].offset = _offset;

	_begun = true;
	_crc.append(bytes, num_bytes);
	_write(bytes, num_bytes);
}


size_t Writer::pages(uint32_t dataspace, uint32_t first, void const *bytes, size_t num_pages)
{
	size_t zeros = 0;

	char const *page = (char const *)bytes;

	for (size_t i = 0; i < num_pages; i++, page += PAGE_SIZE) {

		if (zero_page(page)) {
			zeros++;
			continue;
		}
		this->page(dataspace, uint32_t(first + i), page);
	}
	return zeros;
}


void Writer::page(uint32_t dataspace, uint32_t number, void const *bytes)
{
	uint32_t const head[2] { dataspace, number };

	_append(PAGES, head, sizeof(head));
	_append(PAGES, bytes, PAGE_SIZE);
}


char const *Writer::finish()
{
	_advance(NUM_SECTIONS);

	Head head { };

	for (unsigned i = 0; i < 8; i++)
		head.magic[i] = MAGIC[i];

	unsigned count = 0;
	for (unsigned i = 0; i < NUM_SECTIONS; i++) {

		if (!has_section(_contents, i))
			continue;

		auto &entry = head.entries[count++];
		put_text(entry.name, SECTION_NAMES[i]);
		entry.offset = _entries[i].offset;
		entry.length = _entries[i].length;
		entry.crc    = _entries[i].crc;
	}

	head.version      = FORMAT_VERSION;
	head.num_sections = count;
	head.length       = _offset;
	head.table_crc    = Crc32::of(head.entries, count*ENTRY_SIZE);
	head.header_crc   = Crc32::of(&head, HEADER_SIZE - sizeof(head.header_crc));

	_header_crc = head.header_crc;

	if (!_failure && !_sink.write(0, &head, head_size(_contents)))
		_fail("destination of the image does not take it");

	return _failure;
}
