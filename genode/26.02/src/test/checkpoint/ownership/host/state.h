/*
 * \brief  State of two sides that hand over a child, and of the medium
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _STATE_H_
#define _STATE_H_

#include <cstdint>
#include <cstdio>
#include <type_traits>

#include <ownership.h>

using namespace Checkpoint;


struct Sector
{
	Claim    claim    { };
	uint64_t damaged = 0;
};


static inline Register register_of(Sector const (&s)[2])
{
	Register result { };

	unsigned const newer = s[1].claim.epoch > s[0].claim.epoch;

	/* nothing of a damaged sector is known */
	for (unsigned i = 0; i < 2; i++)
		if (!s[i].damaged && s[i].claim.epoch > result.newest.epoch)
			result.newest = s[i].claim;

	result.damaged = s[0].damaged || s[1].damaged;
	result.next    = s[0].damaged ? 0 : s[1].damaged ? 1 : result.newest.epoch ? !newer : 0;
	return result;
}


struct Side
{
	enum Pc : uint32_t { READ, ACT, BEGIN_WRITE, END_WRITE, PREPARE, REST };

	Ownership ownership;
	Sector    first_sector { };  /* of the other side, as it was read */
	uint64_t  version = 0;       /* of the child that is here */
	uint32_t  pc      = READ;
	uint32_t  running = 0;
	uint32_t  here    = 0;       /* running, frozen, or prepared */
	uint32_t  moving  = 0;
	uint64_t  polls   = 0;       /* in the search for a way on only */

	Side(unsigned side) : ownership(side, side == 0) { }
};


/**
 * Write that is on its way although the side that asked for it was turned off
 */
struct Late_write
{
	Claim    claim  { };
	uint64_t sector = 0;
	uint64_t exists = 0;
};


struct Faults { uint32_t moves, crashes, withdrawals, refusals, damages, losses; };


struct State
{
	Sector     sectors[2][2] { };
	Side       sides[2] { { 0 }, { 1 } };
	Late_write late[2] { };
	uint64_t   images[2] { 0, 0 };
	uint64_t   latest = 0;  /* version of the child */
	Faults     faults { };
	uint64_t   mistake = 0;
};

static_assert(std::has_unique_object_representations_v<State>, "compared by bytes");


static inline char const *mistake_text(uint64_t mistake)
{
	switch (mistake) {
	case 1:  return "the child runs on both sides";
	case 2:  return "an older state of the child goes on";
	case 3:  return "an image is missing";
	case 4:  return "a record is not valid for those who read it";
	default: return "none";
	}
}


/**
 * Print a state, for those who look for a mistake
 */
static inline void show(State const &s)
{
	for (unsigned i = 0; i < 2; i++) {
		Side const &side = s.sides[i];
		for (Sector const &sector : s.sectors[i])
			printf("%s %c: %s epoch %lu kind %u seen %lu\n", "record", 'a' + i,
			       sector.damaged ? "damaged" : "", sector.claim.epoch, sector.claim.kind,
			       sector.claim.seen);
		printf("side %c: pc %u, running %u, here %u, obstacle %u, pending epoch %lu kind %u\n",
		       'a' + i, side.pc, side.running, side.here, side.ownership.obstacle(),
		       side.ownership.pending().epoch, side.ownership.pending().kind);
	}
}

#endif /* _STATE_H_ */
