/*
 * \brief  Single steps that the search through all orders does not tell apart
 * \date   2026-11-30
 *
 * The search finds what leads to two children, or to none. The rules here are about what
 * is on a medium that neither side has written so, and about what is reported.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstdint>
#include <initializer_list>

#include <ownership.h>

#include "verdict.h"

using namespace Checkpoint;

using Step = Ownership::Step;

static Claim claim(Claim::Kind kind, uint64_t epoch, uint64_t seen)
{
	return { epoch, seen, 0, 0, 0, kind, 0 };
}


static Register says(Claim const &claim, bool damaged = false) { return { claim, 0, damaged }; }


/**
 * Side a, with what it finds when it starts
 */
struct Side
{
	Ownership ownership { 0, true };
	Register  mine;

	Side(Register const &mine) : mine(mine) { }

	Step next(Register const &theirs) { return ownership.next({ { mine, theirs } }); }

	bool waits(Register const &theirs, Ownership::Obstacle obstacle)
	{
		return next(theirs) == Step::WAIT && ownership.obstacle() == obstacle;
	}

	/* the record is on the medium */
	Step written(Register const &theirs)
	{
		mine = says(ownership.pending());
		return next(theirs);
	}
};


static void test_start()
{
	using C = Claim;

	Register const none { }, lost { claim(C::NONE, 0, 0), 0, 1 };

	check(Side(none).waits(lost, Ownership::DAMAGED),
	      "the first side does not begin if a record of the other one is damaged");

	check(Side(says(claim(C::WITHDRAWN, 7, 5))).waits(says(claim(C::TAKEN, 6, 5)), Ownership::UNDECIDED),
	      "a side that has withdrawn tells that the other one may have taken the child");

	check(Side(says(claim(C::TAKEN, 6, 5))).next(says(claim(C::HELD, 5, 4))) != Step::PREPARE,
	      "what is not offered is not taken again");

	check(Side(says(claim(C::TAKEN, 6, 5))).next(says(claim(C::OFFERED, 5, 4))) == Step::PREPARE,
	      "what was taken before is prepared again");

	check(Side(says(claim(C::LEFT, 6, 5))).waits(says(claim(C::OFFERED, 5, 4)), Ownership::ELSEWHERE),
	      "an offer that was declined is not taken");
}


static void test_away()
{
	using C = Claim;

	Side side { says(claim(C::LEFT, 6, 5)) };

	check(side.waits(says(claim(C::HELD, 7, 6)), Ownership::ELSEWHERE), "the child is elsewhere");

	check(side.waits(says(claim(C::OFFERED, 8, 6), true), Ownership::DAMAGED),
	      "an offer beside a damaged record is not taken");

	check(side.next(says(claim(C::OFFERED, 8, 6))) == Step::PREPARE, "an offer is taken");
}


static void test_yield()
{
	using C = Claim;

	Side side { says(claim(C::WITHDRAWN, 7, 5)) };

	check(side.waits(says(claim(C::TAKEN, 6, 5)),      Ownership::UNDECIDED), "the child was taken");
	check(side.waits(says(claim(C::LEFT, 4, 3), true), Ownership::UNDECIDED),
	      "the answer may be in the record that is damaged");
}


/**
 * What the other side says once this side has claimed the child
 */
static void test_claim()
{
	using C = Claim;

	Register const none { };

	/* the offer that it took became zero before this side had read the answer */
	Side offered { says(claim(C::HELD, 1, 0)) };

	check(offered.next(none) == Step::WRITE, "a side that has the child says so");
	check(offered.written(says(claim(C::TAKEN, 3, 2))) == Step::WAIT
	   && offered.ownership.obstacle() == Ownership::UNDECIDED, "the other side may have taken it");
	check(offered.waits(says(claim(C::HELD, 4, 2)), Ownership::ELSEWHERE), "it has taken it");

	Side both { none };

	check(both.next(none) == Step::WRITE, "the first side begins");
	check(both.written(says(claim(C::HELD, 1, 0))) == Step::WRITE
	   && both.ownership.pending().kind == C::LEFT, "it steps back if the other side begins, too");
}


/**
 * The other side begins, as both have left, and the record of this side that says so is lost
 */
static void test_lost_leave()
{
	using C = Claim;

	Register const left = says(claim(C::LEFT, 4, 3)), begins = says(claim(C::WITHDRAWN, 6, 0));

	for (Claim const &found : { claim(C::WITHDRAWN, 3, 2), claim(C::OFFERED, 2, 1) }) {

		Side side { says(found, true) };

		check(side.next(left) == Step::WRITE && side.ownership.pending().kind == C::WITHDRAWN,
		      "a side that has offered the child withdraws");
		check(side.written(begins) == Step::WRITE && side.ownership.pending().kind == C::LEFT,
		      "it leaves the child to the other side, which has begun by then");
		check(side.written(begins) == Step::WAIT, "and waits");
	}

	Side late { says(claim(C::WITHDRAWN, 7, 5)) };
	Register const before = says(claim(C::WITHDRAWN, 4, 0));

	check(late.next(before) == Step::WRITE && late.written(before) == Step::RUN,
	      "an attempt to begin from before the offer is over");
}


static void test_hold()
{
	using C = Claim;

	Register const other = says(claim(C::LEFT, 4, 3));

	Side side { says(claim(C::HELD, 5, 4)) };

	check(side.next(other) == Step::WRITE && side.written(other) == Step::RUN, "the child is here");

	side.mine.damaged = 1;
	check(side.next(other) == Step::WRITE, "what is damaged is written again");
	check(side.written(other) == Step::RUN && side.next(other) == Step::RUN, "the child goes on");

	uint64_t const latest = side.mine.newest.epoch;

	check(side.next(says(claim(C::HELD, latest + 1, latest))) == Step::END,
	      "the child ends if the other side has it");
}


int main()
{
	test_start();
	test_away();
	test_yield();
	test_claim();
	test_lost_leave();
	test_hold();

	if (!failed)
		printf("ownership: %lu checks of rules\n", checks);
	return failed != 0;
}
