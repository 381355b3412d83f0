/*
 * A table in static memory over a kernel made of an array, for the tests of the
 * C ABI. Each includes this file once.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <string.h>

#include "check.h"

#define UNUSED __attribute__((unused))

enum { SLOTS = 64, LARGE = 128, FIRST = 8, SHIFT = 12, BITS = 28, WAIT_BUDGET = 10 };

enum { HEADER = CAP_MAP_REGION_HEADER_BYTES / 8 }; /* words */

static ALIGNED(CAP_MAP_REGION_ALIGN) uint64_t region[HEADER + SLOTS];
static ALIGNED(CAP_MAP_REGION_ALIGN) UNUSED uint64_t larger[HEADER + LARGE];
static ALIGNED(CAP_MAP_REGION_ALIGN) UNUSED uint64_t other[HEADER + SLOTS];
static uint64_t memory[512];

static UNUSED unsigned relaxed;

void cap_map_relax(void) { relaxed++; }

static const cap_map_config config = { LARGE, FIRST, SHIFT, BITS, WAIT_BUDGET, 0 };

static UNUSED const cap_map_identity identity = { "component -> target", 5, 6, 7, 8 };

/* A kernel of selectors that name objects; object 0 is none. */
static struct {
	unsigned object[LARGE + 1];
	unsigned equal, valid, map, vanished;
	bool refuse;
	void (*asked)(void); /* called by 'valid' */
} kernel;

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
	if (kernel.asked)
		kernel.asked();
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

static void vanished(void *context, size_t selector, uint32_t badge)
{
	CHECK(context == &kernel);
	CHECK(badge != 0);
	kernel.vanished++;
	kernel.object[selector >> SHIFT] = 0;
}

static UNUSED const cap_map_kernel callbacks = { &kernel, equal, valid, map, vanished };

static inline cap_map_owner *fresh(void)
{
	cap_map_owner *owner = NULL;
	memset(&kernel, 0, sizeof(kernel));
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region),
	                                  &config, &owner), OK);
	return owner;
}

/* State and badge of a slot, as one number. */
static inline uint64_t entry(cap_map_owner *owner, uint32_t slot)
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

/* Whether the private memory is the same behind the control structure, which has padding. */
static inline int same_arrays(const uint64_t *a, const uint64_t *b)
{
	const size_t first = CAP_MAP_OWNER_HEADER_BYTES / 8;
	return !memcmp(a + first, b + first, sizeof(memory) - CAP_MAP_OWNER_HEADER_BYTES);
}

#endif /* FIXTURE_H */
