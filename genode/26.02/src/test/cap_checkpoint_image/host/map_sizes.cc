/*
 * \brief  Test of the look-up of region maps among dataspaces
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_checkpoint/map_sizes.h>

#include "check.h"

using namespace Cap_checkpoint::Image;


/**
 * Look for maps among 'num' dataspaces, and count those that are passed
 *
 * \param is_map  returns whether the dataspace of a number is a map
 */
static void test_among(size_t const num, std::string const &what, auto const &is_map)
{
	/* map by number of its dataspace, which its size tells, too */
	std::vector<uint32_t> maps { };

	Map_sizes sizes { num };
	for (uint32_t i = 0; i < num; i++) {
		sizes.add(i, is_map(i));
		if (is_map(i))
			maps.push_back(i);
	}

	std::string const among = what + " among " + std::to_string(num) + " dataspaces: ";

	if (!checks.that(sizes.num_maps() == maps.size() && !maps.empty(), among + "number"))
		return;

	size_t steps = 0;
	bool   right = true;

	auto look_for = [&] (uint32_t map)
	{
		uint64_t const size = sizes.size(map, [&] (size_t i) {
			steps++;
			right &= i < num;

			Dataspace ds { };
			ds.kind = is_map(i) ? Dataspace::REGION_MAP : Dataspace::RAM;
			ds.size = (i + 1)*PAGE_SIZE;
			return ds;
		});
		right &= size == uint64_t(maps[map] + 1)*PAGE_SIZE;
	};

	/* as regions are ordered, of which a map may have several ones */
	for (uint32_t i = 0; i < maps.size(); i++)
		look_for(i), look_for(i);

	checks.that(right && steps <= num, among + std::to_string(steps) + " steps in ascending order");

	/* as the faults of a unit may be */
	uint32_t const num_faults = MAX_MEMBERS*MAX_THREADS, last = uint32_t(maps.size()) - 1;

	steps = 0;
	for (uint32_t i = 0; i < num_faults; i++)
		look_for(i % 2 ? last : 0);
	for (uint32_t i = 0; i < num_faults; i++)
		look_for(last - uint32_t(uint64_t(last)*i/num_faults));
	for (uint32_t i = 0; i < num_faults; i++)
		look_for(uint32_t(i*2654435761ULL % maps.size()));

	size_t const limit = 3*num_faults*(num/Map_sizes::NUM_MARKS + 1);
	checks.that(right && steps <= limit, among + std::to_string(steps) + " steps in any order");
}


void Cap_checkpoint::Image::test_map_sizes()
{
	for (size_t const num : { 1, 2, 127, 128, 129, 255, 256, 257, 1000, 100000 }) {
		test_among(num, "maps",              [&] (size_t)   { return true; });
		test_among(num, "some maps",         [&] (size_t i) { return i % 3 == 0; });
		test_among(num, "one map",           [&] (size_t i) { return i == num - 1; });
		test_among(num, "maps at the ends",  [&] (size_t i) { return i < 10 || i + 10 > num; });
	}
}
