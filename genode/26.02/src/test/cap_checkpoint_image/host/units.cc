/*
 * \brief  Test of images of units
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstddef>

#include "altered.h"
#include "sample_unit.h"

using namespace Cap_checkpoint::Image;


using Unit = Sample_unit;


static void test_reader()
{
	Unit unit { };
	unit.fill({ { 0, 0 }, { 8, 1 } });

	Bytes  const image = unit.image();
	Reader const reader { image.data(), image.size() };

	if (!checks.that(reader.valid(), "unit is valid: " + verdict(image).text))
		return;

	checks.that(reader.contents() == UNIT && reader.num_members() == Unit::NUM_MEMBERS, "kind of the image");

	for (uint32_t i = 0; i < Unit::NUM_MEMBERS; i++) {
		Member const member = reader.member(i);
		checks.that(!memcmp(&member, &unit.all<Member>()[i], sizeof(member)), "member");
	}

	for (size_t gate = 0; gate < 6; gate++)
		checks.that(reader.member_of_gate(gate) == (gate < 4 ? 0 : Unit::FIRST), "member of a gate");

	reader.with_table([&] (char const *bytes, size_t size) {
		checks.that(size == sizeof(unit.table) && !strcmp(bytes + 0x40, "sample"), "table of the root"); });
	reader.with_table([&] (char const *bytes, size_t size) {
		checks.that(size == sizeof(unit.table) && !strcmp(bytes + 0x40, "second"), "table of a member");
	}, Unit::SECOND);
	reader.with_table([&] (char const *, size_t size) {
		checks.that(!size, "no table"); }, Unit::NEW);

	/* each slot of each member */
	size_t count = 0;
	for (uint32_t member = 0; member < Unit::NUM_MEMBERS; member++)
		for (uint32_t slot = 0; slot < Unit::NUM_SLOTS; slot++)
			reader.with_object(slot, [&] (Object const &o) {
				checks.that(!memcmp(&o, &unit.all<Object>()[count++], sizeof(o)), "object"); }, member);
	checks.that(count == unit.all<Object>().size(), "all objects are found");

	/* a single component looks like a unit of one member */
	Bytes  const of_sample = Sample().image();
	Reader const single { of_sample.data(), of_sample.size() };

	Member const only = single.member(0);
	checks.that(single.contents() == COMPLETE && single.num_members() == 1 && !only.session
	         && only.account == NONE && only.parent == NONE && only.parent_dataspace == 1
	         && only.parent_offset == 0x40 && only.table_size == sizeof(unit.table)
	         && only.num_gates == 3, "single component as a member");
	checks.that(single.member_of_gate(2) == 0, "gate of a single component");
}


