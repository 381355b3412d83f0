/*
 * \brief  All orders of steps, crashes, and losses of two sides that hand over a child
 * \date   2026-11-30
 *
 * A state consists of the four sectors, both sides, and the faults that may still happen.
 * From each state that can be reached, each next one is visited once. A sector is
 * damaged while it is being written, and each sector of the other side is read on
 * its own. A write that a side has asked for may take place after the side was turned off,
 * until the side reads again, as by a network.
 *
 * usage: test MOVES CRASHES WITHDRAWALS REFUSALS DAMAGES LOSSES
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_set>
#include <vector>

#include "key.h"
#include "state.h"

using Step = Ownership::Step;


static void note(State &s, uint64_t mistake) { if (!s.mistake) s.mistake = mistake; }


static uint64_t newest_image(State const &s)
{
	return s.images[0] > s.images[1] ? s.images[0] : s.images[1];
}


static void run(State &s, unsigned i)
{
	Side &side = s.sides[i];

	if (!side.here) {
		/* started anew, or from the newest image */
		side.version = newest_image(s);
		if (side.version < side.ownership.image().number)
			note(s, 3);
	}
	if (!side.running && side.version != s.latest)
		note(s, 2);

	side.here = side.running = 1;

	if (s.sides[0].running && s.sides[1].running)
		note(s, 1);
}


/**
 * Freeze the child, write its image, and offer it
 */
static void offer(State &s, unsigned i)
{
	Side &side = s.sides[i];

	unsigned const slot = s.images[0] > s.images[1];

	side.running   = 0;
	side.moving    = 0;
	side.version   = ++s.latest;
	s.images[slot] = s.latest;

	side.ownership.offer(slot, s.latest, 0);
	side.pc = Side::BEGIN_WRITE;
}


static void act(State &s, unsigned i, Sector const &second)
{
	Side &side = s.sides[i];

	Registers registers { };
	registers.sides[i]  = register_of(s.sectors[i]);
	registers.sides[!i] = register_of({ side.first_sector, second });

	side.first_sector = { };

	switch (side.ownership.next(registers)) {
	case Step::WAIT:
		side.pc = Side::READ;
		break;
	case Step::WRITE:
		side.pc = Side::BEGIN_WRITE;
		break;
	case Step::PREPARE:
		side.pc = Side::PREPARE;
		break;
	case Step::END:
		side.running = side.here = 0;
		side.version = 0;
		side.moving  = 0;
		side.pc      = Side::READ;
		break;
	case Step::RUN:
		run(s, i);
		if (side.moving && side.ownership.holds())
			offer(s, i);
		else
			side.pc = side.ownership.holds() ? Side::REST : Side::BEGIN_WRITE;
		break;
	}
}


/**
 * Call 'fn' with each state that may follow
 */
static void for_each_next(State const &s, auto const &fn)
{
	auto with = [&] (auto const &change) { State t = s; change(t); fn(t); };

	for (unsigned i = 0; i < 2; i++) {

		Side const &side = s.sides[i];

		unsigned const sector = side.ownership.sector();

		switch (side.pc) {
		case Side::READ:
			with([&] (State &t) {
				t.late[i] = { };
				t.sides[i].first_sector = t.sectors[!i][0];
				t.sides[i].pc = Side::ACT; });

			if (s.faults.withdrawals && side.ownership.offered())
				with([&] (State &t) {
					t.faults.withdrawals--;
					t.sides[i].ownership.withdraw();
					t.sides[i].pc = Side::BEGIN_WRITE; });
			break;

		case Side::ACT:
			with([&] (State &t) { act(t, i, s.sectors[!i][1]); });
			break;

		case Side::BEGIN_WRITE:
			with([&] (State &t) {
				t.sectors[i][sector] = { {}, 1 };
				t.sides[i].pc = Side::END_WRITE; });

			if (s.faults.losses)
				with([&] (State &t) {
					t.faults.losses--;
					t.sides[i].pc = Side::READ; });
			break;

		case Side::END_WRITE:
			with([&] (State &t) {
				Claim const &claim = side.ownership.pending();
				if (claim.seen >= claim.epoch)
					note(t, 4);
				t.sectors[i][sector] = { claim, 0 };
				t.sides[i].pc = Side::READ; });
			break;

		case Side::PREPARE:
			{
				Claim const image  = side.ownership.image();
				bool  const newest = side.ownership.taken_before(),
				            there  = newest || s.images[image.slot] == image.number;

				if (there)
					with([&] (State &t) {
						t.sides[i].here    = 1;
						t.sides[i].version = newest ? newest_image(s) : image.number;
						t.sides[i].ownership.take();
						t.sides[i].pc = Side::BEGIN_WRITE; });

				/* an image that was overwritten meanwhile is noticed by its number */
				if (!there || s.faults.refusals)
					with([&] (State &t) {
						t.faults.refusals -= there;
						t.sides[i].ownership.decline();
						t.sides[i].pc = Side::BEGIN_WRITE; });
				break;
			}

		case Side::REST:
			if (s.faults.moves)
				with([&] (State &t) {
					t.faults.moves--;
					t.sides[i].moving = 1;
					t.sides[i].pc     = Side::READ; });
			break;
		}

		if (s.faults.crashes)
			with([&] (State &t) {
				t.faults.crashes--;
				t.sides[i] = Side(i); });

		if (s.faults.crashes && (side.pc == Side::BEGIN_WRITE || side.pc == Side::END_WRITE))
			with([&] (State &t) {
				t.faults.crashes--;
				t.late[i]  = { side.ownership.pending(), sector, 1 };
				t.sides[i] = Side(i); });

		if (s.late[i].exists)
			with([&] (State &t) {
				t.sectors[i][s.late[i].sector] = { s.late[i].claim, 0 };
				t.late[i] = { }; });

		for (unsigned j = 0; s.faults.damages && j < 2; j++)
			if (!s.sectors[i][j].damaged)
				with([&] (State &t) {
					t.faults.damages--;
					t.sectors[i][j] = { {}, 1 }; });
	}
}


