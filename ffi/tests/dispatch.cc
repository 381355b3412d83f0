/*
 * The classes of base_foc with threads: clients look up objects that come and
 * go, while capabilities are received and a monitor rewrites badges.
 *
 * A badge tells which object it belongs to, and none is used twice: the low
 * part is the number of the object, the high part a serial number.
 */
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "platform.h"

extern "C" void cap_map_relax() { sched_yield(); }

namespace {

	using Platform            = Test_platform<Base_foc::Static_object_cast>;
	using Native_capability   = Base_foc::Native_capability<Platform>;
	using Cap_index           = Base_foc::Cap_index<Platform>;
	using Capability_map      = Base_foc::Capability_map<Platform>;
	using Cap_index_allocator = Base_foc::Cap_index_allocator<Platform>;

	enum { OBJECTS = 48, MILLISECONDS = 250 };
	enum : unsigned { ALIVE = 0xa11e, DEAD = 0xdead };

	Capability_map      cap_map;
	Cap_index_allocator cap_idx_alloc;

	alignas(64) uint8_t shared[Cap_map::region_bytes(SLOTS)];

	unsigned serial;                /* of the last badge */
	unsigned current[OBJECTS];      /* badge of each object, or 0 */
	bool     stop;

	unsigned new_badge(unsigned number)
	{
		unsigned const next = __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
		return 4*(next*OBJECTS + number);
	}

	unsigned number_of(unsigned badge) { return (badge/4) % OBJECTS; }

	bool stopped() { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

	unsigned load(unsigned const &word) { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }

	void store(unsigned &word, unsigned value)
	{
		__atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
	}

	void count(unsigned long &counter)
	{
		__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
	}

	/* how often each thing happened, so that none is missing unnoticed */
	unsigned long hits, misses, churns, receipts, rewrites, refused, cleared;

	struct Server : Base_foc::Object_pool<Server, Platform>::Entry
	{
		unsigned const number;
		unsigned       state  { ALIVE };
		unsigned       inside { 0 };

		Server(Native_capability cap, unsigned number)
		: Base_foc::Object_pool<Server, Platform>::Entry(cap), number(number) { }

		/* the state is left behind for those who come too late */
		~Server() { }

		void use(unsigned called)
		{
			CHECK_EQ(load(state), ALIVE);
			CHECK_EQ(number, called);
			CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST), 0);
			if (called % 4 == 0)
				sched_yield();
			CHECK_EQ(__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST), 1);
		}
	};

	using Pool = Base_foc::Object_pool<Server, Platform>;

	Pool pools[2]; /* odd and even objects */

	Pool &pool_of(unsigned number) { return pools[number % 2]; }

	uint32_t owner_references(Native_capability const &cap)
	{
		return Platform::cap_space().owner().references(Cap_index(cap).slot());
	}

	void usleep_ms(unsigned ms)
	{
		timespec const time { 0, long(ms)*1000000 };
		nanosleep(&time, nullptr);
	}

	struct Random
	{
		unsigned state;
		unsigned next(unsigned below)
		{
			state = state*1664525 + 1013904223;
			return (state >> 8) % below;
		}
	};
}


/**
 * Client: calls objects by their badge, which may be outdated
 */
static void *client(void *arg)
{
	Random random { unsigned(size_t(arg)) };
	while (!stopped()) {
		unsigned const number = random.next(OBJECTS);
		unsigned const badge  = load(current[number]);
		unsigned calls = 0;
		bool const hit = pool_of(number).apply(badge, [&] (Server *server) {
			calls++;
			if (server)
				server->use(number);
			return server != nullptr;
		});
		CHECK_EQ(calls, 1);
		count(hit ? hits : misses);

		/* the other pool does not know it */
		CHECK(!pool_of(number + 1).apply(badge, [] (Server *s) { return s != nullptr; }));
	}
	return nullptr;
}


/**
 * Server: replaces objects and their capabilities
 */
