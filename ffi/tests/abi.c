/*
 * Every function of the C ABI with every status that it can return.
 */
#include <string.h>

#include "check.h"

enum { SLOTS = 64, LARGE = 128, FIRST = 8, SHIFT = 12, BITS = 28, PATIENCE = 10 };

enum { HEADER = 0x200 / 8 }; /* words */

static ALIGNED(64) uint64_t region[HEADER + SLOTS], larger[HEADER + LARGE];
static ALIGNED(64) uint64_t other[HEADER + SLOTS];
static uint64_t memory[512];

static unsigned relaxed;

void cap_map_relax(void) { relaxed++; }

static const cap_map_config config = { LARGE, FIRST, SHIFT, BITS, PATIENCE };

/* A kernel of selectors that name objects; object 0 is none. */
static struct { unsigned object[LARGE + 1]; unsigned equal, valid, map; bool refuse; } kernel;

static bool equal(void *context, size_t a, size_t b)
{
	CHECK(context == &kernel);
	kernel.equal++;
	return kernel.object[a >> SHIFT] == kernel.object[b >> SHIFT];
}

static bool valid(void *context, size_t selector)
{
	CHECK(context == &kernel);
	kernel.valid++;
	return kernel.object[selector >> SHIFT] != 0;
}

static bool map(void *context, size_t from, size_t to)
{
	CHECK(context == &kernel);
	kernel.map++;
	if (kernel.refuse)
		return false;
	kernel.object[to >> SHIFT] = kernel.object[from >> SHIFT];
	kernel.object[from >> SHIFT] = 0;
	return true;
}

static const cap_map_kernel callbacks = { &kernel, equal, valid, map };

static cap_map_owner *fresh(void)
{
	cap_map_owner *owner = NULL;
	memset(&kernel, 0, sizeof(kernel));
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region),
	                                  &config, &owner), OK);
	return owner;
}

/* State and badge of a slot, as one number. */
static uint64_t entry(cap_map_owner *owner, uint32_t slot)
{
	cap_map_state state = CAP_MAP_STATE_CORRUPT;
	uint32_t badge = 77;
	CHECK_STATUS(cap_map_slot_entry(owner, slot, &state, &badge), OK);
	CHECK_EQ(cap_map_slot_badge(owner, slot), badge);
	return (uint64_t)state << 32 | badge;
}

#define FREE UINT64_C(0)
#define RESERVED (UINT64_C(1) << 32)
#define USED(badge) (UINT64_C(2) << 32 | (badge))
#define DETACHED(badge) (UINT64_C(3) << 32 | (badge))

static void messages(void)
{
	uint32_t i, j;
	const char *unknown = cap_map_status_message(31);
	CHECK(!strcmp(unknown, "unknown status"));
	CHECK(cap_map_status_message(UINT32_MAX) == unknown);
	for (i = 0; i <= 30; i++) {
		CHECK(strlen(cap_map_status_message(i)) > 3);
		for (j = 0; j < i; j++)
			CHECK(strcmp(cap_map_status_message(i), cap_map_status_message(j)));
	}
}

static void sizes(void)
{
	CHECK_EQ(cap_map_region_size(63), 0);
	CHECK_EQ(cap_map_region_size(64), 0x200 + 64 * 8);
	CHECK_EQ(cap_map_region_size(131072), 0x200 + 131072 * 8);
	CHECK_EQ(cap_map_region_size(131073), 0);
	CHECK_EQ(cap_map_region_size(UINT32_MAX), 0);
	CHECK_EQ(cap_map_owner_size(63), 0);
	CHECK_EQ(cap_map_owner_size(131073), 0);
	CHECK(cap_map_owner_size(LARGE) <= sizeof(memory));
	/* the promised budgets: a component, with its table; core without it */
	CHECK(cap_map_owner_size(4096) + cap_map_region_size(4096) <= 64 * 1024);
	CHECK(cap_map_region_size(4096) <= 40 * 1024);
}

