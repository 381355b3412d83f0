/*
 * Handles, allocator, map, and capabilities of base_foc.
 */
#include "classes.h"


static void handles()
{
	start_anew();
	CHECK_STATUS(Platform::cap_space().status(), OK);

	Cap_index const index = cap_idx_alloc.alloc_range(4);
	CHECK(index != nullptr);
	CHECK_EQ(index.slot(), 16);
	CHECK_EQ(index.kcap(), 16 << 12);

	/* survives the way through a word, as in a UTCB */
	unsigned long const word = (unsigned long)(Cap_index::Data *)index;
	CHECK(Cap_index((Cap_index::Data *)word).slot() == 16);

	CHECK(index.used() && !index.valid());
	CHECK_EQ(index.id(), Cap_index::INVALID_ID);
	CHECK(!Cap_index::from_slot(20).used() && !Cap_index::from_slot(20).valid());
	CHECK(Cap_index::from_slot(16) == index);

	/* the last slot of the largest table */
	CHECK_EQ(Cap_index::from_slot(128*1024 - 1).slot(), 128*1024 - 1);
	CHECK(Cap_index::from_slot(0) != nullptr);

	/* the null handle is a slot that is never in use */
	Cap_index const none(nullptr);
	CHECK(!none.used() && !none.valid());
	CHECK_EQ(none.slot(), 0);
	CHECK_EQ(none.kcap(), 0);
	CHECK_EQ(none.id(), Cap_index::INVALID_ID);
	none.inc();
	none.dec();
	CHECK(!none.used());
	CHECK_EQ(Platform::kernel().vanished, 0);
}


static void allocator()
{
	start_anew();
	CHECK_EQ(cap_idx_alloc.max_caps(), INITIAL_SLOTS);
	CHECK(cap_idx_alloc.alloc_range(0) == nullptr);
	CHECK(cap_idx_alloc.alloc_range(INITIAL_SLOTS) == nullptr);
	CHECK(cap_idx_alloc.alloc_range(size_t(~0ul)) == nullptr);

	Cap_index const all = cap_idx_alloc.alloc_range(INITIAL_SLOTS - 16);
	CHECK(all != nullptr);
	Cap_index const eleventh = Cap_index::from_slot(all.slot() + 10);
	CHECK(cap_idx_alloc.alloc_range(1) == nullptr);
	CHECK_STATUS(cap_idx_alloc.free(eleventh, 5), OK);
	CHECK_STATUS(cap_idx_alloc.free(eleventh, 5), NOT_ALLOCATED);
	CHECK_STATUS(cap_idx_alloc.free(nullptr, 1), BAD_ARGUMENT);
	CHECK_STATUS(cap_idx_alloc.free(Cap_index::from_slot(INITIAL_SLOTS - 1), 2), BAD_SLOT);
	CHECK(cap_idx_alloc.alloc_range(5) == eleventh);

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
	CHECK(!Cap_index::from_slot(17).used());
}


static void map()
{
	start_anew();
	CHECK(cap_map.find(4) == nullptr);

	Cap_index const index = cap_map.insert(4);
	CHECK(index != nullptr && cap_map.find(4) == index);
	CHECK_EQ(index.id(), 4);
	CHECK(index.valid());
	CHECK_EQ(references(index), 0);
	CHECK(cap_map.insert(4) == nullptr);
	CHECK(cap_map.insert(0) == nullptr);
	CHECK(cap_map.insert(Cap_index::INVALID_ID) == nullptr);

	/* a given selector: badge replaced, taken from elsewhere, out of range */
	Cap_index const parent = cap_map.insert(8, 3 << 12);
	CHECK(parent == Cap_index::from_slot(3));
	CHECK(cap_map.insert(12, 3 << 12) == parent);
	CHECK_EQ(parent.id(), 12);
	CHECK(cap_map.find(8) == nullptr);
	CHECK(cap_map.insert(4, 4 << 12) == Cap_index::from_slot(4));
	CHECK(cap_map.find(4) == Cap_index::from_slot(4));
	CHECK(!index.used());
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
	CHECK(cap_map.find(12) == nullptr && !parent.used());
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 12);
	CHECK_EQ(Platform::kernel().last_kcap, 3 << 12);
	cap_map.remove(parent);
	CHECK_EQ(Platform::kernel().vanished, 1);

	/* of a slot without references, but not of a plain slot */
	Cap_index const irq = cap_map.insert(20);
	cap_map.remove(irq);
	CHECK(!irq.used());
	CHECK_EQ(Platform::kernel().last_badge, 20);
	Cap_index const plain = cap_idx_alloc.alloc_range(1);
	cap_map.remove(plain);
	CHECK(plain.used());
	CHECK_EQ(Platform::kernel().vanished, 2);
	CHECK_STATUS(cap_idx_alloc.free(plain, 1), OK);
}


