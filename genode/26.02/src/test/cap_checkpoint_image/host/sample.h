/*
 * \brief  Small component with an object of each kind, and its image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SAMPLE_H_
#define _SAMPLE_H_

#include <tuple>
#include <vector>

#include <cap_checkpoint/image_reader.h>
#include <cap_checkpoint/image_writer.h>

namespace Cap_checkpoint { namespace Image {

	using Bytes = std::vector<char>;

	struct Sample;
	struct Sample_with_maps;

	/* at the start of each capability table */
	static constexpr uint64_t TABLE_MAGIC = 0x4341505441424c45;

	/**
	 * Write image by a function of a 'Writer &'
	 */
	static inline Bytes written(auto const &fn, Contents contents = COMPLETE, size_t room = 1 << 20)
	{
		Bytes bytes(room);
		Memory_sink sink { bytes.data(), bytes.size() };
		Writer writer { sink, contents };
		fn(writer);
		if (writer.finish() || !sink.complete())
			return { };

		bytes.resize(writer.size());
		return bytes;
	}

	/**
	 * Return image with all checksums set right, however wrong the rest is
	 */
	static inline Bytes sealed(Bytes image)
	{
		auto number = [&] (size_t at, size_t width)
		{
			uint64_t value = 0;
			if (at + width <= image.size())
				__builtin_memcpy(&value, image.data() + at, width);
			return value;
		};

		auto put = [&] (size_t at, auto value)
		{
			if (at + sizeof(value) <= image.size())
				__builtin_memcpy(image.data() + at, &value, sizeof(value));
		};

		auto within = [&] (uint64_t offset, uint64_t length) {
			return offset <= image.size() && length <= image.size() - offset; };

		uint64_t const count = number(12, 4) < 64 ? number(12, 4) : 64;

		for (size_t at = 32; at < 32 + 40*count; at += 40) {

			uint64_t const offset = number(at + 16, 8), length = number(at + 24, 8);

			if (!within(at, 40) || !within(offset, length))
				break;

			char * const bytes = image.data() + offset;

			/* headers of capability tables have checksums of their own */
			if (!__builtin_memcmp(image.data() + at, "table", 6))
				for (size_t table = 0; table + 0x200 <= length; table += 8) {

					if (table && __builtin_memcmp(bytes + table, &TABLE_MAGIC, 8))
						continue;

					uint64_t sum = 0xcbf29ce484222325;
					for (size_t i = 0; i < 0x140; i = (i == 0x7f) ? 0x100 : i + 1)
						sum = (sum ^ uint8_t(bytes[table + i]))*0x100000001b3;
					__builtin_memcpy(bytes + table + 0x140, &sum, 8);
				}
			put(at + 32, Crc32::of(bytes, length));
		}

		if (within(32, 40*count))
			put(24, Crc32::of(image.data() + 32, 40*count));
		if (within(0, 32))
			put(28, Crc32::of(image.data(), 28));

		return image;
	}
} }


struct Cap_checkpoint::Image::Sample
{
	/* slots, as the component uses them */
	enum { PARENT = 1, PSEUDO, OWN_GATE, USER = 8,
	       PD = USER, CPU, LOG, ROM, TIMER, ADDRESS_SPACE, STACK_AREA, LINKER_AREA,
	       NATIVE_CPU, RAM, ROM_DS, REPORT_DS, THREAD, NATIVE_THREAD, GATE_0, GATE_1,
	       SOURCE, SEMAPHORE, CONTEXT, GONE, DETACHED, NUM_USED, NUM_SLOTS = 64 };

	struct Table
	{
		uint64_t words[64 + NUM_SLOTS + 8] { };

		void use(unsigned slot, uint64_t badge, bool detached = false)
		{
			/* the bank is 1, badge 0 is what a monitor left */
			words[64 + slot] = uint64_t(detached ? 3 : 2) << 61 | (badge + 400) << 33 | badge << 5;
		}

	} table { };

	/* those of the members of a unit besides the root */
	std::vector<Table> other_tables { };

	System system { };

	std::tuple<std::vector<Member>, std::vector<Object>, std::vector<Session>, std::vector<Part>,
	           std::vector<Handler>, std::vector<Dataspace>, std::vector<Rom>,
	           std::vector<Region>, std::vector<Thread>, std::vector<Fault>, std::vector<Gate>,
	           std::vector<Source>, std::vector<Context>, std::vector<Timer>,
	           std::vector<Base>, std::vector<Origin>, std::vector<Page>> records { };

	template <typename RECORD>
	std::vector<RECORD> &all() { return std::get<std::vector<RECORD>>(records); }

	template <typename RECORD>
	std::vector<RECORD> const &all() const { return std::get<std::vector<RECORD>>(records); }

