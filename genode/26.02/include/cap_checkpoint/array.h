/*
 * \brief  Array of a size that is known at run time
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__ARRAY_H_
#define _INCLUDE__CAP_CHECKPOINT__ARRAY_H_

/* Genode includes */
#include <base/allocator.h>
#include <util/construct_at.h>

namespace Cap_checkpoint {

	using namespace Genode;

	template <typename> class Array;
}


template <typename T>
class Cap_checkpoint::Array : Noncopyable
{
	private:

		struct Element { T value { }; };

		Allocator &_alloc;
		Element   *_elements = nullptr;
		size_t     _count    = 0;

		/*
		 * Noncopyable
		 */
		Array(Array const &);
		Array &operator = (Array const &);

	public:

		Array(Allocator &alloc) : _alloc(alloc) { }

		~Array()
		{
			for (size_t i = 0; i < _count; i++)
				_elements[i].~Element();

			if (_count)
				_alloc.free(_elements, _count*sizeof(Element));
		}

		/**
		 * Provide room for 'count' elements, to be called once
		 */
		bool reserve(size_t count)
		{
			if (!count)
				return true;

			return _alloc.try_alloc(count*sizeof(Element)).template convert<bool>(
				[&] (Memory::Allocation &a) {
					a.deallocate = false;
					_elements = (Element *)a.ptr;
					for (; _count < count; _count++)
						construct_at<Element>(&_elements[_count]);
					return true; },
				[&] (Alloc_error) { return false; });
		}

		size_t count() const { return _count; }

		T       &operator [] (size_t i)       { return _elements[i].value; }
		T const &operator [] (size_t i) const { return _elements[i].value; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__ARRAY_H_ */
