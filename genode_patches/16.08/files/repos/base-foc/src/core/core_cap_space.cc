/*
 * \brief  Capability space of core
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* core includes */
#include <core_cap_index.h>
#include <platform.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/consts.h>
#include <l4/sys/task.h>
#include <l4/sys/types.h>
}

using namespace Genode;


/* all capabilities of the system are present in core */
enum { MAX_CAPS = 10*1024 };


/********************
 ** Core_cap_index **
 ********************/

Core_cap_index::Record &Core_cap_index::_record() const
{
	static Record records[MAX_CAPS];

	/* a null handle refers to the slot 0, which is not in use */
	return records[slot() < MAX_CAPS ? slot() : 0];
}


bool &Core_cap_index::_created() const
{
	static bool created[MAX_CAPS];

	return created[slot() < MAX_CAPS ? slot() : 0];
}


void Core_cap_index::reset()
{
	_record()  = Record { nullptr, nullptr };
	_created() = false;
}


Native_capability Core_cap_index::create(Cap_id_allocator &cap_id_alloc)
{
	Core_cap_index * const index = of(cap_idx_alloc()->alloc_range(1));

	if (!index) {
		error("out of capability slots");
		return Native_capability();
	}

	/*
	 * As soon as the slot carries the badge, the badge may be received from
	 * a component. So reference and record must be in place before.
	 */
	Native_capability const cap(*index);

	index->reset();
	index->_created() = true;

	try {
		unsigned long const id = cap_id_alloc.alloc();

		/* a slot that was received with an invented badge loses it */
		if (cap_map()->insert(id, index->kcap()))
			return cap;

		error("unable to enter capability ID ", id);
	}
	catch (Cap_id_allocator::Out_of_ids) { error("out of capability IDs"); }

	index->reset();
	return Native_capability();
}


Native_capability Core_cap_index::create()
{
	return create(*platform_specific()->cap_id_alloc());
}


Native_capability Core_cap_index::lookup(unsigned badge)
{
	Cap_map::Owner owner = Foc_cap_platform::cap_space().owner();

	::uint32_t slot = 0;
	if (!Cap_map::ok(owner.find_acquire(badge, slot)))
		return Native_capability();

	return adopt_cap(Base_foc::Cap_index<Foc_cap_platform>::from_slot(slot));
}


/**********************
 ** Foc_cap_platform **
 **********************/

bool const Foc_cap_platform::CORE = true;


Cap_space &Foc_cap_platform::cap_space()
{
	struct Space : Base_foc::Cap_space_with_memory<Foc_cap_platform, MAX_CAPS>
	{
		Space()
		{
			check_creation(status());

			/* for those who look at the memory from outside */
			Cap_map::Identity identity = Cap_map::Identity();
			(void)Cap_map::set_label(identity, "core", 4);
			(void)Cap_space::owner().describe(identity);
		}
	};

	static Space space;
	return space;
}


static bool cap_present(addr_t kcap)
{
	using namespace Fiasco;

	return l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, kcap));
}


bool Foc_cap_platform::cap_valid(addr_t kcap)
{
	Core_cap_index const &index = *Core_cap_index::of(cap_idx_alloc()->kcap_to_idx(kcap));

	/* the badge of a capability is taken even if its object does not exist yet */
	return index.created() || cap_present(kcap);
}


Cap_index *Foc_cap_platform::cap_received(unsigned badge, addr_t kcap)
{
	struct Kernel
	{
		bool equal(addr_t kcap_1, addr_t kcap_2) { return cap_equal(kcap_1, kcap_2); }

		bool valid(addr_t kcap) { return cap_valid(kcap); }

		bool map(addr_t from, addr_t to) { return cap_grant(from, to); }

		/* the reference that the map took for the comparison was the last one */
		void vanished(addr_t kcap, unsigned badge) { cap_vanished(kcap, badge); }

	} kernel;

	::uint32_t slot = 0;

	if (!Cap_map::ok(cap_space().owner().insert_map(badge, kcap, kernel, slot)))
		return nullptr;

	return Base_foc::Cap_index<Foc_cap_platform>::from_slot(slot);
}


/*
 * Until the kernel has unmapped the capability, a component may still pass it
 * to core. It then gets a slot of its own, as one that core has not created.
 */
void Foc_cap_platform::cap_vanished(addr_t kcap, unsigned)
{
	using namespace Fiasco;

	Core_cap_index &index = *Core_cap_index::of(cap_idx_alloc()->kcap_to_idx(kcap));

	/* leave objects alone that core does not own */
	unsigned long const flags = index.created()
	                          ? L4_FP_ALL_SPACES | L4_FP_DELETE_OBJ
	                          : L4_FP_ALL_SPACES;

	l4_msgtag_t const tag = l4_task_unmap(L4_BASE_TASK_CAP,
	                                      l4_obj_fpage(kcap, 0, L4_FPAGE_RWX),
	                                      flags);
	if (l4_msgtag_has_error(tag))
		error("unmapping of capability at ", Hex(kcap), " failed");

	index.reset();
}


/************************
 ** Tables of the dead **
 ************************/

void Genode::forget_cap_tables(addr_t at, size_t size)
{
	static constexpr uint64_t MAGIC = 0x4341505441424c45ULL;

	for (addr_t const end = at + size; at < end; at += Cap_map::REGION_ALIGN)
		if (*(uint64_t const *)at == MAGIC)
			*(uint64_t *)at = 0;
}
