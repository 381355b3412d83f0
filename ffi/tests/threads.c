/*
 * The C ABI with threads: objects that are used while they are removed and
 * freed, and a peer that writes nonsense into the shared region.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

enum { SLOTS = 256, FIRST = 8, OBJECTS = 24, MILLISECONDS = 150, WAIT_BUDGET = 100 };

static ALIGNED(64) uint64_t region[64 + SLOTS];
static uint64_t memory[2048];

static cap_map_owner *owner;
static cap_map_pool pool;
static int stop;
static uint32_t current[OBJECTS]; /* badge of each object */
static unsigned long hits, misses, replaced, rounds, snapshots, rewrites, attached;

static const cap_map_identity identity = { "threads", 0, 0, 0, 0 };

void cap_map_relax(void) { sched_yield(); }

struct object {
	cap_map_node node;
	uint32_t number, alive;
};

static int stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static void count(unsigned long *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static uint32_t random_below(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

static void create(void)
{
	const cap_map_config config = { SLOTS, FIRST, 12, 28, WAIT_BUDGET, 0 };
	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, sizeof(region), &config,
	                                  &owner), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
}

/* Uses objects; each is freed right after its last user has gone. */
static void *user(void *argument)
{
	uint32_t random = (uint32_t)(size_t)argument;
	while (!stopped()) {
		uint32_t const number = random_below(&random, OBJECTS);
		uint32_t const badge = __atomic_load_n(&current[number], __ATOMIC_SEQ_CST);
		cap_map_node *const node = cap_map_pool_acquire(&pool, owner, badge);
		if (!node) {
			count(&misses);
			continue;
		}
		{
			struct object *const object = (struct object *)(void *)node;
			CHECK_EQ(object->alive, 0xa11e);
			CHECK_EQ(object->number, number);
			if (number % 4 == 0)
				sched_yield();
			CHECK_EQ(object->alive, 0xa11e);
		}
		CHECK_STATUS(cap_map_node_release(node), OK);
		count(&hits);
	}
	return NULL;
}

static void *replacer(void *argument)
{
	static struct object *objects[OBJECTS];
	uint32_t random = 5, badge = 0, slot = 0, number;
	(void)argument;
	while (!stopped()) {
		struct object *object;
		number = random_below(&random, OBJECTS);
		object = objects[number];
		if (object) {
			CHECK_STATUS(cap_map_badge_find(owner, current[number], &slot), OK);
			CHECK_STATUS(cap_map_pool_remove(&pool, owner, &object->node), OK);
			CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
			CHECK_STATUS(cap_map_node_drain(&object->node), OK);
			object->alive = 0xdead;
			free(object);
		}
		object = objects[number] = (struct object *)malloc(sizeof(*object));
		if (!CHECK(object != NULL))
			break;
		object->number = number;
		object->alive = 0xa11e;
		badge += 4;
		CHECK_STATUS(cap_map_node_init(&object->node), OK);
		CHECK_STATUS(cap_map_badge_insert(owner, badge, &slot), OK);
		CHECK_STATUS(cap_map_pool_insert(&pool, owner, &object->node, slot), OK);
		__atomic_store_n(&current[number], badge, __ATOMIC_SEQ_CST);
		count(&replaced);
	}
	for (number = 0; number < OBJECTS; number++)
		if (objects[number]) {
			CHECK_STATUS(cap_map_pool_remove(&pool, owner, &objects[number]->node), OK);
			CHECK_STATUS(cap_map_node_drain(&objects[number]->node), OK);
			free(objects[number]);
		}
	return NULL;
}

/* Writes random words where the peer works. */
static void *scribbler(void *argument)
{
	uint32_t random = 11;
	(void)argument;
	while (!stopped()) {
		/* mostly the control words, where it hurts; rarely the header, for a moment */
		uint32_t const kind = random_below(&random, 8192);
		uint32_t const constant = random_below(&random, 16 + 9);
		uint32_t const at = kind == 0 ? constant + (constant < 16 ? 0 : 16)
		                  : kind % 4 ? 16 + random_below(&random, 16)
		                             : 64 + random_below(&random, SLOTS);
		uint64_t const word = (uint64_t)random_below(&random, 1u << 24) << 40
		                    | (uint64_t)random_below(&random, 1u << 24) << 16
		                    | random_below(&random, 1u << 16);
		uint64_t const old = __atomic_exchange_n(&region[at], word, __ATOMIC_RELAXED);
		if (kind == 0) {
			sched_yield();
			__atomic_store_n(&region[at], old, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* The component: whatever it reads, it comes back with a status. */
static void *component(void *argument)
{
	uint32_t random = 3, badge = 0, slot = 0;
	(void)argument;
	while (!stopped()) {
		badge = badge % 4096 + 4;
		(void)cap_map_badge_insert(owner, badge, &slot);
		(void)cap_map_badge_find(owner, badge, &slot);
		if (cap_map_badge_find_acquire(owner, badge, &slot) == CAP_MAP_STATUS_OK)
			(void)cap_map_ref_release(owner, slot, NULL, NULL);
		(void)cap_map_badge_insert_at(owner, badge, random_below(&random, SLOTS));
		(void)cap_map_slot_free(owner, random_below(&random, SLOTS), 1);
		(void)cap_map_slot_remove(owner, random_below(&random, SLOTS));
		(void)cap_map_slot_entry(owner, random_below(&random, SLOTS), NULL, &slot);
		if (badge % 256 == 0)
			CHECK_STATUS(cap_map_owner_publish(owner, &identity), IN_USE);
		count(&rounds);
	}
	return NULL;
}

static void *observer(void *argument)
{
	static uint64_t words[SLOTS];
	static cap_map_rewrite batch[SLOTS];
	cap_map_snapshot snapshot;
	cap_map_monitor monitor;
	uint32_t slot, badge, i;
	(void)argument;
	while (!stopped()) {
		/* it does not wait, as what it would wait for is nonsense */
		if (cap_map_monitor_attach(region, sizeof(region), 0, &monitor) == CAP_MAP_STATUS_OK)
			count(&attached);
		else
			continue;
		for (i = 0; i < 16 && !stopped(); i++) {
			uint32_t from, changes = 0;
			/* the capacity is not what the header may say by now */
			if (cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot)
			    == CAP_MAP_STATUS_OK)
				count(&snapshots);
			for (from = 0; cap_map_monitor_next(&monitor, from, &slot, &badge)
			     == CAP_MAP_STATUS_OK; from = slot + 1) {
				if (!CHECK(slot < SLOTS && slot >= from))
					return NULL;
				if (changes < 8) {
					batch[changes].slot = slot;
					batch[changes].expected = badge;
					batch[changes++].replacement = badge ^ 0x01000000;
				}
			}
			if (cap_map_monitor_rewrite(&monitor, batch, changes, &slot)
			    == CAP_MAP_STATUS_OK)
				count(&rewrites);
		}
	}
	return NULL;
}

/* Some time, and until both counters have moved. */
static void run(void *(*const *functions)(void *), size_t threads,
                const unsigned long *first, const unsigned long *second)
{
	struct timespec const time = { 0, MILLISECONDS * 1000000L };
	pthread_t thread[8];
	size_t i;
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, functions[i], (void *)(i + 1)), 0);
	do
		nanosleep(&time, NULL);
	while (!__atomic_load_n(first, __ATOMIC_RELAXED) || !__atomic_load_n(second, __ATOMIC_RELAXED));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

int main(void)
{
	void *(*const life[])(void *) = { replacer, user, user, user };
	void *(*const hostility[])(void *) = { component, scribbler, observer };

	create();
	CHECK_STATUS(cap_map_pool_init(&pool), OK);
	run(life, 4, &hits, &misses);
	CHECK(cap_map_pool_first(&pool) == NULL);
	CHECK(replaced);
	printf("threads: %lu uses, %lu misses, %lu objects replaced\n", hits, misses, replaced);

	create();
	run(hostility, 3, &rounds, &snapshots);
	printf("threads: %lu rounds, %lu attachments, %lu snapshots, %lu rewrites of a hostile peer\n",
	       rounds, attached, snapshots, rewrites);

	/* after a reset, the component is as good as new */
	CHECK_STATUS(cap_map_owner_reset(owner, region, sizeof(region)), OK);
	CHECK_STATUS(cap_map_slot_alloc(owner, SLOTS - FIRST, NULL), OK);

	return done("threads");
}
