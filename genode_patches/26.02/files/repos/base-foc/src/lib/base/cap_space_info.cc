/*
 * \brief  Growth of the capability space, and its exposure to a monitor
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <foc_native_pd/foc_native_pd.h>
#include <pd_session/client.h>
#include <region_map/client.h>

/* base-internal includes */
#include <base/internal/cap_space.h>
#include <base/internal/globals.h>
#include <base/internal/non_core_stack_area_addr.h>
#include <base/internal/parent_cap.h>
#include <base/internal/restart.h>
#include <base/internal/stack_area.h>

using namespace Genode;


/**
 * Place of the table in the component's address space
 *
 * The region-map would pick the lowest free address by default, which some
 * components need for other purposes. Next to the stack area, it does not
 * divide the remaining virtual memory any further.
 */
static constexpr addr_t CAP_SPACE_INFO_ADDR =
	NON_CORE_STACK_AREA_ADDR + stack_area_virtual_size();

/**
 * Place of the memory by which the table grows
 *
 * In front of it, there is space for the largest table of a monitor.
 */
static constexpr addr_t CAP_GROWTH_ADDR = CAP_SPACE_INFO_ADDR + 2*1024*1024;


static Cap_map::Owner owner() { return Foc_cap_platform::cap_space().owner(); }


static char const *message(Region_map::Attach_error error)
{
	switch (error) {
	case Region_map::Attach_error::OUT_OF_RAM:        return "out of RAM";
	case Region_map::Attach_error::OUT_OF_CAPS:       return "out of caps";
	case Region_map::Attach_error::REGION_CONFLICT:   return "region conflict";
	case Region_map::Attach_error::INVALID_DATASPACE: return "invalid dataspace";
	}
	return "attach failed";
}


static char const *message(Alloc_error error)
{
	switch (error) {
	case Alloc_error::OUT_OF_RAM:  return "out of RAM";
	case Alloc_error::OUT_OF_CAPS: return "out of caps";
	case Alloc_error::DENIED:      break;
	}
	return "RAM denied";
}


/************
 ** Growth **
 ************/

namespace {

	/**
	 * Memory by which the table grows, paid from the quota of the component
	 *
	 * In contrast to the PD session and the region map of the environment, the
	 * clients used here do not ask the parent for more resources. The component
	 * must not depend on it.
	 *
	 * The memory is never released because somebody may still look at a table
	 * that has moved.
	 */
	struct Growth
	{
		/* slots that a component gets at most without a monitor */
		static constexpr unsigned LIMIT = 32*1024;

		/*
		 * The table grows as soon as a capability is received at one of the last
		 * slots, since the first free one is taken. What is left must suffice for
		 * the calls by which the table grows, and for what other threads receive
		 * meanwhile.
		 */
		static constexpr unsigned RESERVE = 128;

		/* after a failed attempt, so many occasions pass by until the next one */
		static constexpr unsigned PAUSE = 1024;

		/* granularity of the memory handed out by a monitor, in slots */
		static constexpr unsigned UNIT = 1024;

		Pd_session_client *pd = nullptr;  /* set once the table may grow */

		addr_t   next  = CAP_GROWTH_ADDR;
		unsigned room  = Pd_session::Native_pd::NUM_SLOTS;
		unsigned pause = 0;
		int      busy  = 0;

		bool enter() { return !__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE); }
		void leave() { __atomic_store_n(&busy, 0, __ATOMIC_RELEASE); }

		static size_t align(size_t size)
		{
			return (size + Cap_map::REGION_ALIGN - 1) & ~(Cap_map::REGION_ALIGN - 1);
		}

		/**
		 * Call 'fn' with the address of new memory
		 *
		 * \return  reason of a failure, or what 'fn' returns
		 */
		char const *with_memory(Pd_session_client &pd, size_t size, auto const &fn)
		{
			using Result = char const *;

			return pd.Pd_session_client::alloc_ram(size, CACHED).convert<Result>(

				[&] (Ram_dataspace_capability ds) {

					Region_map_client rm { pd.address_space() };

					Result const failed = rm.attach(ds, {
						.size       = { },  .offset    = { },
						.use_at     = true, .at        = next,
						.executable = { },  .writeable = true

					}).convert<Result>(

						[&] (Region_map::Range range) {
							Result const failed = fn(range.start);
							if (failed)
								rm.detach(range.start);
							else
								next = range.start + range.num_bytes;
							return failed;
						},
						[&] (Region_map::Attach_error e) { return message(e); });

					if (failed)
						pd.Pd_session_client::free_ram(ds);

					return failed;
				},
				[&] (Alloc_error e) { return message(e); });
		}

		/**
		 * Prepare the component's private memory for a table of so many slots
		 */
		char const *make_room(Pd_session_client &pd, unsigned slots)
		{
			size_t const size = Cap_map::growth_bytes(room, slots);

			return with_memory(pd, size, [&] (addr_t at) {
				return grown(owner().grow((void *)at, size, slots), slots); });
		}

		char const *grown(Cap_map::Status status, unsigned slots)
		{
			if (!Cap_map::ok(status))
				return Cap_map::message(status);

			room = slots;
			return nullptr;
		}

