/*
 * The C ABI with several monitors: two that rewrite back to back, some that are killed or
 * stopped in the middle, and one that may only read.
 *
 * Each rewrite takes all badges from one world to the other, so half a batch is a table
 * with badges of both worlds.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { SLOTS = 1024, FIRST = 16, COUNT = 600 };
/*
 * Calls of sched_yield(). A monitor has to outlast an owner that asks for quiet, even one
 * that a sanitizer slows down or that is not running: one that does not makes each attempt
 * of the owner fail, whose insertion is then refused as busy.
 */
enum { WAIT_BUDGET = 50000 };
enum { WORLD = 100000, OWN = 7776, KILLS = 60 };
enum { REGION_BYTES = CAP_MAP_REGION_HEADER_BYTES + SLOTS * CAP_MAP_REGION_SLOT_BYTES };

static uint64_t *region; /* shared with child processes */
static uint64_t memory[2048];
static uint32_t slot_of[COUNT];
static cap_map_owner *owner;
static int stop;

void cap_map_relax(void) { sched_yield(); }

static int stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static uint32_t badge_of(uint32_t number) { return 10 + 2 * number; }

static void create(void)
{
	static const cap_map_config config = { SLOTS, FIRST, 12, 28, WAIT_BUDGET, 0 };
	static const cap_map_identity identity = { "monitors", 0, 0, 0, 0 };
	uint32_t i;

	CHECK_STATUS(cap_map_owner_create(memory, sizeof(memory), region, REGION_BYTES, &config,
	                                  &owner), OK);
	CHECK_STATUS(cap_map_owner_publish(owner, &identity), OK);
	for (i = 0; i < COUNT; i++)
		CHECK_STATUS(cap_map_badge_insert(owner, badge_of(i), &slot_of[i]), OK);
}

/* A batch that takes what a snapshot shows to the other world. Counts both worlds. */
static size_t batch_of(const uint64_t *words, uint32_t count, cap_map_rewrite *batch,
                       uint32_t worlds[2])
{
	size_t entries = 0;
	uint32_t slot, badge;
	worlds[0] = worlds[1] = 0;
	for (slot = 0; slot < count; slot++) {
		if (cap_map_word_entry(words[slot], &badge) != CAP_MAP_STATE_USED
		    || badge % WORLD == OWN % WORLD)
			continue;
		worlds[badge > WORLD]++;
		batch[entries].slot = slot;
		batch[entries].expected = badge;
		batch[entries].replacement = badge > WORLD ? badge - WORLD : badge + WORLD;
		batch[entries++].left_out = 0;
	}
	return entries;
}

struct rewriter {
	uint32_t wait_budget;
	cap_map_monitor monitor;
	uint64_t words[SLOTS];
	cap_map_rewrite batch[SLOTS];
	unsigned long done, busy, changed, unexpected, left_out, mixed;
};

