/*
 * \brief  Sizes of the region maps of RM sessions
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__MAP_SIZES_H_
#define _INCLUDE__CAP_CHECKPOINT__MAP_SIZES_H_

#include <cap_checkpoint/image.h>

namespace Cap_checkpoint { namespace Image { class Map_sizes; } }


/**
 * Sizes of the region maps of RM sessions, which are dataspaces among others
 *
 * An image may have millions of maps, and page faults name them in any order.
 * Nothing is allocated. So marks tell how many maps are in front of some dataspaces.
 * All look-ups in ascending order pass each dataspace once. Any other look-up passes
 * the marks, and the dataspaces from one mark to the next. As many look-ups as a
 * component has threads pass no more than about all dataspaces.
 */
class Cap_checkpoint::Image::Map_sizes
{
	public:

		static constexpr size_t NUM_MARKS = MAX_THREADS;

	private:

		size_t   _distance;             /* dataspaces from one mark to the next */
		uint32_t _marks[NUM_MARKS] { }; /* maps in front of the dataspace */
		size_t   _num_marks = 0;
		uint32_t _num_maps  = 0;

		struct Passed
		{
			size_t   dataspaces;
			uint32_t maps;
			uint64_t size; /* of the last one of them */

		} _passed { };

	public:

		Map_sizes(size_t num_dataspaces) : _distance(num_dataspaces/NUM_MARKS + 1) { }

		/**
		 * Take notice of the next dataspace
		 */
		void add(size_t number, bool is_map)
		{
			if (number % _distance == 0)
				_marks[_num_marks++] = _num_maps;

			_num_maps += is_map;
		}

		uint32_t num_maps() const { return _num_maps; }

		/**
		 * Return size of a region map
		 *
		 * \param map        lower than 'num_maps()'
		 * \param dataspace  returns the dataspace of a number
		 */
		uint64_t size(uint32_t const map, auto const &dataspace)
		{
			/* the first mark if it has been passed, otherwise the next one */
			size_t mark = (map + 1 < _passed.maps) ? 0 : _passed.dataspaces/_distance + 1;

			for (; mark < _num_marks && _marks[mark] <= map; mark++)
				_passed = { mark*_distance, _marks[mark], 0 };

			for (; _passed.maps <= map; _passed.dataspaces++) {
				Dataspace const ds = dataspace(_passed.dataspaces);
				if (ds.kind == Dataspace::REGION_MAP) {
					_passed.maps++;
					_passed.size = ds.size;
				}
			}
			return _passed.size;
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__MAP_SIZES_H_ */
