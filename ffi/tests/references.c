/*
 * References and received capabilities of the C ABI, and each status that they
 * return.
 */
#include "fixture.h"

static void references(void)
{
	cap_map_owner *owner = fresh();
	uint32_t slot = 0, badge = 77, i;
	bool last = true;

	CHECK_STATUS(cap_map_ref_acquire(owner, LARGE), BAD_SLOT);
	CHECK_STATUS(cap_map_ref_acquire(owner, FIRST), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_ref_release(owner, LARGE, &last, &badge), NOT_ALLOCATED);
	CHECK_EQ(cap_map_ref_count(owner, LARGE), 0);

	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_ref_release(owner, slot, &last, &badge), NOT_ALLOCATED);
	CHECK(last && badge == 77);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_EQ(cap_map_ref_count(owner, slot), 2);
	CHECK_STATUS(cap_map_ref_release(owner, slot, &last, &badge), OK);
	CHECK(!last && badge == 0);
	CHECK_EQ(entry(owner, slot), USED(4));

	/* the last one: not found any more, but the slot stays until it is freed */
	CHECK_STATUS(cap_map_ref_release(owner, slot, &last, &badge), OK);
	CHECK(last && badge == 4);
	CHECK_STATUS(cap_map_badge_find(owner, 4, NULL), NOT_FOUND);
	CHECK_EQ(entry(owner, slot), RESERVED);
	CHECK_STATUS(cap_map_ref_release(owner, slot, &last, &badge), NOT_ALLOCATED);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 1), OK);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 1), NOT_ALLOCATED);

	/* no outputs wanted */
	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_STATUS(cap_map_ref_release(owner, slot, NULL, NULL), OK);
	CHECK_EQ(entry(owner, slot), RESERVED);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 1), OK);

	/* slots of core are not counted */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 3), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 3), OK);
	CHECK_EQ(cap_map_ref_count(owner, 3), 0);
	last = true;
	CHECK_STATUS(cap_map_ref_release(owner, 3, &last, &badge), OK);
	CHECK(!last);
	CHECK_EQ(entry(owner, 3), USED(8));

	/* 65535 means "too many to count": such a slot stays */
	CHECK_STATUS(cap_map_badge_insert(owner, 12, &slot), OK);
	for (i = 0; i < 32765; i++)
		if (!CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK))
			break;
	CHECK_EQ(cap_map_ref_count(owner, slot), 32765);
	CHECK_STATUS(cap_map_ref_release(owner, slot, NULL, NULL), OK);
	CHECK_EQ(cap_map_ref_count(owner, slot), 32764);
	for (i = 0; i < 70000; i++)
		if (!CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK))
			break;
	CHECK_EQ(cap_map_ref_count(owner, slot), 65535);
	for (i = 0; i < 70000; i++)
		if (!CHECK_STATUS(cap_map_ref_release(owner, slot, &last, NULL), OK) || !CHECK(!last))
			break;
	CHECK_EQ(cap_map_ref_count(owner, slot), 65535);
	CHECK_EQ(entry(owner, slot), USED(12));
	CHECK_STATUS(cap_map_slot_free(owner, slot, 1), IN_USE);
}

static cap_map_owner *holder;
static uint32_t held;

static void let_go(void)
{
	bool last = true;
	CHECK_STATUS(cap_map_ref_release(holder, held, &last, NULL), OK);
	CHECK(!last);
}

