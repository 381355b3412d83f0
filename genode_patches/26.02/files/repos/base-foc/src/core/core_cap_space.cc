/*
 * \brief  Capability space of core
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* core includes */
#include <core_cap_index.h>
#include <platform.h>

/* Genode includes */
#include <trace/timestamp.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

using namespace Core;


/* all capabilities of the system are present in core */
static constexpr unsigned MAX_CAPS = Cap_directory::NUM_SLOTS;


/**
 * Return number that differs for each boot of the machine
 */
static uint64_t boot_number()
{
	static uint64_t const number = Trace::timestamp();
	return number;
}


Cap_directory &Core::cap_directory()
{
	static Cap_directory directory { boot_number() };
	return directory;
}


/********************
 ** Core_cap_index **
 ********************/

Core_cap_index::Record &Core_cap_index::_record() const
{
	static Record records[MAX_CAPS] { };

	return records[slot() % MAX_CAPS];
}


void Core_cap_index::reset() const
{
	_record() = { };

	cap_directory().no_object(slot());
}


Native_capability Core_cap_index::create(Cap_directory::Kind kind)
{
	Native_capability const cap = create(platform_specific().cap_id_alloc());

	if (cap.valid())
		cap_directory().object(Cap_index(cap).slot(), kind, nullptr);

	return cap;
}


Native_capability Core_cap_index::create(Cap_id_allocator &cap_id_alloc)
{
	Core_cap_index const index(cap_idx_alloc().alloc_range(1));

	if (!index) {
		error("out of capability slots");
		return Native_capability();
	}

	/*
	 * As soon as the slot carries the badge, the badge may be received from
	 * a component. So reference and record must be in place before.
	 */
	Native_capability cap(index);

	index.reset();
	index._record().created = true;

	try {
		Cap_id_allocator::id_t const id = cap_id_alloc.alloc();

		/* a slot that was received with an invented badge loses it */
		if (cap_map().insert(id, index.kcap()))
			return cap;

		error("unable to enter capability ID ", id);
	}
	catch (Cap_id_allocator::Out_of_ids) { error("out of capability IDs"); }

	index.reset();
	return Native_capability();
}


Native_capability Core_cap_index::lookup(unsigned badge)
{
	Cap_map::Owner owner = Foc_cap_platform::cap_space().owner();

	::uint32_t slot = 0;
	if (!Cap_map::ok(owner.find_acquire(badge, slot)))
		return { };

	return Base_foc::adopt_capability<Native_capability>(from_slot(slot));
}


Native_capability Core_cap_index::thread() const
{
	if (_record().kind != Record::Kind::GATE)
		return { };

	/* the badge may be that of something else by now */
	Native_capability const cap = lookup(_record().thread_badge);

	return cap.valid() && Core_cap_index(cap).pt()
	     ? cap : Native_capability();
}


/**********************
 ** Foc_cap_platform **
 **********************/

bool const Foc_cap_platform::CORE = true;


Cap_space &Foc_cap_platform::create_cap_space()
{
	struct Space : Base_foc::Cap_space_with_memory<Foc_cap_platform, MAX_CAPS>
	{
		Space()
		{
			if (!Cap_map::ok(status()))
				table_missing(status());

			/* for those who look at the memory from outside */
			Cap_map::Identity identity { };
			(void)Cap_map::set_label(identity, "core", 4);
			identity.boot = boot_number();
			(void)Cap_space::owner().describe(identity);
		}
	};

	static Space space { };
	cap_space_ptr = &space;
	return space;
}


bool Foc_cap_platform::cap_valid(addr_t kcap)
{
	using namespace Foc;

	Core_cap_index const index(cap_idx_alloc().kcap_to_idx(kcap));

	/* the badge of a capability is taken even if its object does not exist yet */
	return index.created()
	    || l4_msgtag_label(l4_task_cap_valid(L4_BASE_TASK_CAP, kcap));
}


Cap_map::Status Foc_cap_platform::cap_received(unsigned badge, addr_t kcap,
                                               Cap_index &index)
{
	struct Kernel
	{
		bool equal(addr_t kcap_1, addr_t kcap_2) { return cap_equal(kcap_1, kcap_2); }

		bool valid(addr_t kcap) { return cap_valid(kcap); }

		bool map(addr_t from, addr_t to) { return cap_grant(from, to); }

		/* the reference that the map took for the comparison was the last one */
		void vanished(addr_t kcap, unsigned badge) { cap_vanished(kcap, badge); }

	} kernel { };

	::uint32_t slot = 0;

	Cap_map::Status const status =
		cap_space().owner().insert_map(badge, kcap, kernel, slot);

	index = Cap_map::ok(status) ? Cap_index::from_slot(slot) : Cap_index(nullptr);

	return status;
}


/*
 * The badge has left the map already. As long as the kernel object exists, the
 * signal entrypoint may receive the capability once more and enter it at
 * another slot, which is not marked as created. This slot loses the badge when
 * the badge is issued the next time, and it is unmapped along with its last
 * reference. Until then, its capability is as invalid as its kernel object.
 */
void Foc_cap_platform::cap_vanished(addr_t kcap, unsigned)
{
	using namespace Foc;

	Core_cap_index const index(cap_idx_alloc().kcap_to_idx(kcap));

	/* leave objects alone that core does not own */
	unsigned long const flags = index.created()
	                          ? L4_FP_ALL_SPACES | L4_FP_DELETE_OBJ
	                          : L4_FP_ALL_SPACES;

	l4_msgtag_t const tag = l4_task_unmap(L4_BASE_TASK_CAP,
	                                      l4_obj_fpage(kcap, 0, L4_FPAGE_RWX),
	                                      flags);
	if (l4_msgtag_has_error(tag))
		error("unable to unmap capability ", Hex(kcap));

	index.reset();
}


/* core has all slots from the beginning */
void Foc_cap_platform::caps_received(Msgbuf_base const &, bool) { }


/************************
 ** Tables of the dead **
 ************************/

void Core::forget_cap_tables(addr_t at, size_t size)
{
	static constexpr uint64_t MAGIC = 0x4341505441424c45ULL;

	for (addr_t const end = at + size; at < end; at += Cap_map::REGION_ALIGN)
		if (*(uint64_t const *)at == MAGIC)
			*(uint64_t *)at = 0;
}
