/*
 * \brief  Room for frames in a buffer of a network session
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__FRAME_SLOTS_H_
#define _INCLUDE__CAP_CHECKPOINT__FRAME_SLOTS_H_

/* Genode includes */
#include <util/misc_math.h>
#include <util/noncopyable.h>

namespace Cap_checkpoint {

	using namespace Genode;

	class Frame_slots;
}


/**
 * Frames that the other side has got and not given back, each in a slot of its own
 */
class Cap_checkpoint::Frame_slots : Noncopyable
{
	public:

		/* a queue has room for all acknowledgements, as some servers do not wait for any */
		static constexpr unsigned MAX = 1023;

		/* a frame starts behind some bytes, so that what follows its header is aligned */
		static constexpr size_t SIZE = 1600, PADDING = 2, MAX_FRAME = SIZE - PADDING;

		/* 0 if a slot is free */
		using Used = uint8_t[MAX + 1];

	private:

		Used          &_used;
		size_t   const _begin;  /* offset of the first slot in the buffer */
		unsigned const _count;

		unsigned _next = 0;  /* where to look for a free one */

	public:

		/**
		 * Constructor
		 *
		 * \param begin  offset of what may be used of the buffer
		 * \param size   of the whole buffer
		 */
		Frame_slots(Used &used, size_t begin, size_t size)
		:
			_used(used), _begin(begin),
			_count(size > begin ? unsigned(min((size - begin)/SIZE, size_t(MAX))) : 0)
		{ }

		/**
		 * Return false if there is no room for a single frame
		 */
		bool valid() const { return _count; }

		/**
		 * Call 'fn' with the offset of a free slot, which is used from then on if it returns true
		 *
		 * \return  false if there is none
		 */
		bool use(auto const &fn)
		{
			for (unsigned i = 0; i < _count; i++) {

				unsigned const slot = (_next + i) % _count;

				if (_used[slot])
					continue;

				if (fn(off_t(_begin + slot*SIZE + PADDING))) {
					_used[slot] = 1;
					_next       = slot + 1;
				}
				return true;
			}
			return false;
		}

		/**
		 * Take a frame back
		 *
		 * \param offset  as told by the other side
		 */
		void free(off_t offset)
		{
			if (offset < off_t(_begin + PADDING))
				return;

			size_t const at = size_t(offset) - _begin - PADDING;

			if (at % SIZE == 0 && at/SIZE < _count)
				_used[at/SIZE] = 0;
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__FRAME_SLOTS_H_ */