static void create(void)
{
	cap_map_owner *owner = NULL;
	cap_map_config bad = config;
	size_t const need = cap_map_owner_size(LARGE);

	CHECK_STATUS(cap_map_owner_create(NULL, need, region, sizeof(region), &config, &owner),
	             BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_create(memory, need, NULL, sizeof(region), &config, &owner),
	             BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), NULL, &owner),
	             BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &config, NULL),
	             BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_create((uint8_t *)memory + 4, need, region, sizeof(region), &config, &owner),
	             MISALIGNED);
	CHECK_STATUS(cap_map_owner_create(memory, need, region + 1, sizeof(region) - 8, &config,
	                                  &owner), MISALIGNED);
	CHECK_STATUS(cap_map_owner_create(memory, need - 1, region, sizeof(region), &config, &owner),
	             TOO_SMALL);
	CHECK_STATUS(cap_map_owner_create(memory, 0, region, sizeof(region), &config, &owner),
	             TOO_SMALL);
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region) - 1, &config, &owner),
	             TOO_SMALL);
	CHECK_STATUS(cap_map_owner_create(memory, need, region, 0, &config, &owner), TOO_SMALL);

	bad.max_slots = 63;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_ARGUMENT);
	bad.max_slots = 131073;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_ARGUMENT);
	bad = config, bad.first_user = SLOTS;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_FIRST_USER);
	bad = config, bad.shift = 33;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_SHIFT);
	bad = config, bad.badge_bits = 0;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_BADGE_BITS);
	bad.badge_bits = 29;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_BADGE_BITS);
	CHECK(owner == NULL);

	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &config, &owner), OK);
	CHECK((void *)owner == (void *)memory);
	CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);
	CHECK_EQ(cap_map_owner_capacity(NULL), 0);

	/* more memory than slots wanted: the surplus is left alone */
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), larger, sizeof(larger), &config,
	                                  &owner), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), LARGE);
}

static void null_owner(void)
{
	uint32_t u32 = 77;
	bool flag = true;
	cap_map_state state = CAP_MAP_STATE_CORRUPT;
	cap_map_pool pool;
	cap_map_node node;

	CHECK_STATUS(cap_map_owner_reset(NULL, region, sizeof(region)), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_recover(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_publish(NULL, NULL, 0), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_move(NULL, region, sizeof(region), NULL, 0), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_alloc(NULL, 1, &u32), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_alloc_at(NULL, FIRST), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_free(NULL, FIRST, 1), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_entry(NULL, FIRST, &state, &u32), BAD_ARGUMENT);
	CHECK_EQ(cap_map_slot_badge(NULL, FIRST), 0);
	CHECK_STATUS(cap_map_slot_remove(NULL, FIRST), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_badge_find(NULL, 4, &u32), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_badge_find_acquire(NULL, 4, &u32), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_badge_insert(NULL, 4, &u32), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_badge_insert_at(NULL, 4, FIRST), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_badge_insert_map(NULL, 4, 0, &callbacks, &u32), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_ref_acquire(NULL, FIRST), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_ref_release(NULL, FIRST, &flag, &u32), BAD_ARGUMENT);
	CHECK_EQ(cap_map_ref_count(NULL, FIRST), 0);

	CHECK_STATUS(cap_map_pool_init(&pool), OK);
	CHECK_STATUS(cap_map_node_init(&node), OK);
	CHECK_STATUS(cap_map_pool_insert(&pool, NULL, &node, FIRST), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_remove(&pool, NULL, &node), BAD_ARGUMENT);
	CHECK(cap_map_pool_acquire(&pool, NULL, 4) == NULL);

	/* nothing was written */
	CHECK_EQ(u32, 77);
	CHECK(flag && state == CAP_MAP_STATE_CORRUPT);
}

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

	/* freeing withdraws badges */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 24, 22), OK);
	CHECK_STATUS(cap_map_slot_free(owner, 22, 1), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 24, &slot), NOT_FOUND);
}

