/*
 * \brief  Reader of a complete image and of the increments behind it
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__IMAGE_CHAIN_H_
#define _INCLUDE__CAP_CHECKPOINT__IMAGE_CHAIN_H_

/* checkpoint includes */
#include <cap_checkpoint/image_reader.h>


/**
 * Containers that make up a component
 *
 * The complete image is at the start of the bytes, each increment at the first
 * multiple of 'CHAIN_ALIGN' behind what comes before it. A position counts the
 * containers, from 0 for the complete image. Nothing is allocated.
 *
 * As with 'Container', the bytes come from somebody who is not trusted, and nobody
 * else can write them.
 */
class Cap_checkpoint::Image::Chain
{
	public:

		/**
		 * What is behind the last container
		 *
		 * A container that is left over is intact, and belongs to another chain.
		 * What is damaged is told by 'refusal'. It might be the next increment.
		 */
		enum class Rest { NOTHING, LEFT_OVER, DAMAGED };

	private:

		struct Link
		{
			size_t      at, size;
			char const *origins, *pages;
			size_t      num_pages;
		};

		char const *_start;
		size_t      _num_bytes;
		Pace       *_pace;

		Link     _links[MAX_CHAIN_LENGTH] { };
		unsigned _length = 0;
		Reader   _last   { Reader::Unchecked(), nullptr, 0, COMPLETE };
		Rest     _rest   = Rest::NOTHING;
		Refusal  _refusal { nullptr, nullptr, Refusal::NO_RECORD, 0 };

		/*
		 * Noncopyable
		 */
		Chain(Chain const &);
		Chain &operator = (Chain const &);

		size_t _extent(size_t at) const;
		bool   _refuse(Refusal const &, unsigned position, size_t at);
		bool   _add(Reader const &, size_t at);
		bool   _begin();
		bool   _append();

		/**
		 * Read a number of an array in the bytes
		 */
		static uint32_t _number(char const *array, size_t stride, size_t i)
		{
			uint32_t value;
			__builtin_memcpy(&value, array + i*stride, sizeof(value));
			return value;
		}

		/**
		 * Return number of the first page that is not in front of the dataspace
		 */
		static size_t _first_page(Link const &, uint32_t dataspace);

	public:

		/**
		 * Constructor
		 *
		 * \param pace  is told of progress, or nullptr
		 */
		Chain(void const *bytes, size_t num_bytes, Pace *pace = nullptr)
		: _start((char const *)bytes), _num_bytes(0), _pace(pace) { extend(num_bytes); }

		/**
		 * Look for further increments, at the same address
		 *
		 * \param num_bytes  all bytes that there are now
		 */
		void extend(size_t num_bytes);

		/**
		 * Return true if the complete image can be used, and what is in the chain
		 *
		 * Nothing else but 'refusal' may be called otherwise.
		 */
		bool valid() const { return _length; }

		Rest rest() const { return _rest; }

		/**
		 * Return why the complete image or, if that is valid, what is behind the
		 * chain, is refused
		 */
		Refusal const &refusal() const { return _refusal; }

		/**
		 * Return number of containers
		 */
		unsigned length() const { return _length; }

		/**
		 * Return reader of the last container, to be used for all but the pages
		 *
		 * It is another one after 'extend'.
		 */
		Reader const &last() const { return _last; }

		/**
		 * Return where the last container ends
		 */
		size_t size() const { return _links[_length - 1].at + _links[_length - 1].size; }

		/**
		 * Return where the next increment has to be
		 */
		uint64_t next() const { return (uint64_t(size()) + CHAIN_ALIGN - 1) & ~uint64_t(CHAIN_ALIGN - 1); }

		/**
		 * Return the record that the next increment must have
		 */
		Base base() const
		{
			return { _last.system().checkpoint, _last.header_crc(), _length };
		}

		/**
		 * Call 'fn' with address and size of a container
		 *
		 * \param position  lower than 'length'
		 */
		void with_container(unsigned position, auto const &fn) const
		{
			fn(_start + _links[position].at, _links[position].size);
		}

		/**
		 * Return number of a dataspace in an earlier container, or 'NONE'
		 *
		 * \param dataspace  number in the last container
		 */
		uint32_t origin(uint32_t dataspace, unsigned position) const
		{
			for (unsigned i = _length - 1; i > position && dataspace != NONE; i--)
				dataspace = _number(_links[i].origins, sizeof(Origin), dataspace);

			return dataspace;
		}

		/**
		 * Call 'fn' with page number and 'char const *' for the pages of a dataspace
		 *
		 * \param dataspace  number in the last container
		 * \param position   position of the first container whose pages are of interest
		 *
		 * A page may come several times, and may be zero. What comes last counts.
		 * A page that does not come has the content that the container in front of
		 * 'position' left it with, or is zero if there is none or the dataspace has
		 * no origin in it.
		 */
		void for_each_page(uint32_t dataspace, auto const &fn, unsigned position = 0) const
		{
			uint32_t numbers[MAX_CHAIN_LENGTH];

			/* go back to the container that the dataspace appeared in */
			unsigned first = _length - 1;
			for (numbers[first] = dataspace; first > position; first--) {

				uint32_t const origin = _number(_links[first].origins, sizeof(Origin), numbers[first]);
				if (origin == NONE)
					break;
				numbers[first - 1] = origin;
			}

			for (unsigned i = first; i < _length; i++) {

				Link const &link = _links[i];

				for (size_t n = _first_page(link, numbers[i]); n < link.num_pages; n++) {

					char const * const page = link.pages + n*sizeof(Page);
					if (_number(page, 0, 0) != numbers[i])
						break;
					fn(_number(page + sizeof(uint32_t), 0, 0), page + 2*sizeof(uint32_t));
				}
			}
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__IMAGE_CHAIN_H_ */
