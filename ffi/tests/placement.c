/*
 * Where an owner of the C ABI lies: publication, moving, the area behind the slots,
 * and recovery, with each status that they return.
 */
#include "fixture.h"

/* The kind of a table, seen by a monitor, and whether its identity is this one. */
static void check_header(const uint64_t *at, size_t size, cap_map_kind kind,
                         const cap_map_identity *of)
{
	cap_map_monitor monitor;
	cap_map_header header;
	memset(&header, 0, sizeof(header));
	if (!CHECK_STATUS(cap_map_monitor_attach((void *)(uintptr_t)at, size, WAIT_BUDGET, &monitor), OK))
		return;
	CHECK_STATUS(cap_map_monitor_header(&monitor, &header), OK);
	CHECK_EQ(header.kind, kind);
	CHECK(!memcmp(header.identity.label, of->label, 64));
	CHECK_EQ(header.identity.boot, of->boot);
	CHECK_EQ(header.identity.instance, of->instance);
	CHECK_EQ(header.identity.pd, of->pd);
	CHECK_EQ(header.identity.parent, of->parent);
}

/* Private, described, published. */
static void publish(void)
{
	static const cap_map_identity unknown = { { 0 }, 0, 0, 0, 0 };
	static const cap_map_identity broken = { { 0xc3, 0x28 }, 0, 0, 0, 0 };
	cap_map_config of_core = config;
	cap_map_owner *owner = NULL;
	cap_map_monitor monitor;
	cap_map_rewrite rewrite = { 8, 4, 8, 0, 0, 0 };
	cap_map_publication publication = { { "core", 0, 0, 0, 0 }, 0, 0 };

	of_core.core = 1;
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region), &of_core,
	                                  &owner), OK);
	check_header(region, sizeof(region), CAP_MAP_KIND_CORE, &unknown);
	CHECK_STATUS(cap_map_owner_describe(owner, &identity), OK);
	check_header(region, sizeof(region), CAP_MAP_KIND_CORE, &identity);

	/* no monitor ever rewrites core's own table, wherever it lies */
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), BAD_KIND);
	memset(larger, 0, sizeof(larger));
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &publication, NULL), BAD_KIND);
	check_header(region, sizeof(region), CAP_MAP_KIND_CORE, &identity);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, NULL), OK);
	check_header(larger, sizeof(larger), CAP_MAP_KIND_CORE, &identity);

	owner = fresh();
	check_header(region, sizeof(region), CAP_MAP_KIND_PRIVATE, &unknown);
	CHECK_STATUS(cap_map_owner_describe(owner, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_describe(owner, &broken), BAD_LABEL);
	check_header(region, sizeof(region), CAP_MAP_KIND_PRIVATE, &unknown);
	CHECK_STATUS(cap_map_owner_describe(owner, &identity), OK);
	check_header(region, sizeof(region), CAP_MAP_KIND_PRIVATE, &identity);

	/* a monitor reads a private table, and does not rewrite it */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 8), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);
	CHECK_STATUS(cap_map_monitor_next(&monitor, 0, NULL, NULL), OK);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, &rewrite, 1, NULL), UNPUBLISHED);
	CHECK_STATUS(cap_map_monitor_take_over(&monitor), UNPUBLISHED);

	CHECK_STATUS(cap_map_owner_publish(owner, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_publish(owner, &broken), BAD_LABEL);
	check_header(region, sizeof(region), CAP_MAP_KIND_PRIVATE, &identity);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	check_header(region, sizeof(region), CAP_MAP_KIND_PUBLISHED, &identity);

	/* a header that monitors see stays as it is */
	CHECK_STATUS(cap_map_owner_publish(owner, &unknown), IN_USE);
	CHECK_STATUS(cap_map_owner_describe(owner, &unknown), IN_USE);
	check_header(region, sizeof(region), CAP_MAP_KIND_PUBLISHED, &identity);
}

