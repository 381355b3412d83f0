/*
 * \brief  CRC-32, the one of zlib
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__CRC32_H_
#define _INCLUDE__CAP_CHECKPOINT__CRC32_H_

/* Genode includes */
#include <base/stdint.h>

namespace Cap_checkpoint {

	struct Crc32_tables;
	class  Crc32;
}


/**
 * Effect of a byte that is followed by so many bytes of the same step
 */
struct Cap_checkpoint::Crc32_tables
{
	using uint32_t = Genode::uint32_t;

	/* bytes that are processed at once */
	static constexpr unsigned STEP = 8;

	uint32_t value[STEP][256] { };

	constexpr Crc32_tables()
	{
		for (uint32_t byte = 0; byte < 256; byte++) {
			uint32_t v = byte;
			for (unsigned bit = 0; bit < 8; bit++)
				v = (v >> 1) ^ ((v & 1) ? 0xedb88320U : 0U);
			value[0][byte] = v;
		}
		for (unsigned behind = 1; behind < STEP; behind++)
			for (unsigned byte = 0; byte < 256; byte++) {
				uint32_t const v = value[behind - 1][byte];
				value[behind][byte] = (v >> 8) ^ value[0][v & 0xff];
			}
	}
};


/**
 * Checksum with the polynomial 0x04c11db7, reflected
 */
class Cap_checkpoint::Crc32
{
	private:

		using uint8_t  = Genode::uint8_t;
		using uint32_t = Genode::uint32_t;
		using size_t   = Genode::size_t;

		static constexpr Crc32_tables TABLES { };

		uint32_t _state = ~0U;

	public:

		void append(void const *bytes, size_t num_bytes)
		{
			uint8_t const *p = (uint8_t const *)bytes;

			auto const &t = TABLES.value;

			for (; num_bytes >= TABLES.STEP;
			     num_bytes -= TABLES.STEP, p += TABLES.STEP)
				_state = t[7][p[0] ^ ( _state        & 0xff)]
				       ^ t[6][p[1] ^ ((_state >>  8) & 0xff)]
				       ^ t[5][p[2] ^ ((_state >> 16) & 0xff)]
				       ^ t[4][p[3] ^ ( _state >> 24)]
				       ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];

			for (; num_bytes; num_bytes--)
				_state = (_state >> 8) ^ t[0][(_state ^ *p++) & 0xff];
		}

		uint32_t value() const { return ~_state; }

		static uint32_t of(void const *bytes, size_t num_bytes)
		{
			Crc32 crc { };
			crc.append(bytes, num_bytes);
			return crc.value();
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__CRC32_H_ */
