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
	static constexpr uint32_t VERSION = 3;
	static constexpr size_t   SIZE    = 512;

	using Sectors = Owner_record[Registers::NUM_SECTORS];
	using All     = Sectors[Registers::NUM_SIDES];

	char     magic[8];
	uint32_t version;
	uint32_t side;         /* that wrote the record */
	Claim    claim;
	char     reason[128];  /* text for the other side, zeros behind its end */
	uint64_t previous;     /* epoch in the other sector of this side, 0 for none */
	uint64_t known;        /* greatest epoch of the other side that was ever read */
	uint64_t range;        /* bytes of the range of the medium, records included */
	char     zeros[300];
	uint32_t crc;          /* of the bytes in front of it */

	uint32_t _crc() const { return Cap_checkpoint::Crc32::of(this, SIZE - sizeof(crc)); }

	static Owner_record const *_newest(Sectors const &sectors, unsigned side)
	{
		Owner_record const *newest = nullptr;

		for (Owner_record const &record : sectors)
			if (record.valid(side) && (!newest || record.claim.epoch > newest->claim.epoch))
				newest = &record;

		return newest;
	}

	/**
	 * Return what a side says by both of its sectors
	 */
	static Register _evaluate(All const &records, unsigned side)
	{
		Sectors const &sectors = records[side];

		Owner_record const * const newest = _newest(sectors, side),
		                   * const theirs = _newest(records[!side], !side);

		Register result { };

		if (newest)
			result = { newest->claim, newest == &sectors[0], 0 };

		for (unsigned i = 0; i < Registers::NUM_SECTORS; i++) {

			Owner_record const &record = sectors[i];

			/* two records with one number contradict each other */
			if (newest && &record != newest && record.valid(side)
			 && record.claim.epoch == newest->claim.epoch)
				result.damaged = 1;

			bool const lost = newest && newest->previous && record.blank();

			/* what is damaged is written first */
			if (lost || (!record.valid(side) && !record.blank())) {
				result.damaged = 1;
				result.next    = i;
			}
		}

		/* the other side has read what is not there any more */
		if (theirs && theirs->known > result.newest.epoch)
			result.damaged = 1;

		return result;
	}

	Owner_record() = default;

	Owner_record(unsigned side, Claim const &claim, char const *text, uint64_t range)
	:
		version(VERSION), side(side), claim(claim), reason(), previous(), known(), range(range),
		zeros(), crc()
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
	 * Note the records that this one follows, so that they cannot vanish unnoticed
	 *
	 * \param sector  where this record is written to
	 */
	void follow(All const &records, unsigned sector)
	{
		Owner_record const &other  = records[side][1 - sector],
		             *const mine   = _newest(records[side],  side),
		             *const theirs = _newest(records[!side], !side);

		previous = other.valid(side) ? other.claim.epoch : 0;
		known    = theirs ? theirs->claim.epoch : 0;

		if (mine && mine->known > known)
			known = mine->known;

		crc = _crc();
	}

	/**
	 * Return what both sides say
	 */
	static Registers evaluate(All const &records)
	{
		return { { _evaluate(records, 0), _evaluate(records, 1) } };
	}

	/**
	 * Return the text that comes with what a side says
	 */
	static char const *reason_of(Sectors const &sectors, Register const &r)
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