static void move(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor, second;
	cap_map_header header;
	cap_map_publication publication = { { "moved", 0, 0, 0, 0 }, 0, 0 };
	cap_map_publication broken = { { { 0xff }, 0, 0, 0, 0 }, 0, 0 };
	cap_map_publication odd = { { "odd", 0, 0, 0, 0 }, 12, 0 };
	uint32_t slot = 0, area = 77;

	memset(larger, 0, sizeof(larger));
	memset(other, 0, sizeof(other));
	CHECK_STATUS(cap_map_badge_insert(owner, 4, &slot), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, slot), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor), OK);

	/* every refused move leaves all as it was */
	CHECK_STATUS(cap_map_owner_move(owner, NULL, sizeof(larger), &publication, &area),
	             BAD_ARGUMENT);
	CHECK_STATUS(cap_map_owner_move(owner, larger + 1, sizeof(larger) - 8, &publication, &area),
	             MISALIGNED);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(region) - 8, &publication, &area),
	             TOO_SMALL);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &broken, &area), BAD_LABEL);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &odd, &area), BAD_AREA);
	CHECK_STATUS(cap_map_owner_move(owner, region, sizeof(region), &publication, &area), IN_USE);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), NULL, &area), IN_USE);
	larger[0x148 / 8] = 1;
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &publication, &area),
	             NOT_EMPTY);
	larger[0x148 / 8] = 0;
	CHECK_EQ(area, 77);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, NULL), OK);
	CHECK_EQ(cap_map_owner_capacity(owner), SLOTS);

	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger) - 40 * 8, &publication, &area),
	             OK);
	CHECK_EQ(area, 0);
	CHECK_EQ(cap_map_owner_capacity(owner), LARGE - 40);
	CHECK_EQ(entry(owner, slot), USED(4));
	CHECK_EQ(cap_map_ref_count(owner, slot), 1);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, NULL), RETIRED);
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &second), RETIRED);
	CHECK_STATUS(cap_map_monitor_attach(larger, sizeof(larger), WAIT_BUDGET, &second), OK);
	CHECK_STATUS(cap_map_monitor_header(&second, &header), OK);
	CHECK_EQ(header.capacity, LARGE - 40);
	CHECK(header.area_offset == 0 && header.area_bytes == 0);

	/* neither back, nor to memory that overlaps the one in use, nor to less */
	CHECK_STATUS(cap_map_owner_move(owner, larger + 8, sizeof(larger) - 64, &publication, NULL),
	             IN_USE);
	CHECK_STATUS(cap_map_owner_move(owner, other, sizeof(other), &publication, NULL), TOO_SMALL);
	CHECK_EQ(entry(owner, slot), USED(4));

	/* the new slots can be used */
	CHECK_STATUS(cap_map_slot_alloc(owner, LARGE - 40 - FIRST - 1, NULL), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, LARGE - 41), OK);
	CHECK_STATUS(cap_map_badge_find(owner, 8, &slot), OK);
	CHECK_EQ(slot, LARGE - 41);

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
	CHECK_STATUS(cap_map_monitor_entry(&second, LARGE - 41, NULL, &slot), OK);
	CHECK_EQ(slot, 8);
	CHECK_STATUS(cap_map_monitor_attach(other, sizeof(other), WAIT_BUDGET, &second), OK);
	CHECK_STATUS(cap_map_monitor_header(&second, &header), OK);
	CHECK_EQ(header.kind, CAP_MAP_KIND_PRIVATE);
}

/* From one memory to another and back. */
static void back_and_forth(void)
{
	cap_map_owner *owner = fresh();
	const cap_map_publication publication = { { "moved", 0, 0, 0, 0 }, 0, 0 };

	memset(other, 0, sizeof(other));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 9), OK);
	CHECK_STATUS(cap_map_owner_move(owner, other, sizeof(other), NULL, NULL), OK);
	CHECK_STATUS(cap_map_owner_move(owner, region, sizeof(region), NULL, NULL), NOT_EMPTY);
	CHECK_EQ(entry(owner, 9), USED(4));

	/* private memory that nobody reads any more may be zeroed, and used again */
	memset(region, 0, sizeof(region));
	CHECK_STATUS(cap_map_owner_move(owner, region, sizeof(region), &publication, NULL), OK);
	CHECK_EQ(entry(owner, 9), USED(4));
	check_header(region, sizeof(region), CAP_MAP_KIND_PUBLISHED, &publication.identity);
}