		/**
		 * Move to a private table of twice the size
		 */
		char const *grow()
		{
			unsigned const slots = 2*owner().capacity();
			if (slots > LIMIT)
				return "limit reached";

			/* an earlier attempt may have come half the way */
			if (room < slots)
				if (char const * const failed = make_room(*pd, slots))
					return failed;

			size_t const size = Cap_map::region_bytes(slots);

			return with_memory(*pd, size, [&] (addr_t at) -> char const * {
				Cap_map::Status const moved = owner().move((void *)at, size);
				return Cap_map::ok(moved) ? nullptr : Cap_map::message(moved); });
		}

		void try_to_grow()
		{
			if (pause) {
				pause--;
				return;
			}

			if (char const * const failed = grow()) {
				warning("capability space of ", owner().capacity(), " slots "
				        "cannot grow: ", failed);
				pause = PAUSE;
			}
		}
	};
}


static Growth &growth()
{
	static Growth growth { };
	return growth;
}


/**
 * Return true if few slots are left, given capabilities that were just received
 */
static bool few_slots_left(Msgbuf_base const &msg, bool window)
{
	unsigned last = 0;

	for (unsigned i = 0; i < msg.used_caps(); i++)
		if (msg.cap(i).data())
			last = max(last, unsigned(Cap_index(msg.cap(i)).slot()));

	return !window || last + Growth::RESERVE >= owner().capacity();
}


void Foc_cap_platform::caps_received(Msgbuf_base const &msg, bool window)
{
	if (!few_slots_left(msg, window))
		return;

	Growth &g = growth();

	/* the calls by which the table grows come along here, too */
	if (!g.pd || !g.enter())
		return;

	/* another thread may have been faster */
	if (few_slots_left(msg, window))
		g.try_to_grow();

	g.leave();
}


/**************
 ** Exposure **
 **************/

/**
 * Return what the component knows about itself
 */
static Cap_map::Identity own_identity(Pd_session_client &pd)
{
	Cap_map::Identity identity { };

	identity.pd     = unsigned(pd.rpc_cap().local_name());
	identity.parent = unsigned(parent_cap().local_name());

	return identity;
}


/**
 * Return number of slots that the component is able to use
 *
 * \param bytes  memory of the table
 */
static unsigned usable_slots(size_t bytes)
{
	using namespace Cap_map;

	size_t const slots = (bytes - min(bytes, region_bytes(MIN_SLOTS)))
	                   / CAP_MAP_REGION_SLOT_BYTES + MIN_SLOTS;

	return unsigned(min(slots, size_t(MAX_SLOTS))) / Growth::UNIT * Growth::UNIT;
}


/**
 * Move the component's table to 'range', and leave 'area_bytes' behind it
 */
static Cap_map::Status move_table(Pd_session_client &pd, Region_map::Range range,
                                  Cap_map::Identity const &identity,
                                  size_t area_bytes, uint32_t &area)
{
	unsigned const usable = usable_slots(range.num_bytes - min(range.num_bytes, area_bytes));

	if (usable > growth().room)
		if (char const * const failed = growth().make_room(pd, usable))
			warning("capability space stays small: ", failed);

	Cap_map::Publication const publication {
		.identity     = identity,
		.area_bytes   = uint32_t(area_bytes),
		.area_version = area_bytes ? Restart::VERSION : 0 };

	return Foc_cap_platform::cap_space().move((void *)range.start, range.num_bytes,
	                                          publication, area);
}


/**
 * Move the component's table to 'range'
 *
 * The size of the memory decides about the number of slots. If the component
 * cannot afford what it takes to use all of them, it uses those that it can.
 * If the memory suffices for the restart records of the threads, they come
 * behind the table.
 *
 * The name of the component comes from the monitor, which leaves it there.
 *
 * \return  reason if the table stays where it is
 */
static char const *move_table(Pd_session_client &pd, Region_map::Range range,
                              Cap_map::Identity const &identity)
{
	using namespace Cap_map;

	uint32_t area = 0;

	/* a dataspace that contains anything else is in use or not meant for us */
	Status moved = move_table(pd, range, identity, sizeof(Restart::Area), area);

	if (moved == CAP_MAP_STATUS_TOO_SMALL)
		moved = move_table(pd, range, identity, 0, area);

	if (area)
		Restart::publish(*(Restart::Area *)(range.start + area));

	return ok(moved) ? nullptr : message(moved);
}


/*
 * At this point, no other thread exists, and no application code was executed.
 */
void Genode::init_cap_space(Pd_session &session, Parent &)
{
	/* the runtime passes its own client of the session */
	Pd_session_client &pd = static_cast<Pd_session_client &>(session);

	Cap_map::Identity const identity = own_identity(pd);

	/* for those who look at the memory from outside */
	(void)owner().describe(identity);

	Dataspace_capability const ds = pd.cap_space_info();

	if (!ds.valid()) {
		growth().pd = &pd;
		return;
	}

	/* the component must not depend on being monitored, see 'Growth' */
	Region_map_client rm { pd.address_space() };

	char const * const failed = rm.attach(ds, {
		.size       = { }, .offset    = { },
		.use_at     = true, .at       = CAP_SPACE_INFO_ADDR,
		.executable = { }, .writeable = true

	}).convert<char const *>(

		[&] (Region_map::Range range) {
			char const * const failed = move_table(pd, range, identity);
			if (failed)
				rm.detach(range.start);
			return failed;
		},
		[&] (Region_map::Attach_error e) { return message(e); });

	if (failed) {
		warning("capability space is not exposed: ", failed);
		growth().pd = &pd;
	}
}
