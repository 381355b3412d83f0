/*
 * The C++ layer, one thread: memory sizes, wrappers, and the classes of
 * base_foc. Compiled without exceptions and run-time type information.
 */
#include "platform.h"

extern "C" void cap_map_relax() { }

namespace {

	using Platform = Test_platform<Base_foc::Static_object_cast>;

	using Native_capability   = Base_foc::Native_capability<Platform>;
	using Cap_index           = Native_capability::Data;
	using Capability_map      = Base_foc::Capability_map<Platform>;
	using Cap_index_allocator = Base_foc::Cap_index_allocator<Platform>;
	using addr_t              = Platform::addr_t;

	template <typename T> using Object_pool = Base_foc::Object_pool<T, Platform>;

	Capability_map      cap_map;
	Cap_index_allocator cap_idx_alloc;

	Cap_map::Owner owner() { return Platform::cap_space().owner(); }

	uint32_t references(Cap_index const *index)
	{
		return owner().references(index->slot());
	}

	Cap_map::State state(uint32_t slot)
	{
		Cap_map::Entry entry { CAP_MAP_STATE_CORRUPT, 0 };
		CHECK_STATUS(owner().entry(slot, entry), OK);
		return entry.state;
	}

	void start_anew()
	{
		Platform::kernel() = Platform::Kernel();
		cap_idx_alloc.reinit();
	}
}


/* literals, so that a change shows */
static_assert(Cap_map::region_bytes(63) == 0 && Cap_map::owner_bytes(63) == 0, "");
static_assert(Cap_map::region_bytes(4096) == 33280, "");
static_assert(Cap_map::owner_bytes(4096) == 32016, "");
static_assert(Cap_map::region_bytes(128*1024) == 1049088, "");
static_assert(Cap_map::owner_bytes(128*1024) == 1540864, "");
static_assert(Cap_map::owner_bytes(128*1024 + 1) == 0, "");


static void sizes()
{
	static uint32_t const slots[] {
		0, 1, 63, 64, 65, 66, 71, 72, 95, 96, 97, 127, 128, 129, 1000, 1023, 1024,
		1025, 4095, 4096, 4097, 10240, 32767, 32768, 32769, 65534, 65535, 65536,
		100000, 131071, 131072, 131073, 0x80000000u, ~0u };

	for (uint32_t n : slots) {
		if (!CHECK_EQ(Cap_map::region_bytes(n), cap_map_region_size(n))
		 || !CHECK_EQ(Cap_map::owner_bytes(n),  cap_map_owner_size(n)))
			fprintf(stderr, "\t%u slots\n", n);
	}

	/* the promised budgets: component without monitor, with one, and core */
	CHECK(sizeof(Base_foc::Cap_space_with_memory<Platform, 4096>) <= 64*1024);
	CHECK(Cap_map::region_bytes(4096) <= 40*1024);
	CHECK(sizeof(Base_foc::Cap_space_with_memory<Platform, 128*1024>)
	      + 128*1024*2*sizeof(void *) <= 4608*1024);
}


namespace {

	struct Kernel
	{
		unsigned asked = 0;

		bool equal(size_t a, size_t b)   { asked++; return a == b; }
		bool valid(size_t)               { asked++; return true; }
		bool map(size_t, size_t)         { asked++; return true; }
	};
}