static void references(void)
{
	cap_map_owner *owner = fresh();
	uint32_t slot = 0, badge = 77, i;
	bool last = true;

	CHECK_STATUS(cap_map_ref_acquire(owner, LARGE), BAD_SLOT);
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

static void publish_and_move(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor, second;
	cap_map_geometry geometry;
	uint64_t sequence = 0;
	uint32_t slot = 0, label_fails = 0;
	const uint8_t label[65] = "component -> target", broken[2] = { 0xc3, 0x28 };

	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &monitor), UNPUBLISHED);
	CHECK_STATUS(cap_map_owner_publish(owner, label, 65), BAD_LABEL);
	CHECK_STATUS(cap_map_owner_publish(owner, broken, 2), BAD_LABEL);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &monitor), UNPUBLISHED);
	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 9), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, label, 19), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &monitor), OK);
	CHECK_STATUS(cap_map_monitor_geometry(&monitor, &geometry), OK);
	CHECK_EQ(geometry.capacity, SLOTS);
	CHECK_EQ(geometry.first_user, FIRST);
	CHECK_EQ(geometry.shift, SHIFT);
	CHECK_EQ(geometry.badge_bits, BITS);
	CHECK(!memcmp(geometry.label, label, 64));

	/* every refused move leaves all as it was */
	CHECK_STATUS(cap_map_owner_move(owner, NULL, sizeof(larger), label, 4), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_move(owner, larger + 1, sizeof(larger) - 8, label, 4), MISALIGNED);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(region) - 8, label, 4), TOO_SMALL);
	label_fails += CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), broken, 2),
	                            BAD_LABEL);
	CHECK_EQ(label_fails, 1);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &sequence), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);

	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), label, 9), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), LARGE);
	CHECK_EQ(entry(owner, slot), USED(4));
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);
	CHECK_STATUS(cap_map_monitor_sequence(&monitor, &sequence), RETIRED);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), PATIENCE, &second), RETIRED);
	CHECK_STATUS(cap_map_monitor_attach(larger, sizeof(larger), PATIENCE, &second), OK);
	CHECK_STATUS(cap_map_monitor_geometry(&second, &geometry), OK);
	CHECK_EQ(geometry.capacity, LARGE);

	/* the new slots can be used, and it cannot shrink again */
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS, &slot), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, LARGE - 1), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), OK);
	CHECK_EQ(slot, LARGE - 1);
	CHECK_STATUS(cap_map_owner_move(owner, other, sizeof(other), label, 9), TOO_SMALL);

	/* a forked component starts anew and leaves the old region alone */
	CHECK_STATUS(cap_map_owner_reset(owner, NULL, sizeof(region)), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_reset(owner, other + 1, sizeof(other) - 8), MISALIGNED);
	CHECK_STATUS(cap_map_owner_reset(owner, other, sizeof(other) - 8), TOO_SMALL);
	CHECK_STATUS(cap_map_badge_find(owner, 8, NULL), OK);
	CHECK_STATUS(cap_map_owner_reset(owner, other, sizeof(other)), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);
	CHECK_STATUS(cap_map_badge_find(owner, 4, NULL), NOT_FOUND);
	CHECK_STATUS(cap_map_badge_find(owner, 8, NULL), NOT_FOUND);
	CHECK_EQ(cap_map_ref_count(owner, FIRST), 0);
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST, &slot), OK);
	CHECK_STATUS(cap_map_monitor_entry(&second, LARGE - 1, NULL, &slot), OK);
	CHECK_EQ(slot, 8);
	CHECK_STATUS(cap_map_monitor_attach(other, sizeof(other), PATIENCE, &second), UNPUBLISHED);
}

static void recover(void)
{
	cap_map_owner *owner = fresh();
	uint32_t used = 0, reserved = 0, slot = 0;

	CHECK_STATUS(cap_map_badge_insert(owner, 4, &used), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, used), OK);
	CHECK_STATUS(cap_map_slot_alloc(owner, 1, &reserved), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, NULL, 0), OK);

	/* a monitor rewrote the badge in the saved image */
	CHECK_EQ(region[HEADER + used] >> 33, UINT64_C(2) << 28 | 4);
	region[HEADER + used] ^= (uint64_t)(4 ^ 400) << 33;

	CHECK_STATUS(cap_map_owner_recover(owner), OK);
	CHECK_EQ(entry(owner, used), USED(400));
	CHECK_EQ(entry(owner, reserved), RESERVED);
	CHECK_EQ(cap_map_ref_count(owner, used), 1);
	CHECK_STATUS(cap_map_badge_find(owner, 400, &slot), OK);
	CHECK_EQ(slot, used);
	CHECK_STATUS(cap_map_badge_find(owner, 4, &slot), NOT_FOUND);
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST - 2, &slot), OK);
	CHECK_EQ(slot, FIRST + 2);
	CHECK_STATUS(cap_map_slot_free(owner, reserved, 1), OK);
}

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
	uint64_t before = 0, after = 0;
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

