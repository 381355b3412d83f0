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
	2, 0, 0, 0, 0, 0, 0, 0,                         /* 0x08 version */
	0, 4, 0, 0, 0, 0, 0, 0,                         /* 0x10 size */
	64, 0, 0, 0, 0, 0, 0, 0,                        /* 0x18 capacity */
	8, 0, 0, 0, 0, 0, 0, 0,                         /* 0x20 first user slot */
	12, 0, 0, 0, 0, 0, 0, 0,                        /* 0x28 selector shift */
	28, 0, 0, 0, 0, 0, 0, 0,                        /* 0x30 badge bits */
	0, 2, 0, 0, 0, 0, 0, 0,                         /* 0x38 offset of slot 0 */
	'g', 'o', 'l', 'd', 'e', 'n',                   /* 0x40 label */
};
static const uint8_t golden_behind[0x48] = {
	3, 0, 0, 0, 0, 0, 0, 0,                         /* 0x100 kind */
	0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* 0x108 boot */
	0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, /* 0x110 instance */
	0x45, 0x23, 0x01, 0, 0, 0, 0, 0,                /* 0x118 badge of the PD */
	0x9a, 0x78, 0x06, 0, 0, 0, 0, 0,                /* 0x120 badge of the parent */
	0, 0, 0, 0, 0, 0, 0, 0,                         /* 0x128 area */
	0, 0, 0, 0, 0, 0, 0, 0,                         /* 0x130 its length */
	0, 0, 0, 0, 0, 0, 0, 0,                         /* 0x138 its version */
	0x96, 0x1f, 0xe4, 0x7a, 0xee, 0x2c, 0xdf, 0x88, /* 0x140 checksum */
};

/* The function that the number of the interface names; else this does not link. */
#define ABI_FUNCTION_OF(version) cap_map_abi_##version
#define ABI_FUNCTION(version) ABI_FUNCTION_OF(version)

