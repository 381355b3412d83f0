/*
 * Sizes and offsets as literals, against what the library reads and writes.
 * Valid C and C++. A difference means a new layout version, or a new ABI.
 */
#include <string.h>

#include "check.h"

enum { SLOTS = 64 };

static ALIGNED(64) uint64_t region[64 + SLOTS];
static uint64_t memory[128];

void cap_map_relax(void) { }

#define AT(offset) region[(offset) / 8]

/* The golden table's header, as on a little-endian machine. */
static const uint8_t golden[0x80] = {
	0x45, 0x4c, 0x42, 0x41, 0x54, 0x50, 0x41, 0x43, /* 0x00 magic "CAPTABLE", from behind */
	1, 0, 0, 0, 0, 0, 0, 0,                         /* 0x08 version */
	0, 4, 0, 0, 0, 0, 0, 0,                         /* 0x10 size */
	64, 0, 0, 0, 0, 0, 0, 0,                        /* 0x18 capacity */
	8, 0, 0, 0, 0, 0, 0, 0,                         /* 0x20 first user slot */
	12, 0, 0, 0, 0, 0, 0, 0,                        /* 0x28 selector shift */
	28, 0, 0, 0, 0, 0, 0, 0,                        /* 0x30 badge bits */
	0, 2, 0, 0, 0, 0, 0, 0,                         /* 0x38 offset of slot 0 */
	'g', 'o', 'l', 'd', 'e', 'n',                   /* 0x40 label */
};

/* The function that the number of the interface names; else this does not link. */
#define ABI_FUNCTION_OF(version) cap_map_abi_##version
#define ABI_FUNCTION(version) ABI_FUNCTION_OF(version)

static void constants(void)
{
	ABI_FUNCTION(CAP_MAP_ABI_VERSION)();
	CHECK_EQ(CAP_MAP_ABI_VERSION, 1);
	CHECK_EQ(CAP_MAP_MIN_SLOTS, 64);
	CHECK_EQ(CAP_MAP_MAX_SLOTS, 128 * 1024);
	CHECK_EQ(CAP_MAP_REGION_ALIGN, 64);
	CHECK_EQ(CAP_MAP_REGION_HEADER_BYTES, 0x200);
	CHECK_EQ(CAP_MAP_REGION_SLOT_BYTES, 8);
	CHECK_EQ(CAP_MAP_LABEL_BYTES, 64);
	CHECK_EQ(CAP_MAP_OWNER_ALIGN, 8);
	CHECK_EQ(CAP_MAP_OWNER_HEADER_BYTES, 256);
	CHECK_EQ(CAP_MAP_OWNER_CHAINS, 13);
	CHECK_EQ(CAP_MAP_OWNER_WIDE_SLOTS, 65535);
	CHECK_EQ(CAP_MAP_MAX_SHIFT, 32);
	CHECK_EQ(CAP_MAP_MAX_BADGE_BITS, 28);
	CHECK_EQ(CAP_MAP_REF_MANY, 65535);
}

static void structures(void)
{
	size_t const word = sizeof(void *);

	CHECK_EQ(sizeof(cap_map_status), 4);
	CHECK_EQ(sizeof(cap_map_state), 4);
	CHECK_EQ(sizeof(cap_map_monitor), 128);
	CHECK_EQ(sizeof(cap_map_pool), 32);
	CHECK_EQ(sizeof(cap_map_node), 40);
	CHECK_EQ(sizeof(cap_map_config), 20);
	CHECK_EQ(sizeof(cap_map_rewrite), 20);
	CHECK_EQ(sizeof(cap_map_geometry), 80);
	CHECK_EQ(sizeof(cap_map_kernel), 4 * word);
	CHECK_EQ(offsetof(cap_map_config, max_slots), 0);
	CHECK_EQ(offsetof(cap_map_config, first_user), 4);
	CHECK_EQ(offsetof(cap_map_config, shift), 8);
	CHECK_EQ(offsetof(cap_map_config, badge_bits), 12);
	CHECK_EQ(offsetof(cap_map_config, patience), 16);
	CHECK_EQ(offsetof(cap_map_rewrite, slot), 0);
	CHECK_EQ(offsetof(cap_map_rewrite, expected), 4);
	CHECK_EQ(offsetof(cap_map_rewrite, replacement), 8);
	CHECK_EQ(offsetof(cap_map_geometry, capacity), 0);
	CHECK_EQ(offsetof(cap_map_geometry, first_user), 4);
	CHECK_EQ(offsetof(cap_map_geometry, shift), 8);
	CHECK_EQ(offsetof(cap_map_geometry, badge_bits), 12);
	CHECK_EQ(offsetof(cap_map_geometry, label), 16);
	CHECK_EQ(offsetof(cap_map_snapshot, sequence), 0);
	CHECK_EQ(offsetof(cap_map_snapshot, generation), 8);
	CHECK_EQ(offsetof(cap_map_snapshot, attempts), 12);
	CHECK_EQ(offsetof(cap_map_snapshot, consistent), 16);
	CHECK_EQ(offsetof(cap_map_kernel, context), 0);
	CHECK_EQ(offsetof(cap_map_kernel, equal), word);
	CHECK_EQ(offsetof(cap_map_kernel, valid), 2 * word);
	CHECK_EQ(offsetof(cap_map_kernel, map), 3 * word);
}

