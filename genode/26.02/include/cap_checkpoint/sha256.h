/*
 * \brief  SHA-256
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SHA256_H_
#define _INCLUDE__CAP_CHECKPOINT__SHA256_H_

/* Genode includes */
#include <base/stdint.h>

namespace Cap_checkpoint { class Sha256; }


/**
 * Hash function of FIPS 180-4
 */
class Cap_checkpoint::Sha256
{
	private:

		using uint8_t  = Genode::uint8_t;
		using uint32_t = Genode::uint32_t;
		using uint64_t = Genode::uint64_t;
		using size_t   = Genode::size_t;

		static constexpr size_t BLOCK = 64;

		static constexpr uint32_t ROUNDS[64] = {
			0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
			0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
			0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
			0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
			0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
			0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
			0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
			0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
			0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
			0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
			0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

		uint32_t _state[8] { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

		uint8_t  _block[BLOCK] { };  /* begun, but not complete */
		size_t   _filled = 0;
		uint64_t _total  = 0;

		static uint32_t _rotated(uint32_t v, unsigned n) { return (v >> n) | (v << (32 - n)); }

		/**
		 * One round, after which the variables swap their roles
		 *
		 * The caller names them in turn, so that none is moved. They stay in
		 * registers if this is inlined, with a third of the instructions.
		 */
		__attribute__((always_inline))
		static inline void _round(uint32_t a, uint32_t b, uint32_t c, uint32_t &d,
		                          uint32_t e, uint32_t f, uint32_t g, uint32_t &h,
		                          uint32_t input)
		{
			uint32_t const t = h + input + (g ^ (e & (f ^ g)))
			                 + (_rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25));
			d += t;
			h  = t + ((a & b) | (c & (a | b)))
			       + (_rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22));
		}

		void _process(uint8_t const *p)
		{
			uint32_t w[64];

			for (unsigned i = 0; i < 16; i++, p += 4)
				w[i] = uint32_t(p[0]) << 24 | uint32_t(p[1]) << 16
				     | uint32_t(p[2]) <<  8 | uint32_t(p[3]);

			for (unsigned i = 16; i < 64; i++) {
				uint32_t const a = w[i - 15], b = w[i - 2];
				w[i] = w[i - 16] + w[i - 7]
				     + (_rotated(a,  7) ^ _rotated(a, 18) ^ (a >>  3))
				     + (_rotated(b, 17) ^ _rotated(b, 19) ^ (b >> 10));
			}

			uint32_t s[8];
			for (unsigned i = 0; i < 8; i++)
				s[i] = _state[i];

			for (unsigned i = 0; i < 64; i += 8) {
				_round(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], ROUNDS[i]     + w[i]);
				_round(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], ROUNDS[i + 1] + w[i + 1]);
				_round(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], ROUNDS[i + 2] + w[i + 2]);
				_round(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], ROUNDS[i + 3] + w[i + 3]);
				_round(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], ROUNDS[i + 4] + w[i + 4]);
				_round(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], ROUNDS[i + 5] + w[i + 5]);
				_round(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], ROUNDS[i + 6] + w[i + 6]);
				_round(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], ROUNDS[i + 7] + w[i + 7]);
			}

			for (unsigned i = 0; i < 8; i++)
				_state[i] += s[i];
		}

	public:

		struct Digest
		{
			uint8_t bytes[32];

			bool operator == (Digest const &other) const
			{
				uint8_t difference = 0;
				for (unsigned i = 0; i < sizeof(bytes); i++)
					difference |= uint8_t(bytes[i] ^ other.bytes[i]);
				return !difference;
			}
		};

		void append(void const *bytes, size_t num_bytes)
		{
			uint8_t const *p = (uint8_t const *)bytes;

			_total += num_bytes;

			while (num_bytes) {

				if (!_filled && num_bytes >= BLOCK) {
					_process(p);
					p += BLOCK, num_bytes -= BLOCK;
					continue;
				}
				_block[_filled++] = *p++;
				num_bytes--;

				if (_filled == BLOCK) {
					_process(_block);
					_filled = 0;
				}
			}
		}

		/**
		 * Return hash of all bytes, to be called once at the end
		 */
		Digest digest()
		{
			uint64_t const bits = _total*8;

			uint8_t const end = 0x80, zero = 0;
			append(&end, 1);
			while (_filled != BLOCK - 8)
				append(&zero, 1);

			uint8_t length[8];
			for (unsigned i = 0; i < 8; i++)
				length[i] = uint8_t(bits >> (56 - 8*i));
			append(length, sizeof(length));

			Digest result { };
			for (unsigned i = 0; i < 32; i++)
				result.bytes[i] = uint8_t(_state[i/4] >> (24 - 8*(i % 4)));
			return result;
		}

		static Digest of(void const *bytes, size_t num_bytes)
		{
			Sha256 hash { };
			hash.append(bytes, num_bytes);
			return hash.digest();
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SHA256_H_ */