static void constants(void)
{
	ABI_FUNCTION(CAP_MAP_ABI_VERSION)();
	CHECK_EQ(CAP_MAP_ABI_VERSION, 2);
	CHECK_EQ(CAP_MAP_MIN_SLOTS, 64);
	CHECK_EQ(CAP_MAP_MAX_SLOTS, 128 * 1024);
	CHECK_EQ(CAP_MAP_REGION_ALIGN, 64);
	CHECK_EQ(CAP_MAP_REGION_HEADER_BYTES, 0x200);
	CHECK_EQ(CAP_MAP_REGION_SLOT_BYTES, 8);
	CHECK_EQ(CAP_MAP_LABEL_BYTES, 64);
	CHECK_EQ(CAP_MAP_OWNER_ALIGN, 8);
	CHECK_EQ(CAP_MAP_OWNER_HEADER_BYTES, 384);
	CHECK_EQ(CAP_MAP_GROWTH_HEADER_BYTES, 192);
	CHECK_EQ(CAP_MAP_MAX_GROWTHS, 8);
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
	CHECK_EQ(sizeof(cap_map_monitor), 192);
	CHECK_EQ(sizeof(cap_map_pool), 32);
	CHECK_EQ(sizeof(cap_map_node), 48);
	CHECK_EQ(sizeof(cap_map_kind), 4);
	CHECK_EQ(sizeof(cap_map_config), 24);
	CHECK_EQ(sizeof(cap_map_rewrite), 24);
	CHECK_EQ(sizeof(cap_map_identity), 88);
	CHECK_EQ(sizeof(cap_map_publication), 96);
	CHECK_EQ(sizeof(cap_map_header), 120);
	CHECK_EQ(sizeof(cap_map_stamp), 16);
	CHECK_EQ(sizeof(cap_map_kernel), 5 * word);
	CHECK_EQ(offsetof(cap_map_config, max_slots), 0);
	CHECK_EQ(offsetof(cap_map_config, first_user), 4);
	CHECK_EQ(offsetof(cap_map_config, shift), 8);
	CHECK_EQ(offsetof(cap_map_config, badge_bits), 12);
	CHECK_EQ(offsetof(cap_map_config, wait_budget), 16);
	CHECK_EQ(offsetof(cap_map_config, core), 20);
	CHECK_EQ(offsetof(cap_map_rewrite, slot), 0);
	CHECK_EQ(offsetof(cap_map_rewrite, expected), 4);
	CHECK_EQ(offsetof(cap_map_rewrite, replacement), 8);
	CHECK_EQ(offsetof(cap_map_rewrite, left_out), 12);
	CHECK_EQ(offsetof(cap_map_identity, label), 0);
	CHECK_EQ(offsetof(cap_map_identity, boot), 64);
	CHECK_EQ(offsetof(cap_map_identity, instance), 72);
	CHECK_EQ(offsetof(cap_map_identity, pd), 80);
	CHECK_EQ(offsetof(cap_map_identity, parent), 84);
	CHECK_EQ(offsetof(cap_map_publication, identity), 0);
	CHECK_EQ(offsetof(cap_map_publication, area_bytes), 88);
	CHECK_EQ(offsetof(cap_map_publication, area_version), 92);
	CHECK_EQ(offsetof(cap_map_header, capacity), 0);
	CHECK_EQ(offsetof(cap_map_header, first_user), 4);
	CHECK_EQ(offsetof(cap_map_header, shift), 8);
	CHECK_EQ(offsetof(cap_map_header, badge_bits), 12);
	CHECK_EQ(offsetof(cap_map_header, kind), 16);
	CHECK_EQ(offsetof(cap_map_header, area_offset), 20);
	CHECK_EQ(offsetof(cap_map_header, area_bytes), 24);
	CHECK_EQ(offsetof(cap_map_header, area_version), 28);
	CHECK_EQ(offsetof(cap_map_header, identity), 32);
	CHECK_EQ(offsetof(cap_map_stamp, sequence), 0);
	CHECK_EQ(offsetof(cap_map_stamp, generation), 8);
	CHECK_EQ(offsetof(cap_map_snapshot, stamp), 0);
	CHECK_EQ(offsetof(cap_map_snapshot, attempts), 16);
	CHECK_EQ(offsetof(cap_map_snapshot, slots), 20);
	CHECK_EQ(offsetof(cap_map_snapshot, consistent), 24);
	CHECK_EQ(offsetof(cap_map_kernel, context), 0);
	CHECK_EQ(offsetof(cap_map_kernel, equal), word);
	CHECK_EQ(offsetof(cap_map_kernel, valid), 2 * word);
	CHECK_EQ(offsetof(cap_map_kernel, map), 3 * word);
	CHECK_EQ(offsetof(cap_map_kernel, vanished), 4 * word);
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
	CHECK_EQ(CAP_MAP_STATUS_NOT_EMPTY, 31);
	CHECK_EQ(CAP_MAP_STATUS_BAD_CHECKSUM, 32);
	CHECK_EQ(CAP_MAP_STATUS_BAD_KIND, 33);
	CHECK_EQ(CAP_MAP_STATUS_BAD_AREA, 34);
	CHECK_EQ(CAP_MAP_STATUS_RELOCATED, 35);
	CHECK_EQ(CAP_MAP_KIND_CORE, 1);
	CHECK_EQ(CAP_MAP_KIND_PRIVATE, 2);
	CHECK_EQ(CAP_MAP_KIND_PUBLISHED, 3);
	CHECK_EQ(CAP_MAP_STATE_FREE, 0);
	CHECK_EQ(CAP_MAP_STATE_RESERVED, 1);
	CHECK_EQ(CAP_MAP_STATE_USED, 2);
	CHECK_EQ(CAP_MAP_STATE_DETACHED, 3);
	CHECK_EQ(CAP_MAP_STATE_CORRUPT, 7);
}

