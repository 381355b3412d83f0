/*
 * \brief  Test of increments, and of chains that are cut, altered, or of several parts
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"
#include "history.h"

using namespace Cap_checkpoint::Image;

using Rest = Chain::Rest;


/**
 * What a reader says of a chain
 */
struct Found
{
	unsigned    length;
	Rest        rest;
	uint64_t    offset;
	std::string text;
};


static Found found(Bytes const &bytes)
{
	/* a block of exactly this size, which the sanitizer guards */
	std::vector<char> const copy(bytes);
	Chain const chain { copy.data(), copy.size() };

	if (chain.rest() != Rest::DAMAGED)
		return { chain.length(), chain.rest(), 0, "" };

	checks.reasons.insert(chain.refusal().reason);
	return { chain.length(), chain.rest(), chain.refusal().offset, text(chain.refusal()) };
}


static void ends(Bytes const &bytes, unsigned length, Rest rest, std::string const &what)
{
	Found const f = found(bytes);
	checks.that(f.length == length && f.rest == rest, what + ": " + std::to_string(f.length)
	            + " containers, rest " + std::to_string(int(f.rest)) + " " + f.text);
}


static void damaged(Bytes const &bytes, unsigned length, uint64_t offset, std::string const &why)
{
	Found const f = found(bytes);
	checks.that(f.length == length && f.rest == Rest::DAMAGED && f.offset == offset
	         && f.text.find(why) != std::string::npos,
	            "\"" + f.text + "\", " + std::to_string(f.length) + " containers instead of "
	            + std::to_string(offset) + ": " + why);
}


static size_t aligned(size_t size) { return (size + CHAIN_ALIGN - 1)/CHAIN_ALIGN*CHAIN_ALIGN; }


static Bytes joined(std::initializer_list<Bytes> containers)
{
	Bytes chain { };
	for (Bytes const &container : containers)
		append(chain, container);
	return chain;
}


/**
 * Return the containers of a short chain
 *
 * \param insert  put a dataspace in front of the others before each increment
 */
static std::vector<Bytes> parts(unsigned count, bool insert = false)
{
	std::vector<Bytes> result { };

	History history { 1 };
	for (unsigned i = 0; i < count; i++) {
		if (i && insert)
			history.insert(0, 2);
		history.write(0, i % 2, i, 'a');
		history.write(5 + (insert ? i : 0), 0, 0, i ? 0 : 'b');
		history.save();
		result.push_back(history.last);
	}
	return result;
}


static void test_reader()
{
	std::vector<Bytes> const p = parts(3, true);
	Bytes const bytes = joined({ p[0], p[1], p[2] });
	Chain const chain { bytes.data(), bytes.size() };

	checks.that(chain.valid() && chain.length() == 3, "chain of three");
	checks.that(chain.origin(7, 0) == 5 && chain.origin(7, 1) == 6 && chain.origin(7, 2) == 7,
	            "origins of a dataspace");
	checks.that(chain.origin(1, 0) == NONE && chain.origin(1, 1) == 0 && chain.origin(4, 1) == NONE
	         && chain.origin(0, 0) == NONE,
	            "origins of dataspaces that are new, or without pages");
	checks.that(chain.next() == aligned(bytes.size()), "place of the next increment");

	Base const base = chain.base();
	checks.that(base.checkpoint == chain.last().system().checkpoint && base.position == 3
	         && base.crc == header_crc(p[2]), "base of the next increment");

	for (unsigned i = 0; i < 3; i++)
		chain.with_container(i, [&] (char const *start, size_t size) {
			checks.that(Bytes(start, start + size) == p[i], "container " + std::to_string(i)); });

	/* a page that each container has */
	for (unsigned position = 0; position < 3; position++) {
		unsigned count = 0;
		chain.for_each_page(7, [&] (uint32_t, char const *) { count++; }, position);
		checks.that(count == 3 - position, "pages as of container " + std::to_string(position));
	}

	/* an increment that arrives in pieces */
	Chain follower { bytes.data(), bytes.size() - 1 };
	checks.that(follower.length() == 2 && follower.rest() == Rest::DAMAGED, "part of an increment");
	follower.extend(bytes.size());
	checks.that(follower.length() == 3 && follower.rest() == Rest::NOTHING
	         && !follower.refusal().reason, "rest of the increment");

	/* one kind is not read as the other one */
	Reader const increment { p[1].data(), p[1].size(), INCREMENT };
	checks.that(increment.valid() && increment.header_crc() == header_crc(p[1]), "increment alone");
	refused(p[1], place(p[1], SYSTEM), "version of the contents");
	checks.that(!Reader(p[0].data(), p[0].size(), INCREMENT).valid(), "image as an increment");
	damaged(p[1], 0, place(p[1], SYSTEM), "version of the contents");
}


