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
#include "history.h"

using namespace Cap_checkpoint::Image;

enum class Kind : uint32_t { SINGLE, MAPS, UNIT };

/**
 * What is said of a chain
 */
struct Chain_found
{
	uint32_t containers, rest;
	uint64_t offset;
};

extern "C" size_t image_sample(uint32_t pages, Kind kind, char *bytes, size_t room);
extern "C" bool   image_read(char const *bytes, size_t count, uint64_t *offset, char *reason, size_t room);
extern "C" size_t image_history(uint32_t seed, bool unit, uint32_t containers, bool complete,
                                char *bytes, size_t room);
extern "C" size_t image_mixed_history(uint32_t units, uint32_t containers, bool complete,
                                      char *bytes, size_t room);
extern "C" size_t image_chain(char const *bytes, size_t count, Chain_found *found, char *reason,
                              size_t reason_room, char *merged, size_t room);
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


/**
 * Copy bytes if they fit
 *
 * \return  number of bytes
 */
static size_t copy(Bytes const &from, char *to, size_t room)
{
	if (from.size() <= room)
		memcpy(to, from.data(), from.size());

	return from.size();
}


size_t image_sample(uint32_t pages, Kind kind, char *bytes, size_t room)
{
	static std::pair<uint32_t, uint32_t> const places[] { { 0, 0 }, { 0, 2 }, { 5, 0 } };

	Sample sample = (kind == Kind::UNIT) ? Sample_unit()
	              : (kind == Kind::MAPS) ? Sample_with_maps() : Sample();
	sample.fill({ places, places + pages });

	return copy(sample.image(), bytes, room);
}


size_t image_history(uint32_t seed, bool unit, uint32_t containers, bool complete,
                     char *bytes, size_t room)
{
	History const history { seed, unit, containers };

	return copy(complete ? history.complete() : history.chain, bytes, room);
}


size_t image_mixed_history(uint32_t units, uint32_t containers, bool complete,
                           char *bytes, size_t room)
{
	History const history = mixed_history(units, containers);

	return copy(complete ? history.complete() : history.chain, bytes, room);
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


size_t image_chain(char const *bytes, size_t count, Chain_found *found, char *reason,
                   size_t reason_room, char *merged, size_t room)
{
	Chain const chain { bytes, count };

	*found = { chain.length(), uint32_t(chain.rest()), chain.refusal().offset };

	if (chain.rest() == Chain::Rest::DAMAGED)
		copy(text(chain.refusal()), reason, reason_room);

	return chain.valid() ? copy(Cap_checkpoint::Image::merged(chain), merged, room) : 0;
}


bool image_json(char const *bytes, size_t count, char *out, size_t room)
{
	std::string const text = json({ bytes, bytes + count });

	return !text.empty() && copy(text, out, room);
}
