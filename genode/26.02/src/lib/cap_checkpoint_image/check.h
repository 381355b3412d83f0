/*
 * \brief  Means to check the records of an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CHECK_H_
#define _CHECK_H_

#include <cap_checkpoint/image_reader.h>

namespace Cap_checkpoint { namespace Image {

	static constexpr char const *NO_SESSION     = "no such session",
	                            *NO_THREAD      = "no such thread",
	                            *NO_DATASPACE   = "no such dataspace",
	                            *NO_CONTEXT     = "no such signal context",
	                            *NO_MAP         = "no such region map",
	                            *NO_MEMBER      = "no such member",
	                            *NO_CPU_SESSION = "is not a CPU session",
	                            *OUT_OF_ORDER   = "is out of order",
	                            *TOO_LARGE      = "is too large";

	/**
	 * Return end of the component's part of the address space
	 */
	static inline uint64_t address_limit(System const &system)
	{
		return 1ULL << (system.architecture == System::X86_64 ? 47 : 32);
	}

	/**
	 * Return true if a range is not within the limit
	 */
	static inline bool exceeds(uint64_t start, uint64_t size, uint64_t limit)
	{
		return start > limit || size > limit - start;
	}
} }


/**
 * Copy of a record, and means to refuse its fields
 *
 * Each function returns false if the field is refused.
 */
template <typename RECORD>
struct Cap_checkpoint::Image::Reader::Item
{
	Reader       &_reader;
	size_t  const number;
	RECORD  const r;

	/**
	 * \param field  within 'r'
	 */
	bool refuse(auto const &field, char const *reason) const
	{
		size_t const within = size_t((char const *)&field - (char const *)&r);

		_reader._refuse(RECORD::SECTION, number*sizeof(RECORD) + within, reason);
		_reader._refusal.record = number;
		return false;
	}

	bool zero(auto const &field) const
	{
		return !field || refuse(field, "reserved field is not zero");
	}

	template <size_t N>
	bool text(char const (&field)[N]) const
	{
		bool end = false;
		for (char c : field) {
			if (end && c)
				return refuse(field, "text is malformed");
			end |= !c;
		}
		return end || refuse(field, "text is malformed");
	}

	/**
	 * Check that the field names a record, or none if that is allowed
	 */
	bool names(uint32_t const &field, size_t num_records, char const *reason) const
	{
		return field < num_records || refuse(field, reason);
	}

	bool names_or_none(uint32_t const &field, size_t num_records, char const *reason) const
	{
		return field == NONE || names(field, num_records, reason);
	}

	/**
	 * Check the member that the record belongs to, before anything else depends on it
	 */
	bool member() const { return names(r.member, _reader._num_members, NO_MEMBER); }

	/**
	 * Check that the slot in the field leads to this record
	 */
	bool slot(uint32_t const &field, Kind kind) const
	{
		return field == NONE || _reader._leads_to(field, kind, number)
		    || refuse(field, "slot does not lead to this");
	}
};


template <typename RECORD>
bool Cap_checkpoint::Image::Reader::_check_each(auto const &fn)
{
	size_t const count = num<RECORD>();

	for (size_t i = 0; i < count; i++)
		if (!fn(Item<RECORD> { *this, i, get<RECORD>(i) }))
			return false;

	return true;
}

#endif /* _CHECK_H_ */
