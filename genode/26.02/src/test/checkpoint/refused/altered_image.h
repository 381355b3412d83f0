/*
 * \brief  Image that is altered
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ALTERED_IMAGE_H_
#define _ALTERED_IMAGE_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <os/vfs.h>
#include <cap_checkpoint/crc32.h>
#include <cap_checkpoint/image.h>

namespace Test {

	using namespace Genode;

	namespace Image = Cap_checkpoint::Image;

	class Altered_image;
}


/**
 * Copy of an image whose fields can be set
 */
class Test::Altered_image : Noncopyable
{
	private:

		using Crc32 = Cap_checkpoint::Crc32;

		Attached_ram_dataspace const &_original;
		Attached_ram_dataspace        _ds;

		char * const _start = _ds.local_addr<char>();

		/* offsets in the header and in an entry of the section table */
		enum { TABLE_CRC = 24, HEADER_CRC = 28, OFFSET = 16, LENGTH = 24, CRC = 32 };

		/*
		 * Noncopyable
		 */
		Altered_image(Altered_image const &);
		Altered_image &operator = (Altered_image const &);

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
		static void _for_each_section(auto const &fn)
		{
			size_t index = 0;
			for (unsigned i = 0; i < Image::NUM_SECTIONS; i++)
				if (Image::has_section(Image::COMPLETE, i))
					fn(index++, Image::Section(i));
		}

		static size_t _entry(Image::Section section)
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

		static constexpr unsigned NUM_SECTIONS = Image::num_sections(Image::COMPLETE);

		/**
		 * Return section with an index in the section table
		 */
		static Image::Section section(unsigned index)
		{
			Image::Section result { };
			_for_each_section([&] (size_t i, Image::Section s) {
				if (i == index)
					result = s; });

			return result;
		}

		/* bytes that remain of it */
		size_t num_bytes;

		Altered_image(Env &env, Attached_ram_dataspace const &original, size_t num_bytes)
		: _original(original), _ds(env.ram(), env.rm(), original.size()), num_bytes(num_bytes)
		{
			memcpy(_start, _original.local_addr<char const>(), num_bytes);
		}

		size_t offset(Image::Section section) const
		{
			return size_t(_read<uint64_t>(_entry(section) + OFFSET));
		}

		template <typename RECORD>
		size_t num() const { return _length(RECORD::SECTION)/sizeof(RECORD); }

		/**
		 * Return number of the first record that 'fn' returns true for
		 */
		template <typename RECORD>
		size_t find(auto const &fn) const
		{
			size_t i = 0;
			while (i < num<RECORD>()
			    && !fn(_read<RECORD>(offset(RECORD::SECTION) + i*sizeof(RECORD))))
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
			size_t const at = offset(RECORD::SECTION) + number*sizeof(RECORD);

			RECORD record = _read<RECORD>(at);
			fn(record);
			_write(at, record);
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
			                             NUM_SECTIONS*Image::ENTRY_SIZE));
			_write(HEADER_CRC, Crc32::of(_start, HEADER_CRC));
		}

		void store(Directory &root, Directory::Path const &path) const
		{
			New_file file { root, path };
			if (file.append(_start, num_bytes) != New_file::Append_result::OK)
				error("file ", path, " cannot be written");
		}
};

#endif /* _ALTERED_IMAGE_H_ */
