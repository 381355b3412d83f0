/*
 * \brief  Table of a component in C++, with its memory in the program
 *
 * Compiled without exceptions and run-time type information.
 */

#include <cstdio>

#include <cap_map.hpp>

namespace {

	enum : uint32_t { SLOTS = 4096 };

	alignas(Cap_map::REGION_ALIGN) uint8_t region[Cap_map::region_bytes(SLOTS)];
	alignas(Cap_map::OWNER_ALIGN)  uint8_t memory[Cap_map::owner_bytes(SLOTS)];

	/* the kernel's part in receiving a capability */
	struct Kernel
	{
		bool equal(size_t a, size_t b) { return a == b; }
		bool valid(size_t)             { return true; }
		bool map(size_t, size_t)       { return true; }
		void vanished(size_t, uint32_t) { }
	};
}


/* called while waiting, yields the processor */
extern "C" void cap_map_relax() { }


int main()
{
	Cap_map::Config const config { SLOTS, 0x300, 12, 28, 1000, 0 };

	Cap_map::Owner owner { };
	Kernel         kernel { };
	uint32_t       slot = 0, again = 0;

	if (!Cap_map::ok(owner.create(memory, sizeof(memory), region, sizeof(region), config)))
		return 1;

	/* a capability arrives at a selector under badge 4, and once more */
	size_t const received = 0x10 << 12;
	Cap_map::Status const status = owner.insert_map(4, received, kernel, slot);
	if (!Cap_map::ok(status)) {
		std::printf("%s\n", Cap_map::message(status));
		return 1;
	}
	(void)owner.insert_map(4, size_t(slot) << 12, kernel, again);

	std::printf("cap_map %s: badge 4 at slot 0x%x, %u references\n", CAP_MAP_VERSION,
	            unsigned(slot), unsigned(owner.references(slot)));

	return slot == again && owner.references(slot) == 2 ? 0 : 1;
}