static void capabilities()
{
	start_anew();

	Native_capability const invalid;
	CHECK(!invalid.valid() && invalid.data() == nullptr);
	CHECK_EQ(invalid.local_name(), 0);

	Cap_index index = cap_map.insert(4);
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
	CHECK(cap_map.find(4) == nullptr && !index.used());

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
		CHECK_EQ(state(index.slot()), CAP_MAP_STATE_DETACHED);
		CHECK_EQ(references(index), 1);
		cap_map.remove(index);
		CHECK_EQ(Platform::kernel().vanished, 4);

		/* its badge lives on elsewhere and does not end with it */
		CHECK(cap_map.insert(20) != nullptr);
	}
	CHECK(!index.used());
	CHECK_EQ(Platform::kernel().vanished, 4);
	CHECK(cap_map.find(20) != nullptr);
}


/**
 * Others remove a slot while the platform lets go of its capability: the
 * platform hears of it once, and the slot stays with it meanwhile
 */
static void removed_by_several()
{
	start_anew();
	Platform::kernel().vanishing = [] (addr_t kcap) {
		Cap_index const index = cap_idx_alloc.kcap_to_idx(kcap);
		cap_map.remove(index);
		CHECK(index.used());
	};

	/* by the last reference */
	Cap_index index = cap_map.insert(4);
	{ Native_capability const cap(index); }
	CHECK(!index.used());
	CHECK_EQ(Platform::kernel().vanished, 1);

	/* by removal, without a reference and with one */
	index = cap_map.insert(8);
	cap_map.remove(index);
	CHECK(!index.used());
	CHECK_EQ(Platform::kernel().vanished, 2);
	{
		Native_capability const cap(cap_map.insert(12));
		index = cap_map.find(12);
		cap_map.remove(index);
		CHECK_EQ(references(index), 1);
		CHECK_EQ(state(index.slot()), CAP_MAP_STATE_DETACHED);
	}
	CHECK(!index.used());
	CHECK_EQ(Platform::kernel().vanished, 3);
}


static void received()
{
	start_anew();
	addr_t const window = cap_idx_alloc.alloc_range(4).kcap();

	/* unknown */
	Platform::store(window, 1001);
	Native_capability first = Native_capability::adopt(cap_map.insert_map(4, window));
	CHECK(first.valid() && first.local_name() == 4);
	CHECK_EQ(references(Cap_index(first)), 1);
	CHECK_EQ(Platform::load(Cap_index(first).kcap()), 1001);

	/* known */
	Platform::store(window, 1001);
	{
		Native_capability const again =
			Base_foc::adopt_capability<Native_capability>(cap_map.insert_map(4, window));
		CHECK(again == first);
		CHECK_EQ(references(Cap_index(first)), 2);
	}
	CHECK_EQ(references(Cap_index(first)), 1);

	/* forged, refused by the kernel, out of range: an invalid capability */
	Platform::store(window, 1002);
	CHECK(!Native_capability::adopt(cap_map.insert_map(4, window)).valid());
	CHECK_EQ(references(Cap_index(first)), 1);
	Platform::kernel().refuse = true;
	CHECK(!Native_capability::adopt(cap_map.insert_map(8, window)).valid());
	Platform::kernel().refuse = false;
	CHECK(!Native_capability::adopt(cap_map.insert_map(0, window)).valid());
	CHECK(!Native_capability::adopt(cap_map.insert_map(Cap_index::INVALID_ID, window)).valid());
	CHECK_EQ(Platform::kernel().vanished, 0);

	/* dead: replaced, the old one is kept but ends silently */
	Platform::store(Cap_index(first).kcap(), 0);
	{
		Native_capability const second =
			Native_capability::adopt(cap_map.insert_map(4, window));
		CHECK(second.valid() && !(second == first));
		CHECK(cap_map.find(4) == Cap_index(second));
		CHECK_EQ(first.local_name(), 4);
		Cap_index const old(first);
		first = Native_capability();
		CHECK(!old.used());
		CHECK(cap_map.find(4) == Cap_index(second));
		CHECK_EQ(Platform::kernel().vanished, 0);
	}
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 4);

	/* full */
	Platform::store(window, 1003);
	Native_capability const known(cap_map.insert(12));
	Platform::store(Cap_index(known).kcap(), 1003);
	while (cap_idx_alloc.alloc_range(1));
	CHECK(cap_map.insert(16) == nullptr);
	CHECK(cap_map.insert_map(16, window) == nullptr);
	CHECK(Native_capability::adopt(cap_map.insert_map(12, window)) == known);
	CHECK_EQ(references(Cap_index(known)), 1);
}