static void *churn(void *)
{
	static Server *servers[OBJECTS];
	Random random { 99 };
	for (unsigned turn = 0; !stopped(); turn++) {

		unsigned const number = random.next(OBJECTS);
		Server * const old    = servers[number];
		Pool          &pool   = pool_of(number);

		servers[number] = nullptr;
		if (old) {
			/* removal inside of a call, or without one */
			if (turn % 3 == 0)
				pool.apply(old->cap(), [&] (Server *s) { if (s) pool.remove(s); });
			else
				pool.remove(old);
			delete old;
		}

		unsigned const badge = new_badge(number);
		Cap_index const index = cap_map.insert(badge);
		if (!CHECK(index != nullptr))
			break;

		/* the serial number of the badge is the name of the kernel object */
		Platform::store(index.kcap(), 1 + number);
		servers[number] = new Server(Native_capability(index), number);
		pool.insert(servers[number]);

		/* the monitor may have been faster */
		unsigned last;
		do {
			last = index.id();
			store(current[number], last);
		} while (last != index.id());
		count(churns);

		if (turn % 512 == 511) {
			pools[0].remove_all([&] (Server *s) {
				CHECK_EQ(load(s->state), ALIVE);
				store(s->state, DEAD);
				servers[s->number] = nullptr;
				delete s;
				count(cleared);
			});
		}
	}
	for (Pool &pool : pools)
		pool.remove_all([] (Server *s) { store(s->state, DEAD); delete s; });
	return nullptr;
}


/**
 * Somebody who receives the servers' capabilities, and drops them again
 */
static void *receiver(void *)
{
	enum { KEPT = 8 };
	static Native_capability kept[KEPT];

	Cap_index const window = cap_idx_alloc.alloc_range(4);
	Random random { 7 };
	while (!stopped()) {
		unsigned const number = random.next(OBJECTS);
		unsigned const badge  = load(current[number]);
		if (!badge)
			continue;

		/* now and then, the sender lies */
		bool const lie = random.next(16) == 0;
		Platform::store(window.kcap(), 1 + number + (lie ? OBJECTS : 0));
		Native_capability const cap =
			Native_capability::adopt(cap_map.insert_map(badge, window.kcap()));
		if (cap.valid()) {
			CHECK(Cap_index(cap).used());
			CHECK_EQ(number_of(unsigned(cap.local_name())), number);
			CHECK(owner_references(cap) >= 1);
			if (!lie)
				kept[random.next(KEPT)] = cap;
			count(receipts);
		} else {
			CHECK(lie);
			count(refused);
		}
	}
	for (Native_capability &cap : kept)
		cap = Native_capability();
	CHECK_STATUS(cap_idx_alloc.free(window, 4), OK);
	return nullptr;
}


/**
 * Monitor: gives new badges to capabilities, one batch after the other
 */