static void statuses(void)
{
	static const struct { unsigned number; const char *text; } fixed[] = {
		{ CAP_MAP_STATUS_OK, "done" },
		{ CAP_MAP_STATUS_OUT_OF_SLOTS, "no free slot" },
		{ CAP_MAP_STATUS_FORGED, "badge belongs to another capability" },
		{ CAP_MAP_STATUS_BAD_LABEL, "header: bad label" },
		{ CAP_MAP_STATUS_CORRUPT, "region is corrupt" },
	};
	unsigned i;
	for (i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		CHECK(!strcmp(cap_map_status_message(fixed[i].number), fixed[i].text));
	CHECK_EQ(CAP_MAP_STATUS_OK, 0);
	CHECK_EQ(CAP_MAP_STATUS_OUT_OF_SLOTS, 1);
	CHECK_EQ(CAP_MAP_STATUS_BAD_SLOT, 2);
	CHECK_EQ(CAP_MAP_STATUS_BAD_BADGE, 3);
	CHECK_EQ(CAP_MAP_STATUS_EXISTS, 4);
	CHECK_EQ(CAP_MAP_STATUS_NOT_FOUND, 5);
	CHECK_EQ(CAP_MAP_STATUS_NOT_ALLOCATED, 6);
	CHECK_EQ(CAP_MAP_STATUS_IN_USE, 7);
	CHECK_EQ(CAP_MAP_STATUS_FORGED, 8);
	CHECK_EQ(CAP_MAP_STATUS_MAP_FAILED, 9);
	CHECK_EQ(CAP_MAP_STATUS_TOO_SMALL, 10);
	CHECK_EQ(CAP_MAP_STATUS_MISALIGNED, 11);
	CHECK_EQ(CAP_MAP_STATUS_UNPUBLISHED, 12);
	CHECK_EQ(CAP_MAP_STATUS_BAD_MAGIC, 13);
	CHECK_EQ(CAP_MAP_STATUS_BAD_VERSION, 14);
	CHECK_EQ(CAP_MAP_STATUS_BAD_SIZE, 15);
	CHECK_EQ(CAP_MAP_STATUS_BAD_CAPACITY, 16);
	CHECK_EQ(CAP_MAP_STATUS_BAD_FIRST_USER, 17);
	CHECK_EQ(CAP_MAP_STATUS_BAD_SHIFT, 18);
	CHECK_EQ(CAP_MAP_STATUS_BAD_BADGE_BITS, 19);
	CHECK_EQ(CAP_MAP_STATUS_BAD_SLOTS_OFFSET, 20);
	CHECK_EQ(CAP_MAP_STATUS_BAD_LABEL, 21);
	CHECK_EQ(CAP_MAP_STATUS_RETIRED, 22);
	CHECK_EQ(CAP_MAP_STATUS_BUSY, 23);
	CHECK_EQ(CAP_MAP_STATUS_CHANGED, 24);
	CHECK_EQ(CAP_MAP_STATUS_DUPLICATE_SLOT, 25);
	CHECK_EQ(CAP_MAP_STATUS_DUPLICATE_BADGE, 26);
	CHECK_EQ(CAP_MAP_STATUS_UNEXPECTED_BADGE, 27);
	CHECK_EQ(CAP_MAP_STATUS_NOT_REWRITABLE, 28);
	CHECK_EQ(CAP_MAP_STATUS_BAD_ARGUMENT, 29);
	CHECK_EQ(CAP_MAP_STATUS_CORRUPT, 30);
	CHECK_EQ(CAP_MAP_STATE_FREE, 0);
	CHECK_EQ(CAP_MAP_STATE_RESERVED, 1);
	CHECK_EQ(CAP_MAP_STATE_USED, 2);
	CHECK_EQ(CAP_MAP_STATE_DETACHED, 3);
	CHECK_EQ(CAP_MAP_STATE_CORRUPT, 7);
}

int main(void)
{
	/* arguments as the library finds them in memory */
	static const uint32_t config_bytes[5] = { 64, 8, 12, 28, 1000 };
	static uint32_t rewrite_bytes[5] = { 11, 8, 0x0fedcba4, 0, 0 };
	cap_map_config config;
	cap_map_rewrite rewrite;
	cap_map_owner *owner = NULL;
	cap_map_monitor monitor;
	cap_map_geometry geometry;
	cap_map_snapshot snapshot;
	uint64_t words[SLOTS], u64 = 0;
	uint32_t u32 = 0, slot = 0, first;
	unsigned i;

	constants();
	structures();
	statuses();

	/* before publication nothing but slots is written */
	memset(region, 0xff, sizeof(region));
	memcpy(&config, config_bytes, sizeof(config));
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region), &config,
	                                  &owner), OK);
	for (i = 0; i < sizeof(region) / 8; i++)
		CHECK_EQ(region[i], 0);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 0x0abcdef0, 8), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 9), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 10), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 10), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 0x0ffffffe, 63), OK);
	for (i = 0; i < 0x200; i += 8)
		CHECK_EQ(AT(i), 0);
	CHECK_EQ(AT(0x200 + 8 * 8), UINT64_C(0x5579bde000000000));
	CHECK_EQ(AT(0x200 + 9 * 8), UINT64_C(0x2000000000000000));
	CHECK_EQ(AT(0x200 + 10 * 8), UINT64_C(0x6000000800000000));
	CHECK_EQ(AT(0x200 + 63 * 8), UINT64_C(0x5ffffffc00000000));

	/* the header */
	CHECK_STATUS(cap_map_owner_publish(owner, golden + 0x40, 6), OK);
	CHECK_EQ(AT(0x00), UINT64_C(0x4341505441424c45));
	CHECK_EQ(AT(0x08), 1);
	CHECK_EQ(AT(0x10), 0x400);
	CHECK_EQ(AT(0x18), 64);
	CHECK_EQ(AT(0x20), 8);
	CHECK_EQ(AT(0x28), 12);
	CHECK_EQ(AT(0x30), 28);
	CHECK_EQ(AT(0x38), 0x200);
	CHECK(!memcmp(region + 0x40 / 8, "golden\0\0", 8));
	u32 = 1;
	memcpy(&first, &u32, 4);
	if (*(const uint8_t *)&first == 1)
		for (i = 0; i < sizeof(golden); i++)
			CHECK_EQ(((const uint8_t *)region)[i], golden[i]);
	for (i = 0x80; i < 0x200; i += 8)
		CHECK_EQ(AT(i), 0);

	/* a write section: intent, tag, sequence */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 11), OK);
	CHECK_EQ(AT(0x200 + 11 * 8), UINT64_C(0x4000001000000001));
	CHECK_EQ(AT(0xc0), 11);
	CHECK_EQ(AT(0xc8), UINT64_C(0x2000000000000000));
	CHECK_EQ(AT(0xd0), UINT64_C(0x4000001000000001));
	CHECK_EQ(AT(0x80), 2 << 3);

	/* a rewrite: generation, sequence, tag */
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), 10, &monitor), OK);
	memcpy(&rewrite, rewrite_bytes, sizeof(rewrite));
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, &rewrite, 1, &slot), OK);
	CHECK_EQ(AT(0x80), UINT64_C(2) << 40 | 5 << 3);
	CHECK_EQ(AT(0x200 + 11 * 8), UINT64_C(0x5fdb974800000004));
	CHECK_EQ(AT(0x100), 0);
	CHECK_EQ(AT(0x140), 0);

	/* what a reader makes of words, whoever wrote them */
	AT(0x200 + 20 * 8) = UINT64_C(0x40000018deadbeef);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 20, NULL, &u32), OK);
	CHECK_EQ(u32, 12);
	AT(0x80) = UINT64_C(3) << 40 | 6 << 3 | 2; /* batch 2 is staged: 12 to 16 */
	AT(0x200 + 20 * 8) = UINT64_C(0x8000001800000000) | 16 << 5 | 2;
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 20, NULL, &u32), OK);
	CHECK_EQ(u32, 12);
	AT(0x80) = UINT64_C(4) << 40 | 7 << 3 | 3; /* committed */
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 20, NULL, &u32), OK);
	CHECK_EQ(u32, 16);
	AT(0x80) = UINT64_C(4) << 40 | 7 << 3 | 4; /* aborted */
	CHECK_STATUS(cap_map_monitor_entry(&monitor, 20, NULL, &u32), OK);
	CHECK_EQ(u32, 12);

	/* results as the library leaves them in memory */
	AT(0x80) = UINT64_C(0x123456) << 40 | UINT64_C(0x1234567890) << 3;
	AT(0x200 + 20 * 8) = UINT64_C(0x4000001800000000);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	memcpy(&u64, (const char *)&snapshot + 0, 8);
	CHECK_EQ(u64, UINT64_C(0x1234567890));
	memcpy(&u32, (const char *)&snapshot + 8, 4);
	CHECK_EQ(u32, 0x123456);
	memcpy(&u32, (const char *)&snapshot + 12, 4);
	CHECK_EQ(u32, 1);
	CHECK_EQ(((const uint8_t *)&snapshot)[16], 1);
	CHECK_EQ(words[20], UINT64_C(0x4000001800000000));
	CHECK_STATUS(cap_map_monitor_geometry(&monitor, &geometry), OK);
	for (i = 0; i < 4; i++) {
		static const uint32_t in_order[] = { 64, 8, 12, 28 };
		memcpy(&u32, (const char *)&geometry + 4 * i, 4);
		CHECK_EQ(u32, in_order[i]);
	}
	CHECK(!memcmp((const char *)&geometry + 16, golden + 0x40, 64));

	return done("layout");
}