/* Whether the header holds the golden bytes. */
static void check_golden(void)
{
	const uint8_t *const bytes = (const uint8_t *)region;
	uint32_t const one = 1;
	uint8_t first;
	unsigned i;

	CHECK_EQ(AT(0x00), UINT64_C(0x4341505441424c45));
	CHECK_EQ(AT(0x08), 2);
	CHECK_EQ(AT(0x10), 0x400);
	CHECK_EQ(AT(0x18), 64);
	CHECK_EQ(AT(0x20), 8);
	CHECK_EQ(AT(0x28), 12);
	CHECK_EQ(AT(0x30), 28);
	CHECK_EQ(AT(0x38), 0x200);
	CHECK(!memcmp(region + 0x40 / 8, "golden\0\0", 8));
	CHECK_EQ(AT(0x100), 3);
	CHECK_EQ(AT(0x108), UINT64_C(0x1122334455667788));
	CHECK_EQ(AT(0x110), UINT64_C(0x99aabbccddeeff00));
	CHECK_EQ(AT(0x118), 0x12345);
	CHECK_EQ(AT(0x120), 0x6789a);
	for (i = 0x128; i < 0x140; i += 8)
		CHECK_EQ(AT(i), 0);
	for (i = 0x148; i < 0x200; i += 8)
		CHECK_EQ(AT(i), 0);

	memcpy(&first, &one, 1);
	if (!first)
		return;
	CHECK_EQ(AT(0x140), UINT64_C(0x88df2cee7ae41f96));
	for (i = 0; i < sizeof(golden); i++)
		CHECK_EQ(bytes[i], golden[i]);
	for (i = 0; i < sizeof(golden_behind); i++)
		CHECK_EQ(bytes[0x100 + i], golden_behind[i]);
}

/* The words that change, and what a reader makes of them whoever wrote them. */
static void check_words(cap_map_owner *owner, const cap_map_monitor *monitor)
{
	static const uint32_t rewrite_words[6] = { 11, 8, 0x0fedcba4, 77, 77, 77 };
	cap_map_rewrite rewrite;
	uint32_t badge = 0, slot = 0;

	/* a write of the owner: high-water mark, batch word without "undisturbed", sequence */
	CHECK_EQ(AT(0x80), 0);
	AT(0x80) = UINT64_C(5) << 3 | 4;
	CHECK_STATUS(cap_map_badge_insert_at(owner, 8, 11), OK);
	CHECK_EQ(AT(0x200 + 11 * 8), UINT64_C(0x4000001000000100));
	CHECK_EQ(AT(0x80), UINT64_C(5) << 3);
	CHECK_EQ(AT(0xc0), 10);
	CHECK_EQ(AT(0xc8), 0);
	CHECK_EQ(AT(0xd0), 64);
	CHECK_EQ(AT(0xd8), 0);

	/* a rewrite: claim number and generation; "undisturbed" stays */
	memcpy(&rewrite, rewrite_words, sizeof(rewrite));
	CHECK_STATUS(cap_map_monitor_rewrite(monitor, &rewrite, 1, &slot), OK);
	CHECK_EQ(rewrite.left_out, 0);
	CHECK_EQ(AT(0x80) & ~(uint64_t)4, UINT64_C(1) << 19 | UINT64_C(6) << 3);
	CHECK_EQ(AT(0x200 + 11 * 8), UINT64_C(0x5fdb9749fdb97480));
	CHECK_EQ(AT(0xc0), 10);

	/* two badges: the first counts in even generations, the second in odd ones */
	AT(0x200 + 20 * 8) = UINT64_C(0x4000001800000200);
	AT(0x80) = UINT64_C(2) << 19;
	CHECK_STATUS(cap_map_monitor_entry(monitor, 20, NULL, &badge), OK);
	CHECK_EQ(badge, 12);
	AT(0x80) = UINT64_C(3) << 19 | 6; /* claimed, undisturbed */
	CHECK_STATUS(cap_map_monitor_entry(monitor, 20, NULL, &badge), OK);
	CHECK_EQ(badge, 16);
}

