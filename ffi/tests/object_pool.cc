/*
 * The object pool of base_foc.
 */
#include <string.h>

#include "classes.h"

namespace {

	struct Session : Object_pool<Session>::Entry
	{
		unsigned const number;
		static unsigned destroyed;

		Session(Native_capability cap, unsigned number)
		: Object_pool<Session>::Entry(cap), number(number) { }

		~Session() { destroyed++; }
	};

	struct Special_session : Session
	{
		Special_session(Native_capability cap) : Session(cap, 77) { }
	};

	unsigned Session::destroyed;

	using Pool = Object_pool<Session>;

	struct Count
	{
		unsigned &calls;

		unsigned operator () (Session *session) const
		{
			calls++;
			return session ? session->number : 0;
		}
	};

	struct Movable
	{
		Session *session;
		explicit Movable(Session *session) : session(session) { }
		Movable(Movable &&other) : session(other.session) { }
		Movable(Movable const &) = delete;
	};
}


static void pool()
{
	start_anew();
	Session::destroyed = 0;

	Pool pool, second;
	CHECK(pool.empty());

	Native_capability const cap1(cap_map.insert(4)), cap2(cap_map.insert(8));
	{
		Session s1(cap1, 1), s2(cap2, 2);
		pool.insert(&s1);
		CHECK(!pool.empty() && second.empty());
		pool.insert(&s2);
		CHECK(s1.cap() == cap1);

		/* by badge, by capability; result, reference and void results */
		unsigned calls = 0;
		CHECK_EQ(pool.apply(4, Count { calls }), 1);
		CHECK_EQ(pool.apply(cap2, Count { calls }), 2);
		CHECK_EQ(calls, 2);
		bool seen = false;
		pool.apply(8, [&] (Session *s) { seen = (s == &s2); });
		CHECK(seen);
		unsigned const &number =
			pool.apply(4, [] (Session *s) -> unsigned const & { return s->number; });
		CHECK(&number == &s1.number);
		CHECK(pool.apply(4, [] (Session *s) { return Movable(s); }).session == &s1);

		/* unknown keys of all kinds: the functor is called with nullptr */
		static unsigned long const unknown[] {
			0, 12, ~0ul, 1ul << 28, (unsigned long)0x100000004ull };
		for (unsigned long key : unknown) {
			if (key == 4) continue; /* where 'long' is short */
			calls = 0;
			CHECK_EQ(pool.apply(key, Count { calls }), 0);
			CHECK_EQ(calls, 1);
		}
		calls = 0;
		CHECK_EQ(pool.apply(Native_capability(), Count { calls }), 0);
		CHECK_EQ(second.apply(4, Count { calls }), 0);
		CHECK_EQ(calls, 2);

		/* no lock of the pool is held meanwhile: all of it can be used */
		pool.apply(4, [&] (Session *s) {
			CHECK(s == &s1);
			CHECK(!pool.empty());
			CHECK_EQ(pool.apply(8, Count { calls }), 2);
			pool.remove(&s2);
			CHECK_EQ(pool.apply(8, Count { calls }), 0);
			pool.insert(&s2);
			CHECK_EQ(pool.apply(8, Count { calls }), 2);
			pool.remove(s);
			CHECK_EQ(pool.apply(4, Count { calls }), 0);
		});
		CHECK_EQ(pool.apply(4, Count { calls }), 0);
		pool.insert(&s1);

		/* in one pool only, and as often as wanted */
		second.insert(&s1);
		CHECK(second.empty());
		second.remove(&s1);
		CHECK_EQ(pool.apply(4, Count { calls }), 1);
		pool.remove(&s1);
		pool.remove(&s1);
		second.insert(&s1);
		CHECK_EQ(second.apply(4, Count { calls }), 1);
		CHECK_EQ(pool.apply(4, Count { calls }), 0);

		/* the key is what the capability says at the time of the call */
		owner().insert_at(16, Cap_index(cap2).slot());
		CHECK_EQ(pool.apply(8, Count { calls }), 0);
		CHECK_EQ(pool.apply(16, Count { calls }), 2);
		CHECK_EQ(pool.apply(cap2, Count { calls }), 2);

		/* a past capability does not lead to the object that has its badge */
		Native_capability const past(cap_map.insert(20));
		cap_map.remove(cap_map.find(20));
		CHECK_STATUS(owner().insert_at(20, Cap_index(cap2).slot()), OK);
		CHECK(past.local_name() == 20 && cap2.local_name() == 20);
		CHECK_EQ(pool.apply(past, Count { calls }), 0);
		CHECK_EQ(pool.apply(cap2, Count { calls }), 2);
	}

	/* objects that went without having been removed are not found */
	CHECK_EQ(Session::destroyed, 2);
	unsigned calls = 0;
	CHECK_EQ(pool.apply(20, Count { calls }), 0);
	CHECK_EQ(second.apply(4, Count { calls }), 0);
	CHECK(pool.empty() && second.empty());

	/* the cast to what the functor wants */
	Special_session special(cap1);
	pool.insert(&special);
	CHECK_EQ(pool.apply(4, [] (Special_session *s) { return s ? s->number : 0; }), 77);
	CHECK(pool.apply(4, [] (Pool::Entry *e) { return e->cap().local_name() == 4; }));

	/* a capability given later, and an object that has none */
	Session late(Native_capability(), 3), without(Native_capability(), 4);
	late.cap(cap2);
	pool.insert(&late);
	pool.insert(&without);
	CHECK_EQ(pool.apply(cap2, Count { calls }), 3);
	CHECK_EQ(pool.apply(0, Count { calls }), 0);

	/* each member once, none of them found or a member any more */
	unsigned sum = 0;
	pool.remove_all([&] (Session *s) {
		sum += s->number;
		CHECK_EQ(pool.apply(s->cap(), Count { calls }), 0);
		second.insert(s);
	});
	CHECK_EQ(sum, 77 + 3 + 4);
	CHECK(pool.empty() && !second.empty());
	CHECK_EQ(second.apply(4, Count { calls }), 77);

	sum = 0;
	second.remove_all([&] (Session *s) { sum += s->number; });
	CHECK_EQ(sum, 77 + 3 + 4);
	second.remove_all([&] (Session *) { CHECK(false); });

	/* a pool that goes first forgets its objects */
	{
		Pool third;
		third.insert(&late);
	}
	CHECK_EQ(pool.apply(cap2, Count { calls }), 0);
	pool.insert(&late);
	CHECK_EQ(pool.apply(cap2, Count { calls }), 3);

	pool.remove(&late);
}