static void wrappers()
{
	alignas(64) static uint8_t region[Cap_map::region_bytes(64)];
	alignas(8)  static uint8_t memory[Cap_map::owner_bytes(64)];

	Cap_map::Config const config { 64, 8, 12, 28, 10 };
	Cap_map::Owner owner;
	uint32_t slot = 77;

	CHECK(!owner.valid());
	CHECK_STATUS(owner.insert(4, slot), BAD_ARGUMENT);
	CHECK_STATUS(owner.create(memory, sizeof(memory) - 1, region, sizeof(region), config),
	             TOO_SMALL);
	CHECK(!owner.valid());
	CHECK_STATUS(owner.create(memory, sizeof(memory), region, sizeof(region), config), OK);
	CHECK(owner.valid() && owner.capacity() == 64);

	CHECK_STATUS(owner.insert(4, slot), OK);
	CHECK_EQ(slot, 8);
	CHECK_STATUS(owner.insert_at(8, 20), OK);
	CHECK_STATUS(owner.find(8, slot), OK);
	CHECK_EQ(slot, 20);
	CHECK_STATUS(owner.find_acquire(8, slot), OK);
	CHECK_STATUS(owner.acquire(20), OK);
	CHECK_EQ(owner.references(20), 2);
	Cap_map::Released released { true, 77 };
	CHECK_STATUS(owner.release(20, released), OK);
	CHECK(!released.last);
	CHECK_STATUS(owner.release(20, released), OK);
	CHECK(released.last && released.badge == 8);
	CHECK_STATUS(owner.free(20, 1), OK);
	CHECK_STATUS(owner.alloc(4, slot), OK);
	CHECK_EQ(slot, 9);
	CHECK_STATUS(owner.alloc_at(30), OK);
	CHECK_STATUS(owner.remove(30), OK);
	CHECK_EQ(owner.badge(8), 4);

	Kernel kernel;
	CHECK_STATUS(owner.insert_map(4, 8 << 12, kernel, slot), OK);
	CHECK(slot == 8 && kernel.asked == 1);
	CHECK_STATUS(owner.insert_map(4, 9 << 12, kernel, slot), FORGED);
	CHECK_STATUS(owner.insert_map(12, 9 << 12, kernel, slot), OK);
	CHECK(slot == 13 && kernel.asked == 4);

	Cap_map::Monitor monitor;
	uint64_t sequence = 0;
	CHECK_STATUS(monitor.sequence(sequence), BAD_ARGUMENT);
	CHECK_STATUS(monitor.attach(region, sizeof(region), 10), UNPUBLISHED);
	CHECK_STATUS(monitor.sequence(sequence), BAD_ARGUMENT);
	CHECK_STATUS(owner.publish("wrapped", 7), OK);
	CHECK_STATUS(monitor.attach(region, sizeof(region), 10), OK);
	CHECK_STATUS(monitor.sequence(sequence), OK);

	Cap_map::Geometry geometry { };
	CHECK_STATUS(monitor.geometry(geometry), OK);
	CHECK(geometry.capacity == 64 && geometry.label[6] == 'd');

	Cap_map::Entry entry { CAP_MAP_STATE_CORRUPT, 0 };
	CHECK_STATUS(monitor.entry(8, entry), OK);
	CHECK(entry.state == CAP_MAP_STATE_USED && entry.badge == 4);

	uint32_t badge = 0;
	CHECK_STATUS(monitor.next(9, slot, badge), OK);
	CHECK(slot == 13 && badge == 12);

	uint64_t words[64];
	Cap_map::Snapshot snapshot { };
	CHECK_STATUS(monitor.snapshot(words, 64, snapshot), OK);
	CHECK(snapshot.consistent);
	CHECK(Cap_map::Monitor::entry_of(words[13]).badge == 12);

	Cap_map::Rewrite batch[] { { 8, 4, 12, 0, 0 }, { 13, 12, 4, 0, 0 } };
	CHECK_STATUS(monitor.rewrite(batch, 2, slot), OK);
	CHECK_STATUS(owner.find(4, slot), OK);
	CHECK_EQ(slot, 13);
	CHECK_STATUS(owner.recover(), OK);
	CHECK_STATUS(owner.find(12, slot), OK);
	CHECK_EQ(slot, 8);

	alignas(64) static uint8_t second[Cap_map::region_bytes(64)];
	CHECK_STATUS(owner.move(second, sizeof(second), "moved", 5), OK);
	CHECK_STATUS(monitor.sequence(sequence), RETIRED);
	CHECK_STATUS(owner.reset(region, sizeof(region)), OK);
	CHECK_STATUS(owner.find(12, slot), NOT_FOUND);
	CHECK(Cap_map::message(CAP_MAP_STATUS_NOT_FOUND)[0] == 'b');

	/* pool and node */
	Cap_map::Pool pool;
	Cap_map::Node node;
	CHECK_STATUS(owner.insert(4, slot), OK);
	CHECK_STATUS(pool.insert(owner, node, slot), OK);
	CHECK(pool.acquire(owner, 4) == &node);
	CHECK(pool.first() == &node);
	CHECK_STATUS(pool.remove(owner, node), OK);
	CHECK(pool.acquire(owner, 4) == nullptr);
	node.release();
	node.release();
	node.drain();
}


