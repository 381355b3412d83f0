/*
 * \brief  Record of who has a child, as it is on a medium
 * \date   2026-11-30
 *
 * The text that describes it is doc/checkpoint.md of the project that the capability
 * table comes from. Any change of meaning is a new version.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _OWNER_RECORD_H_
#define _OWNER_RECORD_H_

/* checkpoint includes */
#include <cap_checkpoint/crc32.h>

/* local includes */
#include <claim.h>

namespace Checkpoint { struct Owner_record; }


/**
 * Content of a sector
 */
struct Checkpoint::Owner_record
{
	using uint32_t = Genode::uint32_t;
	using uint64_t = Genode::uint64_t;
	using size_t   = Genode::size_t;

	static constexpr char     MAGIC[] = "CAPOWNR\n";
	static constexpr uint32_t VERSION = 1;
	static constexpr size_t   SIZE    = 512;

	char     magic[8];
	uint32_t version;
	uint32_t side;         /* that wrote the record */
	Claim    claim;
	char     reason[128];  /* text for the other side, zeros behind its end */
	char     zeros[324];
	uint32_t crc;          /* of the bytes in front of it */

	uint32_t _crc() const { return Cap_checkpoint::Crc32::of(this, SIZE - sizeof(crc)); }

	Owner_record() = default;

	Owner_record(unsigned side, Claim const &claim, char const *text)
	: version(VERSION), side(side), claim(claim), reason(), zeros(), crc()
	{
		__builtin_memcpy(magic, MAGIC, sizeof(magic));

		for (size_t i = 0; i < sizeof(reason) - 1 && text[i]; i++)
			reason[i] = text[i];

		crc = _crc();
	}

	bool blank() const
	{
		char any = 0;
		for (size_t i = 0; i < SIZE; i++)
			any = char(any | ((char const *)this)[i]);
		return !any;
	}

	/**
	 * Return true if a side can have written this
	 */
	bool valid(unsigned expected_side) const
	{
		return !__builtin_memcmp(magic, MAGIC, sizeof(magic))
		    && crc == _crc() && version == VERSION && side == expected_side
		    && claim.epoch > 0 && claim.epoch <= Claim::MAX_EPOCH && claim.seen < claim.epoch
		    && claim.kind > Claim::NONE && claim.kind < Claim::NUM_KINDS
		    && claim.slot < 2 && !claim.zero && !reason[sizeof(reason) - 1];
	}

	/**
	 * Return what a side says by both of its sectors
	 */
	static Register evaluate(Owner_record const (&sectors)[Registers::NUM_SECTORS], unsigned side)
	{
		Register result { };

		for (unsigned i = 0; i < Registers::NUM_SECTORS; i++) {

			Owner_record const &record = sectors[i];

			if (record.valid(side)) {
				/* two records with one number contradict each other */
				if (record.claim.epoch == result.newest.epoch)
					result.damaged = 1;
				if (record.claim.epoch > result.newest.epoch)
					result = { record.claim, 1 - i, result.damaged };
			} else if (!record.blank())
				result.damaged = 1;
		}

		/* what is damaged is written first */
		for (unsigned i = 0; i < Registers::NUM_SECTORS; i++)
			if (!sectors[i].valid(side) && !sectors[i].blank())
				result.next = i;

		return result;
	}

	/**
	 * Return the text that comes with what a side says
	 */
	static char const *reason_of(Owner_record const (&sectors)[Registers::NUM_SECTORS],
	                             Register const &r)
	{
		for (Owner_record const &record : sectors)
			if (r.newest.epoch && record.claim == r.newest)
				return record.reason;
		return "";
	}
};

static_assert(sizeof(Checkpoint::Claim) == 40 && sizeof(Checkpoint::Owner_record) == 512);

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are used as they are");

#endif /* _OWNER_RECORD_H_ */