/**
 * The last holder of a known capability lets go of it while it is compared with
 * a forged one: the platform hears of it, as of any last reference
 */
static void abandoned_during_comparison()
{
	start_anew();
	addr_t const window = cap_idx_alloc.alloc_range(4).kcap();

	static Cap_index index(nullptr);
	index = cap_map.insert(4);
	index.inc();
	Platform::store(index.kcap(), 1001);
	Platform::store(window, 1002);
	Platform::kernel().comparing = [] { index.dec(); };
	CHECK(cap_map.insert_map(4, window) == nullptr);

	CHECK(!index.used());
	CHECK_EQ(Platform::kernel().vanished, 1);
	CHECK_EQ(Platform::kernel().last_badge, 4);
	CHECK_EQ(Platform::kernel().last_kcap, index.kcap());

	/* a dead one ends silently, because its badge lives on */
	index = cap_map.insert(8);
	index.inc();
	Platform::kernel().comparing = [] { index.dec(); };
	{
		Native_capability const cap = Native_capability::adopt(cap_map.insert_map(8, window));
		CHECK(cap.valid() && cap.data() == cap_map.find(8));
		CHECK_EQ(Platform::kernel().vanished, 1);
	}
	CHECK_EQ(Platform::kernel().vanished, 2);
}


static void growth()
{
	start_anew();
	alignas(64) static uint8_t small[Cap_map::region_bytes(64)];
	alignas(64) static uint8_t shared[Cap_map::region_bytes(SLOTS)];

	Cap_map::Publication const publication { };
	uint32_t area = 77;

	Native_capability const cap(cap_map.insert(4));
	Cap_index const before(cap);
	CHECK_STATUS(Platform::cap_space().move(small, sizeof(small), publication, area), TOO_SMALL);
	CHECK_STATUS(Platform::cap_space().move(shared, sizeof(shared), publication, area), OK);
	CHECK_EQ(area, 0);
	CHECK_EQ(cap_idx_alloc.max_caps(), SLOTS);
	CHECK(cap.data() == before && cap.local_name() == 4);
	CHECK(cap_map.find(4) == before);
	CHECK(cap_map.insert(8, addr_t(SLOTS - 1) << 12) != nullptr);

	/* a monitor changes the badge behind the capability */
	Cap_map::Monitor monitor;
	CHECK_STATUS(monitor.attach(shared, sizeof(shared), 10), OK);
	Cap_map::Rewrite rewrite { before.slot(), 4, 400, 0, 0, 0 };
	uint32_t slot = 0;
	CHECK_STATUS(monitor.rewrite(&rewrite, 1, slot), OK);
	CHECK_EQ(cap.local_name(), 400);
	CHECK(cap_map.find(4) == nullptr && cap_map.find(400) == before);

	/* a fork returns to the initial memory, and leaves the shared one alone */
	cap_idx_alloc.reinit();
	CHECK_EQ(cap_idx_alloc.max_caps(), INITIAL_SLOTS);
	Cap_map::Entry entry { CAP_MAP_STATE_CORRUPT, 0 };
	CHECK_STATUS(monitor.entry(before.slot(), entry), OK);
	CHECK_EQ(entry.badge, 400);
	CHECK(cap_map.insert(4) == before);     /* for the destructor of 'cap' */
	CHECK_STATUS(owner().acquire(before.slot()), OK);
}


int main()
{
	handles();
	allocator();
	map();
	capabilities();
	removed_by_several();
	received();
	abandoned_during_comparison();
	growth();
	return done("cap_space");
}
