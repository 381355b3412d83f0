/*
 * \brief  Test of checksums, writer, and reader of images on the host
 * \date   2026-11-29
 *
 * usage: test [hash FILE... | reasons]
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstring>

#include "check.h"

using namespace Cap_checkpoint;
using namespace Cap_checkpoint::Image;


static std::string hex(Sha256::Digest const &digest)
{
	std::string text { };
	for (uint8_t byte : digest.bytes) {
		char two[3];
		snprintf(two, sizeof(two), "%02x", byte);
		text += two;
	}
	return text;
}


static void test_crc32()
{
	auto crc = [] (char const *text) { return Crc32::of(text, strlen(text)); };

	checks.that(crc("")          == 0,          "CRC-32 of nothing");
	checks.that(crc("a")         == 0xe8b7be43, "CRC-32 of a");
	checks.that(crc("123456789") == 0xcbf43926, "CRC-32 of the check value");
	checks.that(crc("The quick brown fox jumps over the lazy dog") == 0x414fa339,
	            "CRC-32 of a sentence");

	std::string const text(1000, 'x');
	for (size_t split = 0; split <= text.size(); split++) {
		Crc32 parts { };
		parts.append(text.data(), split);
		parts.append(text.data() + split, text.size() - split);
		checks.that(parts.value() == crc(text.c_str()), "CRC-32 in two parts");
	}
}


static void test_sha256()
{
	/* FIPS 180-4 and the test vectors published with it */
	struct { std::string message, hash; } const vectors[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
		  "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
		{ std::string(1000000, 'a'),
		  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" } };

	for (auto const &[message, hash] : vectors) {

		checks.that(hex(Sha256::of(message.data(), message.size())) == hash,
		            "SHA-256 of " + message.substr(0, 10));

		for (size_t split = 0; split <= message.size() && split < 200; split++) {
			Sha256 parts { };
			parts.append(message.data(), split);
			parts.append(message.data() + split, message.size() - split);
			checks.that(hex(parts.digest()) == hash, "SHA-256 in two parts");
			if (message.size() > 1000)
				break;
		}
	}
}


/**
 * Sample with some pages
 */
static Sample filled()
{
	Sample sample { };
	sample.fill({ { 0, 0 }, { 0, 2 }, { 5, 0 } });
	return sample;
}


static void test_round_trip()
{
	Sample const sample = filled();
	Bytes  const image  = sample.image();

	Reader const reader { image.data(), image.size() };

	if (!checks.that(reader.valid(), "sample is valid: " + verdict(image).text))
		return;

	checks.that(Container::size(image.data(), image.size()) == image.size(), "size by the header");

	System const system = reader.system();
	checks.that(!memcmp(&system, &sample.system, sizeof(system)), "system");

	reader.with_table([&] (char const *bytes, size_t size) {
		checks.that(size == sizeof(sample.table) && !memcmp(bytes, &sample.table, 0x140), "table"); });

	/* each record comes back as it was */
	std::apply([&] (auto const &... all) { ([&] {

		using Record = typename std::remove_reference_t<decltype(all)>::value_type;

		checks.that(reader.num<Record>() == all.size(), "number of records");

		reader.for_each<Record>([&] (size_t i, Record const &record) {
			checks.that(!memcmp(&record, &all[i], sizeof(record)), SECTION_NAMES[Record::SECTION]); });

	} (), ...); }, sample.records);

	size_t pages = 0;
	reader.for_each_page([&] (uint32_t dataspace, uint32_t page, char const *bytes) {
		Page const &p = sample.all<Page>()[pages++];
		checks.that(p.dataspace == dataspace && p.page == page
		         && !memcmp(bytes, p.bytes, PAGE_SIZE), "page"); });
	checks.that(pages == 3, "number of pages");

	for (uint32_t slot = 0; slot < Sample::NUM_SLOTS; slot++) {
		bool found = false;
		reader.with_object(slot, [&] (Object const &o) { found = o.slot == slot; });
		bool const used = (slot && slot <= 3) || (slot >= Sample::USER && slot < Sample::NUM_USED);
		checks.that(found == used, "slot " + std::to_string(slot));
	}
}


static void test_writer()
{
	/* zero pages are left out, wherever the only byte of another one is */
	alignas(8) static char memory[4*PAGE_SIZE];
	for (size_t at = 0; at < 2*PAGE_SIZE; at++) {
		memory[PAGE_SIZE + at] = 1;
		Sample sample { };
		size_t zeros = 0;
		Bytes const image = written([&] (Writer &writer) {
			zeros = writer.pages(7, 10, memory, 4); });
		memory[PAGE_SIZE + at] = 0;

		uint32_t head[2] { };
		memcpy(head, image.data() + place(image, PAGES), sizeof(head));
		checks.that(zeros == 3 && head[0] == 7 && head[1] == 11 + at/PAGE_SIZE
		         && image.size() == place(image, PAGES) + sizeof(Page), "zero pages");
	}

	Sample const sample { };
	checks.that(written([&] (Writer &writer) {
		writer.put(sample.all<Thread>()[0]);
		writer.put(sample.system);
	}).empty(), "records out of order are refused");

	/* a destination that takes so many pieces only */
	for (unsigned pieces = 0; pieces < 3; pieces++) {
		struct Full : Sink
		{
			unsigned left;

			Full(unsigned left) : left(left) { }

			bool write(uint64_t, void const *, size_t) override { return left && left--; }

		} sink { pieces };

		Writer writer { sink };
		writer.put(sample.system);
		writer.put(sample.all<Session>()[0]);
		checks.that(writer.finish() != nullptr, "failure of the destination is reported");
	}

	/* the header comes last */
	struct Order : Sink
	{
		uint64_t next = 32 + 40*num_sections(COMPLETE);
		bool     ok = true, done = false;

		bool write(uint64_t at, void const *, size_t num_bytes) override
		{
			ok &= !done && (at == next || !at);
			next += num_bytes;
			done = !at;
			return true;
		}
	} order { };

	Writer writer { order };
	writer.put(sample.system);
	writer.table("abc", 3);
	writer.put(sample.all<Session>()[0]);
	checks.that(!writer.finish() && order.ok && order.done, "order of positions");

	char small[100];
	Memory_sink sink { small, sizeof(small) };
	Writer to_small { sink };
	to_small.put(sample.system);
	checks.that(!to_small.finish() && !sink.complete() && sink.needed() == to_small.size(),
	            "memory that is needed");
}


int main(int argc, char **argv)
{
	std::string const command = argc > 1 ? argv[1] : "";

	auto load = [] (char const *name) {
		Bytes bytes { };
		if (FILE * const file = fopen(name, "rb")) {
			char buf[4096];
			while (size_t const n = fread(buf, 1, sizeof(buf), file))
				bytes.insert(bytes.end(), buf, buf + n);
			fclose(file);
		}
		return bytes;
	};

	if (command == "hash") {
		for (int i = 2; i < argc; i++) {
			Bytes const bytes = load(argv[i]);
			printf("%08x %s\n", Crc32::of(bytes.data(), bytes.size()),
			       hex(Sha256::of(bytes.data(), bytes.size())).c_str());
		}
		return 0;
	}

	test_crc32();
	test_sha256();
	test_round_trip();
	test_writer();
	test_fields();
	test_units();
	test_map_sizes();
	test_container();
	test_chain();
	test_histories();

	if (command == "reasons")
		for (std::string const &reason : checks.reasons)
			puts(reason.c_str());

	fprintf(stderr, "cap_checkpoint_image: %lu checks, %lu failed\n", checks.count, checks.failed);
	return checks.failed || !checks.count;
}
