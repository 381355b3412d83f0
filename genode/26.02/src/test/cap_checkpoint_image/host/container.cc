/*
 * \brief  Test of images that are cut, altered, or of another kind
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstring>

#include "check.h"

using namespace Cap_checkpoint;
using namespace Cap_checkpoint::Image;


static Bytes sample_image()
{
	Sample sample { };
	sample.fill({ { 0, 0 }, { 0, 2 } });
	return sample.image();
}


static void test_cut()
{
	Bytes const image = sample_image();

	checks.that(verdict(image).valid, "image is valid before it is cut");
	checks.that(replaced(image, TABLE, section_of(image, TABLE)) == image, "sections put together");

	/* a file that ends too early, or too late */
	for (size_t length = 0; length < image.size(); length++) {
		Verdict const v = verdict(Bytes(image.begin(), image.begin() + long(length)));
		checks.that(!v.valid && v.offset <= length, "cut at " + std::to_string(length));
	}
	Bytes longer = image;
	longer.push_back(0);
	refused(longer, image.size(), "not the length that its header says");
	refused(sealed(with(longer, 16, image.size() + 1)), image.size(), "bytes behind the last section");

	/* sections that end at each record, and within each, with right checksums */
	for (unsigned i = 0; i < NUM_SECTIONS; i++) {

		if (!has_section(COMPLETE, i))
			continue;

		Section const section = Section(i);
		Bytes   const content = section_of(image, section);
		size_t  const record  = record_size(section);
		size_t  const step    = (section == TABLE) ? 8 : record;

		for (size_t length = 0; length < content.size(); length += step) {

			Bytes const cut(content.begin(), content.begin() + long(length));

			/* nothing refers to these */
			bool const optional = section == PAGES || section == HANDLERS || section == TIMERS
			                   || section == REGIONS
			                   || (section == THREADS && length == 3*sizeof(Thread))
			                   || (section == GATES   && length == 2*sizeof(Gate));
			checks.that(verdict(replaced(image, section, cut)).valid == optional,
			            std::string(SECTION_NAMES[i]) + " of " + std::to_string(length) + " bytes");

			if (record == 1)
				continue;

			Bytes partial = cut;
			partial.insert(partial.end(), content.begin(), content.begin() + long(record/2));
			Bytes const bad = replaced(image, section, partial);
			refused(bad, place(bad, section) + (section == SYSTEM ? 0 : length),
			        section == SYSTEM ? "section \"system\"" : "ends within a record");
		}

		Bytes const missing = replaced(image, section, content, "of-the-future");

		if (may_be_missing(i)) {
			checks.that(Reader(missing.data(), missing.size()).valid(), "section that may be missing");
			continue;
		}
		refused(missing, 0, std::string("section \"") + SECTION_NAMES[i] + "\": is missing");
	}

	Bytes twice = section_of(image, SYSTEM);
	twice.insert(twice.end(), twice.begin(), twice.end());
	Bytes const bad = replaced(image, SYSTEM, twice);
	refused(bad, place(bad, SYSTEM), "is not one record");
}


static void test_altered()
{
	Bytes const image = Sample().image();

	for (size_t at = 0; at < image.size(); at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			Verdict const v = verdict(with(image, at, char(image[at] ^ (1 << bit))));
			checks.that(!v.valid && v.offset <= image.size(), "bit " + std::to_string(8*at + bit));
		}
}


/**
 * Checksums of sections that the reader takes for right, while all else is checked
 */
static void test_known_sums()
{
	Bytes const image = sample_image();

	auto valid = [&] (Bytes const &bytes)
	{
		return Reader(bytes.data(), bytes.size(), COMPLETE, nullptr, Container::Sums::KNOWN).valid();
	};

	checks.that( valid(image), "valid image with known checksums");
	checks.that( valid(with(image, image.size() - 1, 'X')), "page that differs from its checksum");
	checks.that(!valid(with(image, 28, 0)), "checksum of the header is checked nevertheless");
	checks.that(!valid(with(image, 32, 'X')), "checksum of the section table is checked nevertheless");
	checks.that(!valid(with(image, place(image, SYSTEM) + 8, 1)), "field is checked nevertheless");
}