	static uint32_t badge(unsigned slot) { return slot == PSEUDO ? 1 : 1000 + 4*slot; }

	void object(unsigned slot, Object::Kind kind, uint32_t number = 0)
	{
		all<Object>().push_back({ slot, badge(slot), kind, number, 0, 0 });
		table.use(slot, badge(slot), slot == DETACHED);
	}

	void session(uint64_t id, unsigned slot, char const *service, char const *label)
	{
		uint32_t const n = uint32_t(id);
		Session s { id, slot, 0, 1000*id, 10*id, { 4, 1, n % 4, 0, 1, 1 }, { }, { }, { } };
		put_text(s.service, service);
		put_text(s.label, label);
		put_text(s.args, "ram_quota=1000, label=\"x\"");
		all<Session>().push_back(s);
	}

	void thread(char const *name, Thread t)
	{
		put_text(t.name, name);
		all<Thread>().push_back(t);
	}

	Sample()
	{
		uint64_t const header[] { TABLE_MAGIC, 2, 0x200 + 8*NUM_SLOTS, NUM_SLOTS,
		                          USER, 12, 28, 0x200 };
		for (unsigned i = 0; i < 8; i++)
			table.words[i] = header[i];

		__builtin_memcpy(&table.words[8], "sample", 6);
		table.words[0x80/8]  = 1 << 19 | 6;
		table.words[0xc0/8]  = 10;
		table.words[0xd0/8]  = NUM_USED;
		table.words[0x100/8] = 3;
		table.words[0x108/8] = 77;
		table.words[0x110/8] = 5;
		table.words[0x128/8] = 0x400;
		table.words[0x130/8] = 64;
		table.words[0x138/8] = 1;

		system = { COMPLETE, System::X86_64, PAGE_SIZE, System::FOC, { },
		           0x100000, 100, 3, 0, PARENT, 1, 0, 0x40, { } };
		put_text(system.release, "26.02");
		put_text(system.label,   "init -> sample");

		session(1, PD,    "PD",    "pd");
		session(2, CPU,   "CPU",   "cpu");
		session(3, LOG,   "LOG",   "log");
		session(4, ROM,   "ROM",   "sample");
		session(7, TIMER, "Timer", "clock");

		all<Part>() = { { 0, Part::ADDRESS_SPACE, ADDRESS_SPACE, 0 },
		                { 0, Part::STACK_AREA,    STACK_AREA,    0 },
		                { 0, Part::LINKER_AREA,   LINKER_AREA,   0 },
		                { 1, Part::NATIVE_CPU,    NATIVE_CPU,    0 } };

		all<Handler>() = { { 4, 0, 0, 0 }, { NONE, Handler::YIELD, 1, 0 } };

		all<Dataspace>() = {
			{ Dataspace::RAM,         Dataspace::CACHED,   0x3000,   0, 0, RAM,       0 },
			{ Dataspace::RAM,         Dataspace::CACHED,   0x1000,   0, 0, NONE,      0 },
			{ Dataspace::ROM,         Dataspace::CACHED,   0x5000,   0, 0, ROM_DS,    0 },
			{ Dataspace::STACK_AREA,  Dataspace::CACHED,   0x100000, 0, 0, NONE,      0 },
			{ Dataspace::LINKER_AREA, Dataspace::CACHED,   0x100000, 0, 0, NONE,      0 },
			{ Dataspace::SESSION,     Dataspace::UNCACHED, 0x1000,   2, 0, REPORT_DS, 0 } };

		Rom rom { { }, 0x5000, 3, 0, Sha256::of("module", 6) };
		put_text(rom.name, "sample");
		all<Rom>() = { rom };

		all<Region>() = {
			{ Region::ADDRESS_SPACE, 2,   0x10000, 0x2000,   0x1000, Region::EXECUTE, 0 },
			{ Region::ADDRESS_SPACE, 1,   0x12000, 0x1000,   0,      Region::WRITE,   0 },
			{ Region::ADDRESS_SPACE, 4, 0x1000000, 0x100000, 0,      3,               0 },
			{ Region::ADDRESS_SPACE, 3, 0x2000000, 0x100000, 0,      3,               0 },
			{ Region::STACK_AREA,    0,    0x4000, 0x2000,   0x1000, Region::WRITE,   0 },
			{ Region::LINKER_AREA,   2,    0x1000, 0x1000,   0,      0,               0 } };

		thread("main",   { 0, Thread::WAIT,   1, NONE, 1,    NONE, NONE, NONE, NONE, 0,
		                   0x2000000, 0x10100, 0x20f000, { 0, 0, 1, 1 }, { } });
		thread("ep",     { 1, Thread::CALL,   1, 0,    NONE, 1, THREAD, NATIVE_THREAD,
		                   OWN_GATE, 0, 0x2000200, 0x10100, 0x21f000, { 1, 0, 1, 1 }, { } });
		thread("signal", { 2, Thread::SIGNAL, 1, NONE, NONE, NONE, NONE, NONE, NONE, 0,
		                   0x2000400, 0x10100, 0x22f000, { 0, 0, 1, 1 }, { } });
		thread("later",  { 5, Thread::NOT_STARTED, 1, NONE, NONE, NONE, NONE, NONE, NONE, 0,
		                   0x2000a00, 0, 0, { 0, 0, 1, 1 }, { } });

		all<Gate>()    = { { 0, GATE_0 }, { NONE, GATE_1 }, { 1, NONE } };
		all<Source>()  = { { 2, SOURCE, SEMAPHORE, 0 } };
		all<Context>() = { { 0, CONTEXT, 0x12340, 2, 0 }, { 0, NONE, 0x12380, 0, 0 } };
		all<Timer>()   = { { 4, 0, 123456, 124000, 5000 } };

		object(PARENT,        Object::PARENT);
		object(PSEUDO,        Object::PSEUDO);
		object(OWN_GATE,      Object::THREAD_GATE, 1);
		for (unsigned i = 0; i < 5; i++)
			object(PD + i,            Object::SESSION, i);
		for (unsigned i = 0; i < 4; i++)
			object(ADDRESS_SPACE + i, Object::PART, i);
		object(RAM,           Object::DATASPACE, 0);
		object(ROM_DS,        Object::DATASPACE, 2);
		object(REPORT_DS,     Object::DATASPACE, 5);
		object(THREAD,        Object::THREAD, 1);
		object(NATIVE_THREAD, Object::NATIVE_THREAD, 1);
		object(GATE_0,        Object::GATE, 0);
		object(GATE_1,        Object::GATE, 1);
		object(SOURCE,        Object::SOURCE);
		object(SEMAPHORE,     Object::SEMAPHORE);
		object(CONTEXT,       Object::CONTEXT);
		object(GONE,          Object::DEAD);
		object(DETACHED,      Object::DEAD);
	}