static void insert_map(void)
{
	cap_map_owner *owner = fresh();
	cap_map_kernel bad = callbacks;
	uint32_t slot = 77, window, badge = 0, i;
	size_t from;
	bool last = false;

	CHECK_STATUS(cap_map_slot_alloc(owner, 4, &window), OK);
	from = (size_t)window << SHIFT;

	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, NULL, &slot), BAD_ARGUMENT);
	bad.equal = NULL;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &bad, &slot), BAD_ARGUMENT);
	bad = callbacks, bad.valid = NULL;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &bad, &slot), BAD_ARGUMENT);
	bad = callbacks, bad.map = NULL;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &bad, &slot), BAD_ARGUMENT);
	bad = callbacks, bad.vanished = NULL;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &bad, &slot), BAD_ARGUMENT);
	CHECK_EQ(slot, 77);

	/* unknown: mapped to a slot of its own, with one reference */
	kernel.object[window] = 1001;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &callbacks, &slot), OK);
	CHECK_EQ(slot, window + 4);
	CHECK_EQ(kernel.object[slot], 1001);
	CHECK_EQ(entry(owner, slot), USED(4));
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);
	CHECK_EQ(kernel.map, 1);

	/* known and equal: the same slot, with one more reference */
	kernel.object[window] = 1001;
	slot = 77;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &callbacks, &slot), OK);
	CHECK_EQ(slot, window + 4);
	CHECK_EQ(cap_map_ref_count(owner, slot), 2);
	CHECK_EQ(kernel.map, 1);

	/* forged: nothing changes */
	kernel.object[window] = 1002;
	slot = 77;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &callbacks, &slot), FORGED);
	CHECK_EQ(slot, 77);
	CHECK_EQ(cap_map_ref_count(owner, window + 4), 2);
	CHECK_EQ(entry(owner, window + 4), USED(4));
	CHECK_EQ(kernel.map, 1);

	/* dead: replaced, while the old slot is kept for its references */
	kernel.object[window + 4] = 0;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &callbacks, &slot), OK);
	CHECK_EQ(slot, window + 5);
	CHECK_EQ(kernel.object[slot], 1002);
	CHECK_EQ(entry(owner, window + 4), DETACHED(4));
	CHECK_EQ(entry(owner, window + 5), USED(4));
	CHECK_EQ(cap_map_ref_count(owner, window + 4), 2);
	CHECK_EQ(cap_map_ref_count(owner, window + 5), 1);
	CHECK_STATUS(cap_map_ref_release(owner, window + 4, &last, NULL), OK);
	CHECK(!last);
	CHECK_STATUS(cap_map_ref_release(owner, window + 4, &last, &badge), OK);
	CHECK(last);
	CHECK_EQ(entry(owner, window + 4), RESERVED);
	CHECK_STATUS(cap_map_slot_free(owner, window + 4, 1), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), OK);
	CHECK_EQ(slot, window + 5);

	/* forged, and the last holder lets go of the known one when it is compared */
	kernel.object[window] = 1001;
	kernel.asked = let_go;
	holder = owner, held = window + 5;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 4, from, &callbacks, &slot), FORGED);
	kernel.asked = NULL;
	CHECK_EQ(kernel.vanished, 1);
	CHECK_EQ(entry(owner, window + 5), FREE);
	CHECK_EQ(kernel.object[window + 5], 0);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, window + 5), OK);

	/* dead and without references: its slot is free for reuse */
	CHECK_STATUS(cap_map_badge_insert(owner, 8, &slot), OK);
	CHECK_EQ(slot, window + 4);
	kernel.object[window] = 1003;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 8, from, &callbacks, &slot), OK);
	CHECK_EQ(kernel.object[slot], 1003);
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);

	/* the kernel refuses: no slot lost */
	kernel.refuse = true;
	kernel.object[window] = 1004;
	slot = 77;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 12, from, &callbacks, &slot), MAP_FAILED);
	CHECK_STATUS(cap_map_badge_find(owner, 12, NULL), NOT_FOUND);
	kernel.refuse = false;
	CHECK_STATUS(cap_map_slot_alloc(owner, 1, &slot), OK);
	CHECK_EQ(slot, window + 6);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 1), OK);

	/* full: the capability stays where it was received, others are found */
	for (i = 0; i < SLOTS; i++)
		if (cap_map_slot_alloc(owner, 1, NULL) != CAP_MAP_STATUS_OK)
			break;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 12, from, &callbacks, &slot), OUT_OF_SLOTS);
	CHECK_EQ(kernel.object[window], 1004);
	kernel.object[window] = 1003;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 8, from, &callbacks, &slot), OK);
	CHECK_EQ(cap_map_ref_count(owner, slot), 2);

	/* a slot of core that the component knows is a hit that is not counted */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 16, 3), OK);
	kernel.object[3] = kernel.object[window] = 1005;
	CHECK_STATUS(cap_map_badge_insert_map(owner, 16, from, &callbacks, &slot), OK);
	CHECK_EQ(slot, 3);
	CHECK_EQ(cap_map_ref_count(owner, 3), 0);
}

int main(void)
{
	references();
	insert_map();
	return done("references");
}
