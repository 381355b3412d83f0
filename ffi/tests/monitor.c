/*
 * Monitor and snapshot of the C ABI, and each status that they return.
 */
#include "fixture.h"

/* FNV-1a of 64 bits over the constant bytes of the header. */
static uint64_t checksum(void)
{
	const uint8_t *const bytes = (const uint8_t *)region;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	unsigned i;
	for (i = 0; i < 0x140; i = i == 0x7f ? 0x100 : i + 1)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* A table whose header has one wrong word, and the checksum that fits it. */
static uint32_t attach_with(unsigned offset, uint64_t word, size_t size)
{
	cap_map_monitor monitor;
	uint64_t *const at = &region[offset / 8];
	uint64_t const old = *at, old_sum = region[0x140 / 8];
	uint32_t status;
	*at = word;
	if (offset < 0x140)
		region[0x140 / 8] = checksum();
	status = (uint32_t)cap_map_monitor_attach(region, size, WAIT_BUDGET, &monitor);
	*at = old;
	region[0x140 / 8] = old_sum;
	return status;
}

static void attach(void)
{
	cap_map_owner *owner;
	cap_map_monitor monitor;
	size_t const size = sizeof(region);
	unsigned i;

	CHECK_STATUS(cap_map_monitor_attach(NULL, size, WAIT_BUDGET, &monitor), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_attach(region, size, WAIT_BUDGET, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_attach(region + 4, size - 32, WAIT_BUDGET, &monitor), MISALIGNED);
	CHECK_STATUS(cap_map_monitor_attach(region, 0, WAIT_BUDGET, &monitor), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_attach(region, size - 1, WAIT_BUDGET, &monitor), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_attach(region, size, WAIT_BUDGET, &monitor), UNPUBLISHED);
	owner = fresh();
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_EQ(region[0x140 / 8], checksum());

	CHECK_STATUS(attach_with(0x00, 0x43, size), BAD_MAGIC);
	CHECK_STATUS(attach_with(0x08, 1, size), BAD_VERSION);
	CHECK_STATUS(attach_with(0x08, 3, size), BAD_VERSION);
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
	CHECK_STATUS(attach_with(0x100, 0, size), BAD_KIND);
	CHECK_STATUS(attach_with(0x100, 4, size), BAD_KIND);
	CHECK_STATUS(attach_with(0x118, UINT64_C(1) << 32, size), BAD_BADGE);
	CHECK_STATUS(attach_with(0x120, UINT64_C(1) << 32, size), BAD_BADGE);
	CHECK_STATUS(attach_with(0x128, 64, size), BAD_AREA);
	CHECK_STATUS(attach_with(0x128, size + 8, size), BAD_AREA);
	CHECK_STATUS(attach_with(0x128, size + 64, size), BAD_AREA);
	CHECK_STATUS(attach_with(0x130, 8, size), BAD_AREA);
	CHECK_STATUS(attach_with(0x130, UINT64_MAX - 7, size), BAD_AREA);
	CHECK_STATUS(attach_with(0x80, 5, size), RETIRED);
	CHECK_STATUS(attach_with(0x00, UINT64_C(0x4341505441424c45), size), OK);

	/* one wrong bit anywhere in what is constant, as in a half written image */
	for (i = 8; i < 0x148; i = i == 0x78 ? 0x100 : i + 8) {
		cap_map_status const expected = i == 8 ? CAP_MAP_STATUS_BAD_VERSION
		                                       : CAP_MAP_STATUS_BAD_CHECKSUM;
		region[i / 8] ^= UINT64_C(1) << 40;
		if (!CHECK_EQ(cap_map_monitor_attach(region, size, WAIT_BUDGET, &monitor), expected))
			fprintf(stderr, "\toffset 0x%x\n", i);
		region[i / 8] ^= UINT64_C(1) << 40;
	}
	region[0x140 / 8]++;
	CHECK_STATUS(cap_map_monitor_attach(region, size, WAIT_BUDGET, &monitor), BAD_CHECKSUM);
}

static int same(const cap_map_stamp *a, const cap_map_stamp *b)
{
	return a->sequence == b->sequence && a->generation == b->generation;
}

static void monitor(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_header header;
	cap_map_stamp before, after;
	cap_map_snapshot snapshot;
	cap_map_state state = CAP_MAP_STATE_CORRUPT;
	cap_map_rewrite rewrite = { 10, 4, 44, 77, 77, 77 };
	uint64_t words[SLOTS];
	uint32_t slot = 77, badge = 77, i;

	memset(&monitor, 0, sizeof(monitor));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, SLOTS - 1), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 20), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, 30), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 30), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 30), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);

	CHECK_STATUS(cap_map_monitor_header(NULL, &header), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_header(&monitor, NULL), OK);
	CHECK_STATUS(cap_map_monitor_stamp(NULL, &before), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, NULL), OK);
	CHECK_STATUS(cap_map_monitor_take_over(NULL), BAD_ARGUMENT);
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
	CHECK(state == CAP_MAP_STATE_FREE && badge == 0);
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

	/* each word copied means what the owner says; a reserved slot is its own affair */
	memset(&snapshot, 0, sizeof(snapshot));
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	CHECK(snapshot.consistent && snapshot.attempts == 1);
	CHECK_EQ(snapshot.slots, SLOTS);
	for (i = 0; i < SLOTS; i++) {
		cap_map_state const of_word = cap_map_word_entry(words[i], &badge);
		uint64_t const of_owner = entry(owner, i);
		CHECK_EQ((uint64_t)of_word << 32 | badge, of_owner == RESERVED ? FREE : of_owner);
	}
	CHECK(cap_map_word_entry(words[10], NULL) == CAP_MAP_STATE_USED);
	CHECK(cap_map_word_entry(UINT64_MAX, &badge) == CAP_MAP_STATE_CORRUPT && badge == 0);

	/* every change of a badge shows in the stamp, a window does not */
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &before), OK);
	CHECK(same(&snapshot.stamp, &before));
	CHECK_EQ(before.sequence % 2, 0);
	CHECK_STATUS(cap_map_slot_alloc(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_slot_free(owner, slot, 4), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &after), OK);
	CHECK(same(&before, &after));
	CHECK_STATUS(cap_map_badge_insert(owner, 16, &slot), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &after), OK);
	CHECK(!same(&before, &after));
	before = after;
	CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &after), OK);
	CHECK(!same(&before, &after));
	before = after;
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, &rewrite, 1, NULL), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &after), OK);
	CHECK_EQ(after.sequence, before.sequence);
	CHECK_EQ(after.generation, before.generation + 1);
}

/* A snapshot copies what has been used, and writes no other word. */
static void high_water(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_snapshot snapshot;
	uint64_t words[SLOTS];

	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, NULL, 0, &snapshot), OK);
	CHECK(snapshot.consistent && snapshot.slots == 0);

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 10), OK);
	memset(words, 0xff, sizeof(words));
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, NULL, 0, &snapshot), TOO_SMALL);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	CHECK_EQ(snapshot.slots, 11);
	CHECK_EQ(words[10], 0);
	CHECK_EQ(words[11], UINT64_MAX);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, 11, NULL), OK);
}

int main(void)
{
	attach();
	monitor();
	high_water();
	return done("monitor");
}