static void *monitor(void *)
{
	static uint64_t         words[SLOTS];
	static Cap_map::Rewrite batch[SLOTS];

	Cap_map::Monitor monitor;
	CHECK_STATUS(monitor.attach(shared, sizeof(shared), 1000), OK);
	while (!stopped()) {
		Cap_map::Snapshot snapshot { };
		CHECK_STATUS(monitor.snapshot(words, SLOTS, snapshot), OK);

		size_t changes = 0;
		for (uint32_t slot = 0; slot < snapshot.slots; slot++) {
			Cap_map::Entry const entry = Cap_map::Monitor::entry_of(words[slot]);
			CHECK(entry.state != CAP_MAP_STATE_CORRUPT);
			if (entry.state == CAP_MAP_STATE_USED)
				batch[changes++] = Cap_map::Rewrite {
					slot, entry.badge, new_badge(number_of(entry.badge)),
					0, 0, 0 };
		}

		uint32_t slot = 0;
		Cap_map::Status const status = monitor.rewrite(batch, changes, slot);
		if (Cap_map::ok(status)) {
			for (size_t i = 0; i < changes; i++) {
				unsigned &badge = current[number_of(batch[i].expected)];
				unsigned expected = batch[i].expected;
				__atomic_compare_exchange_n(&badge, &expected, batch[i].replacement,
				                            false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
			}
			count(rewrites);
		} else {
			/* the table moved on since the snapshot */
			CHECK(status == CAP_MAP_STATUS_UNEXPECTED_BADGE
			   || status == CAP_MAP_STATUS_NOT_REWRITABLE
			   || status == CAP_MAP_STATUS_CHANGED
			   || status == CAP_MAP_STATUS_BUSY);
		}
		usleep_ms(1);
	}
	return nullptr;
}


/**
 * A slot is removed while its last reference goes: the platform hears of it once
 */
namespace {

	using Lone_platform = Test_platform<Base_foc::Static_object_cast, 1>;
	using Lone_index    = Base_foc::Cap_index<Lone_platform>;

	enum { LONE_ROUNDS = 100000 };

	Lone_index  lone(nullptr);  /* slot whose last reference goes, with 'round' */
	unsigned    round, round_done;

	/* both threads run at once for most of the time */
	void await(unsigned const &word, unsigned value)
	{
		for (unsigned looks = 1; load(word) != value; looks++)
			if (looks % 1024 == 0)
				sched_yield();
	}
}


static void *last_holder(void *)
{
	for (unsigned number = 1; number <= LONE_ROUNDS; number++) {
		await(round, number);
		lone.dec();
		store(round_done, number);
	}
	return nullptr;
}


static void removal_against_last_release()
{
	Base_foc::Capability_map<Lone_platform> map;

	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, nullptr, last_holder, nullptr), 0);

	unsigned wrong = 0;
	for (unsigned number = 1; number <= LONE_ROUNDS; number++) {
		unsigned const before = load(Lone_platform::kernel().vanished);

		lone = map.insert(4*number);
		lone.inc();
		store(round, number);
		for (unsigned delay = number % 64; delay; delay--) __asm__ volatile ("");
		map.remove(lone);
		await(round_done, number);

		wrong += (load(Lone_platform::kernel().vanished) != before + 1);
		wrong += lone.used();
	}
	CHECK_EQ(pthread_join(thread, nullptr), 0);
	CHECK_EQ(wrong, 0);
}


int main()
{
	removal_against_last_release();

	pthread_t threads[5];
	void *(*const functions[5])(void *) { churn, client, client, receiver, monitor };

	Cap_map::Publication const publication { };
	uint32_t area = 0;
	CHECK_STATUS(Platform::cap_space().move(shared, sizeof(shared), publication, area), OK);

	for (size_t i = 0; i < 5; i++)
		CHECK_EQ(pthread_create(&threads[i], nullptr, functions[i], (void *)(i + 1)), 0);

	/* some time, and until each thing has happened */
	unsigned long const * const counters[] {
		&hits, &misses, &churns, &cleared, &receipts, &refused, &rewrites };
	for (unsigned long const *counter : counters)
		do usleep_ms(MILLISECONDS/7);
		while (!__atomic_load_n(counter, __ATOMIC_RELAXED));

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);

	for (pthread_t thread : threads)
		CHECK_EQ(pthread_join(thread, nullptr), 0);

	/* every slot is free again, every capability ended once */
	CHECK(pools[0].empty() && pools[1].empty());
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		Cap_index const index = Cap_index::from_slot(slot);
		if (!CHECK(!index.used()))
			fprintf(stderr, "\tslot %u, badge %u\n", slot, index.id());
	}
	CHECK(cap_idx_alloc.alloc_range(SLOTS - unsigned(Platform::FIRST_SLOT)) != nullptr);

	printf("dispatch: %lu calls, %lu misses, %lu objects replaced, %lu cleared, "
	       "%lu received, %lu refused, %lu rewrites\n",
	       hits, misses, churns, cleared, receipts, refused, rewrites);
	return done("dispatch");
}