static void test_members()
{
	using M = Member;

	auto altered = [&] <typename FIELD> (size_t record, FIELD M::*field,
	                                     std::type_identity_t<FIELD> value, char const *why) {
		Cap_checkpoint::Image::altered<Unit>(record, field, value, why); };

	altered(0, &M::session, 1U, "is not a PD session");
	altered(2, &M::session, Unit::FIRST_PD, "is out of order");
	altered(3, &M::session, NONE, "is not a PD session");
	altered(0, &M::account, 1U, "the root has none");
	altered(1, &M::account, 4U, "no such member");
	altered(1, &M::account, 1U, "quota of a member comes from itself");
	altered(1, &M::account, 2U, "quota of a member comes from itself");
	altered(0, &M::parent, 1U, "the root has none");
	altered(1, &M::parent, 6U, "no such gate");
	altered(1, &M::parent, 4U, "member is its own parent");
	altered(1, &M::parent, 5U, "member is its own parent");
	altered(0, &M::parent_dataspace, NONE, "no such dataspace");
	altered(0, &M::parent_dataspace, 0U, "dataspace is the component's to free");
	altered(1, &M::parent_dataspace, 16U, "no such dataspace");
	altered(1, &M::parent_dataspace, 2U, "dataspace is not RAM");
	altered(3, &M::parent_dataspace, 13U, "member has no parent");
	altered(0, &M::parent_offset, uint64_t(0xff8), "does not fit in the dataspace");
	altered(1, &M::parent_offset, ~0ULL, "does not fit in the dataspace");
	altered(3, &M::parent_offset, uint64_t(8), "reserved field");
	altered(1, &M::table_size, uint64_t(sizeof(Unit::Table) + 4), "is not a number of words");
	altered(2, &M::table_size, uint64_t(sizeof(Unit::Table) + 8), "exceeds the section of tables");
	altered(1, &M::table_size, ~7ULL, "exceeds the section of tables");
	altered(0, &M::ram_quota, uint64_t(1), "the root has none");
	altered(1, &M::ram_quota, uint64_t(0x100001), "exceeds the RAM quota");
	altered(2, &M::ram_quota, uint64_t(0xc0001), "exceeds the RAM quota");
	altered(3, &M::ram_quota, ~0ULL, "exceeds the RAM quota");
	altered(0, &M::cap_quota, uint64_t(1), "the root has none");
	altered(1, &M::cap_quota, uint64_t(101), "exceeds the capability quota");
	altered(2, &M::cap_quota, ~0ULL, "exceeds the capability quota");
	altered(0, &M::num_gates, 7U, "exceeds the number of gates");
	altered(1, &M::num_gates, NONE, "exceeds the number of gates");
	altered(1, &M::zero, 1U, "reserved field");

	Cap_checkpoint::Image::altered<M, Unit>("quota of a member comes from itself", 1, [] (Sample &s) -> auto & {
		s.all<M>()[3].account = 2; return s.all<M>()[1].account = 3; });

	Cap_checkpoint::Image::altered<M, Unit>("member has no parent", 2, [] (Sample &s) -> auto & {
		s.all<M>()[2].parent = NONE; return s.all<M>()[2].parent_dataspace; });

	/* numbers of members that no unit has */
	for (size_t const count : { 0, 1, 9 }) {
		Unit other { };
		other.all<M>().resize(count, other.all<M>().back());
		Bytes const image = other.image();
		refused(image, place(image, MEMBERS), "section \"members\": is not 2 to 8 records");
	}

	Unit behind { };
	behind.other_tables.push_back(behind.table);
	Bytes image = behind.image();
	refused(image, place(image, TABLE) + 3*sizeof(Unit::Table), "bytes behind the last table");

	Unit gates { };
	gates.all<M>()[1].num_gates = 1;
	image = gates.image();
	refused(image, place(image, GATES) + 5*sizeof(Gate), "section \"gates\": gate of no member");

	Unit sessions { };
	put_text(sessions.all<Session>()[2].service, "PD");
	image = sessions.image();
	refused(image, place(image, SESSIONS) + 2*sizeof(Session) + offsetof(Session, service),
	        "section \"sessions\": record 2: is the PD session of no member");

	Unit more { };
	more.session(14, NONE, "PD", "nobody");
	image = more.image();
	refused(image, place(image, SESSIONS) + 11*sizeof(Session) + offsetof(Session, service),
	        "section \"sessions\": record 11: is the PD session of no member");

	/* a member whose program was not loaded yet */
	Unit not_loaded { };
	not_loaded.all<M>()[2].parent_dataspace = NONE;
	accepted(not_loaded, "parent without a place in memory");

	/* as many members as possible, with the quota that there is */
	Unit largest { };
	for (uint32_t i = Unit::NUM_MEMBERS; i < MAX_MEMBERS; i++) {
		largest.session(20 + i, NONE, "PD", "more");
		largest.all<M>().push_back({ uint32_t(largest.all<Session>().size()) - 1, i - 1,
		                             NONE, NONE, 0, 0, 0x1000, 1, 0, 0 });
		uint32_t const maps = Region::NUM_MAPS;
		largest.all<Fault>()[0].map += maps;
		for (Region &region : largest.all<Region>())
			if (region.map >= maps*i)
				region.map += maps;
	}
	largest.all<M>().back().ram_quota += 0x97000;
	largest.all<M>().back().cap_quota += 52;
	largest.all<M>()[3].account = 0;
	accepted(largest, "as many members as possible");

	largest.system.ram_quota--;
	image = largest.image();
	refused(image, place(image, DATASPACES) + sizeof(Dataspace) + offsetof(Dataspace, size),
	        "record 1: exceeds the RAM quota");
}