/* Other threads look at the number meanwhile. */
static void tally(unsigned long *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

/* A consistent snapshot, and a rewrite of all that it shows. */
static void rewrite_once(struct rewriter *self)
{
	cap_map_snapshot snapshot;
	uint32_t worlds[2], slot = 0, badge = 0;
	size_t entries, i;

	CHECK_STATUS(cap_map_monitor_snapshot(&self->monitor, self->words, SLOTS, &snapshot), OK);
	if (!snapshot.consistent)
		return;
	entries = batch_of(self->words, snapshot.slots, self->batch, worlds);
	if (worlds[0] && worlds[1])
		tally(&self->mixed);
	switch (cap_map_monitor_rewrite(&self->monitor, self->batch, entries, &slot)) {
	case CAP_MAP_STATUS_OK:
		tally(&self->done);
		break;
	case CAP_MAP_STATUS_BUSY:
		tally(&self->busy);
		return;
	case CAP_MAP_STATUS_CHANGED:
		tally(&self->changed);
		return;
	case CAP_MAP_STATUS_UNEXPECTED_BADGE: /* the other one was faster */
	case CAP_MAP_STATUS_NOT_REWRITABLE:   /* the owner was */
	case CAP_MAP_STATUS_DUPLICATE_BADGE:  /* the owner put a new badge in elsewhere */
		tally(&self->unexpected);
		return;
	default:
		CHECK(!"a status that a rewrite against others does not return");
		return;
	}
	for (i = 0; i < entries; i++) {
		if (!self->batch[i].left_out)
			continue;
		tally(&self->left_out);
		CHECK_STATUS(cap_map_monitor_entry(&self->monitor, self->batch[i].slot, NULL, &badge),
		             OK);
		CHECK(badge <= WORLD);
	}
}

static void *rewriter(void *argument)
{
	struct rewriter *const self = (struct rewriter *)argument;
	CHECK_STATUS(cap_map_monitor_attach(region, REGION_BYTES, self->wait_budget,
	                                    &self->monitor), OK);
	while (!stopped())
		rewrite_once(self);
	return NULL;
}

/* Each capability is found by its badge, which is of one of two worlds. */
static void check_found(uint32_t worlds[2])
{
	uint32_t i, found = 0;
	worlds[0] = worlds[1] = 0;
	for (i = 0; i < COUNT; i++) {
		uint32_t const badge = cap_map_slot_badge(owner, slot_of[i]);
		CHECK(badge % WORLD == badge_of(i) && badge < 2 * WORLD);
		CHECK_STATUS(cap_map_badge_find(owner, badge, &found), OK);
		CHECK_EQ(found, slot_of[i]);
		worlds[badge > WORLD]++;
	}
}

/* All badges are of the same world. */
static void check_whole(void)
{
	uint32_t worlds[2];
	check_found(worlds);
	CHECK_EQ(worlds[worlds[1] != 0], COUNT);
}

static void sleep_for(long microseconds)
{
	struct timespec time = { 0, 0 };
	time.tv_nsec = microseconds * 1000;
	nanosleep(&time, NULL);
}

/* Two monitors that are alive. The loser is refused, and half a batch is never seen. */
static void two_monitors(void)
{
	static struct rewriter self[2];
	pthread_t thread[2];
	int i;

	create();
	self[0].wait_budget = WAIT_BUDGET; /* the other one does not wait */
	for (i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, rewriter, &self[i]), 0);
	do
		sleep_for(200000);
	while (!__atomic_load_n(&self[0].done, __ATOMIC_RELAXED)
	       || !__atomic_load_n(&self[1].done, __ATOMIC_RELAXED)
	       || !__atomic_load_n(&self[1].busy, __ATOMIC_RELAXED));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
		CHECK_EQ(self[i].mixed, 0);
		CHECK_EQ(self[i].left_out, 0);
	}
	check_whole();
	printf("monitors: two rewrote %lu and %lu times, refused %lu and %lu times\n", self[0].done,
	       self[1].done, self[0].busy + self[0].unexpected, self[1].busy + self[1].unexpected);
}

/* The owner takes badges out and puts others in meanwhile. */
static void monitor_and_owner(void)
{
	static struct rewriter self;
	pthread_t thread;
	uint32_t slot = 0, worlds[2], i;
	int round = 0;

	create();
	/* it waits for an owner that asks for quiet, which is busy otherwise */
	self.wait_budget = WAIT_BUDGET;
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_create(&thread, NULL, rewriter, &self), 0);
	do {
		/* the last capabilities, so that the scan has yet to come there */
		for (i = COUNT - 50; i < COUNT; i++) {
			CHECK_STATUS(cap_map_slot_remove(owner, slot_of[i]), OK);
			CHECK_STATUS(cap_map_badge_insert_at(owner, badge_of(i), slot_of[i]), OK);
		}
		CHECK_STATUS(cap_map_badge_insert(owner, OWN, &slot), OK);
		CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
	} while (++round < 2000 || !__atomic_load_n(&self.done, __ATOMIC_RELAXED));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	check_found(worlds);
	printf("monitors: one rewrote %lu times against the owner, %lu slots left out, changed %lu, "
	       "unexpected %lu\n", self.done, self.left_out, self.changed, self.unexpected);
}

