/*
 * \brief  Test of what the members of a unit hold, have, and execute
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "altered.h"
#include "sample_unit.h"

using namespace Cap_checkpoint::Image;


using Unit = Sample_unit;


static void test_objects()
{
	using O = Object;

	/* first object of each member, and those by which three of them hold a dataspace */
	enum { FIRST = 30, SECOND = 45, NUM = 51, OF_ROOT = 12, OF_FIRST = 43, OF_SECOND = 49 };

	Unit const unit { };
	auto const &objects = unit.all<O>();
	checks.that(objects.size() == NUM && objects[FIRST].member == Unit::FIRST && !objects[FIRST - 1].member
	         && objects[SECOND].member == Unit::SECOND && objects[SECOND - 1].member == Unit::FIRST
	         && unit.all<Dataspace>()[0].slot == OF_SECOND
	         && objects[OF_SECOND].previous == OF_FIRST && objects[OF_FIRST].previous == OF_ROOT
	         && objects[OF_ROOT].previous == NONE, "places of objects");

	altered<Unit>(FIRST, &O::member, 4U, "no such member");
	altered<Unit>(FIRST, &O::member, NONE, "no such member");
	altered<Unit>(SECOND + 1, &O::member, 1U, "is out of order");
	altered<Unit>(FIRST, &O::slot, 64U, "no such slot");
	altered<Unit>(NUM - 1, &O::slot, 10U, "is out of order");
	altered<Unit>(FIRST, &O::slot, 2U, "a slot with a badge is missing in front of it");
	altered<Unit>(FIRST, &O::badge, 8U, "badge is not the one of the slot");
	altered<Unit>(FIRST, &O::kind, uint32_t(O::PARENT), "member is not the root");
	altered<Unit>(FIRST + 3, &O::kind, uint32_t(O::PSEUDO), "not the slot of a pseudo badge");
	altered<Unit>(FIRST, &O::number, 6U, "no such record");
	altered<Unit>(FIRST, &O::number, 4U, "record does not name this slot");
	altered<Unit>(OF_ROOT, &O::previous, uint32_t(OF_ROOT), "is out of order");
	altered<Unit>(OF_ROOT, &O::previous, 100U, "is out of order");
	altered<Unit>(OF_ROOT, &O::previous, 11U, "other slot does not lead to this record");
	altered<Unit>(36, &O::previous, uint32_t(OF_ROOT), "other slot does not lead to this record");
	altered<Unit>(23, &O::previous, 22U, "other slot does not lead to this record");
	altered<Unit>(FIRST + 1, &O::previous, 1U, "other slot does not lead to this record");

	/* the record names an object that is not the last one, or none */
	altered<O, Unit>("record does not name this slot", OF_SECOND, [] (Sample &s) -> auto & {
		s.all<Dataspace>()[0].slot = OF_FIRST; return s.all<O>()[OF_SECOND].number; });
	for (uint32_t const slot : { 17U, 51U, NONE })
		altered<O, Unit>("record does not name this slot", OF_ROOT, [&] (Sample &s) -> auto & {
			s.all<Dataspace>()[0].slot = slot; return s.all<O>()[OF_ROOT].number; });

	/* an object leaves out the one before, or all, or leads back */
	altered<O, Unit>("record does not name this slot", OF_FIRST, [] (Sample &s) -> auto & {
		s.all<O>()[OF_SECOND].previous = OF_ROOT; return s.all<O>()[OF_FIRST].number; });
	for (uint32_t const previous : { NONE, 100U, uint32_t(OF_SECOND), uint32_t(NUM - 1) })
		altered<O, Unit>("record does not name this slot", OF_ROOT, [&] (Sample &s) -> auto & {
			s.all<O>()[OF_SECOND].previous = previous; return s.all<O>()[OF_ROOT].number; });

	altered<O, Unit>("member has two slots of the record", OF_FIRST, [] (Sample &s) -> auto & {
		s.all<O>()[36].number = 0;
		static_cast<Unit &>(s).link();
		return s.all<O>()[OF_FIRST].previous; });

	/* slots that nobody explains, at the end of a table, and of all tables */
	altered<O, Unit>("a slot with a badge is missing in front of it", SECOND - 1, [] (Sample &s) -> auto & {
		s.all<O>().erase(s.all<O>().begin() + SECOND - 1);
		static_cast<Unit &>(s).link();
		return s.all<O>()[SECOND - 1].slot; });

	for (long const count : { 1, NUM - SECOND, NUM - FIRST }) {
		Unit missing { };
		missing.all<O>().erase(missing.all<O>().end() - count, missing.all<O>().end());
		missing.link();
		Bytes const image = missing.image();
		refused(image, place(image, OBJECTS) + size_t(NUM - count)*sizeof(O),
		        "section \"objects\": slots with badges are missing");
	}

	/* object of a member without a table */
	altered<O, Unit>("no such slot", NUM, [] (Sample &s) -> auto & {
		s.all<O>().push_back({ 0, 8, O::DEAD, 0, Unit::NEW, NONE });
		return s.all<O>()[NUM].slot; });

	/* records that nobody leads to */
	using D = Dataspace;
	using T = Thread;

	altered<Unit>(9, &D::slot, uint32_t(OF_ROOT), "slot does not lead to this");
	altered<Unit>(9, &D::slot, uint32_t(NUM), "slot does not lead to this");
	altered<Unit>(6, &T::slot, 26U, "slot does not lead to this");
	altered<Unit>(6, &T::native_slot, 26U, "slot does not lead to this");
	altered<Unit>(6, &T::gate_slot, 2U, "slot does not lead to this");
	altered<Unit>(10, &Session::slot, 24U, "slot does not lead to this");
	altered<Unit>(6, &Part::slot, 8U, "slot does not lead to this");
	altered<Unit>(2, &Gate::slot, 27U, "slot does not lead to this");
	altered<Unit>(1, &Context::slot, 29U, "slot does not lead to this");

	Source const nobody { NONE, NONE, NONE, Unit::SECOND };

	altered<Source, Unit>("slot does not lead to this", 2, [&] (Sample &s) -> auto & {
		s.all<Source>().push_back(nobody); return s.all<Source>()[2].slot = 39; });
	altered<Source, Unit>("slot does not lead to this", 2, [&] (Sample &s) -> auto & {
		s.all<Source>().push_back(nobody); return s.all<Source>()[2].semaphore_slot = 40; });
}