static void test_writer()
{
	auto failure = [&] (Contents contents, auto const &fn)
	{
		Memory_sink sink { nullptr, 0 };
		Writer writer { sink, contents };
		fn(writer);
		return writer.finish() != nullptr;
	};
	checks.that(failure(COMPLETE, [] (Writer &w) { w.put(Base { 1, 2, 3 }); }), "base in an image");
	checks.that(failure(COMPLETE, [] (Writer &w) { w.put(Origin { 1 }); }), "origins in an image");
	checks.that(!failure(INCREMENT, [] (Writer &w) { w.put(Base { 1, 2, 3 }); w.put(Origin { 1 }); }),
	            "base and origins in an increment");

	Bytes bytes(1 << 16);
	Memory_sink sink { bytes.data(), bytes.size() };
	Writer writer { sink };
	Sample().put(writer);
	checks.that(!writer.finish() && writer.header_crc() == header_crc(bytes),
	            "checksum that the next increment names");
}


/**
 * Chains that end anywhere
 */
static void test_cut()
{
	std::vector<Bytes> const p = parts(3);

	Bytes  const bytes  = joined({ p[0], p[1], p[2] });
	size_t const ends[] { p[0].size(), aligned(p[0].size()) + p[1].size(), bytes.size() };

	for (size_t size = 0; size <= bytes.size(); size++) {

		unsigned whole = 0;
		while (whole < 3 && ends[whole] <= size)
			whole++;

		/* what is around headers and ends, and some of the others */
		size_t const next = whole ? aligned(ends[whole - 1]) : 0;
		if (size > next + 1000 && size % 61 && (whole == 3 || size + 100 < ends[whole]))
			continue;

		Found const f = found(Bytes(bytes.begin(), bytes.begin() + long(size)));

		bool const begun = !whole || (whole < 3 && size >= next + 8);
		checks.that(f.length == whole && f.rest == (begun ? Rest::DAMAGED : Rest::NOTHING)
		         && f.offset <= size && (!whole || !begun
		             || f.text.find("container " + std::to_string(whole)) != std::string::npos),
		            "chain cut at " + std::to_string(size) + ": " + f.text);
	}
}


/**
 * Each byte of a chain, and of what is between its containers, is another one
 */
static void test_altered()
{
	std::vector<Bytes> const p = parts(3);

	Bytes  const bytes = joined({ p[0], p[1] });
	size_t const next  = aligned(p[0].size());

	for (size_t at = 0; at < bytes.size(); at++) {

		Found const f = found(with(bytes, at, char(bytes[at] ^ (1 << at % 8))));

		bool const magic = at >= next && at < next + 8;
		checks.that(f.length == (at >= p[0].size()) && f.rest == (magic ? Rest::NOTHING : Rest::DAMAGED)
		         && f.offset <= bytes.size(),
		            "byte " + std::to_string(at) + " of a chain: " + f.text);
	}

	Bytes const longer = joined({ bytes, Bytes(9000, 0) });
	size_t const end = aligned(bytes.size());
	ends(longer,                       2, Rest::NOTHING, "zeros behind a chain");
	ends(with(longer, end, 'x'),       2, Rest::NOTHING, "bytes behind a chain");
	ends(with(longer, end + 5000, 'x'), 2, Rest::NOTHING, "bytes far behind a chain");
	damaged(with(longer, end - 1, 'x'), 2, bytes.size(),
	        "container 1: bytes behind the container are not zero");

	Bytes const image = joined({ p[0], Bytes(1, 0) });
	damaged(with(image, next - 1, 'x'), 1, p[0].size(), ": bytes behind the container are not zero");
}


/**
 * Fields that are wrong although all checksums are right
 */
