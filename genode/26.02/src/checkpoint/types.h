/*
 * \brief  Types that are used throughout the component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _TYPES_H_
#define _TYPES_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/env.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/node.h>
#include <os/vfs.h>

namespace Checkpoint {

	using namespace Genode;

	using Name    = String<64>;
	using Path    = Directory::Path;
	using Version = String<80>;
	using Message = String<256>;

	/* what no child and no image may use up */
	static constexpr size_t RESERVED_RAM = 256*1024, RESERVED_CAPS = 40;

	/* granularity of places on media */
	static constexpr size_t BLOCK_SIZE = 4096;

	/* larger images, with their increments, are neither written nor read */
	static constexpr size_t MAX_IMAGE_SIZE = 128*1024*1024;

	/* no image may use up the numbers of those that follow */
	static constexpr uint64_t MAX_NUMBER = 1ULL << 62;

	/**
	 * Return true if the component can spare resources
	 */
	static inline bool available(Pd_session &pd, Ram_quota ram, Cap_quota caps)
	{
		return pd.avail_ram().value  >= ram.value  + RESERVED_RAM
		    && pd.avail_caps().value >= caps.value + RESERVED_CAPS;
	}
}

#endif /* _TYPES_H_ */