static void test_header()
{
	Bytes const image = sample_image();

	refused(with(image, 0, 'X'), 0, "this is not a checkpoint file");
	refused(Bytes(), 0, "the file ends within its header");
	for (uint32_t const version : { 0, 1, 3 })
		refused(sealed(with(image, 8, version)), 8, "format version");
	refused(with(image, 28, 0), 28, "checksum of the header");
	refused(with(image, 32, 'X'), 24, "checksum of the section table");
	refused(with(image, image.size() - 1, 'X'), place(image, PAGES), "checksum of a section");

	for (uint32_t const count : { 33U, ~0U })
		refused(sealed(with(image, 12, count)), 12, "too many sections");

	Bytes const few(image.begin(), image.begin() + 600);
	refused(sealed(with(few, 16, uint64_t(600))), 12, "sections do not fit in the file");

	auto entry = [&] (size_t field, auto value, uint64_t offset, char const *why) {
		refused(sealed(with(image, 32 + 40 + field, value)), offset, why); };

	entry(0,  char(0),    32 + 40,      "name of a section is malformed");
	entry(0,  char(0xc3), 32 + 40,      "name of a section is malformed");
	entry(15, 'x',        32 + 40,      "name of a section is malformed");
	entry(16, ~0ULL,      32 + 40 + 16, "section is not where the one before ends");
	entry(24, ~0ULL,      32 + 40 + 24, "section does not fit in the file");
	entry(36, 1,          32 + 40 + 36, "reserved field is not zero");

	struct { char text[NAME_SIZE]; } system { };
	put_text(system.text, "system");
	refused(sealed(with(image, 32 + 40, system)), 32 + 40, "section occurs twice");

	/* a section of no multiple of 8 bytes that others ignore */
	Bytes const odd = replaced(image, PAGES, Bytes(5, 'x'), "of-the-future");
	refused(odd, 0, "section \"pages\": is missing");

	Bytes table = section_of(image, TABLE);
	table.push_back(0);
	Bytes const padded = replaced(image, TABLE, table);
	checks.that(verdict(padded).valid, "sections are padded");
	refused(sealed(with(padded, place(padded, TABLE) + table.size(), 'x')),
	        place(padded, TABLE) + table.size(), "padding before a section is not zero");

	/* what later versions do with records is their business */
	for (uint32_t const version : { 0U, 2U, ~0U }) {
		Bytes content = section_of(image, SYSTEM);
		memcpy(content.data(), &version, 4);
		content.resize(300);
		Bytes const future = replaced(image, SYSTEM, content);
		refused(future, place(future, SYSTEM), "version of the contents");
	}

	checks.that(Container::size(image.data(), 31) == 0,               "no size without a header");
	checks.that(Container::size(with(image, 8, 3).data(), 32) == 0,   "no size of other versions");
	checks.that(Container::size(with(image, 16, 3).data(), 32) == 0,  "no size without a checksum");
	checks.that(Container::size(image.data(), 32) == image.size(),    "size by the first bytes");
}


