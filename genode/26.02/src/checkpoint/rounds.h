/*
 * \brief  Images that are sent ahead of a move
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ROUNDS_H_
#define _ROUNDS_H_

/* local includes */
#include <types.h>

namespace Checkpoint { class Rounds; }


/**
 * Image with its increments that the other side gets while the child is running
 *
 * The other side reads the whole memory first, and then what was written since the image before.
 */
class Checkpoint::Rounds
{
	private:

		static constexpr unsigned MAX = 8;

		/* pages that take less time than another round */
		static constexpr size_t ENOUGH = 16;

		/* room for increments behind an image that is small */
		static constexpr uint64_t MIN_ROOM = 4*1024*1024;

		unsigned _count = 0;
		size_t   _pages = 0;  /* of the last one */
		bool     _over  = false;

	public:

		/**
		 * Return bytes that increments may take behind a complete image
		 */
		static uint64_t room(uint64_t whole) { return max(whole, MIN_ROOM); }

		/**
		 * Return bytes that the other side provides if it cannot afford more
		 */
		static uint64_t least_room(uint64_t whole) { return max(whole/4, MIN_ROOM); }

		unsigned count() const { return _count; }

		/**
		 * Return true if the next image is made while the child stands still
		 */
		bool over() const { return _over; }

		void end() { _over = true; }

		/**
		 * Return true if another round leaves less to be done than this one has
		 *
		 * The first one may be an increment, but the other side has read all that is in front of it, too.
		 *
		 * \param pages  that were written since the last one
		 */
		bool worth(size_t pages) const
		{
			return _count < MAX && pages > ENOUGH && (_count == 1 || pages*4 <= _pages*3);
		}

		/**
		 * Take note of a round
		 *
		 * \param pages  that it has, or more, unless it is the first one
		 */
		void add(size_t pages)
		{
			_pages = pages;
			_count++;
		}
};

#endif /* _ROUNDS_H_ */