/* Results as the library leaves them in memory. */
static void check_results(const cap_map_monitor *monitor)
{
	static const uint32_t in_order[] = { 64, 8, 12, 28, 3, 0, 0, 0 };
	cap_map_snapshot snapshot;
	cap_map_header header;
	cap_map_stamp stamp;
	uint64_t words[SLOTS], u64 = 0;
	uint32_t u32 = 0;
	unsigned i;

	AT(0x80) = UINT64_C(0x123456789abd) << 19;
	AT(0xc0) = UINT64_C(0x1234567890123456);
	CHECK_STATUS(cap_map_monitor_snapshot(monitor, words, SLOTS, &snapshot), OK);
	memcpy(&u64, (const char *)&snapshot + 0, 8);
	CHECK_EQ(u64, UINT64_C(0x1234567890123456));
	memcpy(&u64, (const char *)&snapshot + 8, 8);
	CHECK_EQ(u64, UINT64_C(0x123456789abd));
	memcpy(&u32, (const char *)&snapshot + 16, 4);
	CHECK_EQ(u32, 1);
	memcpy(&u32, (const char *)&snapshot + 20, 4);
	CHECK_EQ(u32, 64);
	CHECK_EQ(((const uint8_t *)&snapshot)[24], 1);
	/* both badges are the one that counts */
	CHECK_EQ(words[20], UINT64_C(0x4000002000000200));
	CHECK_STATUS(cap_map_monitor_stamp(monitor, &stamp), OK);
	CHECK(!memcmp(&stamp, &snapshot, sizeof(stamp)));

	CHECK_STATUS(cap_map_monitor_header(monitor, &header), OK);
	for (i = 0; i < 8; i++) {
		memcpy(&u32, (const char *)&header + 4 * i, 4);
		CHECK_EQ(u32, in_order[i]);
	}
	CHECK(!memcmp((const char *)&header + 32, golden + 0x40, 64));
	memcpy(&u64, (const char *)&header + 32 + 64, 8);
	CHECK_EQ(u64, UINT64_C(0x1122334455667788));
}

int main(void)
{
	/* arguments as the library finds them in memory */
	static const uint32_t config_words[6] = { 64, 8, 12, 28, 1000, 0 };
	static const uint64_t identity_words[2] = {
		UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff00) };
	static const uint32_t badges[2] = { 0x12345, 0x6789a };
	cap_map_config config;
	cap_map_identity identity;
	cap_map_owner *owner = NULL;
	cap_map_monitor monitor;
	unsigned i;

	constants();
	structures();
	statuses();

	/* a private table has a header, too; no other word is written but slots */
	memset(region, 0xff, sizeof(region));
	memcpy(&config, config_words, sizeof(config));
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region), &config,
	                                  &owner), OK);
	CHECK_EQ(AT(0x00), UINT64_C(0x4341505441424c45));
	CHECK_EQ(AT(0x100), 2);
	for (i = 0x40; i < 0x100; i += 8)
		CHECK_EQ(AT(i), 0);
	for (i = 0x148; i < 0x400; i += 8)
		CHECK_EQ(AT(i), 0);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 0x0abcdef0, 8), OK);
	CHECK_STATUS(cap_map_slot_alloc_at(owner, 9), OK);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, 10), OK);
	CHECK_STATUS(cap_map_ref_acquire(owner, 10), OK);
	CHECK_STATUS(cap_map_slot_remove(owner, 10), OK);
	CHECK_EQ(AT(0xd0), 11);
	CHECK_STATUS(cap_map_badge_insert_at(owner, 0x0ffffffe, 63), OK);
	CHECK_EQ(AT(0xd0), 64);
	CHECK_EQ(AT(0x200 + 8 * 8), UINT64_C(0x5579bde1579bde00));
	CHECK_EQ(AT(0x200 + 9 * 8), 0);
	CHECK_EQ(AT(0x200 + 10 * 8), UINT64_C(0x6000000800000080));
	CHECK_EQ(AT(0x200 + 63 * 8), UINT64_C(0x5ffffffdffffffc0));
	CHECK_EQ(AT(0x80), 0);
	CHECK_EQ(AT(0xc0), 8);

	memset(&identity, 0, sizeof(identity));
	memcpy(&identity, "golden", 6);
	memcpy((char *)&identity + 64, identity_words, 16);
	memcpy((char *)&identity + 80, badges, 8);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	check_golden();
	CHECK_STATUS(cap_map_monitor_attach(region, sizeof(region), 10, &monitor), OK);
	check_words(owner, &monitor);
	check_results(&monitor);
	return done("layout");
}