static void test_tables()
{
	auto faulty = [&] (char const *why, size_t at, auto const &fn)
	{
		Unit unit { };
		fn(unit);
		Bytes const image = unit.image();
		refused(image, place(image, TABLE) + at, std::string("section \"table\": ") + why);
	};

	size_t const size = sizeof(Unit::Table);

	faulty("no table", 0, [] (Unit &u) { u.table.words[0]++; });
	faulty("bad number of slots", size,   [] (Unit &u) { u.other_tables[0].words[3] = 0; });
	faulty("table is retired",    2*size, [] (Unit &u) { u.other_tables[1].words[0x80/8] |= 1; });
	faulty("slot is corrupt", size + 0x200 + 8*5, [] (Unit &u) {
		u.other_tables[0].words[64 + 5] = 1ULL << 61; });

	/* tables may be smaller than the memory that they are in, but not larger */
	faulty("bad area behind the table", 0, [] (Unit &u) {
		u.all<Member>()[0].table_size = 0x400;
		u.all<Member>()[1].table_size = 2*sizeof(Unit::Table) - 0x400; });
	faulty("no table", size + 8, [] (Unit &u) {
		u.all<Member>()[0].table_size += 8;
		u.all<Member>()[1].table_size -= 8; });
	faulty("too small for a table", 0, [] (Unit &u) {
		u.all<Member>()[0].table_size = 0;
		u.all<Member>()[1].table_size = 2*sizeof(Unit::Table); });
	faulty("too small for a table", size, [] (Unit &u) {
		u.all<Member>()[1].table_size = 8;
		u.all<Member>()[2].table_size = 2*sizeof(Unit::Table) - 8; });

	/* the table of a member may be empty */
	Unit fresh { };
	fresh.other_tables.push_back(fresh.other_tables[1]);
	memset((void *)&fresh.other_tables[2].words[64], 0, size - 0x200);
	fresh.all<Member>()[3].table_size = size;
	accepted(fresh, "empty table");
}


