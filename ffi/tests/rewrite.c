/*
 * Rewrite of the C ABI, each status that it returns, and a monitor that stops in the
 * middle of one.
 */
#include "fixture.h"

static cap_map_rewrite change(uint32_t slot, uint32_t expected, uint32_t replacement)
{
	cap_map_rewrite rewrite = { 0, 0, 0, 77, 77 };
	rewrite.slot = slot;
	rewrite.expected = expected;
	rewrite.replacement = replacement;
	return rewrite;
}

static void rewrite(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_rewrite batch[3];
	uint64_t words[SLOTS], before = 0, after = 0;
	uint32_t slot = 77, i;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 11), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 12), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 16, 13), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 13), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 13), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 14), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 0), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &monitor), OK);

	batch[0] = change(10, 4, 400);
	batch[1] = change(11, 8, 800);
	CHECK_STATUS(cap_map_monitor_rewrite(NULL, batch, 2, &slot), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, NULL, 2, &slot), BAD_ARGUMENT);
	CHECK_EQ(slot, 77);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 0, &slot), OK);

	/* each refusal names the slot and changes nothing */
	{
		static const struct { cap_map_rewrite third; uint32_t status; } refused[] = {
			{ { SLOTS, 12, 1200, 0, 0 },      CAP_MAP_STATUS_BAD_SLOT },
			{ { UINT32_MAX, 12, 1200, 0, 0 }, CAP_MAP_STATUS_BAD_SLOT },
			{ { 12, 12, 0, 0, 0 },            CAP_MAP_STATUS_BAD_BADGE },
			{ { 12, 12, UINT32_MAX, 0, 0 },   CAP_MAP_STATUS_BAD_BADGE },
			{ { 12, 12, 1u << BITS, 0, 0 },   CAP_MAP_STATUS_BAD_BADGE },
			{ { 10, 4, 1200, 0, 0 },          CAP_MAP_STATUS_DUPLICATE_SLOT },
			{ { 12, 12, 800, 0, 0 },          CAP_MAP_STATUS_DUPLICATE_BADGE },
			{ { 12, 13, 1200, 0, 0 },         CAP_MAP_STATUS_UNEXPECTED_BADGE },
			{ { 13, 16, 1200, 0, 0 },         CAP_MAP_STATUS_NOT_REWRITABLE },
			{ { 14, 0, 1200, 0, 0 },          CAP_MAP_STATUS_NOT_REWRITABLE },
			{ { 40, 0, 1200, 0, 0 },          CAP_MAP_STATUS_NOT_REWRITABLE },
		};
		for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
			uint32_t status;
			batch[2] = refused[i].third;
			slot = 77;
			status = (uint32_t)cap_map_monitor_rewrite(&monitor, batch, 3, &slot);
			if (!CHECK_EQ(status, refused[i].status) || !CHECK_EQ(slot, refused[i].third.slot))
				fprintf(stderr, "\trefusal %u\n", (unsigned)i);
			CHECK_EQ(entry(owner, 10), USED(4));
			CHECK_EQ(entry(owner, 11), USED(8));
			CHECK_EQ(entry(owner, 12), USED(12));
			CHECK_EQ(entry(owner, 13), DETACHED(16));
		}
	}
	/* a badge that a slot outside the batch carries */
	batch[0] = change(10, 4, 12);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 2, &slot), DUPLICATE_BADGE);
	CHECK_EQ(slot, 10);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 2, NULL), DUPLICATE_BADGE);
	CHECK_EQ(entry(owner, 11), USED(8));

	/* a cyclic swap: found under the new badges, from the owner too */
	batch[0] = change(10, 4, 8);
	batch[1] = change(11, 8, 12);
	batch[2] = change(12, 12, 4);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &before), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 3, &slot), OK);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &after), OK);
	CHECK(after != before);
	CHECK_EQ(entry(owner, 10), USED(8));
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), OK);
	CHECK_EQ(slot, 10);
	CHECK_STATUS(cap_map_badge_find(owner, 12, &slot), OK);
	CHECK_EQ(slot, 11);
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	CHECK_EQ(slot, 12);

	/* the badge of a detached slot is free to be given */
	batch[0] = change(10, 8, 16);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 16, &slot), OK);
	CHECK_EQ(slot, 10);
	CHECK_STATUS(cap_map_badge_insert(owner, 8, &slot), OK);

	/* peers that wrote nonsense, and a table that has moved away */
	region[HEADER + 12] = UINT64_MAX;
	batch[0] = change(12, 4, 44);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), CORRUPT);
	CHECK_EQ(slot, 12);
	CHECK_EQ(cap_map_slot_badge(owner, 12), 0);
	region[0x80 / 8] |= 7;
	batch[0] = change(10, 16, 44);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), CORRUPT);
	CHECK_EQ(slot, UINT32_MAX);
	CHECK_STATUS(cap_map_badge_insert(owner, 20, NULL), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), OK);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, 0), OK);
	batch[0] = change(10, 44, 48);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), RETIRED);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, NULL), RETIRED);
	CHECK_EQ(entry(owner, 10), USED(44));
}

/* A monitor that stopped in the middle is waited for, then overruled. */
static void stopped_monitor(void)
{
	cap_map_owner *owner = fresh();
	uint64_t *const control = &region[0x80 / 8];
	uint64_t *const word = &region[HEADER + 10];
	uint32_t slot = 77;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 0), OK);

	/* phase "staging" under an odd generation, slot staged by batch 1 from 4 to 400 */
	*control = UINT64_C(1) << 40 | (*control & ~UINT64_C(7)) | 2;
	*word = UINT64_C(4) << 61 | UINT64_C(4) << 33 | UINT64_C(400) << 5 | 1;
	CHECK_EQ(entry(owner, 10), USED(4));
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	relaxed = 0;
	CHECK_STATUS(cap_map_badge_insert(owner, 8, &slot), OK);
	CHECK_EQ(relaxed, PATIENCE);
	CHECK_EQ(entry(owner, 10), USED(4));
	CHECK_EQ(*control & 7, 0);
	CHECK_EQ(*word >> 33, UINT64_C(2) << 28 | 4);
}

int main(void)
{
	rewrite();
	stopped_monitor();
	return done("rewrite");
}