/**
 * Platform in which a monitor acts at a given use of the capability space
 */
struct Watched_platform : Platform
{
	static unsigned           uses_until_swap;
	static Cap_map::Monitor   monitor;
	static Cap_map::Rewrite   swap[2];

	static Base_foc::Cap_space<Platform> &cap_space()
	{
		uint32_t slot = 0;
		if (uses_until_swap && !--uses_until_swap)
			CHECK_STATUS(monitor.rewrite(swap, 2, slot), OK);

		return Platform::cap_space();
	}
};

unsigned         Watched_platform::uses_until_swap;
Cap_map::Monitor Watched_platform::monitor;
Cap_map::Rewrite Watched_platform::swap[2];


/**
 * A capability leads to its object while a monitor swaps badges
 */
static void swapped_badges()
{
	using Watched_pool = Base_foc::Object_pool<struct Watched, Watched_platform>;

	struct Watched : Watched_pool::Entry
	{
		Watched(Native_capability cap) : Watched_pool::Entry(cap) { }
	};

	alignas(64) static uint8_t shared[Cap_map::region_bytes(SLOTS)];

	for (unsigned use = 1; use <= 4; use++) {
		start_anew();
		memset(shared, 0, sizeof(shared));

		Native_capability const caps[] { Native_capability(cap_map.insert(4)),
		                                 Native_capability(cap_map.insert(8)) };
		Watched a(caps[0]), b(caps[1]);
		Watched_pool pool;
		pool.insert(&a);
		pool.insert(&b);

		uint32_t area = 0;
		CHECK_STATUS(Platform::cap_space().move(shared, sizeof(shared),
		                                        Cap_map::Publication { }, area), OK);
		CHECK_STATUS(Watched_platform::monitor.attach(shared, sizeof(shared), 10), OK);
		Watched_platform::swap[0] = { Cap_index(caps[0]).slot(), 4, 8, 0, 0, 0 };
		Watched_platform::swap[1] = { Cap_index(caps[1]).slot(), 8, 4, 0, 0, 0 };

		Watched_platform::uses_until_swap = use;
		pool.apply(caps[0], [&] (Watched *w) { CHECK(w == &a); });
		pool.apply(caps[1], [&] (Watched *w) { CHECK(w == &b); });
		pool.apply(caps[0], [&] (Watched *w) { CHECK(w == &a); });
		CHECK_EQ(Watched_platform::uses_until_swap, 0);
		CHECK_EQ(caps[0].local_name(), 8);

		/* no dispatch to a detached slot */
		cap_map.remove(cap_map.find(8));
		pool.apply(caps[0], [] (Watched *w) { CHECK(w == nullptr); });
		pool.remove(&a);
		pool.remove(&b);
	}
}


static void many_objects()
{
	start_anew();
	enum { COUNT = 300 };
	static Session *sessions[COUNT];

	Pool pool;
	unsigned calls = 0;
	Session::destroyed = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		sessions[i] = new Session(Native_capability(cap_map.insert(4 + 4*i)), i + 1);
		pool.insert(sessions[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		CHECK_EQ(pool.apply(4 + 4*i, Count { calls }), i + 1);

	/* every second one goes, in an order of its own */
	for (unsigned i = 0; i < COUNT; i += 2) {
		Session * const session = sessions[(i*7) % COUNT];
		pool.remove(session);
		delete session;
	}
	for (unsigned i = 0; i < COUNT; i++)
		CHECK_EQ(pool.apply(4 + 4*i, Count { calls }), i % 2 ? i + 1 : 0);
	CHECK_EQ(Platform::kernel().vanished, COUNT/2);

	pool.remove_all([&] (Session *s) { delete s; });
	CHECK_EQ(Session::destroyed, COUNT);
	CHECK_EQ(Platform::kernel().vanished, COUNT);
	CHECK(cap_idx_alloc.alloc_range(INITIAL_SLOTS - 16) != nullptr);
}


int main()
{
	pool();
	swapped_badges();
	many_objects();
	return done("object_pool");
}