static void test_memory()
{
	using D = Dataspace;

	altered<Unit>(8,  &D::member, 4U, "no such member");
	altered<Unit>(14, &D::member, NONE, "no such member");
	altered<Unit>(2,  &D::member, 1U, "reserved field");
	altered<Unit>(5,  &D::member, 1U, "reserved field");
	altered<Unit>(6,  &D::member, 1U, "reserved field");
	altered<Unit>(14, &D::member, 1U, "reserved field");
	altered<D, Unit>("is a second one of its kind", 12, [] (Sample &s) -> auto & {
		s.all<D>()[12].member = Unit::FIRST; return s.all<D>()[12].kind; });
	altered<Unit>(8,  &D::size, uint64_t(0x41000), "exceeds the RAM quota");
	altered<Unit>(13, &D::size, uint64_t(0x21000), "exceeds the RAM quota");
	altered<Unit>(15, &D::size, uint64_t(0x2000), "is not one page");
	altered<Unit>(8,  &D::owner, 1U, "reserved field");
	altered<Unit>(14, &D::owner, 0U, "is not a CPU session");
	altered<Unit>(14, &D::owner, NONE, "is not a CPU session");
	altered<Unit>(15, &D::owner, 1U, "is out of order");
	altered<D, Unit>("is out of order", 15, [] (Sample &s) -> auto & {
		s.all<D>()[15].part = 1; return s.all<D>()[15].owner = 1; });
	altered<Unit>(15, &D::part, 1U, "reserved field");
	altered<D, Unit>("is not the size of the table", 16, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::CAP_SPACE, 0, 0x1000, 0, 0, NONE, Unit::FIRST });
		return s.all<D>()[16].size; });

	using R = Region;

	altered<Unit>(16, &R::map, 14U, "no such region map");
	altered<Unit>(14, &R::map, 5U, "is out of order");
	altered<Unit>(13, &R::dataspace, 10U, "area of another member");
	altered<Unit>(13, &R::dataspace, 4U,  "area of another member");
	altered<Unit>(10, &R::dataspace, 10U, "region map within a region map");
	altered<Unit>(15, &R::dataspace, 3U,  "region map within a region map");

	auto elsewhere = [&] (size_t record, uint64_t at)
	{
		altered<R, Unit>("does not fit in the region map", record, [&] (Sample &s) -> auto & {
			s.all<R>()[record].at = at; return s.all<R>()[record].size; });
	};

	elsewhere( 5,  0x100000);
	elsewhere(10,  0x200000);
	elsewhere(13, 1ULL << 47);
	elsewhere(15,    0x8000);
	elsewhere(16,    0x4000);

	using F = Fault;

	altered<Unit>(0, &F::map, 14U, "no such region map");
	altered<Unit>(0, &F::address, uint64_t(0x4000), "is too large");
	altered<F, Unit>("is too large", 0, [] (Sample &s) -> auto & {
		s.all<F>()[0].map = 12; return s.all<F>()[0].address = 0x8000; });
	altered<F, Unit>("is too large", 0, [] (Sample &s) -> auto & {
		s.all<F>()[0].map = 4; return s.all<F>()[0].address = 0x200000; });

	Unit fault { };
	fault.all<F>()[0].map     = 4;
	fault.all<F>()[0].address = 0x1fffff;
	accepted(fault, "fault in the stack area of a member");
}


static void test_threads()
{
	using T = Thread;

	altered<Unit>(5, &T::member, 4U, "no such member");
	altered<Unit>(4, &T::member, NONE, "no such member");
	altered<Unit>(7, &T::index, 0U, "is out of order");
	altered<T, Unit>("is out of order", 5, [] (Sample &s) -> auto & {
		s.all<T>()[5].member = 0; return s.all<T>()[5].index; });
	altered<T, Unit>("is out of order", 7, [] (Sample &s) -> auto & {
		s.all<T>()[7].member = 1; return s.all<T>()[7].index; });
	altered<Unit>(7, &T::session, Unit::SECOND_PD, "is not a CPU session");
	altered<T, Unit>("member has no table", 7, [] (Sample &s) -> auto & {
		s.all<T>()[7].member = Unit::NEW; s.all<T>()[7].ip = 8;
		return s.all<T>()[7].state = T::WAIT; });
	altered<T, Unit>("no such thread", 6, [] (Sample &s) -> auto & {
		s.all<T>()[5].serves = NONE; return s.all<T>()[6].called = 8; });
	altered<T, Unit>("threads wait for each other", 5, [] (Sample &s) -> auto & {
		s.all<T>()[5].state  = T::CALL;
		s.all<T>()[6].serves = 5;
		return s.all<T>()[5].called = 6; });

	/* a circle of as many threads as a unit has */
	altered<T, Unit>("threads wait for each other", 0, [] (Sample &s) -> auto & {
		uint32_t const num = uint32_t(s.all<T>().size());
		for (uint32_t i = 0; i < num; i++) {
			T &thread = s.all<T>()[i];
			thread.state  = T::CALL;
			thread.ip     = 8;
			thread.called = (i + 1) % num;
			thread.serves = (i + num - 1) % num;
		}
		return s.all<T>()[0].called; });

	altered<Unit>(4, &Gate::thread, 8U, "no such thread");
	altered<Unit>(1, &Source::member, 4U, "no such member");
	altered<Unit>(2, &Context::source, 2U, "no such signal source");
}


void Cap_checkpoint::Image::test_holders()
{
	test_objects();
	test_tables();
	test_memory();
	test_threads();
}
