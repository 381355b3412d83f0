/*
 * \brief  Digest by which the search tells states apart
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _KEY_H_
#define _KEY_H_

#include <cstdint>
#include <cstring>

struct Key
{
	uint64_t a, b;

	bool operator == (Key const &) const = default;

	struct Hash { size_t operator () (Key const &key) const { return key.a; } };

	static Key of(auto const &object)
	{
		uint64_t words[sizeof(object)/8];
		memcpy(words, &object, sizeof(words));

		Key key { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f };
		for (uint64_t word : words) {
			key.a = (key.a ^ word)*0xff51afd7ed558ccd;
			key.a ^= key.a >> 32;
			key.b = (key.b + word)*0xc4ceb9fe1a85ec53;
			key.b ^= key.b >> 29;
		}
		return key;
	}
};

#endif /* _KEY_H_ */