	/**
	 * Add pages with content
	 */
	void fill(std::vector<std::pair<uint32_t, uint32_t>> const &pages)
	{
		for (auto const &[dataspace, number] : pages) {
			Page page { dataspace, number, { } };
			for (unsigned i = 0; i < 16; i++)
				page.bytes[256*i + number] = uint8_t(dataspace + i + 1);
			all<Page>().push_back(page);
		}
	}

	/**
	 * Write all records
	 */
	void put(Writer &writer) const
	{
		auto put_all = [&] (auto const &all) {
			for (auto const &record : all) writer.put(record); };

		writer.put(system);
		std::apply([&] (auto const &members, auto const &... others) {

			put_all(members);

			writer.table(&table, sizeof(table));
			for (Table const &other : other_tables)
				writer.table(&other, sizeof(other));

			(put_all(others), ...);
		}, records);
	}

	Bytes image() const
	{
		return sealed(written([&] (Writer &writer) { put(writer); }, Contents(system.version)));
	}
};


/**
 * Sample with an RM session, whose region maps are within each other, and a pending fault
 */
struct Cap_checkpoint::Image::Sample_with_maps : Sample
{
	Sample_with_maps()
	{
		session(8, NONE, "RM", "rm");

		all<Part>().push_back({ 5, 0, NONE, 0 });
		all<Part>().push_back({ 5, 2, NONE, 0 });

		/* the handlers of the parent are the last ones */
		all<Handler>().insert(all<Handler>().end() - 1, { 5, 2, 0, 0 });

		all<Dataspace>().push_back({ Dataspace::REGION_MAP, Dataspace::CACHED, 0x8000, 5, 0, NONE, 0 });
		all<Dataspace>().push_back({ Dataspace::REGION_MAP, Dataspace::CACHED, 0x4000, 5, 2, NONE, 0 });

		all<Region>().insert(all<Region>().begin() + 4,
		                     { Region::ADDRESS_SPACE, 6, 0x4000000, 0x8000, 0, 3, 0 });
		all<Region>().push_back({ 3, 0, 0x1000, 0x1000, 0,      Region::WRITE, 0 });
		all<Region>().push_back({ 3, 7, 0x2000, 0x3000, 0x1000, Region::WRITE, 0 });
		all<Region>().push_back({ 4, 1, 0x2000, 0x1000, 0,      Region::WRITE, 0 });

		thread("waits", { 6, Thread::PARKED, 1, NONE, NONE, NONE, NONE, NONE, NONE, 0,
		                  0x2000c00, 0x10100, 0x23f000, { 0, 0, 1, 1 }, { } });

		all<Fault>() = { { 4, 4, 0x1010, Fault::WRITE, 0 } };
	}
};

#endif /* _SAMPLE_H_ */
