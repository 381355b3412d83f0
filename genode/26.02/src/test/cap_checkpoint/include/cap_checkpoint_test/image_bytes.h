/*
 * \brief  Image whose fields can be set
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__IMAGE_BYTES_H_
#define _CAP_CHECKPOINT_TEST__IMAGE_BYTES_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/crc32.h>
#include <cap_checkpoint/image.h>

namespace Test {

	using namespace Genode;

	namespace Image = Cap_checkpoint::Image;

	class Image_bytes;
}


class Test::Image_bytes : Noncopyable
{
	private:

		using Crc32 = Cap_checkpoint::Crc32;

		char * const _start;

		/* offsets in the header and in an entry of the section table */
		enum { NUM_SECTIONS = 12, TABLE_CRC = 24, HEADER_CRC = 28, OFFSET = 16, LENGTH = 24, CRC = 32 };

		Image::Contents const _contents =
			_read<uint32_t>(NUM_SECTIONS) == Image::num_sections(Image::UNIT) ? Image::UNIT
			                                                                  : Image::COMPLETE;

		/*
		 * Noncopyable
		 */
		Image_bytes(Image_bytes const &);
		Image_bytes &operator = (Image_bytes const &);

		template <typename T>
		T _read(size_t offset) const
		{
			T value;
			memcpy(&value, _start + offset, sizeof(value));
			return value;
		}

		void _write(size_t offset, auto const &value)
		{
			memcpy(_start + offset, &value, sizeof(value));
		}

		/**
		 * Call 'fn' with index in the section table and 'Image::Section' of each section
		 */
		void _for_each_section(auto const &fn) const
		{
			size_t index = 0;
			for (unsigned i = 0; i < Image::NUM_SECTIONS; i++)
				if (Image::has_section(_contents, i))
					fn(index++, Image::Section(i));
		}

		size_t _entry(Image::Section section) const
		{
			size_t result = 0;
			_for_each_section([&] (size_t i, Image::Section s) {
				if (s == section)
					result = Image::HEADER_SIZE + i*Image::ENTRY_SIZE; });

			return result;
		}

		size_t _length(Image::Section section) const
		{
			return size_t(_read<uint64_t>(_entry(section) + LENGTH));
		}

	public:

		/**
		 * Constructor
		 *
		 * \param start  complete image of a component, or of a unit
		 */
		Image_bytes(char *start) : _start(start) { }

		Image::Contents contents() const { return _contents; }

		/**
		 * Return section with an index in the section table
		 */
		Image::Section section(unsigned index) const
		{
			Image::Section result { };
			_for_each_section([&] (size_t i, Image::Section s) {
				if (i == index)
					result = s; });

			return result;
		}

		size_t offset(Image::Section section) const
		{
			return size_t(_read<uint64_t>(_entry(section) + OFFSET));
		}

		template <typename RECORD>
		size_t num() const { return _length(RECORD::SECTION)/sizeof(RECORD); }

		/**
		 * Return record of a number that there is
		 */
		template <typename RECORD>
		RECORD get(size_t number) const
		{
			return _read<RECORD>(offset(RECORD::SECTION) + number*sizeof(RECORD));
		}

		/**
		 * Return number of the first record that 'fn' returns true for
		 */
		template <typename RECORD>
		size_t find(auto const &fn) const
		{
			size_t i = 0;
			while (i < num<RECORD>() && !fn(get<RECORD>(i)))
				i++;

			return i;
		}

		/**
		 * Alter a record
		 */
		template <typename RECORD>
		void alter(size_t number, auto const &fn)
		{
			if (number >= num<RECORD>()) {
				error("there is no record ", number, " to be altered");
				return;
			}
			RECORD record = get<RECORD>(number);
			fn(record);
			_write(offset(RECORD::SECTION) + number*sizeof(RECORD), record);
		}

		/**
		 * Alter the first record that 'fn' returns true for
		 */
		template <typename RECORD>
		void alter_one(auto const &fn)
		{
			bool done = false;
			for (size_t i = 0; i < num<RECORD>() && !done; i++)
				alter<RECORD>(i, [&] (RECORD &record) { done = fn(record); });
		}

		char const *start() const { return _start; }

		void flip(size_t at) { _start[at] = char(_start[at] ^ 1); }

		/**
		 * Let all checksums be right
		 */
		void seal()
		{
			_for_each_section([&] (size_t, Image::Section s) {
				_write(_entry(s) + CRC, Crc32::of(_start + offset(s), _length(s))); });

			_write(TABLE_CRC,  Crc32::of(_start + Image::HEADER_SIZE,
			                             Image::num_sections(_contents)*Image::ENTRY_SIZE));
			_write(HEADER_CRC, Crc32::of(_start, HEADER_CRC));
		}
};

#endif /* _CAP_CHECKPOINT_TEST__IMAGE_BYTES_H_ */
