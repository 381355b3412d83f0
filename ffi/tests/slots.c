/*
 * Slots and badges of the C ABI, and each status that they return.
 */
#include "fixture.h"

static void slots(void)
{
	cap_map_owner *owner = fresh();
	uint32_t first = 77, i;

	CHECK_STATUS(cap_map_slot_alloc(owner, 0, &first), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST + 1, &first), OUT_OF_SLOTS);
	CHECK_STATUS(cap_map_slot_alloc(owner, UINT32_MAX, &first), OUT_OF_SLOTS);
	CHECK_EQ(first, 77);

	/* all slots can be used, up to the last one */
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST, &first), OK);
	CHECK_EQ(first, FIRST);
	for (i = 0; i < SLOTS; i++)
		CHECK_EQ(entry(owner, i), i < FIRST ? FREE : RESERVED);
	CHECK_STATUS(cap_map_slot_alloc(owner, 1, NULL), OUT_OF_SLOTS);

	/* freeing is all or nothing, and refused the second time */
	CHECK_STATUS(cap_map_slot_free(owner, SLOTS - 1, 2), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_free(owner, UINT32_MAX, 2), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_free(owner, 20, 4), OK);
	CHECK_STATUS(cap_map_slot_free(owner, 20, 4), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_slot_free(owner, 18, 4), NOT_ALLOCATED);
	CHECK_EQ(entry(owner, 18), RESERVED);
	CHECK_STATUS(cap_map_ref_acquire(owner, 30), OK);
	CHECK_STATUS(cap_map_slot_free(owner, 29, 4), IN_USE);
	CHECK_EQ(entry(owner, 29), RESERVED);

	/* the hole fits its size only */
	CHECK_STATUS(cap_map_slot_alloc(owner, 5, &first), OUT_OF_SLOTS);
	CHECK_STATUS(cap_map_slot_alloc(owner, 4, &first), OK);
	CHECK_EQ(first, 20);

	/* given slots, also those of core */
	CHECK_STATUS(cap_map_slot_alloc_at(owner, SLOTS), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, UINT32_MAX), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 20), IN_USE);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 3), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 3), IN_USE);
	CHECK_EQ(entry(owner, 3), RESERVED);
	CHECK_STATUS(cap_map_slot_free(owner, 3, 1), OK);

	CHECK_STATUS(cap_map_slot_entry(owner, SLOTS, NULL, NULL), BAD_SLOT);
	CHECK_EQ(cap_map_slot_badge(owner, SLOTS), 0);
	CHECK_STATUS(cap_map_slot_entry(owner, 20, NULL, NULL), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, SLOTS), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_remove(owner, 3), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_slot_remove(owner, 20), OK);
	CHECK_EQ(entry(owner, 20), FREE);
}

static void badges(void)
{
	cap_map_owner *owner = fresh();
	uint32_t slot = 77, i;
	const uint32_t bad[] = { 0, UINT32_MAX, (1u << BITS) - 1, 1u << BITS };

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		/* all ones of the table's width stands for "invalid" as well */
		CHECK_STATUS(cap_map_badge_find(owner, bad[i], &slot), BAD_BADGE);
		CHECK_STATUS(cap_map_badge_find_acquire(owner, bad[i], &slot), BAD_BADGE);
		CHECK_STATUS(cap_map_badge_insert(owner, bad[i], &slot), BAD_BADGE);
		CHECK_STATUS(cap_map_badge_insert_at(owner, bad[i], FIRST), BAD_BADGE);
		CHECK_STATUS(cap_map_badge_insert_map(owner, bad[i], 0, &callbacks, &slot), BAD_BADGE);
	}
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), NOT_FOUND);
	CHECK_STATUS(cap_map_badge_find_acquire(owner, 4, &slot), NOT_FOUND);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, SLOTS), BAD_SLOT);
	CHECK_EQ(slot, 77);

	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_EQ(slot, FIRST);
	CHECK_EQ(entry(owner, slot), USED(4));
	CHECK_EQ(cap_map_ref_count(owner, slot), 0);
	CHECK_STATUS(cap_map_badge_insert(owner, 4, NULL), EXISTS);
	CHECK_STATUS(cap_map_badge_find(owner, 4, NULL), OK);
	slot = 77;
	CHECK_STATUS(cap_map_badge_find_acquire(owner, 4, &slot), OK);
	CHECK_EQ(slot, FIRST);
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);

	/* a failed insert keeps no slot */
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST - 1, &slot), OK);
	CHECK_EQ(slot, FIRST + 1);
	CHECK_STATUS(cap_map_badge_insert(owner, 8, &slot), OUT_OF_SLOTS);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), NOT_FOUND);

	/* at a given slot: replaces its badge, and takes it from another slot */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 20), OK);
	CHECK_EQ(entry(owner, 20), USED(8));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 20), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 20), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), NOT_FOUND);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 21), OK);
	CHECK_EQ(entry(owner, 20), FREE);
	CHECK_EQ(entry(owner, 21), USED(12));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 22), OK);
	CHECK_EQ(entry(owner, FIRST), DETACHED(4));
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	CHECK_EQ(slot, 22);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 16, 2), OK);
	CHECK_EQ(entry(owner, 2), USED(16));

	/* removal: at once, or with the last reference */
	CHECK_STATUS(cap_map_slot_remove(owner, 22), OK);
	CHECK_EQ(entry(owner, 22), FREE);
	CHECK_STATUS(cap_map_slot_remove(owner, 22), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_ref_acquire(owner, 21), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 21), OK);
	CHECK_EQ(entry(owner, 21), DETACHED(12));
	CHECK_STATUS(cap_map_slot_remove(owner, 21), OK);
	CHECK_EQ(entry(owner, 21), DETACHED(12));
	CHECK_STATUS(cap_map_slot_free(owner, 21, 1), IN_USE);

	/* removal that tells the badge, once */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 28, 23), OK);
	CHECK_STATUS(cap_map_slot_withdraw(owner, 23, &slot), OK);
	CHECK_EQ(slot, 28);
	CHECK_EQ(entry(owner, 23), DETACHED(28));
	CHECK_EQ(cap_map_ref_count(owner, 23), 1);
	CHECK_STATUS(cap_map_slot_withdraw(owner, 23, &slot), NOT_FOUND);
	CHECK_STATUS(cap_map_slot_withdraw(owner, 22, &slot), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_slot_withdraw(owner, SLOTS, &slot), BAD_SLOT);
	CHECK_STATUS(cap_map_slot_withdraw(owner, 2, NULL), OK);
	CHECK_EQ(entry(owner, 2), FREE);
	CHECK_STATUS(cap_map_ref_release(owner, 23, NULL, NULL), OK);
	CHECK_STATUS(cap_map_slot_free(owner, 23, 1), OK);

	/* freeing withdraws badges */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 24, 22), OK);
	CHECK_STATUS(cap_map_slot_free(owner, 22, 1), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 24, &slot), NOT_FOUND);
}

int main(void)
{
	slots();
	badges();
	return done("slots");
}
