/*
 * \brief  Counted reference to a slot of the capability space
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _BASE_FOC__NATIVE_CAPABILITY_H_
#define _BASE_FOC__NATIVE_CAPABILITY_H_

#include <base_foc/cap_index.h>

namespace Base_foc {

	template <typename> class Native_capability;

	template <typename CAP, typename PLATFORM>
	CAP adopt_capability(Cap_index<PLATFORM>);
}


/**
 * Return capability that takes over the reference that comes with a handle
 *
 * For results of 'Capability_map::insert_map'. It works with any capability
 * type that counts a reference of its own when constructed from a handle.
 */
template <typename CAP, typename PLATFORM>
CAP Base_foc::adopt_capability(Cap_index<PLATFORM> index)
{
	/* gives back the handle's own reference, also if the copy should throw */
	struct Reference
	{
		Cap_index<PLATFORM> index;
		~Reference() { if (index) index.dec(); }
	};

	Reference const reference { index };

	return CAP(reference.index);
}


/**
 * Counted reference to a slot of the capability space
 *
 * For environments that do not bring a type of that name along, as Genode does.
 *
 * \param PLATFORM  see 'cap_space.h'
 */
template <typename PLATFORM>
class Base_foc::Native_capability
{
	public:

		using Index = Cap_index<PLATFORM>;
		using Data  = typename PLATFORM::Cap_data;

	private:

		Data *_data = nullptr;

		void _inc() { if (_data) Index(_data).inc(); }
		void _dec() { if (_data) Index(_data).dec(); }

	public:

		/**
		 * Capability that refers to no slot
		 */
		Native_capability() { }

		/**
		 * Constructor takes a reference of its own
		 */
		Native_capability(Data *data) : _data(data) { _inc(); }

		Native_capability(Native_capability const &other)
		: _data(other._data) { _inc(); }

		~Native_capability() { _dec(); }

		/**
		 * Return capability for a result of 'Capability_map::insert_map'
		 */
		static Native_capability adopt(Index index)
		{
			return adopt_capability<Native_capability>(index);
		}

		Native_capability &operator = (Native_capability const &other)
		{
			Native_capability const keep_alive(*this);
			_dec();
			_data = other._data;
			_inc();
			return *this;
		}

		bool operator == (Native_capability const &other) const
		{
			return _data == other._data;
		}

		Data       *data()       { return _data; }
		Data const *data() const { return _data; }

		long local_name() const { return _data ? long(Index(_data).id()) : 0; }

		bool valid() const { return _data && Index(_data).valid(); }
};

#endif /* _BASE_FOC__NATIVE_CAPABILITY_H_ */