static void test_table()
{
	using Change = void (*)(Sample &);

	auto faulty = [&] (char const *why, Change fn)
	{
		Sample sample { };
		fn(sample);
		Bytes const image = sample.image();
		refused(image, place(image, TABLE), why);
	};

	faulty("no table",                [] (Sample &s) { s.table.words[0]++; });
	faulty("version of the table",    [] (Sample &s) { s.table.words[1]++; });
	faulty("bad number of slots",     [] (Sample &s) { s.table.words[3] = 63; });
	faulty("bad number of slots",     [] (Sample &s) { s.table.words[3] = 128*1024 + 1; });
	faulty("bad size of the table",   [] (Sample &s) { s.table.words[2] -= 8; });
	faulty("bad size of the table",   [] (Sample &s) { s.table.words[2] = 0x200 + 8*100;
	                                                   s.table.words[3] = 100; });
	faulty("bad first user slot",     [] (Sample &s) { s.table.words[4] = 64; });
	faulty("bad selector shift",      [] (Sample &s) { s.table.words[5] = 33; });
	faulty("bad number of badge bits", [] (Sample &s) { s.table.words[6] = 0; });
	faulty("bad number of badge bits", [] (Sample &s) { s.table.words[6] = 29; });
	faulty("bad offset of the slots", [] (Sample &s) { s.table.words[7] = 0x208; });
	faulty("table is not published",  [] (Sample &s) { s.table.words[0x100/8] = 2; });
	faulty("bad badge in the table",  [] (Sample &s) { s.table.words[0x118/8] = 1ULL << 32; });
	faulty("bad badge in the table",  [] (Sample &s) { s.table.words[0x120/8] = 1ULL << 32; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x128/8] = 0x3c0; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x128/8] = 0x420; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x130/8] = 4; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x130/8] = 72; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x130/8] = ~7ULL; });
	faulty("bad area",                [] (Sample &s) { s.table.words[0x138/8] = 1ULL << 32; });
	faulty("table is retired",        [] (Sample &s) { s.table.words[0x80/8] |= 1; });

	/* Unicode 15, table 3-7 */
	struct { char const *label; bool good; } const labels[] = {
		{ "gr\xc3\xb6\xc3\x9f""e", true }, { "\xed\x9f\xbf\xee\x80\x80", true },
		{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true }, { "\xe0\xa0\x80", true },
		{ "\x80", false }, { "\xc1\xbf", false }, { "\xc3", false }, { "\xe0\x9f\xbf", false },
		{ "\xed\xa0\x80", false }, { "\xf0\x8f\xbf\xbf", false }, { "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false }, { "\xe2\x82", false }, { "\xe2\x82\xc0", false } };

	for (auto const &[label, good] : labels) {
		Sample sample { };
		memcpy(&sample.table.words[8], label, strlen(label));
		Verdict const v = verdict(sample.image());
		checks.that(v.valid == good, "label: " + v.text);
		if (!good)
			checks.that(v.text.find("bad label") != std::string::npos, v.text);
	}
	Sample cut { };
	memcpy((char *)&cut.table.words[8] + 63, "\xc3", 1);
	checks.that(!verdict(cut.image()).valid, "label that ends within a character");

	Sample corrupt { };
	corrupt.table.words[64 + 5] = 1ULL << 61;
	Bytes image = corrupt.image();
	refused(image, place(image, TABLE) + 0x200 + 8*5, "slot is corrupt");

	/* what is behind the high-water mark does not count */
	Sample behind { };
	behind.table.words[64 + 60] = 1ULL << 61;
	checks.that(verdict(behind.image()).valid, "slot behind the high-water mark");

	Bytes sum = Sample().image();
	Bytes content = section_of(sum, TABLE);
	content[0x140] = char(content[0x140] + 1);
	sum = replaced(sum, TABLE, content);
	/* 'sealed' has mended it */
	checks.that(verdict(sum).valid, "checksum of the table");
	sum[place(sum, TABLE) + 0x140]++;
	uint32_t const crc = Crc32::of(sum.data() + place(sum, TABLE), content.size());
	sum = with(sum, entry(sum, TABLE) + 32, crc);
	sum = with(sum, 24, Crc32::of(sum.data() + 32, 40*num_sections(COMPLETE)));
	sum = with(sum, 28, Crc32::of(sum.data(), 28));
	refused(sum, place(sum, TABLE), "checksum of the table's header");

	Bytes const small = replaced(Sample().image(), TABLE, Bytes(0x3f8, 0));
	refused(small, place(small, TABLE), "too small for a table");
}


void Cap_checkpoint::Image::test_container()
{
	test_cut();
	test_altered();
	test_header();
	test_known_sums();
	test_table();
}
