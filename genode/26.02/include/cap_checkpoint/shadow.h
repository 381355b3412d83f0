/*
 * \brief  Copy of a dataspace that follows the changes of the component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SHADOW_H_
#define _INCLUDE__CAP_CHECKPOINT__SHADOW_H_

/* Genode includes */
#include <base/allocator.h>
#include <base/env.h>
#include <base/ram_allocator.h>
#include <cap_checkpoint/dataspaces.h>
#include <util/list.h>

namespace Cap_checkpoint { class Shadow; }


/**
 * Copy of a dataspace, and what is known to differ
 *
 * The original stays attached. Core forgets which pages were written whenever a
 * region with the dataspace is detached, no matter whose region it is.
 *
 * Each page of the copy has the content of the original, or is marked, or core
 * will tell that it was written.
 */
class Cap_checkpoint::Shadow : public List<Shadow>::Element, Noncopyable
{
	public:

		static constexpr size_t PAGE = Image::PAGE_SIZE;

		/* the size is constant, so the compiler need not call 'memcpy' */
		static void copy_page(char *to, char const *from)
		{
			__builtin_memcpy(to, from, PAGE);
		}

		struct Owner : Interface
		{
			/**
			 * Destroy the shadow, whose dataspace vanishes
			 */
			virtual void discard(Shadow &) = 0;
		};

	private:

		using Word = uint64_t;

		static constexpr size_t BITS = 64;

		Owner            &_owner;
		Ram_allocator    &_ram;
		Env::Local_rm    &_local_rm;
		Allocator        &_alloc;

		Ram_dataspace_capability _copy_ds { };

		char *_copy   = nullptr;
		char *_origin = nullptr;
		Word *_marks  = nullptr;  /* pages of the original that are to be copied */
		Word *_news   = nullptr;  /* pages of the copy that differ from the reference */

		/*
		 * Noncopyable
		 */
		Shadow(Shadow const &);
		Shadow &operator = (Shadow const &);

		char *_attach(Dataspace_capability, bool writeable);

		size_t _num_words() const { return (num_pages + BITS - 1)/BITS; }

		/* both bitmaps */
		size_t _bitmaps_size() const { return 2*_num_words()*sizeof(Word); }

	public:

		Dataspace   *ds;         /* nullptr if the dataspace is gone */
		size_t const num_pages;

		/* number of the dataspace in an image that is being written */
		uint32_t number = NONE;

		/* number in the last image that was written, which is the reference, or 'NONE' */
		uint32_t reference = NONE;

		Shadow(Owner &, Ram_allocator &, Env::Local_rm &, Allocator &, Dataspace &);

		~Shadow();

		/**
		 * Leave the original alone, which vanishes
		 */
		void release_origin();

		/**
		 * Return RAM in bytes that the copy takes
		 */
		size_t size() const { return num_pages*PAGE; }

		/**
		 * Return false if the resources of the monitor did not suffice
		 */
		bool valid() const { return _copy && _origin && _marks; }

		/**
		 * Return memory of the component
		 */
		char const *origin() const { return _origin; }

		char const *copy() const { return _copy; }

		void mark(size_t page)
		{
			if (page < num_pages)
				_marks[page/BITS] |= Word(1) << (page % BITS);
		}

		void mark(size_t first, size_t count)
		{
			for (size_t i = first; i < num_pages && i - first < count; i++)
				mark(i);
		}

		/**
		 * Return the first page, not in front of 'page', whose copy may differ from the reference
		 *
		 * \return  'num_pages' or more if there is none
		 */
		size_t next_difference(size_t page) const
		{
			while (reference != NONE && page < num_pages) {

				Word const rest = _news[page/BITS] >> (page % BITS);
				if (rest)
					return page + size_t(__builtin_ctzll(rest));

				page = (page/BITS + 1)*BITS;
			}
			return page;
		}

		/**
		 * Return number of pages whose copy may differ from the reference, which there is
		 */
		size_t differences() const
		{
			size_t count = 0;

			for (size_t i = 0; i < _num_words(); i++)
				for (Word rest = _news[i]; rest; rest &= rest - 1)
					count++;

			return count;
		}

		/**
		 * Let the copy as it is be the reference
		 */
		void refer_to(uint32_t image_number)
		{
			reference = image_number;
			for (size_t i = 0; i < _num_words(); i++)
				_news[i] = 0;
		}

		/**
		 * Copy what is marked
		 *
		 * \return  number of pages
		 */
		size_t update();

		void discard() { _owner.discard(*this); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SHADOW_H_ */