/**
 * Return true if a side, and it alone, has made a step
 */
static bool step_of(State const &before, State const &after, unsigned i)
{
	return  memcmp(&after.sides[i],  &before.sides[i],  sizeof(Side))
	    && !memcmp(&after.sides[!i], &before.sides[!i], sizeof(Side));
}


/**
 * Return true if the child runs in the end, provided that nothing else happens
 */
static bool goes_on(State s)
{
	uint32_t const withdrawals = 1;

	for (unsigned round = 0; round < 200; round++)
		for (unsigned i = 0; i < 2; i++) {

			Side &side = s.sides[i];

			if (side.running && side.pc == Side::REST)
				return true;

			if (side.pc == Side::REST)
				continue;

			s.faults = { };

			/* the other side had time to answer */
			if (side.pc == Side::READ && side.ownership.offered() && ++side.polls > 50)
				s.faults.withdrawals = withdrawals;

			bool done = false;
			State before = s;
			unsigned choices = 0;
			for_each_next(before, [&] (State const &t) {
				/* the steps of this side come first, of which a withdrawal is the last one */
				bool const own = step_of(before, t, i);
				if (own && (!done || before.faults.withdrawals)) {
					s = t;
					done = true;
				}
				choices++; });

			if (!choices)
				return false;
		}
	return false;
}


/**
 * Return true if a side tells what is in the way, provided that nothing else happens
 */
static bool reported(State s)
{
	for (unsigned round = 0; round < 300; round++)
		for (unsigned i = 0; i < 2; i++) {
			s.faults = { };
			State const before = s;
			bool done = false;
			for_each_next(before, [&] (State const &t) {
				if (!done && step_of(before, t, i)) {
					s = t;
					done = true;
				} });
		}

	for (Side const &side : s.sides)
		if (Ownership::text(side.ownership.obstacle()))
			return true;

	return false;
}


static_assert(sizeof(State) % 8 == 0);


int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;

	auto number = [&] (int i) { return uint32_t(atoi(argv[i])); };

	State start { };
	start.faults = { number(1), number(2), number(3), number(4), number(5), number(6) };

	/* so many sectors may need the help of somebody who knows better */
	bool const help = start.faults.damages > 1;

	std::unordered_set<Key, Key::Hash> seen { };
	std::vector<State>                 stack { start };
	seen.insert(Key::of(start));

	unsigned long stuck = 0, handed_over = 0;

	while (!stack.empty()) {

		State const s = stack.back();
		stack.pop_back();

		if (s.mistake) {
			printf("ownership: %s\n", mistake_text(s.mistake));
			show(s);
			return 1;
		}

		handed_over += s.sides[1].running;

		if (!goes_on(s)) {
			stuck++;
			if (!help || !reported(s)) {
				printf("ownership: the child runs nowhere, for ever%s\n",
				       help ? ", and nobody tells" : "");
				show(s);
				return 1;
			}
		}

		for_each_next(s, [&] (State const &next) {
			if (seen.insert(Key::of(next)).second)
				stack.push_back(next); });
	}

	if (!handed_over) {
		printf("ownership: the child never got to the other side\n");
		return 1;
	}

	printf("ownership: %zu states with at most %u moves, %u crashes, %u withdrawals, %u refusals, "
	       "%u damages, %u losses: at most one side runs, nothing lost, %lu wait for help\n",
	       seen.size(), number(1), number(2), number(3), number(4), number(5), number(6), stuck);
	return 0;
}
