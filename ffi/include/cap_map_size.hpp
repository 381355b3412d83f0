/*
 * \brief  Memory sizes of the flat capability table, as array dimensions
 *
 * The functions of cap_map.h that are called 'size' return the same numbers at
 * run time.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef CAP_MAP_SIZE_HPP
#define CAP_MAP_SIZE_HPP

#include <cap_map.h>

namespace Cap_map {

	enum : uint32_t { MIN_SLOTS = CAP_MAP_MIN_SLOTS, MAX_SLOTS = CAP_MAP_MAX_SLOTS };

	/* alignments of the memory passed to 'Owner::create' */
	enum : size_t { REGION_ALIGN = CAP_MAP_REGION_ALIGN, OWNER_ALIGN = CAP_MAP_OWNER_ALIGN };

	constexpr bool slots_in_range(uint32_t slots)
	{
		return slots >= MIN_SLOTS && slots <= MAX_SLOTS;
	}

	constexpr size_t _div_ceil(size_t n, size_t by) { return (n + by - 1)/by; }

	constexpr size_t _pow2_ceil(size_t n, size_t from = 1)
	{
		return from >= n ? from : _pow2_ceil(n, 2*from);
	}

	/* bitmap of free slots and its summary, 4 bytes for 32 bits each */
	constexpr size_t _bitmap_bytes(size_t words)
	{
		return 4*(words + _div_ceil(words, 32));
	}

	constexpr size_t _index_entry_bytes(size_t slots)
	{
		return slots < CAP_MAP_OWNER_WIDE_SLOTS ? 2 : 4;
	}

	/* chains of objects and reference counts for 'own' of 'slots' slots */
	constexpr size_t _private_bytes(size_t own, size_t slots)
	{
		return _div_ceil(8*CAP_MAP_OWNER_CHAINS*_div_ceil(own, 64)
		                 + _index_entry_bytes(slots)*_pow2_ceil(2*slots)
		                 + _bitmap_bytes(_div_ceil(slots, 32))
		                 + 2*own, 8)*8;
	}

	/**
	 * Bytes of a region with 'capacity' slots, 0 for a capacity out of range
	 */
	constexpr size_t region_bytes(uint32_t capacity)
	{
		return slots_in_range(capacity)
		     ? CAP_MAP_REGION_HEADER_BYTES + size_t(capacity)*CAP_MAP_REGION_SLOT_BYTES
		     : 0;
	}

	/**
	 * Bytes of private memory for up to 'max_slots' slots, 0 for a number
	 * out of range
	 */
	constexpr size_t owner_bytes(uint32_t max_slots)
	{
		return slots_in_range(max_slots)
		     ? CAP_MAP_OWNER_HEADER_BYTES + _private_bytes(max_slots, max_slots)
		     : 0;
	}

	/**
	 * Bytes of private memory by which a table for up to 'from' slots grows
	 * to 'to' slots, 0 for numbers out of range
	 */
	constexpr size_t growth_bytes(uint32_t from, uint32_t to)
	{
		return slots_in_range(from) && slots_in_range(to) && from < to
		     ? CAP_MAP_GROWTH_HEADER_BYTES + _private_bytes(to - from, to)
		     : 0;
	}
}

#endif /* CAP_MAP_SIZE_HPP */