static void pool(void)
{
	cap_map_owner *owner = fresh();
	cap_map_pool pool, second;
	cap_map_node node[3];
	uint32_t slot[3] = { 0, 0, 0 }, i;

	CHECK_STATUS(cap_map_pool_init(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_node_init(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_init(&pool), OK);
	CHECK_STATUS(cap_map_pool_init(&second), OK);
	for (i = 0; i < 3; i++) {
		CHECK_STATUS(cap_map_node_init(&node[i]), OK);
		CHECK_STATUS(cap_map_badge_insert(owner, 4 + 4 * i, &slot[i]), OK);
	}

	CHECK_STATUS(cap_map_pool_insert(NULL, owner, &node[0], slot[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, NULL, slot[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[0], SLOTS), BAD_SLOT);
	CHECK_STATUS(cap_map_pool_remove(NULL, owner, &node[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[0]), NOT_FOUND);
	CHECK(cap_map_pool_acquire(NULL, owner, 4) == NULL);
	CHECK(cap_map_pool_first(NULL) == NULL);
	CHECK(cap_map_pool_first(&pool) == NULL);
	CHECK_STATUS(cap_map_node_release(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_node_drain(NULL), BAD_ARGUMENT);

	for (i = 0; i < 3; i++)
		CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[i], slot[i]), OK);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[0], slot[0]), IN_USE);
	CHECK_STATUS(cap_map_pool_insert(&second, owner, &node[0], slot[0]), IN_USE);
	CHECK_STATUS(cap_map_pool_remove(&second, owner, &node[0]), NOT_FOUND);

	for (i = 0; i < 3; i++) {
		CHECK(cap_map_pool_acquire(&pool, owner, 4 + 4 * i) == &node[i]);
		CHECK_STATUS(cap_map_node_release(&node[i]), OK);
	}
	CHECK(cap_map_pool_acquire(&second, owner, 4) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, 16) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, 0) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, UINT32_MAX) == NULL);
	CHECK(cap_map_pool_first(&pool) == &node[0]);
	CHECK_STATUS(cap_map_node_release(&node[0]), OK);

	/* removal does not wait for users, and an object can come back */
	CHECK(cap_map_pool_acquire(&pool, owner, 8) == &node[1]);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[1]), OK);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[1]), NOT_FOUND);
	CHECK(cap_map_pool_acquire(&pool, owner, 8) == NULL);
	CHECK_STATUS(cap_map_node_release(&node[1]), OK);
	CHECK_STATUS(cap_map_node_drain(&node[1]), OK);
	CHECK_STATUS(cap_map_pool_insert(&second, owner, &node[1], slot[1]), OK);
	CHECK(cap_map_pool_acquire(&second, owner, 8) == &node[1]);
	CHECK_STATUS(cap_map_node_release(&node[1]), OK);

	/* the key follows the table: badge moved to another slot, badge gone */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, slot[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == &node[2]);
	CHECK_STATUS(cap_map_node_release(&node[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 12) == NULL);
	CHECK_STATUS(cap_map_slot_remove(owner, slot[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == NULL);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[2]), OK);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[0]), OK);
	CHECK(cap_map_pool_first(&pool) == NULL);
	CHECK_STATUS(cap_map_pool_remove(&second, owner, &node[1]), OK);
}

int main(void)
{
	messages();
	sizes();
	create();
	null_owner();
	slots();
	badges();
	references();
	insert_map();
	publish_and_move();
	recover();
	attach();
	monitor();
	rewrite();
	stopped_monitor();
	pool();
	return done("abi");
}