static void test_fields_of_increments()
{
	std::vector<Bytes> const p = parts(3, true);

	size_t const at = aligned(p[0].size());

	auto altered = [&] (Section section, size_t field, auto value)
	{
		return joined({ p[0], sealed(with(p[1], place(p[1], section) + field, value)) });
	};

	auto wrong = [&] (Section section, size_t field, auto value, char const *why)
	{
		damaged(altered(section, field, value), 1, at + place(p[1], section) + field,
		        std::string("container 1: section \"") + SECTION_NAMES[section] + "\": " + why);
	};

	uint64_t checkpoint;
	memcpy(&checkpoint, section_of(p[1], BASE).data(), sizeof(checkpoint));

	/* it does not name the one before */
	ends(altered(BASE, 0, checkpoint - 1), 1, Rest::LEFT_OVER, "another checkpoint");
	ends(altered(BASE, 0, checkpoint + 1), 1, Rest::LEFT_OVER, "a later checkpoint");
	ends(altered(BASE, 8, 0),              1, Rest::LEFT_OVER, "another checksum");

	wrong(SYSTEM, 0, 3U, "version of the contents");
	wrong(SYSTEM, 0, uint32_t(COMPLETE), "version of the contents");
	wrong(BASE, 12, 0U,  "record 0: no such position in a chain");
	wrong(BASE, 12, 64U, "record 0: no such position in a chain");
	wrong(BASE, 12, 2U,  "record 0: is not the next position in the chain");

	Bytes const number = sealed(with(p[1], place(p[1], SYSTEM) + 64, checkpoint));
	damaged(joined({ p[0], number }), 1, at + place(number, BASE),
	        "record 0: is not the number of an earlier checkpoint");

	/* { NONE, 0, 1, NONE, NONE, NONE, 5 }: RAM, RAM, RAM, ROM, areas, session */
	checks.that(section_of(p[1], ORIGINS).size() == 7*4, "number of origins");
	wrong(ORIGINS, 4*3, 2U, "record 3: dataspace has no pages of its own");
	wrong(ORIGINS, 4*2, 0U, "record 2: is out of order");
	wrong(ORIGINS, 4*6, 1U, "record 6: is out of order");
	wrong(ORIGINS, 4*6, 6U, "record 6: no such dataspace");
	wrong(ORIGINS, 4*6, 2U, "record 6: origin is of another kind or size");

	/* one that is smaller, of the same kind */
	Bytes const none = sealed(with(p[1], place(p[1], ORIGINS) + 4*1, NONE));
	damaged(joined({ p[0], sealed(with(none, place(p[1], ORIGINS) + 4*2, 0U)) }), 1,
	        at + place(p[1], ORIGINS) + 4*2, "record 2: origin is of another kind or size");

	/* one of the same size, of another kind */
	Bytes const other_kind = sealed(with(p[1], place(p[1], ORIGINS) + 4*2, NONE));
	damaged(joined({ p[0], sealed(with(other_kind, place(p[1], ORIGINS) + 4*6, 1U)) }), 1,
	        at + place(p[1], ORIGINS) + 4*6, "record 6: origin is of another kind or size");

	/* headers */
	auto header = [&] (Bytes const &increment, size_t offset, char const *why) {
		damaged(joined({ p[0], increment }), 1, at + offset, std::string("container 1: ") + why); };

	header(with(p[1], 9, 'x'), 8, "format version is not the one that is read");
	header(with(p[1], 29, 'x'), 28, "checksum of the header does not match");
	for (uint64_t const length : { 0, 5, 31 })
		header(sealed(with(p[1], 16, length)), length, "the file has not the length");
	damaged(sealed(with(p[0], 16, uint64_t(5))), 0, 5, "the file has not the length");

	/* sections that are missing, or of another length */
	auto other = [&] (Section section, Bytes const &content, char const *name = nullptr)
	{
		return joined({ p[0], replaced(p[1], section, content, name) });
	};

	Bytes const base = section_of(p[1], BASE), origins = section_of(p[1], ORIGINS);

	Bytes longer { base };
	longer.resize(32);
	damaged(other(BASE, longer), 1, at + place(p[1], BASE), "section \"base\": is not one record");
	longer.resize(17);
	damaged(other(BASE, longer), 1, at + place(p[1], BASE) + 16,
	        "section \"base\": ends within a record");
	longer.resize(15);
	ends(other(BASE, longer), 1, Rest::LEFT_OVER, "part of a base");
	ends(other(BASE, base, "of-the-future"), 1, Rest::LEFT_OVER, "no base");
	damaged(other(ORIGINS, origins, "of-the-future"), 1, at, "section \"origins\": is missing");

	for (size_t const size : { 0, 4, 24, 32 }) {
		Bytes cut { origins };
		cut.resize(size, char(0xff));
		damaged(other(ORIGINS, cut), 1, at + place(p[1], ORIGINS),
		        "section \"origins\": is not one record for each dataspace");
	}
}


/**
 * Containers in another order, of another chain, or too many of them
 */
