/*
 * \brief  Media that keep no record, or hold one that none can follow
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstdint>
#include <cstring>

#include <owner_record.h>
#include <ownership.h>

#include "verdict.h"

using namespace Checkpoint;

using Step = Ownership::Step;

struct Medium
{
	Owner_record::All records { };
	bool              forgets = false;

	Registers read() const { return Owner_record::evaluate(records); }

	void write(Ownership const &side)
	{
		Owner_record record { side.side(), side.pending(), "", 0 };
		record.follow(records, side.sector());

		if (!forgets)
			records[side.side()][side.sector()] = record;
	}

	void put(unsigned side, uint64_t epoch, Claim::Kind kind)
	{
		records[side][0] = Owner_record(side, Claim { epoch, 0, 0, 0, 0, kind, 0 }, "", 0);
	}
};


struct Poll { unsigned writes = 0; bool waits = false, runs = false; };


/**
 * Do what the component does until it waits for the next poll, or has the child
 */
static Poll poll(Medium &medium, Ownership &side)
{
	Poll result { };

	while (result.writes < 100)
		switch (side.next(medium.read())) {
		case Step::WAIT:
		case Step::PREPARE:
		case Step::END:
			result.waits = true;
			return result;

		case Step::RUN:
			result.runs = true;
			if (side.holds())
				return result;
			[[fallthrough]];

		case Step::WRITE:
			medium.write(side);
			result.writes++;
		}

	return result;
}


static void test_forgetful_medium()
{
	auto few = [] (Medium &medium, Ownership &side)
	{
		unsigned writes = 0;
		for (unsigned i = 0; i < 100; i++) {
			Poll const p = poll(medium, side);
			check(p.writes <= 1, "a poll writes one record that is forgotten");
			check(p.waits && side.obstacle() == Ownership::NOT_KEPT, "the next poll is waited for");
			writes += p.writes;
		}
		check(Ownership::text(side.obstacle()), "it is told that records are not kept");
		check(writes >= 40, "the attempts go on");
	};

	Medium medium { };
	medium.forgets = true;

	Ownership side { 0, true };
	few(medium, side);

	medium.forgets = false;
	(void)poll(medium, side);
	check(poll(medium, side).runs && side.holds(), "the child starts once a record is kept");

	/* an offer */
	medium.forgets = true;
	(void)side.offer(0, 1, 0);
	medium.write(side);
	few(medium, side);
	check(!side.offered(), "an offer that is not on the medium is none");

	medium.forgets = false;
	(void)poll(medium, side);
	(void)poll(medium, side);
	check(side.offered(), "the offer stands once it is kept");
}


static void test_last_epoch()
{
	for (unsigned by = 0; by < 2; by++)
		for (unsigned kind = Claim::HELD; kind < Claim::NUM_KINDS; kind++)
			for (uint64_t below = 0; below < 2; below++) {

				Medium medium { };
				medium.put(0, 5, Claim::HELD);
				medium.put(by, Claim::MAX_EPOCH - below, Claim::Kind(kind));

				Ownership side { 0, true };

				for (unsigned i = 0; i < 100; i++) {
					Poll const p = poll(medium, side);
					check(!p.writes && p.waits, "nothing is written behind the last record");
				}
				check(Ownership::text(side.obstacle()), "it is told that no record can follow");
			}

	/* the last record appears while the child is here */
	Medium medium { };
	Ownership side { 0, true };
	check(poll(medium, side).runs && side.can_offer(), "the child starts");

	medium.put(1, Claim::MAX_EPOCH, Claim::LEFT);
	Poll const p = poll(medium, side);
	check(p.runs && !p.writes && !side.can_offer(), "the child goes on, and cannot be offered");

	/* records of usual numbers */
	Medium fresh { };
	fresh.put(0, Claim::MAX_EPOCH/2, Claim::HELD);
	Ownership other { 0, true };
	check(poll(fresh, other).runs && other.can_offer(), "a large number is no obstacle");
}


/**
 * Two sides that both try to begin, as an earlier version may have left them
 */
static void test_both_begin()
{
	Medium medium { };
	medium.put(0, 7, Claim::WITHDRAWN);
	medium.put(1, 8, Claim::WITHDRAWN);

	Ownership a { 0, true }, b { 1, false };

	unsigned running = 0;
	for (unsigned i = 0; i < 20; i++) {
		(void)poll(medium, a);
		(void)poll(medium, b);
		check(!a.holds() || !b.holds(), "one side has the child");
		running += a.holds() || b.holds();
	}
	check(running >= 10, "one of two sides begins that both tried to");
}


int main()
{
	test_forgetful_medium();
	test_last_epoch();
	test_both_begin();

	if (!failed)
		printf("ownership: %lu checks of media\n", checks);
	return failed != 0;
}
