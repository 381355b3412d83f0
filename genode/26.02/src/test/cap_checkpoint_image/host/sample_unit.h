/*
 * \brief  Small unit of four components, and its image
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SAMPLE_UNIT_H_
#define _SAMPLE_UNIT_H_

#include <cstring>
#include <map>

#include "sample.h"

namespace Cap_checkpoint { namespace Image { struct Sample_unit; } }


/**
 * Root with a child, a child of the child, and a member that does not execute yet
 */
struct Cap_checkpoint::Image::Sample_unit : Sample_with_maps
{
	/* members besides the root, and numbers of their sessions */
	static constexpr uint32_t FIRST = 1, SECOND = 2, NEW = 3, NUM_MEMBERS = 4,
	                          FIRST_PD = 6, FIRST_CPU = 7, SECOND_PD = 8, SECOND_CPU = 9, NEW_PD = 10;

	/* high-water mark of each table */
	enum { MARK = 40 };

	/**
	 * Let the next slot of a member lead to an object
	 *
	 * Whoever holds an object knows it by the same badge.
	 */
	void hold(uint32_t member, unsigned slot, Object::Kind kind, uint32_t number = 0)
	{
		uint32_t badge = 2000 + 4*uint32_t(all<Object>().size());

		if (kind != Object::DEAD)
			for (Object const &o : all<Object>())
				if (o.kind == kind && o.number == number)
					badge = o.badge;

		all<Object>().push_back({ slot, badge, kind, number, member, NONE });
		(member ? other_tables[member - 1] : table).use(slot, badge);
	}

	/**
	 * Return the field of a record that names the object that leads to it
	 */
	uint32_t &slot_of(Object const &o)
	{
		switch (o.kind) {
		case Object::SESSION:       return all<Session>()[o.number].slot;
		case Object::PART:          return all<Part>()[o.number].slot;
		case Object::DATASPACE:     return all<Dataspace>()[o.number].slot;
		case Object::THREAD:        return all<Thread>()[o.number].slot;
		case Object::NATIVE_THREAD: return all<Thread>()[o.number].native_slot;
		case Object::THREAD_GATE:   return all<Thread>()[o.number].gate_slot;
		case Object::GATE:          return all<Gate>()[o.number].slot;
		case Object::SOURCE:        return all<Source>()[o.number].slot;
		case Object::SEMAPHORE:     return all<Source>()[o.number].semaphore_slot;
		case Object::CONTEXT:       return all<Context>()[o.number].slot;
		default:                    return system.parent_slot;
		}
	}

	/**
	 * Let each record name the last object that leads to it, and each object the one before
	 */
	void link()
	{
		std::map<std::pair<uint32_t, uint32_t>, uint32_t> last { };

		uint32_t number = 0;
		for (Object &o : all<Object>()) {

			o.previous = NONE;

			if (o.kind != Object::PSEUDO && o.kind != Object::DEAD) {
				auto const [before, is_new] = last.insert({ { o.kind, o.number }, number });
				if (!is_new)
					o.previous = before->second;
				before->second = number;
				slot_of(o)     = number;
			}
			number++;
		}
	}

