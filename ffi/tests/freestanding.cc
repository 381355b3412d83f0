/*
 * Compiled only: every template of the layer without any header, exceptions,
 * run-time type information, and floating point, as Genode compiles.
 */
#include <base_foc/cap_index_allocator.h>
#include <base_foc/capability_map.h>
#include <base_foc/native_capability.h>
#include <base_foc/object_pool.h>

namespace Genode {

	using addr_t = __UINTPTR_TYPE__;

	struct Native_capability
	{
		class Data;

		Data *_data = nullptr;

		Native_capability() { }
		Native_capability(Data *);

		Data const *data() const { return _data; }

		long local_name() const;
	};

	struct Platform;

	using Cap_index           = Base_foc::Cap_index<Platform>;
	using Capability_map      = Base_foc::Capability_map<Platform>;
	using Cap_index_allocator = Base_foc::Cap_index_allocator<Platform>;

	template <typename T> using Object_pool = Base_foc::Object_pool<T, Platform>;
}


/* as on Genode, where the handle type is declared in a public header */
struct Genode::Platform
{
	using addr_t             = Genode::addr_t;
	using Cap_data           = Native_capability::Data;
	using Untyped_capability = Native_capability;
	using Object_cast        = Base_foc::Static_object_cast;

	struct Mutex { void acquire(); void release(); };

	enum { FIRST_SLOT = 0x300, CAP_SHIFT = 12, BADGE_BITS = 28, WAIT_BUDGET = 1000,
	       CORE = 0 };

	static Base_foc::Cap_space<Platform> &cap_space();
	static bool cap_equal(addr_t, addr_t);
	static bool cap_valid(addr_t);
	static bool cap_grant(addr_t, addr_t);
	static void cap_vanished(addr_t, unsigned);
};


namespace Core { class Core_cap_index; }


/* core adds methods, which find their data by the slot */
class Core::Core_cap_index : public Genode::Cap_index
{
	public:

		explicit Core_cap_index(Genode::Native_capability const &cap) : Cap_index(cap) { }

		void const *session() const;
};

namespace Core { void const *sessions[128*1024]; }

void const *Core::Core_cap_index::session() const { return sessions[slot()]; }


template class Base_foc::Cap_index<Genode::Platform>;
template class Base_foc::Cap_space<Genode::Platform>;
template class Base_foc::Cap_space_with_memory<Genode::Platform, 4096>;
template class Base_foc::Capability_map<Genode::Platform>;
template class Base_foc::Cap_index_allocator<Genode::Platform>;

struct Object : Genode::Object_pool<Object>::Entry { };

template class Base_foc::Object_pool<Object, Genode::Platform>;


Base_foc::Cap_space<Genode::Platform> &Genode::Platform::cap_space()
{
	static Base_foc::Cap_space_with_memory<Genode::Platform, 4096> space;
	return space;
}


int with_object(Genode::Object_pool<Object> &pool, unsigned long badge)
{
	pool.remove_all([] (Object *) { });
	return pool.apply(badge, [] (Object *object) { return object ? 1 : 0; });
}


void const *received(Genode::Capability_map &map, Genode::addr_t kcap)
{
	Genode::Native_capability const cap =
		Base_foc::adopt_capability<Genode::Native_capability>(map.insert_map(4, kcap));

	return Core::Core_cap_index(cap).session();
}
