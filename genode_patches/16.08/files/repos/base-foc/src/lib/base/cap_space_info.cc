/*
 * \brief  Exposure of the component's capability space to a monitor
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/env.h>
#include <base/log.h>
#include <dataspace/client.h>
#include <pd_session/pd_session.h>
#include <region_map/client.h>

/* base-internal includes */
#include <base/internal/cap_space.h>
#include <base/internal/cap_space_info.h>
#include <base/internal/parent_cap.h>
#include <base/internal/stack_area.h>

using namespace Genode;


/**
 * Return what the component knows about itself
 */
static Cap_map::Identity own_identity()
{
	Cap_map::Identity identity = Cap_map::Identity();
	identity.pd     = env()->pd_session_cap().local_name();
	identity.parent = parent_cap().local_name();
	return identity;
}


/**
 * Move the component's table to the memory at 'region'
 *
 * The name of the component comes from the monitor, which leaves it there.
 *
 * \return  reason if the table stays where it is
 */
static char const *move_table(void *region, size_t size,
                              Cap_map::Identity const &identity)
{
	using namespace Cap_map;

	Publication publication = Publication();
	publication.identity = identity;

	uint32_t area = 0;

	/* a dataspace that contains anything else is in use or not meant for us */
	Status const moved =
		Foc_cap_platform::cap_space().move(region, size, publication, area);

	return ok(moved) ? nullptr : message(moved);
}


static char const *attach_and_move(Pd_session &pd, Dataspace_capability ds,
                                   Cap_map::Identity const &identity)
{
	/*
	 * In contrast to the region map of the environment, this client does not
	 * ask the parent for more resources. The component must not depend on being
	 * monitored.
	 */
	Region_map_client rm(pd.address_space());

	/*
	 * The region map would pick the lowest free address by default, which some
	 * components need for other purposes. Next to the stack area, the table
	 * does not divide the remaining virtual memory any further.
	 */
	addr_t const at = stack_area_virtual_base() + stack_area_virtual_size();

	try {
		rm.attach_at(ds, at);

		/* by having attached it, we know that this is a dataspace of core */
		size_t const size = Dataspace_client(ds).size();

		char const * const failed = move_table((void *)at, size, identity);
		if (failed)
			rm.detach(at);

		return failed;
	}
	catch (Region_map::Out_of_metadata)   { return "out of meta data"; }
	catch (Region_map::Region_conflict)   { return "region conflict"; }
	catch (Region_map::Invalid_dataspace) { return "invalid dataspace"; }
	catch (...)                           { return "attach failed"; }
}


void Genode::expose_cap_space(Pd_session &pd)
{
	Cap_map::Identity const identity = own_identity();

	/* for those who look at the memory from outside */
	(void)Foc_cap_platform::cap_space().owner().describe(identity);

	Dataspace_capability const ds = pd.cap_space_info();

	if (!ds.valid())
		return;

	char const * const failed = attach_and_move(pd, ds, identity);
	if (failed)
		warning("capability space is not exposed: ", failed);
}
