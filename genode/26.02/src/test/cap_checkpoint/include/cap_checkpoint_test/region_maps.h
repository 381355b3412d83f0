/*
 * \brief  Means to attach memory to region maps
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__REGION_MAPS_H_
#define _CAP_CHECKPOINT_TEST__REGION_MAPS_H_

/* Genode includes */
#include <base/component.h>
#include <region_map/client.h>
#include <rm_session/connection.h>

namespace Test {

	using namespace Genode;

	static constexpr size_t PAGE = 4096;

	/**
	 * Session that has what core takes for attachments, too, for which nobody upgrades it
	 */
	struct Rm : Rm_connection
	{
		Rm(Env &env, size_t ram, unsigned caps) : Rm_connection(env)
		{
			upgrade_ram(ram);
			upgrade_caps(caps);
		}
	};

	/**
	 * Attach dataspace at an address within a region map
	 */
	static inline bool attach_at(Region_map &map, Dataspace_capability ds, addr_t at,
	                             size_t size = 0, addr_t offset = 0, bool writeable = true)
	{
		return map.attach(ds, { .size       = size, .offset    = offset,
		                        .use_at     = true, .at        = at,
		                        .executable = { },  .writeable = writeable }).ok();
	}

	/**
	 * Attach dataspace somewhere in the address space, for ever
	 */
	static inline char *attach(Env &env, Dataspace_capability ds)
	{
		return env.rm().attach(ds, { .size       = { }, .offset    = { },
		                             .use_at     = { }, .at        = { },
		                             .executable = { }, .writeable = true })
			.convert<char *>(
				[&] (Env::Local_rm::Attachment &a) { a.deallocate = false; return (char *)a.ptr; },
				[&] (Env::Local_rm::Error)         { return (char *)nullptr; });
	}
}

#endif /* _CAP_CHECKPOINT_TEST__REGION_MAPS_H_ */