static void handles()
{
	start_anew();
	CHECK_STATUS(Platform::cap_space().status(), OK);

	Cap_index * const index = cap_idx_alloc.alloc_range(4);
	CHECK(index != nullptr);
	CHECK_EQ(index->slot(), 16);
	CHECK_EQ(index->kcap(), 16 << 12);
	CHECK_EQ(sizeof(Cap_index), 1);
	CHECK_EQ((index + 3)->slot(), 19);
	CHECK_EQ((index + 3) - index, 3);

	/* survives the way through a word, as in a UTCB */
	unsigned long const word = (unsigned long)index;
	CHECK(((Cap_index *)word)->slot() == 16);

	CHECK(index->used() && !index->valid());
	CHECK_EQ(index->id(), Cap_index::INVALID_ID);
	CHECK(!(index + 4)->used() && !(index + 4)->valid());
	CHECK(Cap_index::from_slot(16) == index);

	/* the last slot of the largest table */
	CHECK_EQ(Cap_index::from_slot(128*1024 - 1)->slot(), 128*1024 - 1);
	CHECK(Cap_index::from_slot(0) != nullptr);
}


static void allocator()
{
	start_anew();
	CHECK_EQ(cap_idx_alloc.max_caps(), INITIAL_SLOTS);
	CHECK(cap_idx_alloc.alloc_range(0) == nullptr);
	CHECK(cap_idx_alloc.alloc_range(INITIAL_SLOTS) == nullptr);
	CHECK(cap_idx_alloc.alloc_range(size_t(~0ul)) == nullptr);

	Cap_index * const all = cap_idx_alloc.alloc_range(INITIAL_SLOTS - 16);
	CHECK(all != nullptr);
	CHECK(cap_idx_alloc.alloc_range(1) == nullptr);
	CHECK_STATUS(cap_idx_alloc.free(all + 10, 5), OK);
	CHECK_STATUS(cap_idx_alloc.free(all + 10, 5), NOT_ALLOCATED);
	CHECK_STATUS(cap_idx_alloc.free(nullptr, 1), BAD_ARGUMENT);
	CHECK_STATUS(cap_idx_alloc.free(all + (INITIAL_SLOTS - 17), 2), BAD_SLOT);
	CHECK(cap_idx_alloc.alloc_range(5) == all + 10);

	addr_t const kcap = cap_idx_alloc.idx_to_kcap(all);
	CHECK_EQ(kcap, 16 << 12);
	CHECK(cap_idx_alloc.kcap_to_idx(kcap) == all);
	CHECK(cap_idx_alloc.kcap_to_idx(kcap + 4095) == all);
	CHECK(cap_idx_alloc.kcap_to_idx(addr_t(INITIAL_SLOTS) << 12) == nullptr);
	CHECK(cap_idx_alloc.kcap_to_idx(~addr_t(0)) == nullptr);

	CHECK(!cap_idx_alloc.static_idx(all));
	CHECK(cap_idx_alloc.static_idx(Cap_index::from_slot(15)));
	CHECK(cap_idx_alloc.alloc(kcap) == nullptr);
	CHECK(cap_idx_alloc.alloc(3 << 12) == Cap_index::from_slot(3));
	CHECK(cap_idx_alloc.alloc(3 << 12) == nullptr);
	CHECK(cap_idx_alloc.alloc(~addr_t(0)) == nullptr);

	cap_idx_alloc.reinit();
	CHECK(cap_idx_alloc.alloc_range(1) == all);
	CHECK(!all[1].used());
}


static void map()
{
	start_anew();
	CHECK(cap_map.find(4) == nullptr);

	Cap_index * const index = cap_map.insert(4);
	CHECK(index != nullptr && cap_map.find(4) == index);
	CHECK_EQ(index->id(), 4);
	CHECK(index->valid());
	CHECK_EQ(references(index), 0);
	CHECK(cap_map.insert(4) == nullptr);
	CHECK(cap_map.insert(0) == nullptr);
	CHECK(cap_map.insert(Cap_index::INVALID_ID) == nullptr);

	/* a given selector: badge replaced, taken from elsewhere, out of range */
	Cap_index * const parent = cap_map.insert(8, 3 << 12);
	CHECK(parent == Cap_index::from_slot(3));
	CHECK(cap_map.insert(12, 3 << 12) == parent);
	CHECK_EQ(parent->id(), 12);
	CHECK(cap_map.find(8) == nullptr);
	CHECK(cap_map.insert(4, 4 << 12) == Cap_index::from_slot(4));
	CHECK(cap_map.find(4) == Cap_index::from_slot(4));
	CHECK(!index->used());
	CHECK(cap_map.insert(16, addr_t(INITIAL_SLOTS) << 12) == nullptr);
	CHECK(cap_map.insert(16, ~addr_t(0)) == nullptr);
	if (sizeof(addr_t) > 4) {
		addr_t const beyond = addr_t(0x100000005ull) << 12;
		CHECK(cap_map.insert(16, beyond) == nullptr);
		CHECK(cap_idx_alloc.kcap_to_idx(beyond) == nullptr);
	}
	CHECK(cap_map.insert(0, 5 << 12) == nullptr);

	/* removal of a slot of core, once */
	cap_map.remove(nullptr);
	cap_map.remove(parent);
	CHECK(cap_map.find(12) == nullptr && !parent->used());
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 12);
	CHECK_EQ(Platform::kernel().last_kcap, 3 << 12);
	cap_map.remove(parent);
	CHECK_EQ(Platform::kernel().vanished, 1);

	/* of a slot without references, of a plain slot */
	Cap_index * const irq = cap_map.insert(20);
	cap_map.remove(irq);
	CHECK(!irq->used());
	CHECK_EQ(Platform::kernel().last_badge, 20);
	Cap_index * const plain = cap_idx_alloc.alloc_range(1);
	cap_map.remove(plain);
	CHECK(!plain->used());
	CHECK_EQ(Platform::kernel().vanished, 2);
}


