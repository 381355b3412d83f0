/*
 * \brief  What two systems say about who has a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CLAIM_H_
#define _CLAIM_H_

/* Genode includes */
#include <base/stdint.h>

namespace Checkpoint {

	struct Claim;
	struct Register;
	struct Registers;
}


/**
 * What a side says about the child
 */
struct Checkpoint::Claim
{
	using uint32_t = Genode::uint32_t;
	using uint64_t = Genode::uint64_t;

	enum Kind : uint32_t {
		NONE,
		HELD,       /* the child is here */
		OFFERED,    /* the child is frozen here, the other side may take the image */
		WITHDRAWN,  /* the offer is over, unless it was taken before */
		TAKEN,      /* the offer is accepted, unless it was withdrawn before */
		LEFT,       /* the child is not here */
		NUM_KINDS
	};

	/* there is a next one */
	static constexpr uint64_t MAX_EPOCH = 1ULL << 62;

	uint64_t epoch;      /* grows with each record of both sides, 0 for none */
	uint64_t seen;       /* latest epoch of the other side, but if withdrawn, that of the offer */
	uint64_t number;     /* of the checkpoint that the image contains, 0 for none */
	uint32_t image_crc;  /* checksum of the header of the image */
	uint32_t slot;       /* of the image */
	uint32_t kind;
	uint32_t zero;

	bool operator == (Claim const &) const = default;

	/**
	 * Return this claim with the image of another one
	 */
	Claim with_image_of(Claim const &other) const
	{
		Claim result = *this;
		result.number    = other.number;
		result.image_crc = other.image_crc;
		result.slot      = other.slot;
		return result;
	}
};


/**
 * Records of one side, which it writes in turn to two sectors
 *
 * A sector that is damaged may be the newer one. So nobody else decides anything before it
 * is written again.
 */
struct Checkpoint::Register
{
	Claim              newest;
	Genode::uint32_t   next;     /* sector to be written next */
	Genode::uint32_t   damaged;  /* non-zero if a sector cannot be read */
};


struct Checkpoint::Registers
{
	static constexpr unsigned NUM_SIDES = 2, NUM_SECTORS = 2;

	Register sides[NUM_SIDES];
};

#endif /* _CLAIM_H_ */
