/*
 * The classes of base_foc over the platform of the tests, for programs of one
 * thread. Compiled without exceptions and run-time type information.
 */
#ifndef CLASSES_H
#define CLASSES_H

#include "platform.h"

extern "C" void cap_map_relax() { }

namespace {

	using Platform = Test_platform<Base_foc::Static_object_cast>;

	using Native_capability   = Base_foc::Native_capability<Platform>;
	using Cap_index           = Base_foc::Cap_index<Platform>;
	using Capability_map      = Base_foc::Capability_map<Platform>;
	using Cap_index_allocator = Base_foc::Cap_index_allocator<Platform>;
	using addr_t              = Platform::addr_t;

	template <typename T> using Object_pool = Base_foc::Object_pool<T, Platform>;

	Capability_map      cap_map;
	Cap_index_allocator cap_idx_alloc;

	inline Cap_map::Owner owner() { return Platform::cap_space().owner(); }

	inline uint32_t references(Cap_index index)
	{
		return owner().references(index.slot());
	}

	inline Cap_map::State state(uint32_t slot)
	{
		Cap_map::Entry entry { CAP_MAP_STATE_CORRUPT, 0 };
		CHECK_STATUS(owner().entry(slot, entry), OK);
		return entry.state;
	}

	inline void start_anew()
	{
		Platform::kernel() = Platform::Kernel();
		cap_idx_alloc.reinit();
	}
}

#endif /* CLASSES_H */
