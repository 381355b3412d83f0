/*
 * Owner and status of the C ABI: memory sizes, creation, growth, and each status that
 * they return.
 */
#include "fixture.h"

static void messages(void)
{
	uint32_t i, j;
	const char *unknown = cap_map_status_message(36);
	CHECK(!strcmp(unknown, "unknown status"));
	CHECK(cap_map_status_message(UINT32_MAX) == unknown);
	for (i = 0; i <= 35; i++) {
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
	CHECK_EQ(cap_map_owner_growth_size(63, 64), 0);
	CHECK_EQ(cap_map_owner_growth_size(64, 64), 0);
	CHECK_EQ(cap_map_owner_growth_size(128, 64), 0);
	CHECK_EQ(cap_map_owner_growth_size(64, 131073), 0);
	CHECK_EQ(cap_map_owner_growth_size(64, 128), 192 + 8*13 + 2*256 + 4*4 + 4 + 2*64 + 4);
	CHECK(cap_map_owner_size(LARGE) <= sizeof(memory));
	/* the promised budgets: a component, with its table; core without it */
	CHECK(cap_map_owner_size(4096) + cap_map_region_size(4096) <= 64 * 1024);
	CHECK(cap_map_region_size(4096) <= 40 * 1024);
}

/* Refused over a live table, which stays as it is. */
static void refused_create(void)
{
	static uint64_t saved_memory[sizeof(memory) / 8], saved_region[sizeof(region) / 8];
	cap_map_owner *const live = fresh();
	cap_map_owner *owner = NULL;
	cap_map_config bad = config;
	size_t const need = cap_map_owner_size(LARGE);

	CHECK_STATUS(cap_map_badge_insert(live, 100, NULL), OK);
	memcpy(saved_memory, memory, sizeof(memory));
	memcpy(saved_region, region, sizeof(region));

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
	bad.shift = UINT32_MAX;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_SHIFT);
	bad = config, bad.badge_bits = 0;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_BADGE_BITS);
	bad.badge_bits = 29;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &owner),
	             BAD_BADGE_BITS);
	CHECK(owner == NULL);

	CHECK(same_arrays(saved_memory, memory));
	CHECK(!memcmp(saved_region, region, sizeof(region)));
	CHECK_STATUS(cap_map_badge_find(live, 100, NULL), OK);
}

/* On 32-bit machines, not every shift leaves room for the selector of each slot. */
static void wide_selectors(void)
{
	cap_map_owner *owner = NULL;
	cap_map_config wide = config;
	wide.shift = 26;
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region), &wide,
	                                  &owner), OK);
	memset(larger, 0, sizeof(larger));
	if (sizeof(size_t) == 4) {
		CHECK_STATUS(cap_map_owner_reset(owner, larger, sizeof(larger)), BAD_SHIFT);
		CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, NULL),
		             BAD_SHIFT);
		CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);
		wide.shift = 27;
		CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region),
		                                  &wide, &owner), BAD_SHIFT);
	} else {
		CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, NULL), OK);
	}
}

static void create(void)
{
	cap_map_owner *owner = NULL;
	size_t const need = cap_map_owner_size(LARGE);

	/* whatever the memory contained */
	memset(memory, 0xff, sizeof(memory));
	memset(region, 0xff, sizeof(region));
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &config, &owner), OK);
	CHECK((void *)owner == (void *)memory);
	CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);
	CHECK_EQ(cap_map_owner_capacity(NULL), 0);

	/* more memory than slots wanted: the surplus is left alone */
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), larger, sizeof(larger), &config,
	                                  &owner), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), LARGE);
}

/* A refused creation over a live table leaves the table alone. */
static void create_over_live_table(void)
{
	cap_map_owner *owner = fresh(), *again = NULL;
	size_t const need = cap_map_owner_size(LARGE);
	cap_map_config bad = config;
	uint32_t slot = 0;
	static uint64_t saved[sizeof(memory) / 8], saved_region[HEADER + SLOTS];

	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	memcpy(saved, memory, sizeof(memory));
	memcpy(saved_region, region, sizeof(region));
	bad.first_user = SLOTS;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &again),
	             BAD_FIRST_USER);
	bad = config, bad.shift = 33;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &again),
	             BAD_SHIFT);
	bad = config, bad.badge_bits = 29;
	CHECK_STATUS(cap_map_owner_create(memory, need, region, sizeof(region), &bad, &again),
	             BAD_BADGE_BITS);
	CHECK_STATUS(cap_map_owner_create(memory, need, region + 1, sizeof(region) - 8, &config,
	                                  &again), MISALIGNED);
	CHECK_STATUS(cap_map_owner_create(memory, need, region, 0x200, &config, &again), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_create(memory, need, NULL, sizeof(region), &config, &again),
	             BAD_ARGUMENT);
	CHECK(again == NULL);
	CHECK(same_arrays(saved, memory));
	CHECK(!memcmp(saved_region, region, sizeof(region)));
	CHECK_STATUS(cap_map_badge_find(owner, 4, NULL), OK);
}

