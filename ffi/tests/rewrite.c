/*
 * Rewrite of the C ABI, each status that it returns, and a monitor that stops in the
 * middle of one.
 */
#include "fixture.h"

static cap_map_rewrite change(uint32_t slot, uint32_t expected, uint32_t replacement)
{
	cap_map_rewrite rewrite = { 0, 0, 0, 77, 77, 77 };
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
	cap_map_stamp before, after;
	const cap_map_publication publication = { { "moved", 0, 0, 0, 0 }, 0, 0 };
	uint64_t words[SLOTS];
	uint32_t slot = 77, i;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 11), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 12), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 16, 13), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 13), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 13), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 14), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);

	batch[0] = change(10, 4, 400);
	batch[1] = change(11, 8, 800);
	CHECK_STATUS(cap_map_monitor_rewrite(NULL, batch, 2, &slot), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, NULL, 2, &slot), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 0, &slot), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, NULL, 0, &slot), OK);
	CHECK_EQ(slot, 77);

	/* each refusal names the slot and changes nothing */
	{
		static const struct { cap_map_rewrite third; uint32_t status; } refused[] = {
			{ { SLOTS, 12, 1200, 0, 0, 0 },      CAP_MAP_STATUS_BAD_SLOT },
			{ { UINT32_MAX, 12, 1200, 0, 0, 0 }, CAP_MAP_STATUS_BAD_SLOT },
			{ { 12, 12, 0, 0, 0, 0 },            CAP_MAP_STATUS_BAD_BADGE },
			{ { 12, 12, UINT32_MAX, 0, 0, 0 },   CAP_MAP_STATUS_BAD_BADGE },
			{ { 12, 12, 1u << BITS, 0, 0, 0 },   CAP_MAP_STATUS_BAD_BADGE },
			{ { 10, 4, 1200, 0, 0, 0 },          CAP_MAP_STATUS_DUPLICATE_SLOT },
			{ { 12, 12, 800, 0, 0, 0 },          CAP_MAP_STATUS_DUPLICATE_BADGE },
			{ { 12, 13, 1200, 0, 0, 0 },         CAP_MAP_STATUS_UNEXPECTED_BADGE },
			{ { 13, 16, 1200, 0, 0, 0 },         CAP_MAP_STATUS_NOT_REWRITABLE },
			{ { 14, 0, 1200, 0, 0, 0 },          CAP_MAP_STATUS_NOT_REWRITABLE },
			{ { 40, 0, 1200, 0, 0, 0 },          CAP_MAP_STATUS_NOT_REWRITABLE },
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
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &before), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 3, &slot), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &after), OK);
	CHECK_EQ(after.generation, before.generation + 1);
	for (i = 0; i < 3; i++)
		CHECK_EQ(batch[i].left_out, 0);
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
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &publication, NULL), OK);
	batch[0] = change(10, 16, 48);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), RETIRED);
	CHECK_EQ(slot, UINT32_MAX);
	CHECK_STATUS(cap_map_monitor_take_over(&monitor), RETIRED);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, NULL), RETIRED);
	CHECK_EQ(entry(owner, 10), USED(16));
}

enum { CLAIMED = 2, UNDISTURBED = 4 };

/* A word with a badge for each bank. */
static uint64_t two_badges(uint64_t even, uint64_t odd)
{
	return UINT64_C(2) << 61 | even << 33 | odd << 5;
}

/*
 * A monitor died in the middle of a batch. The owner goes on, other monitors do so when
 * they are told that it is dead, and what it left becomes no badge.
 */
static void dead_monitor(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_rewrite batch[1];
	cap_map_snapshot snapshot;
	uint64_t words[SLOTS];
	uint64_t *const control = &region[0x80 / 8];
	uint64_t *const word = &region[HEADER + 10];
	uint32_t slot = 77, badge = 0;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 11), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);

	/* generation 0, so the even badge counts; slot 10 was to change from 4 to 400 */
	CHECK_EQ(*control, 0);
	*control |= CLAIMED | UNDISTURBED | 1 << 3;
	*word = two_badges(4, 400);
	CHECK_EQ(entry(owner, 10), USED(4));
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 400, NULL), NOT_FOUND);

	/* the owner waits for its budget at most, and once */
	relaxed = 0;
	CHECK_STATUS(cap_map_badge_insert(owner, 8, &slot), OK);
	CHECK_EQ(relaxed, WAIT_BUDGET);
	CHECK_STATUS(cap_map_badge_insert(owner, 20, &slot), OK);
	CHECK_EQ(relaxed, WAIT_BUDGET);
	CHECK_EQ(entry(owner, 10), USED(4));

	/* a reader reads, another rewriter does not rewrite */
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 10, NULL, &badge), OK);
	CHECK_EQ(badge, 4);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	CHECK(snapshot.consistent);
	CHECK(cap_map_word_entry(words[10], &badge) == CAP_MAP_STATE_USED && badge == 4);
	batch[0] = change(11, 12, 44);
	relaxed = 0;
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), BUSY);
	CHECK_EQ(slot, UINT32_MAX);
	CHECK_EQ(relaxed, WAIT_BUDGET);
	CHECK_EQ(entry(owner, 11), USED(12));

	/* told that it is dead; what it staged does not come back */
	CHECK_STATUS(cap_map_monitor_take_over(&monitor), OK);
	CHECK_EQ(*control & CLAIMED, 0);
	CHECK_STATUS(cap_map_monitor_take_over(&monitor), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), OK);
	CHECK_EQ(*control >> 19, 1);
	CHECK_EQ(entry(owner, 10), USED(4));
	CHECK_EQ(entry(owner, 11), USED(44));
	CHECK_STATUS(cap_map_badge_find(owner, 400, NULL), NOT_FOUND);
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	CHECK_EQ(slot, 10);
}

/* Died behind the decision of a batch: the new badge counts. */
static void dead_behind_the_flip(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_rewrite batch[1];
	uint32_t slot = 77;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);
	region[0x80 / 8] = UINT64_C(1) << 19 | CLAIMED | 1 << 3;
	region[HEADER + 10] = two_badges(4, 400);
	CHECK_EQ(entry(owner, 10), USED(400));
	CHECK_STATUS(cap_map_badge_find(owner, 400, &slot), OK);
	CHECK_EQ(slot, 10);
	CHECK_STATUS(cap_map_badge_find(owner, 4, NULL), NOT_FOUND);

	/* as does an image of that instant that is restored */
	CHECK_STATUS(cap_map_owner_recover(owner), OK);
	CHECK_EQ(entry(owner, 10), USED(400));
	batch[0] = change(10, 400, 40);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), BUSY);
	CHECK_STATUS(cap_map_monitor_take_over(&monitor), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, batch, 1, &slot), OK);
	CHECK_EQ(entry(owner, 10), USED(40));
}

int main(void)
{
	rewrite();
	dead_monitor();
	dead_behind_the_flip();
	return done("rewrite");
}
