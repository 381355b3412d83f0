/*
 * The C ABI with a crowd: threads of a component receive capabilities and drop them, while
 * a monitor reads and rewrites the table, and the table moves from memory to memory.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "check.h"

enum { SLOTS = 512, FIRST = 16, SHIFT = 12, OBJECTS = 120, USERS = 4, HELD = 40, MOVES = 60 };
enum { WAIT_BUDGET = 50, REGION_WORDS = (CAP_MAP_REGION_HEADER_BYTES + 8 * SLOTS) / 8 };

/* Memory of the table before each move, and behind the last one. */
static ALIGNED(CAP_MAP_REGION_ALIGN) uint64_t regions[MOVES + 1][REGION_WORDS];
static uint64_t memory[1024];
static cap_map_owner *owner;
static int stop, current;
static unsigned long received, rewrites, snapshots;

void cap_map_relax(void) { sched_yield(); }

/* The kernel: which object the selector of each slot names, none for 0. */
static unsigned named[SLOTS];

static unsigned object_at(size_t selector)
{
	return __atomic_load_n(&named[selector >> SHIFT], __ATOMIC_SEQ_CST);
}

static void name(size_t selector, unsigned object)
{
	__atomic_store_n(&named[selector >> SHIFT], object, __ATOMIC_SEQ_CST);
}

static bool equal(void *context, size_t a, size_t b)
{
	(void)context;
	return object_at(a) == object_at(b);
}

static bool valid(void *context, size_t selector)
{
	(void)context;
	return object_at(selector) != 0;
}

static bool map(void *context, size_t from, size_t to)
{
	(void)context;
	name(to, object_at(from));
	return true;
}

static void vanished(void *context, size_t selector, uint32_t badge)
{
	(void)context, (void)badge;
	name(selector, 0);
}

static int stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static void count(unsigned long *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static void drop(uint32_t slot)
{
	bool last = false;
	CHECK_STATUS(cap_map_ref_release(owner, slot, &last, NULL), OK);
	if (last) {
		name((size_t)slot << SHIFT, 0);
		CHECK_STATUS(cap_map_slot_free(owner, slot, 1), OK);
	}
}

/* Receives capabilities in a window, and drops them. Those it holds name their objects. */
static void *user(void *argument)
{
	static const cap_map_kernel kernel = { NULL, equal, valid, map, vanished };
	struct { uint32_t slot; unsigned object; } held[HELD];
	uint32_t random = (uint32_t)(size_t)argument * 7919, window = 0, slot = 0;
	unsigned holding = 0;

	CHECK_STATUS(cap_map_slot_alloc(owner, 1, &window), OK);
	while (!stopped()) {
		random = random * 1664525 + 1013904223;
		if (holding < HELD && (random >> 30) % 2) {
			unsigned const object = 1 + (random >> 8) % OBJECTS;
			size_t const selector = (size_t)window << SHIFT;
			cap_map_status status;
			name(selector, object);
			status = cap_map_badge_insert_map(owner, 4 * object, selector, &kernel, &slot);
			/* a rewriting monitor may win again and again, which is no loss */
			if (status == CAP_MAP_STATUS_BUSY)
				continue;
			if (!CHECK_STATUS(status, OK))
				break;
			held[holding].slot = slot;
			held[holding++].object = object;
			count(&received);
		} else if (holding) {
			unsigned const which = (random >> 8) % holding;
			CHECK_EQ(object_at((size_t)held[which].slot << SHIFT), held[which].object);
			CHECK_EQ(cap_map_slot_badge(owner, held[which].slot), 4 * held[which].object);
			drop(held[which].slot);
			held[which] = held[--holding];
		}
	}
	while (holding)
		drop(held[--holding].slot);
	CHECK_STATUS(cap_map_slot_free(owner, window, 1), OK);
	return NULL;
}

/* Sees no badge twice, and gives each capability the badge that it has. */
static void *monitor(void *argument)
{
	static uint64_t words[SLOTS];
	static cap_map_rewrite batch[SLOTS];
	(void)argument;
	while (!stopped()) {
		static uint8_t seen[4 * OBJECTS + 1];
		cap_map_monitor self;
		cap_map_snapshot snapshot;
		uint32_t slot, badge, entries = 0;
		int const at = __atomic_load_n(&current, __ATOMIC_ACQUIRE);

		if (cap_map_monitor_attach(regions[at], sizeof(regions[at]), WAIT_BUDGET, &self)
		    || cap_map_monitor_snapshot(&self, words, SLOTS, &snapshot)
		    || !snapshot.consistent)
			continue;
		count(&snapshots);
		memset(seen, 0, sizeof(seen));
		for (slot = 0; slot < snapshot.slots; slot++) {
			if (cap_map_word_entry(words[slot], &badge) != CAP_MAP_STATE_USED
			    || !CHECK(badge < sizeof(seen)) || !CHECK(!seen[badge]++))
				continue;
			batch[entries].slot = slot;
			batch[entries].expected = batch[entries].replacement = badge;
			entries++;
		}
		if (cap_map_monitor_rewrite(&self, batch, entries, NULL) == CAP_MAP_STATUS_OK)
			count(&rewrites);
	}
	return NULL;
}

int main(void)
{
	static const cap_map_config config = { SLOTS, FIRST, SHIFT, 28, WAIT_BUDGET, 0 };
	static const cap_map_publication publication = { { "moved", 0, 0, 0, 0 }, 0, 0 };
	struct timespec const time = { 0, 3000000 };
	pthread_t thread[USERS + 1];
	size_t i;

	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), regions[0], sizeof(regions[0]),
	                                  &config, &owner), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &publication.identity), OK);
	for (i = 0; i < USERS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, user, (void *)(i + 1)), 0);
	CHECK_EQ(pthread_create(&thread[USERS], NULL, monitor, NULL), 0);
	for (i = 1; i <= MOVES; i++) {
		nanosleep(&time, NULL);
		CHECK_STATUS(cap_map_owner_move(owner, regions[i], sizeof(regions[i]), &publication,
		                                NULL), OK);
		__atomic_store_n(&current, (int)i, __ATOMIC_RELEASE);
	}
	while (!__atomic_load_n(&received, __ATOMIC_RELAXED)
	       || !__atomic_load_n(&rewrites, __ATOMIC_RELAXED))
		nanosleep(&time, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i <= USERS; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);

	/* nothing is lost: all slots but core's are free, and there is no badge */
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST, NULL), OK);
	for (i = 1; i <= OBJECTS; i++)
		CHECK_STATUS(cap_map_badge_find(owner, 4 * (uint32_t)i, NULL), NOT_FOUND);
	printf("capabilities: %lu received, %lu snapshots, %lu rewrites, %d moves\n", received,
	       snapshots, rewrites, MOVES);
	return done("capabilities");
}