static void test_order()
{
	std::vector<Bytes> const p = parts(3), other = parts(3, true);

	ends(joined({ p[0], p[2], p[1] }),       1, Rest::LEFT_OVER, "the second increment comes first");
	ends(joined({ p[0], p[1], p[1] }),       2, Rest::LEFT_OVER, "the first increment comes twice");
	ends(joined({ p[0], p[0], p[1] }),       1, Rest::LEFT_OVER, "the image comes twice");
	ends(joined({ p[0], p[1], p[2], p[0] }), 3, Rest::LEFT_OVER, "an image behind a chain");
	ends(joined({ p[0], other[2] }),         1, Rest::LEFT_OVER, "increment of another chain");
	damaged(joined({ p[1], p[2] }),          0, place(p[1], SYSTEM), "version of the contents");

	/* a later image of the same size, and what the chain before it has left */
	Bytes const later = sealed(with(p[0], place(p[0], SYSTEM) + 64, uint64_t(100)));
	ends(joined({ later, p[1], p[2] }),      1, Rest::LEFT_OVER, "increments of an earlier image");

	/* what is damaged may be the next increment, whoever it is */
	damaged(joined({ later, with(p[1], p[1].size() - 1, 'x') }), 1,
	        aligned(later.size()) + place(p[1], PAGES), "container 1: checksum of a section");

	/* containers without end */
	History history { 1, false, MAX_CHAIN_LENGTH };
	ends(history.chain, MAX_CHAIN_LENGTH, Rest::NOTHING, "as many containers as possible");

	size_t const at = aligned(history.chain.size());
	history.save();
	damaged(history.chain, MAX_CHAIN_LENGTH, at + place(history.last, BASE) + 12,
	        "container 64: section \"base\": record 0: no such position in a chain");
}


/**
 * Chain that fills the room that there may be at most, or exceeds it by a page
 */
static void test_size()
{
	auto enlarged = [] (Bytes const &image, size_t size)
	{
		/* the memory of the table may have any size */
		Bytes table = section_of(image, TABLE);
		table.resize(table.size() + (size - image.size())/8*8);
		return replaced(image, TABLE, table);
	};

	for (size_t const more : { size_t(0), CHAIN_ALIGN }) {

		History history { 1 };
		history.save();

		size_t const size = aligned(history.increment().size()), at = MAX_CHAIN_SIZE - size + more;

		history.last = enlarged(history.last, at);
		history.sample.system.checkpoint++;

		Bytes const increment = enlarged(history.increment(), size);
		checks.that(increment.size() == size, "increment of whole pages");

		Bytes const chain = joined({ history.last, increment });
		if (more)
			damaged(chain, 1, at, "container 1: chain is too long");
		else
			ends(chain, 2, Rest::NOTHING, "largest chain");
	}
}


/**
 * Component that creates others, and a unit whose root is left alone
 */
static void test_units_in_chains()
{
	History const history = mixed_history(0b0110, 4);

	Chain const chain { history.chain.data(), history.chain.size() };
	checks.that(chain.length() == 4 && chain.rest() == Rest::NOTHING, "a unit in a chain");
	checks.that(merged(chain) == history.complete() && chain.last().contents() == INCREMENT,
	            "component that is single again");

	History const shorter = mixed_history(0b0110, 3);

	Chain const of_unit { shorter.chain.data(), shorter.chain.size() };
	checks.that(of_unit.length() == 3 && of_unit.last().contents() == UNIT_INCREMENT
	         && merged(of_unit) == shorter.complete(), "component that has become a unit");

	/* what a member says is checked in an increment, too */
	Bytes const bad = sealed(with(history.last, place(history.last, SYSTEM), uint32_t(UNIT_INCREMENT)));
	damaged(joined({ shorter.chain, bad }), 3, aligned(shorter.chain.size()),
	        "section \"members\": is missing");

	/* a chain that begins with a unit */
	History unit { 1, true };
	unit.save();
	unit.save();
	ends(unit.chain, 2, Rest::NOTHING, "chain of a unit");

	Bytes const first(unit.chain.begin(), unit.chain.end() - long(unit.last.size()));
	damaged(joined({ first, sealed(with(unit.last, place(unit.last, MEMBERS) + 4, 1U)) }), 1,
	        aligned(first.size()) + place(unit.last, MEMBERS) + 4, "record 0: the root has none");
}


void Cap_checkpoint::Image::test_chain()
{
	test_reader();
	test_writer();
	test_cut();
	test_altered();
	test_fields_of_increments();
	test_order();
	test_units_in_chains();
	test_size();
}
