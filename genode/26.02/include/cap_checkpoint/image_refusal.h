/*
 * \brief  Why an image is refused
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__IMAGE_REFUSAL_H_
#define _INCLUDE__CAP_CHECKPOINT__IMAGE_REFUSAL_H_

/* Genode includes */
#include <base/output.h>
#include <base/stdint.h>

namespace Cap_checkpoint { namespace Image { struct Refusal; } }


/**
 * Why an image is refused
 */
struct Cap_checkpoint::Image::Refusal
{
	using uint64_t = Genode::uint64_t;

	static constexpr uint64_t NO_RECORD = ~0ULL;

	char const *reason;   /* nullptr if all is well */
	char const *section;  /* nullptr if it is about the container */
	uint64_t    record;   /* number in the section */
	uint64_t    offset;   /* byte of the image or chain */

	uint64_t    container = 0; /* position in the chain */

	void print(Genode::Output &out) const
	{
		Genode::print(out, "at offset ", offset, ": ");

		if (container)
			Genode::print(out, "container ", container, ": ");
		if (section)
			Genode::print(out, "section \"", section, "\": ");
		if (record != NO_RECORD)
			Genode::print(out, "record ", record, ": ");

		Genode::print(out, reason);
	}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__IMAGE_REFUSAL_H_ */
