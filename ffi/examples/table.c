/*
 * A table, and a monitor that gives all of its capabilities new badges.
 */
#include <stdio.h>

#include <cap_map.h>

enum { SLOTS = 64, FIRST_USER = 8, CAP_SHIFT = 12, BADGE_BITS = 28, WAIT_BUDGET = 1000 };

enum { REGION_BYTES = CAP_MAP_REGION_HEADER_BYTES + SLOTS * CAP_MAP_REGION_SLOT_BYTES };

static uint64_t region[REGION_BYTES / 8] __attribute__((aligned(CAP_MAP_REGION_ALIGN)));
static uint64_t memory[256];

/* The library waits for nobody here, but the linker wants the function. */
void cap_map_relax(void) { }

static void expect(const char *what, cap_map_status status)
{
	printf("%-8s %s\n", what, cap_map_status_message(status));
}

int main(void)
{
	cap_map_config const config = { SLOTS, FIRST_USER, CAP_SHIFT, BADGE_BITS, WAIT_BUDGET, 0 };
	cap_map_identity const identity = { "example", 0, 0, 0, 0 };
	cap_map_owner  *owner = NULL;
	cap_map_monitor monitor;
	uint32_t        slot = 0, found = 0, refused = 0;

	/* the component */
	expect("create", cap_map_owner_create(memory, sizeof(memory), region, sizeof(region),
	                                      &config, &owner));
	expect("insert", cap_map_badge_insert(owner, 4, &slot));
	expect("publish", cap_map_owner_publish(owner, &identity));

	/* the monitor, which sees the region only */
	expect("attach", cap_map_monitor_attach(region, sizeof(region), WAIT_BUDGET, &monitor));
	{
		cap_map_rewrite batch[] = { { slot, 4, 400, 0, 0, 0 } };
		expect("rewrite", cap_map_monitor_rewrite(&monitor, batch, 1, &refused));
	}

	/* the component finds the capability by its new badge, at the same slot */
	expect("find", cap_map_badge_find(owner, 400, &found));
	printf("cap_map %s: badge 400 at slot %u\n", CAP_MAP_VERSION, (unsigned)found);
	return owner && found == slot ? 0 : 1;
}
