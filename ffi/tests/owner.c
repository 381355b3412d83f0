/*
 * Owner and status of the C ABI: memory sizes, creation, publication, moving,
 * recovery, and each status that they return.
 */
#include "fixture.h"

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
	CHECK_STATUS(cap_map_owner_move(owner, region, sizeof(region), label, 4), IN_USE);
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

int main(void)
{
	messages();
	sizes();
	create();
	null_owner();
	publish_and_move();
	recover();
	return done("owner");
}