	Sample_unit()
	{
		system.version          = UNIT;
		system.parent_dataspace = NONE;
		system.parent_offset    = 0;

		table.words[0xd0/8] = MARK;

		for (char const *label : { "first", "second" }) {
			Table other { };
			memcpy(other.words, table.words, 0x200);
			memset(&other.words[8], 0, 64);
			memcpy(&other.words[8], label, strlen(label));
			other_tables.push_back(other);
		}

		session( 9, NONE, "PD",  "first");
		session(10, NONE, "CPU", "first");
		session(11, NONE, "PD",  "first -> second");
		session(12, NONE, "CPU", "first -> second");
		session(13, NONE, "PD",  "new");

		all<Member>() = {
			{ 0,         NONE,  NONE, 1,    0x40, sizeof(Table), 0,       0,  4, 0 },
			{ FIRST_PD,  0,     3,    9,    0x20, sizeof(Table), 0x40000, 30, 2, 0 },
			{ SECOND_PD, FIRST, 4,    13,   0,    sizeof(Table), 0x20000, 10, 0, 0 },
			{ NEW_PD,    NONE,  NONE, NONE, 0,    0,             0x1000,  4,  0, 0 } };

		all<Part>().push_back({ FIRST_PD,  Part::ADDRESS_SPACE, NONE, 0 });
		all<Part>().push_back({ FIRST_CPU, Part::NATIVE_CPU,    NONE, 0 });

		all<Handler>().insert(all<Handler>().end() - 1, { FIRST_PD, Region::ADDRESS_SPACE, 2, 0 });

		using D = Dataspace;

		for (D const &ds : { D { D::RAM,         D::CACHED, 0x2000,   0, 0, NONE, FIRST  },
		                     D { D::RAM,         D::CACHED, 0x1000,   0, 0, NONE, FIRST  },
		                     D { D::STACK_AREA,  D::CACHED, 0x200000, 0, 0, NONE, FIRST  },
		                     D { D::LINKER_AREA, D::CACHED, 0x100000, 0, 0, NONE, FIRST  },
		                     D { D::STACK_AREA,  D::CACHED, 0x100000, 0, 0, NONE, SECOND },
		                     D { D::RAM,         D::CACHED, 0x1000,   0, 0, NONE, SECOND },
		                     D { D::TRACE,       D::CACHED, 0x1000,   1,         0, NONE, 0 },
		                     D { D::TRACE,       D::CACHED, 0x1000,   FIRST_CPU, 0, NONE, 0 } })
			all<D>().push_back(ds);

		/* region maps of the RM session are behind those of all members */
		uint32_t const more = Region::NUM_MAPS*(NUM_MEMBERS - 1);

		for (Region &region : all<Region>())
			if (region.map >= Region::NUM_MAPS)
				region.map += more;

		all<Fault>()[0].map += more;

		/* address spaces of the members, and the stack area of the first one */
		uint32_t const first = Region::NUM_MAPS*FIRST, second = Region::NUM_MAPS*SECOND;

		Region const regions[] {
			{ first,      2,    0x10000, 0x2000,   0x1000, Region::EXECUTE, 0 },
			{ first,      9,    0x12000, 0x1000,   0,      Region::WRITE,   0 },
			{ first,     10,  0x2000000, 0x200000, 0,      3,               0 },
			{ first + 1,  8,   0x104000, 0x1000,   0x1000, Region::WRITE,   0 },
			{ second,    13,    0x12000, 0x1000,   0,      Region::WRITE,   0 },
			{ second,     0,    0x20000, 0x3000,   0,      Region::WRITE,   0 },
			{ second,    12,  0x1000000, 0x100000, 0,      3,               0 } };

		auto at = all<Region>().begin();
		while (at->map < Region::NUM_MAPS)
			at++;
		all<Region>().insert(at, std::begin(regions), std::end(regions));

		thread("main",  { 0, Thread::WAIT, FIRST_CPU, NONE, 6, NONE, NONE, NONE, NONE, FIRST,
		                  0x2000000, 0x10100, 0x20f000, { 0, 0, 1, 1 }, { } });
		thread("main",  { 0, Thread::CALL, SECOND_CPU, 5, NONE, NONE, NONE, NONE, NONE, SECOND,
		                  0x1000000, 0x10100, 0x20f000, { 0, 0, 1, 1 }, { } });
		thread("later", { 3, Thread::NOT_STARTED, FIRST_CPU, NONE, NONE, NONE, NONE, NONE, NONE,
		                  SECOND, 0x1000600, 0, 0, { 0, 0, 1, 1 }, { } });

		/* parents of the first and the second one, and a service of the first one */
		for (Gate const &gate : { Gate { 1, NONE }, Gate { 5, NONE }, Gate { 5, NONE } })
			all<Gate>().push_back(gate);

		all<Source>().push_back({ 5, NONE, NONE, FIRST });
		all<Context>().push_back({ 1, NONE, 0x12340, 1, 0 });

		hold(0, 29, Object::SESSION, FIRST_PD);
		hold(0, 30, Object::SESSION, FIRST_CPU);
		hold(0, 31, Object::THREAD,  5);
		hold(0, 32, Object::GATE,    3);
		hold(0, 33, Object::GATE,    5);
		hold(0, 34, Object::CONTEXT, 2);

		hold(FIRST,  1, Object::GATE,      3);
		hold(FIRST,  2, Object::PSEUDO);
		hold(FIRST,  3, Object::THREAD_GATE, 5);
		hold(FIRST,  8, Object::SESSION,   FIRST_PD);
		hold(FIRST,  9, Object::SESSION,   FIRST_CPU);
		hold(FIRST, 10, Object::SESSION,   2);
		hold(FIRST, 11, Object::DATASPACE, 8);
		hold(FIRST, 12, Object::GATE,      4);
		hold(FIRST, 13, Object::GATE,      5);
		hold(FIRST, 14, Object::SOURCE,    1);
		hold(FIRST, 15, Object::SEMAPHORE, 1);
		hold(FIRST, 16, Object::CONTEXT,   2);
		hold(FIRST, 17, Object::CONTEXT,   0);
		hold(FIRST, 18, Object::DATASPACE, 0);
		hold(FIRST, 19, Object::DEAD);

		hold(SECOND,  1, Object::GATE,      4);
		hold(SECOND,  2, Object::PSEUDO);
		hold(SECOND,  8, Object::SESSION,   SECOND_PD);
		hold(SECOND,  9, Object::SESSION,   SECOND_CPU);
		hold(SECOND, 10, Object::DATASPACE, 0);
		hold(SECOND, 11, Object::GATE,      5);

		link();
	}
};

#endif /* _SAMPLE_UNIT_H_ */