/* A monitor says who is to use its memory. */
static void prepared(void)
{
	cap_map_owner *owner = fresh();
	const cap_map_identity given  = { "given", 7, 0, 0, 0 };
	const cap_map_identity broken = { { 0xff }, 0, 0, 0, 0 };
	const cap_map_identity whole  = { "given", 7, 0, 24, 0 };
	const cap_map_publication publication = { { "", 0, 0, 24, 0 }, 0, 0 };

	memset(other, 0, sizeof(other));
	CHECK_STATUS(cap_map_region_prepare(other, sizeof(other), NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_region_prepare(NULL, sizeof(other), &given), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_region_prepare(other + 1, sizeof(other) - 8, &given), MISALIGNED);
	CHECK_STATUS(cap_map_region_prepare(other, 0x3ff, &given), TOO_SMALL);
	CHECK_STATUS(cap_map_region_prepare(other, sizeof(other), &broken), BAD_LABEL);
	CHECK_STATUS(cap_map_region_prepare(other, sizeof(other), &given), OK);
	CHECK_STATUS(cap_map_owner_move(owner, other, sizeof(other), &publication, NULL), OK);
	check_header(other, sizeof(other), CAP_MAP_KIND_PUBLISHED, &whole);
	CHECK_STATUS(cap_map_region_prepare(other, sizeof(other), &given), NOT_EMPTY);
}

/* The table leaves memory behind its slots to others, and says where. */
static void area(void)
{
	cap_map_owner *owner = fresh();
	cap_map_monitor monitor;
	cap_map_header header;
	const cap_map_publication publication = { { "area", 0, 0, 0, 0 }, 200, 3 };
	const cap_map_publication huge = { { "huge", 0, 0, 0, 0 }, UINT32_MAX - 7, 0 };
	uint32_t offset = 0, i;

	memset(larger, 0, sizeof(larger));
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 9), OK);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &huge, &offset), TOO_SMALL);
	CHECK_STATUS(cap_map_owner_move(owner, larger, sizeof(larger), &publication, &offset), OK);
	/* 1536 bytes: 200 for the area, from a multiple of 64 on */
	CHECK_EQ(offset, 1280);
	CHECK_EQ(cap_map_owner_capacity(owner), (1280 - 512) / 8);

	CHECK_STATUS(cap_map_monitor_attach(larger, sizeof(larger), WAIT_BUDGET, &monitor), OK);
	CHECK_STATUS(cap_map_monitor_header(&monitor, &header), OK);
	CHECK_EQ(header.capacity, (1280 - 512) / 8);
	CHECK_EQ(header.area_offset, 1280);
	CHECK_EQ(header.area_bytes, 200);
	CHECK_EQ(header.area_version, 3);

	/* nobody else's: neither owner nor monitor writes there */
	for (i = 1280 / 8; i < sizeof(larger) / 8; i++)
		larger[i] = UINT64_MAX;
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, (1280 - 512) / 8 - 1), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 12, (1280 - 512) / 8), BAD_SLOT);
	CHECK_STATUS(cap_map_owner_recover(owner), OK);
	for (i = 1280 / 8; i < sizeof(larger) / 8; i++)
		CHECK_EQ(larger[i], UINT64_MAX);
}

/* An owner that was copied to another address writes to neither region. */
static void relocated(void)
{
	static uint64_t elsewhere[sizeof(memory) / 8], saved[sizeof(region) / 8];
	static uint64_t copy[sizeof(memory) / 8];
	cap_map_owner *const owner = fresh();
	cap_map_owner *const moved = (cap_map_owner *)(void *)elsewhere;

	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 9), OK);
	memcpy(elsewhere, memory, sizeof(memory));
	memcpy(copy, memory, sizeof(memory));
	memcpy(saved, region, sizeof(region));
	memset(other, 0, sizeof(other));
	CHECK_STATUS(cap_map_owner_recover(moved), RELOCATED);
	CHECK_STATUS(cap_map_owner_reset(moved, other, sizeof(other)), RELOCATED);
	CHECK(same_arrays(copy, elsewhere));
	CHECK(!memcmp(saved, region, sizeof(region)));
	CHECK_EQ(other[0], 0);
	CHECK_STATUS(cap_map_owner_recover(owner), OK);
}

static void recover(void)
{
	cap_map_owner *owner = fresh();
	uint32_t used = 0, reserved = 0, slot = 0;

	CHECK_STATUS(cap_map_badge_insert(owner, 4, &used), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, used), OK);
	CHECK_STATUS(cap_map_slot_alloc(owner, 1, &reserved), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);

	/* a monitor rewrote the badge in the saved image */
	CHECK_EQ(region[HEADER + used], UINT64_C(2) << 61 | UINT64_C(4) << 33 | 4 << 5);
	region[HEADER + used] = UINT64_C(2) << 61 | UINT64_C(400) << 33 | 400 << 5;

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
	publish();
	move();
	back_and_forth();
	prepared();
	area();
	relocated();
	recover();
	return done("placement");
}
