/*
 * \brief  Test of records of who has a child: what was damaged is noticed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstdint>
#include <cstring>

#include <owner_record.h>

#include "verdict.h"

using namespace Checkpoint;

static Owner_record record(unsigned side, uint64_t epoch, Claim::Kind kind)
{
	return { side, Claim { epoch, epoch - 1, 17, 0x12345678, 1, kind, 0 }, "no more RAM",
	         1 << 20 };
}


static void test_bits()
{
	Owner_record const good = record(1, 5, Claim::OFFERED);

	check(good.valid(1),  "a record is valid");
	check(!good.valid(0), "a record of the other side is not valid");
	check(!good.blank(),  "a record is not blank");

	for (size_t bit = 0; bit < 8*sizeof(good); bit++) {
		Owner_record bad = good;
		((uint8_t *)&bad)[bit/8] ^= uint8_t(1 << bit % 8);
		check(!bad.valid(1), "a record with a wrong bit is not valid");
	}

	/* as a disk leaves it that loses its power, whatever was there before */
	for (size_t size = 1; size < sizeof(good); size++) {
		Owner_record const old = record(1, 3, Claim::HELD);
		Owner_record torn = old;
		memcpy(&torn, &good, size);
		check(!torn.valid(1) || !memcmp(&torn, &good, sizeof(good)) || !memcmp(&torn, &old, sizeof(old)),
		      "a part of a record is not valid");
	}
}


/**
 * Values that no side writes, with a right checksum
 */
static void test_values()
{
	auto refused = [] (auto const &change, char const *what)
	{
		Owner_record r = record(0, 5, Claim::HELD);
		change(r);
		r.crc = r._crc();
		check(!r.valid(0), what);
	};

	refused([] (Owner_record &r) { r.version++; },              "another version");
	refused([] (Owner_record &r) { r.claim.epoch = 0; },        "epoch 0");
	refused([] (Owner_record &r) { r.claim.epoch = ~0ULL; },    "no epoch could follow");
	refused([] (Owner_record &r) { r.claim.seen = 5; },         "a record that sees itself");
	refused([] (Owner_record &r) { r.claim.kind = 0; },         "no kind");
	refused([] (Owner_record &r) { r.claim.kind = Claim::NUM_KINDS; }, "unknown kind");
	refused([] (Owner_record &r) { r.claim.slot = 2; },         "unknown slot");
	refused([] (Owner_record &r) { r.claim.zero = 1; },         "a field that is zero");
	refused([] (Owner_record &r) { memset(r.reason, 'x', sizeof(r.reason)); }, "text without an end");
}


static void test_pairs()
{
	Owner_record const blank { };

	auto evaluate = [] (Owner_record const &first, Owner_record const &second)
	{
		Owner_record const records[2][2] { { first, second }, { } };
		return Owner_record::evaluate(records).sides[0];
	};

	Owner_record damaged = record(0, 9, Claim::HELD);
	damaged.reason[0] = 'N';

	Owner_record const old = record(0, 5, Claim::HELD), newer = record(0, 6, Claim::LEFT);

	Register r = evaluate(blank, blank);
	check(!r.newest.epoch && !r.damaged && r.next == 0, "nothing was written");

	r = evaluate(old, blank);
	check(r.newest == old.claim && !r.damaged && r.next == 1, "one was written");

	r = evaluate(old, newer);
	check(r.newest == newer.claim && !r.damaged && r.next == 0, "the older one is next");

	r = evaluate(newer, old);
	check(r.newest == newer.claim && !r.damaged && r.next == 1, "the older one is next");

	r = evaluate(old, damaged);
	check(r.newest == old.claim && r.damaged && r.next == 1, "the damaged one is next");

	r = evaluate(damaged, old);
	check(r.newest == old.claim && r.damaged && r.next == 0, "the damaged one is next");

	r = evaluate(damaged, damaged);
	check(!r.newest.epoch && r.damaged, "both are damaged");

	r = evaluate(old, record(0, 5, Claim::OFFERED));
	check(r.damaged, "two records of one epoch");

	r = evaluate(old, record(1, 6, Claim::HELD));
	check(r.newest == old.claim && r.damaged, "a record at the place of the other side");

	Owner_record const sectors[] { old, newer };
	check(!strcmp(Owner_record::reason_of(sectors, evaluate(old, newer)), "no more RAM"),
	      "the reason comes along");
}


/**
 * Records of both sides, in all orders, of which some become zero
 */
struct Lossy_medium
{
	Owner_record::All records { };

	uint64_t epochs[2][8] { };  /* of the records that a side has written, from 1 */
	unsigned written[2]   { };
	uint64_t known[2]     { };  /* latest epoch that the other side has read */
	uint64_t latest = 0;

	Register side(unsigned side) const { return Owner_record::evaluate(records).sides[side]; }

	void write(unsigned by)
	{
		unsigned const sector = side(by).next;

		Owner_record r = record(by, ++latest, Claim::HELD);
		r.follow(records, sector);
		records[by][sector] = r;

		epochs[by][++written[by]] = latest;
		known[!by] = epochs[!by][written[!by]];
	}

	/**
	 * Return number of the newest record that is left, 0 for none
	 */
	unsigned lose(unsigned by, unsigned sectors)
	{
		for (unsigned sector = 0; sector < 2; sector++)
			if (sectors & 1U << sector)
				records[by][sector] = Owner_record { };

		unsigned left = written[by];
		while (left && records[by][0].claim.epoch != epochs[by][left]
		            && records[by][1].claim.epoch != epochs[by][left])
			left--;
		return left;
	}
};


static void test_lost()
{
	/* bit n tells who writes the record n */
	for (unsigned length = 0; length <= 7; length++)
		for (unsigned writers = 0; writers < 1U << length; writers++) {

			Lossy_medium medium { };

			for (unsigned n = 0; n < length; n++)
				medium.write(writers >> n & 1);

			for (unsigned side = 0; side < 2; side++) {

				unsigned const written = medium.written[side];

				check(medium.side(side).newest.epoch == medium.epochs[side][written]
				   && !medium.side(side).damaged, "what was written is there");

				for (unsigned lost = 1; lost < 4; lost++) {

					Lossy_medium changed = medium;

					bool const any = (lost & 1 && !medium.records[side][0].blank())
					              || (lost & 2 && !medium.records[side][1].blank());

					unsigned const left = changed.lose(side, lost);

					/* the first record does not tell that another one was to follow */
					bool const noticed = any && (left >= 2
					                         || medium.known[side] > medium.epochs[side][left]);

					check(bool(changed.side(side).damaged) == noticed, "what became zero is noticed");
					check(!changed.side(!side).damaged, "what is there is not taken for lost");

					if (noticed) {
						Lossy_medium later = changed;
						later.write(!side);
						check(later.side(side).damaged, "what was noticed is not forgotten");

						changed.write(side);
						check(changed.side(side).newest.epoch == changed.latest
						   && !changed.side(side).damaged, "the next record makes it good");
					}
				}
			}
		}
}


int main()
{
	test_bits();
	test_values();
	test_pairs();
	test_lost();

	printf("ownership: %lu checks of records, %lu failed\n", checks, failed);
	return failed != 0;
}
