/*
 * \brief  Writer of the image of a component
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__IMAGE_WRITER_H_
#define _INCLUDE__CAP_CHECKPOINT__IMAGE_WRITER_H_

/* Genode includes */
#include <util/interface.h>

/* checkpoint includes */
#include <cap_checkpoint/crc32.h>
#include <cap_checkpoint/image.h>

namespace Cap_checkpoint { namespace Image {

	struct Sink;

	class Memory_sink;
	class Writer;

	/**
	 * Return true if all bytes of a page, which is aligned at 8 bytes, are zero
	 */
	bool zero_page(void const *);
} }


/**
 * Where an image goes
 */
struct Cap_checkpoint::Image::Sink : Genode::Interface
{
	/**
	 * Write bytes to a position
	 *
	 * Each position follows the one before, except for the last one, which is
	 * zero. So an image that was not completed has no header.
	 *
	 * \return  false if nothing further is to be written
	 */
	virtual bool write(uint64_t offset, void const *bytes, size_t num_bytes) = 0;
};


/**
 * Image in memory
 *
 * The memory may be too small, or none at all, to find out how much is needed.
 */
class Cap_checkpoint::Image::Memory_sink : public Sink
{
	private:

		char * const   _start;
		size_t   const _num_bytes;
		uint64_t       _needed = 0;

		/*
		 * Noncopyable
		 */
		Memory_sink(Memory_sink const &);
		Memory_sink &operator = (Memory_sink const &);

	public:

		Memory_sink(char *start, size_t num_bytes) : _start(start), _num_bytes(num_bytes) { }

		uint64_t needed() const { return _needed; }

		bool complete() const { return _needed <= _num_bytes; }

		bool write(uint64_t offset, void const *bytes, size_t num_bytes) override
		{
			uint64_t const end = offset + num_bytes;

			if (end > _needed)
				_needed = end;

			/* the compiler has a faster way for a constant size */
			if (end <= _num_bytes && num_bytes == PAGE_SIZE)
				__builtin_memcpy(_start + offset, bytes, PAGE_SIZE);
			else if (end <= _num_bytes)
				__builtin_memcpy(_start + offset, bytes, num_bytes);

			return true;
		}
};


/**
 * Writes the sections of an image one after another
 *
 * The records are put in the order of the sections. The first failure sticks, and
 * is reported by 'finish'. Nothing is allocated, and nothing but the checksums
 * is computed, so a writer can be used while the component is frozen.
 */
class Cap_checkpoint::Image::Writer
{
	private:

		struct Entry
		{
			uint64_t offset, length;
			uint32_t crc;
		};

		Sink          &_sink;
		Contents const _contents;

		Entry       _entries[NUM_SECTIONS] { };
		unsigned    _current = 0;  /* section that is being written */
		Crc32       _crc     { };
		uint64_t    _offset;
		char const *_failure = nullptr;
		bool        _begun   = false;
		uint32_t    _header_crc = 0;

		/*
		 * Noncopyable
		 */
		Writer(Writer const &);
		Writer &operator = (Writer const &);

		void _fail(char const *);
		void _write(void const *, size_t);
		bool _advance(unsigned section);
		void _append(Section, void const *, size_t);

	public:

		/**
		 * Constructor
		 *
		 * \param contents  what the version in the record of 'System' says, too
		 */
		Writer(Sink &, Contents contents = COMPLETE);

		/**
		 * Append a record to its section
		 */
		template <typename RECORD>
		void put(RECORD const &record)
		{
			_append(RECORD::SECTION, &record, sizeof(record));
		}

		/**
		 * Append bytes to the capability table, or to those of all members
		 */
		void table(void const *bytes, size_t num_bytes)
		{
			_append(TABLE, bytes, num_bytes);
		}

		/**
		 * Append those pages of a dataspace that are not zero
		 *
		 * \param dataspace  number of the dataspace
		 * \param first      number of the first page at 'bytes'
		 * \param bytes      aligned at 8 bytes
		 * \return           number of pages that were left out
		 */
		size_t pages(uint32_t dataspace, uint32_t first, void const *bytes, size_t num_pages);

		/**
		 * Append a page, which may be zero, to an increment
		 *
		 * \param number  number of the page in the dataspace
		 */
		void page(uint32_t dataspace, uint32_t number, void const *bytes);

		/**
		 * Complete the image
		 *
		 * \return  reason why there is none, or nullptr
		 */
		char const *finish();

		/**
		 * Return size of the image so far
		 */
		uint64_t size() const { return _offset; }

		/**
		 * Return checksum by which an increment names this container once it is complete
		 */
		uint32_t header_crc() const { return _header_crc; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__IMAGE_WRITER_H_ */
