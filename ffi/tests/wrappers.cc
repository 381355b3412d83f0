/*
 * The wrappers of cap_map.hpp, and memory sizes as constants.
 */
#include "classes.h"

/* literals, so that a change shows */
static_assert(Cap_map::region_bytes(63) == 0 && Cap_map::owner_bytes(63) == 0, "");
static_assert(Cap_map::region_bytes(4096) == 33280, "");
static_assert(Cap_map::owner_bytes(4096) == 32144, "");
static_assert(Cap_map::region_bytes(128*1024) == 1049088, "");
static_assert(Cap_map::owner_bytes(128*1024) == 1540992, "");
static_assert(Cap_map::owner_bytes(128*1024 + 1) == 0, "");
static_assert(Cap_map::growth_bytes(4096, 8192) == 48864, "");
static_assert(Cap_map::growth_bytes(4096, 4096) == 0, "");


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
		for (uint32_t to : slots)
			if (!CHECK_EQ(Cap_map::growth_bytes(n, to), cap_map_owner_growth_size(n, to)))
				fprintf(stderr, "\t%u to %u slots\n", n, to);
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
		void vanished(size_t, uint32_t)  { asked++; }
	};
}


static void wrappers()
{
	alignas(64) static uint8_t region[Cap_map::region_bytes(64)];
	alignas(8)  static uint8_t memory[Cap_map::owner_bytes(64)];

	Cap_map::Config const config { 64, 8, 12, 28, 10, 0 };
	Cap_map::Owner owner;
	uint32_t slot = 77;

	CHECK(!owner.valid());
	CHECK_STATUS(owner.insert(4, slot), BAD_ARGUMENT);
	CHECK_STATUS(owner.create(memory, sizeof(memory) - 1, region, sizeof(region), config),
	             TOO_SMALL);
	CHECK(!owner.valid());
	CHECK_STATUS(owner.create(memory, sizeof(memory), region, sizeof(region), config), OK);
	CHECK(owner.valid() && owner.capacity() == 64);

	alignas(8) static uint8_t more[Cap_map::growth_bytes(64, 100)];
	CHECK_STATUS(owner.grow(more, sizeof(more) - 1, 100), TOO_SMALL);
	CHECK_STATUS(owner.grow(more, sizeof(more), 100), OK);
	CHECK_EQ(owner.capacity(), 64);

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
	Cap_map::Stamp stamp { };
	Cap_map::Header header { };
	alignas(64) static uint8_t second[Cap_map::region_bytes(64) + 64];
	CHECK_STATUS(monitor.stamp(stamp), BAD_ARGUMENT);
	CHECK_STATUS(monitor.attach(second, sizeof(second), 10), UNPUBLISHED);
	CHECK_STATUS(monitor.stamp(stamp), BAD_ARGUMENT);
	CHECK_STATUS(monitor.take_over(), BAD_ARGUMENT);

	Cap_map::Identity identity { };
	char const too_long[66] = "the label of a component is not longer than sixty-four bytes: end";
	CHECK_STATUS(Cap_map::set_label(identity, "wrapped", 7), OK);
	CHECK_STATUS(Cap_map::set_label(identity, too_long, 65), BAD_LABEL);
	CHECK(identity.label[6] == 'd' && identity.label[7] == 0);
	CHECK_STATUS(owner.describe(identity), OK);
	CHECK_STATUS(monitor.attach(region, sizeof(region), 10), OK);
	CHECK_STATUS(monitor.header(header), OK);
	CHECK(header.kind == CAP_MAP_KIND_PRIVATE && header.identity.label[6] == 'd');

	CHECK_STATUS(Cap_map::set_label(identity, too_long, 64), OK);
	CHECK_STATUS(owner.publish(identity), OK);
	CHECK_STATUS(monitor.attach(region, sizeof(region), 10), OK);
	CHECK_STATUS(monitor.stamp(stamp), OK);
	CHECK_STATUS(monitor.header(header), OK);
	CHECK(header.kind == CAP_MAP_KIND_PUBLISHED && header.identity.label[63] == 'n');
	CHECK_EQ(header.capacity, 64);

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

	Cap_map::Rewrite batch[] { { 8, 4, 12, 0, 0, 0 }, { 13, 12, 4, 0, 0, 0 } };
	CHECK_STATUS(monitor.rewrite(batch, 2, slot), OK);
	CHECK_STATUS(owner.find(4, slot), OK);
	CHECK_EQ(slot, 13);
	CHECK_STATUS(owner.recover(), OK);
	CHECK_STATUS(owner.find(12, slot), OK);
	CHECK_EQ(slot, 8);

	Cap_map::Publication const publication { identity, 64, 1 };
	uint32_t area = 0;
	CHECK_STATUS(monitor.take_over(), OK);
	CHECK_STATUS(owner.move(second, sizeof(second)), IN_USE);
	CHECK_STATUS(owner.move(second, sizeof(second), publication, area), OK);
	CHECK_EQ(area, Cap_map::region_bytes(64));
	CHECK_STATUS(monitor.stamp(stamp), RETIRED);
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
	CHECK_STATUS(owner.recover(), OK);
	CHECK_STATUS(pool.recover(owner), OK);
	CHECK(pool.acquire_slot(owner, slot) == &node);
	CHECK_STATUS(pool.remove(owner, node), OK);
	CHECK(pool.acquire(owner, 4) == nullptr);
	CHECK(pool.acquire_slot(owner, slot) == nullptr);
	node.release();
	node.release();
	node.release();
	node.drain();
	badge = 0;
	CHECK_STATUS(owner.withdraw(slot, badge), OK);
	CHECK(badge == 4 && owner.references(slot) == 1);
	CHECK_STATUS(owner.withdraw(slot, badge), NOT_FOUND);
}


int main()
{
	sizes();
	wrappers();
	return done("wrappers");
}