static void test_start()
{
	auto of_system = [&] (char const *why, auto const &fn) {
		altered<System, Unit>(why, 0, [&] (Sample &s) -> auto & { return fn(s.system); }); };

	of_system("no such thread",     [] (System &s) -> auto & { return s.main_thread = 8; });
	of_system("member is not the root", [] (System &s) -> auto & { return s.main_thread = 5; });
	of_system("is said of each member", [] (System &s) -> auto & { return s.parent_dataspace = 1; });
	of_system("reserved field",     [] (System &s) -> auto & { return s.parent_offset = 1; });

	/* the object that it is about is refused first */
	for (uint32_t const slot : { 1U, 100U, NONE })
		altered<Object, Unit>("record does not name this slot", 0, [&] (Sample &s) -> auto & {
			s.system.parent_slot = slot; return s.all<Object>()[0].number; });

	altered<System, Unit>("slot does not lead to this", 0, [] (Sample &s) -> auto & {
		s.all<Object>()[0].kind = Object::DEAD;
		return s.system.parent_slot = 0; });
}


/**
 * Units that are cut, altered, or something else
 */
static void test_bytes()
{
	Bytes const image = Unit().image();

	for (size_t length = 0; length < image.size(); length += 7) {
		Verdict const v = verdict(Bytes(image.begin(), image.begin() + long(length)));
		checks.that(!v.valid && v.offset <= length, "unit cut at " + std::to_string(length));
	}
	for (size_t at = 0; at < image.size(); at += 3) {
		Verdict const v = verdict(with(image, at, char(image[at] ^ (1 << at % 8))));
		checks.that(!v.valid && v.offset <= image.size(), "byte " + std::to_string(at) + " of a unit");
	}

	Bytes const members = section_of(image, MEMBERS);

	refused(replaced(image, MEMBERS, members, "of-the-future"), 0, "section \"members\": is missing");

	Bytes const partial = replaced(image, MEMBERS, Bytes(members.begin(), members.end() - 8));
	refused(partial, place(partial, MEMBERS) + 3*sizeof(Member),
	        "section \"members\": ends within a record");

	/* the version decides */
	size_t const version = place(image, SYSTEM);
	refused(sealed(with(image, version, uint32_t(COMPLETE))), place(image, OBJECTS) + offsetof(Object, number),
	        "section \"objects\": record 0: record does not name this slot");
	refused(sealed(with(image, version, uint32_t(UNIT_INCREMENT))), version, "version of the contents");
	refused(sealed(with(image, version, 5U)), version, "version of the contents");

	Bytes const single = Sample().image();
	refused(sealed(with(single, place(single, SYSTEM), uint32_t(UNIT))), 0,
	        "section \"members\": is missing");

	/* the writer */
	auto failure = [&] (Contents contents)
	{
		Memory_sink sink { nullptr, 0 };
		Writer writer { sink, contents };
		writer.put(Member { });
		return writer.finish() != nullptr;
	};
	checks.that(failure(COMPLETE) && failure(INCREMENT), "members in the image of a component");
	checks.that(!failure(UNIT) && !failure(UNIT_INCREMENT), "members in the image of a unit");
}


void Cap_checkpoint::Image::test_units()
{
	test_reader();
	test_members();
	test_start();
	test_bytes();
	test_holders();
}
