/*
 * \brief  Reader and sample for tests in Rust
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cstring>

#include "check.h"

using namespace Cap_checkpoint::Image;

extern "C" size_t image_sample(uint32_t pages, char *bytes, size_t room);
extern "C" bool   image_read(char const *bytes, size_t count, uint64_t *offset, char *reason, size_t room);
extern "C" bool   image_json(char const *bytes, size_t count, char *out, size_t room);


/**
 * Copy a text that fits
 */
static bool copy(std::string const &from, char *to, size_t room)
{
	if (from.size() >= room)
		return false;

	memcpy(to, from.c_str(), from.size() + 1);
	return true;
}


size_t image_sample(uint32_t pages, char *bytes, size_t room)
{
	static std::pair<uint32_t, uint32_t> const places[] { { 0, 0 }, { 0, 2 }, { 5, 0 } };

	Sample sample { };
	sample.fill({ places, places + pages });

	Bytes const image = sample.image();
	if (image.size() <= room)
		memcpy(bytes, image.data(), image.size());

	return image.size();
}


bool image_read(char const *bytes, size_t count, uint64_t *offset, char *reason, size_t room)
{
	Reader const reader { bytes, count };

	if (!reader.valid()) {
		*offset = reader.refusal().offset;
		copy(text(reader.refusal()), reason, room);
	}
	return reader.valid();
}


bool image_json(char const *bytes, size_t count, char *out, size_t room)
{
	std::string const text = json({ bytes, bytes + count });

	return !text.empty() && copy(text, out, room);
}
