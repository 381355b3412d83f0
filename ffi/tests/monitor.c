/*
 * Monitor and snapshot of the C ABI, and each status that they return.
 */
#include "fixture.h"

/* A table whose header has one wrong word. */
static uint32_t attach_with(unsigned offset, uint64_t word, size_t size)
{
	cap_map_monitor monitor;
	uint64_t *const at = &region[offset / 8];
	uint64_t const old = *at;
	uint32_t status;
	*at = word;
	status = (uint32_t)cap_map_monitor_attach(region, size, PATIENCE, &monitor);
	*at = old;
	return status;
}

static void attach(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	size_t const size = sizeof(region);

	CHECK_STATUS(cap_map_monitor_attach(NULL, size, PATIENCE, &monitor), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_attach(region, size, PATIENCE, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_attach(region + 4, size - 32, PATIENCE, &monitor), MISALIGNED);
	CHECK_STATUS(cap_map_monitor_attach(region, 0, PATIENCE, &monitor), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_attach(region, size - 1, PATIENCE, &monitor), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_attach(region, size, PATIENCE, &monitor), UNPUBLISHED);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 0), OK);

	CHECK_STATUS(attach_with(0x00, 0x43, size), BAD_MAGIC);
	CHECK_STATUS(attach_with(0x08, 2, size), BAD_VERSION);
	CHECK_STATUS(attach_with(0x10, size + 8, size), BAD_SIZE);
	CHECK_STATUS(attach_with(0x10, UINT64_MAX, size), BAD_SIZE);
	CHECK_STATUS(attach_with(0x18, 63, size), BAD_CAPACITY);
	CHECK_STATUS(attach_with(0x18, 131073, size), BAD_CAPACITY);
	CHECK_STATUS(attach_with(0x18, UINT64_C(1) << 32 | 64, size), BAD_CAPACITY);
	CHECK_STATUS(attach_with(0x20, SLOTS, size), BAD_FIRST_USER);
	CHECK_STATUS(attach_with(0x20, UINT64_C(1) << 32, size), BAD_FIRST_USER);
	CHECK_STATUS(attach_with(0x28, 33, size), BAD_SHIFT);
	CHECK_STATUS(attach_with(0x30, 0, size), BAD_BADGE_BITS);
	CHECK_STATUS(attach_with(0x30, 29, size), BAD_BADGE_BITS);
	CHECK_STATUS(attach_with(0x38, 0x208, size), BAD_SLOTS_OFFSET);
	CHECK_STATUS(attach_with(0x40, UINT64_C(0xffffffffffffffff), size), BAD_LABEL);
	CHECK_STATUS(attach_with(0x80, 5, size), RETIRED);
	CHECK_STATUS(attach_with(0x00, UINT64_C(0x4341505441424c45), size), OK);
}

static void monitor(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_geometry geometry;
	cap_map_snapshot snapshot;
	cap_map_state state = CAP_MAP_STATE_CORRUPT;
	uint64_t words[SLOTS], before = 0, after = 0;
	uint32_t slot = 77, badge = 77, i;

	memset(&monitor, 0, sizeof(monitor));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, SLOTS - 1), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 20), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 30), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 30), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 30), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 0), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &monitor), OK);

	CHECK_STATUS(cap_map_monitor_geometry(NULL, &geometry), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_geometry(&monitor, NULL), OK);
	CHECK_STATUS(cap_map_monitor_sequence(NULL, &before), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, NULL), OK);
	CHECK_STATUS(cap_map_monitor_entry(NULL, 10, &state, &badge), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, SLOTS, &state, &badge), BAD_SLOT);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 10, NULL, NULL), OK);
	CHECK_STATUS(cap_map_monitor_next(NULL, 0, &slot, &badge), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_next(&monitor, 0, NULL, NULL), OK);
	CHECK_STATUS(cap_map_monitor_snapshot(NULL, words, SLOTS, &snapshot), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, NULL, SLOTS, &snapshot), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS - 1, &snapshot), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, NULL), OK);

	CHECK_STATUS(cap_map_monitor_entry(&monitor, 10, &state, &badge), OK);
	CHECK(state == CAP_MAP_STATE_USED && badge == 4);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 20, &state, &badge), OK);
	CHECK(state == CAP_MAP_STATE_RESERVED && badge == 0);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 30, &state, &badge), OK);
	CHECK(state == CAP_MAP_STATE_DETACHED && badge == 12);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 40, &state, &badge), OK);
	CHECK(state == CAP_MAP_STATE_FREE && badge == 0);

	/* iteration sees badges only, and ends */
	CHECK_STATUS(cap_map_monitor_next(&monitor, 0, &slot, &badge), OK);
	CHECK(slot == 10 && badge == 4);
	CHECK_STATUS(cap_map_monitor_next(&monitor, 11, &slot, &badge), OK);
	CHECK(slot == SLOTS - 1 && badge == 8);
	CHECK_STATUS(cap_map_monitor_next(&monitor, SLOTS, &slot, &badge), NOT_FOUND);
	CHECK_STATUS(cap_map_monitor_next(&monitor, UINT32_MAX, &slot, &badge), NOT_FOUND);

	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	CHECK(snapshot.consistent && snapshot.attempts == 1);
	for (i = 0; i < SLOTS; i++) {
		cap_map_state const of_word = cap_map_word_entry(words[i], &badge);
		CHECK_EQ((uint64_t)of_word << 32 | badge, entry(owner, i));
	}
	CHECK(cap_map_word_entry(words[10], NULL) == CAP_MAP_STATE_USED);
	CHECK(cap_map_word_entry(UINT64_MAX, &badge) == CAP_MAP_STATE_CORRUPT && badge == 0);

	/* every change of a badge shows in the sequence, a window does not */
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &before), OK);
	CHECK_EQ(snapshot.sequence, before);
	CHECK_STATUS(cap_map_slot_alloc(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 4), OK);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &after), OK);
	CHECK_EQ(after, before);
	CHECK_STATUS(cap_map_badge_insert(owner, 16, &slot), OK);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &after), OK);
	CHECK(after != before);
	before = after;
	CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &after), OK);
	CHECK(after != before);
}

int main(void)
{
	attach();
	monitor();
	return done("monitor");
}
