/*
 * \brief  What the capabilities of a component mean
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/meaning.h>

using namespace Cap_checkpoint;


char const *Refused::name(Reason reason)
{
	switch (reason) {
	case Reason::OUT_OF_MEMORY:    return "out of memory";
	case Reason::NO_TABLE:         return "no capability table";
	case Reason::UNEXPLAINED_SLOT: return "unexplained slot";
	case Reason::AMBIGUOUS_SLOT:   return "ambiguous slot";
	case Reason::FOREIGN_MEMORY:   return "foreign memory";
	case Reason::OUTSIDE_CALL:     return "call to the outside";
	case Reason::NO_SIGNAL_THREAD: return "unknown signal thread";
	case Reason::IMAGE:            return "image";
	case Reason::ROM_DIFFERS:      return "ROM module differs";
	case Reason::SESSION:          return "session";
	case Reason::MEMORY:           return "memory";
	case Reason::THREAD:           return "thread";
	case Reason::CAPABILITY:       return "capability";
	case Reason::NO_RESTART:       return "no restart";
	case Reason::CHILDREN:         return "children";
	}
	return "unknown";
}


/**
 * Restore the heap property below an entry
 */
void Meanings::_sift(size_t at, size_t count)
{
	for (;;) {
		size_t child = 2*at + 1;

		if (child >= count)
			return;
		if (child + 1 < count && _meanings[child + 1].badge > _meanings[child].badge)
			child++;
		if (_meanings[child].badge <= _meanings[at].badge)
			return;

		Meaning const swapped = _meanings[at];
		_meanings[at]    = _meanings[child];
		_meanings[child] = swapped;
		at = child;
	}
}


void Meanings::sort()
{
	for (size_t i = _count/2; i-- > 0; )
		_sift(i, _count);

	for (size_t count = _count; count > 1; ) {
		count--;
		Meaning const swapped = _meanings[0];
		_meanings[0]     = _meanings[count];
		_meanings[count] = swapped;
		_sift(0, count);
	}
}


Meanings::Meaning const *Meanings::find(uint32_t badge) const
{
	size_t first = 0, behind = _count;

	while (first < behind) {
		size_t const middle = first + (behind - first)/2;
		if (_meanings[middle].badge == badge)
			return &_meanings[middle];
		if (_meanings[middle].badge < badge)
			first = middle + 1;
		else
			behind = middle;
	}
	return nullptr;
}
