/*
 * \brief  Exposure of the component's capability space to a monitor
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <pd_session/client.h>
#include <region_map/client.h>

/* base-internal includes */
#include <base/internal/cap_space.h>
#include <base/internal/globals.h>
#include <base/internal/non_core_stack_area_addr.h>
#include <base/internal/parent_cap.h>
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
 * Return what the component knows about itself
 *
 * \param pd  session object of the runtime, which is a client always
 */
static Cap_map::Identity own_identity(Pd_session &pd)
{
	Cap_map::Identity identity { };

	identity.pd     = unsigned(static_cast<Pd_session_client &>(pd).rpc_cap().local_name());
	identity.parent = unsigned(parent_cap().local_name());

	return identity;
}


/**
 * Move the component's table to 'range'
 *
 * The name of the component comes from the monitor, which leaves it there.
 *
 * \return  reason if the table stays where it is
 */
static char const *move_table(Region_map::Range range, Cap_map::Identity const &identity)
{
	using namespace Cap_map;

	void * const region = (void *)range.start;

	Publication const publication {
		.identity = identity, .area_bytes = 0, .area_version = 0 };

	uint32_t area = 0;

	/* a dataspace that contains anything else is in use or not meant for us */
	Status const moved =
		Foc_cap_platform::cap_space().move(region, range.num_bytes,
		                                   publication, area);

	return ok(moved) ? nullptr : message(moved);
}


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


/*
 * The hook is meant for kernels where the component has to pay for its
 * capability space. On Fiasco.OC, the component manages the capability space.
 * At this point, no other thread exists, and no application code was executed.
 */
void Genode::init_cap_slab(Pd_session &pd, Parent &)
{
	Cap_map::Identity const identity = own_identity(pd);

	/* for those who look at the memory from outside */
	(void)Foc_cap_platform::cap_space().owner().describe(identity);

	Dataspace_capability const ds = pd.cap_space_info();

	if (!ds.valid())
		return;

	/*
	 * In contrast to the region map of the environment, this client does not
	 * ask the parent for more resources. The component must not depend on being
	 * monitored.
	 */
	Region_map_client rm { pd.address_space() };

	char const * const failed = rm.attach(ds, {
		.size       = { }, .offset    = { },
		.use_at     = true, .at       = CAP_SPACE_INFO_ADDR,
		.executable = { }, .writeable = true

	}).convert<char const *>(

		[&] (Region_map::Range range) {
			char const * const failed = move_table(range, identity);
			if (failed)
				rm.detach(range.start);
			return failed;
		},
		[&] (Region_map::Attach_error e) { return message(e); });

	if (failed)
		warning("capability space is not exposed: ", failed);
}