/* A live table gets room for more slots, and takes them with a larger region. */
static void grow(void)
{
	static uint64_t more[512], growths[8][512];
	static ALIGNED(CAP_MAP_REGION_ALIGN) uint64_t huge[HEADER + 2 * LARGE];
	cap_map_owner *owner = fresh();
	size_t const need = cap_map_owner_growth_size(LARGE, 2 * LARGE);
	uint32_t slot = 0, i;
	cap_map_pool pool;
	cap_map_node nodes[2];

	CHECK(need > 0 && need <= sizeof(more));
	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_STATUS(cap_map_pool_init(&pool), OK);
	CHECK_STATUS(cap_map_node_init(&nodes[0]), OK);
	CHECK_STATUS(cap_map_node_init(&nodes[1]), OK);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &nodes[0], slot), OK);

	memset(more, 0xa5, sizeof(more));
	CHECK_STATUS(cap_map_owner_grow(NULL, more, need, 2 * LARGE), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_grow(owner, NULL, need, 2 * LARGE), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_grow(owner, (uint8_t *)more + 4, need, 2 * LARGE), MISALIGNED);
	CHECK_STATUS(cap_map_owner_grow(owner, more, need - 1, 2 * LARGE), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_grow(owner, more, 0, 2 * LARGE), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_grow(owner, more, sizeof(more), LARGE), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_grow(owner, more, sizeof(more), 1), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_grow(owner, more, SIZE_MAX, 131073), BAD_ARGUMENT);
	for (i = 0; i < 512; i++)
		CHECK_EQ(more[i], UINT64_C(0xa5a5a5a5a5a5a5a5));

	/* without growth, a larger region brings what there is room for */
	memset(larger, 0, sizeof(larger));
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, 0), OK);
	CHECK_STATUS(cap_map_owner_grow(owner, more, need, 2 * LARGE), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), LARGE);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, LARGE), BAD_SLOT);
	CHECK_STATUS(cap_map_owner_move(owner, huge, sizeof(huge), NULL, 0), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), 2 * LARGE);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 2 * LARGE - 1), OK);
	CHECK_STATUS(cap_map_badge_find_acquire(owner, 8, &slot), OK);
	CHECK_EQ(slot, 2 * LARGE - 1);
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &nodes[1], slot), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 8) == &nodes[1]);
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == &nodes[0]);
	for (i = 0; i < 2; i++) {
		cap_map_node_release(&nodes[i]);
		CHECK_STATUS(cap_map_pool_remove(&pool, owner, &nodes[i]), OK);
		cap_map_node_drain(&nodes[i]);
	}
	/* a window across both parts */
	CHECK_STATUS(cap_map_slot_alloc(owner, LARGE + 8, &slot), OK);
	CHECK_EQ(slot, FIRST + 1);
	CHECK_STATUS(cap_map_slot_free(owner, slot, LARGE + 8), OK);

	CHECK_STATUS(cap_map_owner_recover(owner), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), OK);
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);
	CHECK_STATUS(cap_map_owner_reset(owner, huge, sizeof(huge)), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), 2 * LARGE);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), NOT_FOUND);
	CHECK_EQ(cap_map_ref_count(owner, 2 * LARGE - 1), 0);

	for (i = 0; i < CAP_MAP_MAX_GROWTHS - 1; i++)
		CHECK_STATUS(cap_map_owner_grow(owner, growths[i], sizeof(growths[i]), 2 * LARGE + i + 1), OK);
	CHECK_STATUS(cap_map_owner_grow(owner, growths[i], sizeof(growths[i]), 2 * LARGE + i + 1),
	             OUT_OF_SLOTS);
	CHECK_EQ(growths[i][0], 0);
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
	CHECK_STATUS(cap_map_owner_publish(NULL, &identity), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_describe(NULL, &identity), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_move(NULL, region, sizeof(region), NULL, &u32), BAD_ARGUMENT);
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
	CHECK(cap_map_pool_acquire_slot(&pool, NULL, FIRST) == NULL);
	CHECK_STATUS(cap_map_pool_recover(&pool, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_slot_withdraw(NULL, FIRST, NULL), BAD_ARGUMENT);

	/* nothing was written */
	CHECK_EQ(u32, 77);
	CHECK(flag && state == CAP_MAP_STATE_CORRUPT);
}

int main(void)
{
	messages();
	sizes();
	refused_create();
	wide_selectors();
	create();
	create_over_live_table();
	grow();
	null_owner();
	return done("owner");
}