/* The child: takes over, since the last one is dead, and rewrites until it is killed. */
static void rewrite_until_killed(void)
{
	static struct rewriter self; /* of the child */
	if (cap_map_monitor_attach(region, REGION_BYTES, WAIT_BUDGET, &self.monitor)
	    || cap_map_monitor_take_over(&self.monitor))
		_exit(1);
	for (;;)
		rewrite_once(&self);
}

static uint64_t batch_word(void)
{
	return __atomic_load_n(&region[0x80 / 8], __ATOMIC_ACQUIRE);
}

/* Whether the next monitor decides a batch, some time. */
static int goes_on(uint64_t generation)
{
	int i;
	for (i = 0; i < 20000; i++) {
		if (batch_word() >> 19 != generation)
			return 1;
		sleep_for(1000);
	}
	return 0;
}

/* Monitors that die wherever it hits them. The table is whole, and the next one goes on. */
static void killed_monitors(void)
{
	uint32_t random = 7, slot = 0;
	int kills, held = 0;

	create();
	for (kills = 0; kills < KILLS || !held; kills++) {
		uint64_t const generation = batch_word() >> 19;
		int state = 0;
		pid_t const child = fork();
		if (!child)
			rewrite_until_killed();
		if (!CHECK(child > 0) || !CHECK(goes_on(generation)))
			return;
		random = random * 1664525 + 1013904223;
		sleep_for((random >> 8) % 3000);

		/* stopped ones hold up nobody either */
		if (kills % 3 == 0) {
			CHECK_EQ(kill(child, SIGSTOP), 0);
			CHECK_EQ(waitpid(child, &state, WUNTRACED), child);
			CHECK(WIFSTOPPED(state));
			check_whole();
			CHECK_STATUS(cap_map_badge_insert(owner, OWN, &slot), OK);
			CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
		}
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, &state, 0), child);
		CHECK(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);

		held += (batch_word() & 2) != 0;
		check_whole();
		CHECK_STATUS(cap_map_badge_insert(owner, OWN, &slot), OK);
		CHECK_STATUS(cap_map_slot_remove(owner, slot), OK);
	}
	printf("monitors: %d killed, %d of them with the claim\n", kills, held);
}

/* Reading takes no permission to write. */
static void reader(void)
{
	static uint64_t words[SLOTS];
	cap_map_monitor monitor;
	cap_map_snapshot snapshot;
	cap_map_header header;
	cap_map_stamp stamp;
	uint32_t slot = 0, badge = 0;

	create();
	CHECK_EQ(mprotect(region, REGION_BYTES, PROT_READ), 0);
	CHECK_STATUS(cap_map_monitor_attach(region, REGION_BYTES, WAIT_BUDGET, &monitor), OK);
	CHECK_STATUS(cap_map_monitor_header(&monitor, &header), OK);
	CHECK_STATUS(cap_map_monitor_stamp(&monitor, &stamp), OK);
	CHECK_STATUS(cap_map_monitor_entry(&monitor, slot_of[0], NULL, &badge), OK);
	CHECK_EQ(badge, badge_of(0));
	CHECK_STATUS(cap_map_monitor_next(&monitor, 0, &slot, &badge), OK);
	CHECK_EQ(slot, slot_of[0]);
	CHECK_STATUS(cap_map_monitor_snapshot(&monitor, words, SLOTS, &snapshot), OK);
	CHECK(snapshot.consistent && snapshot.slots == slot_of[COUNT - 1] + 1);
	CHECK_STATUS(cap_map_monitor_rewrite(&monitor, NULL, 0, &slot), OK);
	CHECK_EQ(mprotect(region, REGION_BYTES, PROT_READ | PROT_WRITE), 0);
}

int main(void)
{
	void *const shared = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
	                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(shared != MAP_FAILED))
		return 1;
	region = (uint64_t *)shared;
	two_monitors();
	monitor_and_owner();
	killed_monitors();
	reader();
	return done("monitors");
}
