/*
 * \brief  Image or start node that is to be used
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CASE_H_
#define _CASE_H_

/* local includes */
#include <altered_image.h>

namespace Test { struct Case; }


/**
 * Something that 'checkpoint' must refuse
 */
struct Test::Case
{
	using Name = String<64>;

	char const *name;
	char const *reason;  /* part of the expected message, nullptr if there is none */

	/* of the start node */
	size_t      ram     = 4*1024*1024;
	char const *image   = "/images/victim";
	size_t      size    = 0;  /* of the place */
	char const *restore = "only";

	void (*alter)(Altered_image &) = nullptr;

	bool sealed   = true;   /* checksums are made right */
	bool older    = false;  /* there is an intact image, too */
	bool restored = false;  /* in spite of what is refused, if anything */
	bool provides = false;  /* the child may have clients, who donate quota */

	/* 254 characters */
	static constexpr char const *LONG_PATH =
		"/123456789012345678901234567890123456789012345678901234567890123"
		"4567890123456789012345678901234567890123456789012345678901234567"
		"8901234567890123456789012345678901234567890123456789012345678901"
		"23456789012345678901234567890123456789012345678901234567890123";
};

#endif /* _CASE_H_ */