static void capabilities()
{
	start_anew();

	Native_capability const invalid;
	CHECK(!invalid.valid() && invalid.data() == nullptr);
	CHECK_EQ(invalid.local_name(), 0);

	Cap_index *index = cap_map.insert(4);
	{
		Native_capability cap(index);
		CHECK(cap.valid() && cap.local_name() == 4 && cap.data() == index);
		CHECK_EQ(references(index), 1);
		{
			Native_capability copy(cap), assigned;
			CHECK_EQ(references(index), 2);
			assigned = cap;
			CHECK_EQ(references(index), 3);
			Native_capability &self = assigned;
			assigned = self;
			CHECK_EQ(references(index), 3);
			CHECK(assigned == copy);
			assigned = invalid;
			CHECK_EQ(references(index), 2);
			CHECK(!(assigned == copy));
		}
		CHECK_EQ(references(index), 1);
		CHECK_EQ(Platform::kernel().vanished, 0);
	}

	/* the last one withdraws the badge, tells the platform, frees the slot */
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 4);
	CHECK_EQ(Platform::kernel().last_kcap, 16 << 12);
	CHECK(cap_map.find(4) == nullptr && !index->used());

	/* assigning the last reference of one to another */
	{
		Native_capability cap(cap_map.insert(8));
		cap = Native_capability(cap_map.insert(12));
		CHECK_EQ(Platform::kernel().last_badge, 8);
		CHECK(cap_map.find(8) == nullptr && cap.local_name() == 12);
		Native_capability &self = cap;
		cap = self;
		CHECK(cap.local_name() == 12);
	}
	CHECK_EQ(Platform::kernel().vanished, 3);

	/* a slot of core is not counted, so it stays */
	{
		Native_capability const cap(cap_map.insert(16, 5 << 12));
		CHECK(cap.valid());
	}
	CHECK(cap_map.find(16) == Cap_index::from_slot(5));
	CHECK_EQ(Platform::kernel().vanished, 3);

	/* removed while referenced: told at once, freed with the last reference */
	{
		Native_capability const cap(cap_map.insert(20));
		index = cap_map.find(20);
		cap_map.remove(index);
		CHECK_EQ(Platform::kernel().vanished, 4);
		CHECK_EQ(Platform::kernel().last_badge, 20);
		CHECK(cap_map.find(20) == nullptr);
		CHECK_EQ(state(index->slot()), CAP_MAP_STATE_DETACHED);
		CHECK_EQ(references(index), 1);
		cap_map.remove(index);
		CHECK_EQ(Platform::kernel().vanished, 4);

		/* its badge lives on elsewhere and does not end with it */
		CHECK(cap_map.insert(20) != nullptr);
	}
	CHECK(!index->used());
	CHECK_EQ(Platform::kernel().vanished, 4);
	CHECK(cap_map.find(20) != nullptr);
}


