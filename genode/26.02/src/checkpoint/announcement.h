/*
 * \brief  What a side tells the other one ahead of an offer
 * \date   2026-11-30
 *
 * The text that describes it is doc/checkpoint.md of the project that the capability
 * table comes from. Nothing is decided by it. Any change of meaning is a new version.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ANNOUNCEMENT_H_
#define _ANNOUNCEMENT_H_

/* checkpoint includes */
#include <cap_checkpoint/crc32.h>

/* local includes */
#include <types.h>

namespace Checkpoint { struct Announcement; }


/**
 * Content of a sector
 */
struct Checkpoint::Announcement
{
	static constexpr char     MAGIC[] = "CAPNEXT\n";
	static constexpr uint32_t VERSION = 1;
	static constexpr size_t   SIZE    = 512;

	enum Kind : uint32_t {
		NONE,
		BASE,        /* image that an increment will be offered of */
		PREPARED,    /* answer: an increment of this image will do */
		UNPREPARED,  /* answer: it will be read with its increment */
		NUM_KINDS
	};

	char     magic[8];
	uint32_t version;
	uint32_t side;       /* that wrote the announcement */
	uint32_t kind;
	uint32_t slot;       /* of the image */
	uint64_t number;     /* of the checkpoint that the image contains */
	uint64_t num_bytes;  /* of the image */
	uint32_t image_crc;  /* checksum of the header of the image */
	char     zeros[464];
	uint32_t crc;        /* of the bytes in front of it */

	uint32_t _crc() const { return Cap_checkpoint::Crc32::of(this, SIZE - sizeof(crc)); }

	static Announcement create(unsigned side, Kind kind, unsigned slot, uint64_t number,
	                           uint64_t num_bytes, uint32_t image_crc)
	{
		Announcement result { { }, VERSION, side, kind, slot, number, num_bytes, image_crc,
		                      { }, 0 };

		memcpy(result.magic, MAGIC, sizeof(result.magic));
		result.crc = result._crc();
		return result;
	}

	/**
	 * Return true if a side can have written this
	 */
	bool valid(unsigned expected_side) const
	{
		return !memcmp(magic, MAGIC, sizeof(magic)) && crc == _crc() && version == VERSION
		    && side == expected_side && kind > NONE && kind < NUM_KINDS && slot < 2;
	}

	bool same_image(Announcement const &other) const
	{
		return slot == other.slot && number == other.number && num_bytes == other.num_bytes
		    && image_crc == other.image_crc;
	}
};

static_assert(sizeof(Checkpoint::Announcement) == Checkpoint::Announcement::SIZE);

#endif /* _ANNOUNCEMENT_H_ */
