/*
 * \brief  Where the images of a child are
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _PLACE_H_
#define _PLACE_H_

/* local includes */
#include <claim.h>
#include <types.h>

namespace Checkpoint { struct Place; }


/**
 * Where the images of a child are
 *
 * There are always two of them, so that the newer one is complete before the older
 * one is overwritten. They are two files, or the halves of a range of one file, for
 * example of a block device.
 */
struct Checkpoint::Place
{
	static constexpr unsigned NUM_SLOTS = 2;

	Path     path   { };
	uint64_t offset = 0, size = 0;  /* bytes of the range, 0 for two files */
	bool     shared = false;        /* with another system, by records in front of the images */

	static constexpr unsigned NUM_RECORDS  = Registers::NUM_SIDES*Registers::NUM_SECTORS;
	static constexpr uint64_t RECORDS_SIZE = (NUM_RECORDS + Registers::NUM_SIDES)*BLOCK_SIZE;

	bool valid() const { return path.length() > 1; }
	bool range() const { return size; }

	/**
	 * Return true if both can be used at the same time
	 */
	bool distinct(Place const &other) const
	{
		if (!valid() || !other.valid())
			return true;

		if (range() && other.range())
			return path != other.path || offset + size <= other.offset
			                          || other.offset + other.size <= offset;

		for (unsigned i = 0; i < NUM_SLOTS; i++)
			for (unsigned j = 0; j < NUM_SLOTS; j++)
				if (file(i) == other.file(j))
					return false;

		return true;
	}

	bool operator == (Place const &) const = default;

	Path file(unsigned slot) const { return range() ? path : Path(path, ".", slot); }

	uint64_t records_size() const { return shared ? RECORDS_SIZE : 0; }
	uint64_t half()         const { return (size - records_size())/NUM_SLOTS; }

	uint64_t start(unsigned slot) const
	{
		return range() ? offset + records_size() + slot*half() : 0;
	}

	/* each record has a block of its own, and so has each announcement behind the records */
	uint64_t record_at(unsigned side, unsigned sector) const
	{
		return offset + (side*Registers::NUM_SECTORS + sector)*BLOCK_SIZE;
	}

	uint64_t announcement_at(unsigned side) const
	{
		return offset + (NUM_RECORDS + side)*BLOCK_SIZE;
	}

	/* no image is written that would not be read */
	uint64_t capacity() const
	{
		return range() ? min(half(), uint64_t(MAX_IMAGE_SIZE)) : MAX_IMAGE_SIZE;
	}
};

#endif /* _PLACE_H_ */