static void received()
{
	start_anew();
	addr_t const window = cap_idx_alloc.alloc_range(4)->kcap();

	/* unknown */
	Platform::store(window, 1001);
	Native_capability first = Native_capability::adopt(cap_map.insert_map(4, window));
	CHECK(first.valid() && first.local_name() == 4);
	CHECK_EQ(references(first.data()), 1);
	CHECK_EQ(Platform::load(first.data()->kcap()), 1001);

	/* known */
	Platform::store(window, 1001);
	{
		Native_capability const again =
			Base_foc::adopt_capability<Native_capability>(cap_map.insert_map(4, window));
		CHECK(again == first);
		CHECK_EQ(references(first.data()), 2);
	}
	CHECK_EQ(references(first.data()), 1);

	/* forged, refused by the kernel, out of range: an invalid capability */
	Platform::store(window, 1002);
	CHECK(!Native_capability::adopt(cap_map.insert_map(4, window)).valid());
	CHECK_EQ(references(first.data()), 1);
	Platform::kernel().refuse = true;
	CHECK(!Native_capability::adopt(cap_map.insert_map(8, window)).valid());
	Platform::kernel().refuse = false;
	CHECK(!Native_capability::adopt(cap_map.insert_map(0, window)).valid());
	CHECK(!Native_capability::adopt(cap_map.insert_map(Cap_index::INVALID_ID, window)).valid());
	CHECK_EQ(Platform::kernel().vanished, 0);

	/* dead: replaced, the old one is kept but ends silently */
	Platform::store(first.data()->kcap(), 0);
	{
		Native_capability const second =
			Native_capability::adopt(cap_map.insert_map(4, window));
		CHECK(second.valid() && !(second == first));
		CHECK(cap_map.find(4) == second.data());
		CHECK_EQ(first.local_name(), 4);
		Cap_index * const old = first.data();
		first = Native_capability();
		CHECK(!old->used());
		CHECK(cap_map.find(4) == second.data());
		CHECK_EQ(Platform::kernel().vanished, 0);
	}
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 4);

	/* full */
	Platform::store(window, 1003);
	Native_capability const known(cap_map.insert(12));
	Platform::store(known.data()->kcap(), 1003);
	while (cap_idx_alloc.alloc_range(1));
	CHECK(cap_map.insert(16) == nullptr);
	CHECK(cap_map.insert_map(16, window) == nullptr);
	CHECK(Native_capability::adopt(cap_map.insert_map(12, window)) == known);
	CHECK_EQ(references(known.data()), 1);
}


static void growth()
{
	start_anew();
	alignas(64) static uint8_t small[Cap_map::region_bytes(64)];
	alignas(64) static uint8_t shared[Cap_map::region_bytes(SLOTS)];

	Native_capability const cap(cap_map.insert(4));
	Cap_index const * const before = cap.data();
	CHECK_STATUS(Platform::cap_space().move(small, sizeof(small), "small", 5), TOO_SMALL);
	CHECK_STATUS(Platform::cap_space().move(shared, sizeof(shared), "grown", 5), OK);
	CHECK_EQ(cap_idx_alloc.max_caps(), SLOTS);
	CHECK(cap.data() == before && cap.local_name() == 4);
	CHECK(cap_map.find(4) == before);
	CHECK(cap_map.insert(8, addr_t(SLOTS - 1) << 12) != nullptr);

	/* a monitor changes the badge behind the capability */
	Cap_map::Monitor monitor;
	CHECK_STATUS(monitor.attach(shared, sizeof(shared), 10), OK);
	Cap_map::Rewrite rewrite { before->slot(), 4, 400, 0, 0 };
	uint32_t slot = 0;
	CHECK_STATUS(monitor.rewrite(&rewrite, 1, slot), OK);
	CHECK_EQ(cap.local_name(), 400);
	CHECK(cap_map.find(4) == nullptr && cap_map.find(400) == before);

	/* a fork returns to the initial memory, and leaves the shared one alone */
	cap_idx_alloc.reinit();
	CHECK_EQ(cap_idx_alloc.max_caps(), INITIAL_SLOTS);
	Cap_map::Entry entry { CAP_MAP_STATE_CORRUPT, 0 };
	CHECK_STATUS(monitor.entry(before->slot(), entry), OK);
	CHECK_EQ(entry.badge, 400);
	CHECK(cap_map.insert(4) == before);     /* for the destructor of 'cap' */
	CHECK_STATUS(owner().acquire(before->slot()), OK);
}


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
		owner().insert_at(16, cap2.data()->slot());
		CHECK_EQ(pool.apply(8, Count { calls }), 0);
		CHECK_EQ(pool.apply(16, Count { calls }), 2);
		CHECK_EQ(pool.apply(cap2, Count { calls }), 2);

		/* a past capability does not lead to the object that has its badge */
		Native_capability const past(cap_map.insert(20));
		cap_map.remove(cap_map.find(20));
		CHECK_STATUS(owner().insert_at(20, cap2.data()->slot()), OK);
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
	sizes();
	wrappers();
	handles();
	allocator();
	map();
	capabilities();
	received();
	growth();
	pool();
	many_objects();
	return done("base_foc");
}
