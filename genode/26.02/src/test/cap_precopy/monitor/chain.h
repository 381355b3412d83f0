/*
 * \brief  Chain of an image and its increments, compared with a complete image
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CHAIN_H_
#define _CHAIN_H_

/* local includes */
#include <subject.h>

namespace Test { struct Chain; }


/**
 * What a component is after several containers, section by section and page by page
 */
struct Test::Chain
{
	Attached_ram_dataspace &_ds;

	/* pages of one dataspace */
	Attached_ram_dataspace _pages;

	Constructible<Image::Chain> _chain { };

	/* what the next increment refers to */
	Constructible<Image::Base> base { };

	/* of the dataspaces that the child allocates and frees */
	static constexpr size_t PAGES_OF_CHURN = 12;

	/* containers, after which the chain begins anew */
	static constexpr unsigned MAX_LENGTH = 9;

	/*
	 * Noncopyable
	 */
	Chain(Chain const &);
	Chain &operator = (Chain const &);

	Chain(Env &env, Attached_ram_dataspace &ds, size_t max_size)
	: _ds(ds), _pages(env.ram(), env.rm(), max_size) { }

	/**
	 * Return true if the chain goes on
	 *
	 * \param max_size  of an increment
	 */
	bool goes_on(size_t max_size) const
	{
		return base.constructed() && _chain->length() < MAX_LENGTH
		    && _chain->next() + max_size <= _ds.size();
	}

	/**
	 * Return where the next increment has to be
	 */
	size_t next() const { return size_t(_chain->next()); }

	unsigned length() const { return _chain.constructed() ? _chain->length() : 0; }

	/**
	 * Begin anew
	 */
	void begin()
	{
		base.destruct();
		_chain.destruct();
	}

	/**
	 * Take note of a container that is in the memory
	 *
	 * \param at  0 for a complete image
	 * \return    false if it is not part of the chain
	 */
	bool add(size_t at, size_t size, Image::Base const &next_base)
	{
		unsigned const position = length();

		/* as on a medium, zeros are in between */
		char * const start = _ds.local_addr<char>();
		bzero(start + at + size, min(_ds.size() - at - size, size_t(Image::CHAIN_ALIGN)));

		if (!at)
			_chain.construct(start, size);
		else
			_chain->extend(at + size);

		base.construct(next_base);

		bool const ok = _chain->valid() && _chain->length() == position + 1
		             && _chain->base().crc == next_base.crc;
		if (!ok)
			log("container ", position, " is not the next one: ", _chain->refusal());

		return ok;
	}

	struct Place { char const *start; size_t length; };

	/**
	 * Return where a section is in a container
	 */
	static Place _section(char const *container, char const *name)
	{
		struct Entry
		{
			char     name[Image::NAME_SIZE];
			uint64_t offset, length;
			uint32_t crc, zero;
		};
		static_assert(sizeof(Entry) == Image::ENTRY_SIZE);

		uint32_t num = 0;
		memcpy(&num, container + 12, sizeof(num));

		for (unsigned i = 0; i < num; i++) {
			Entry entry { };
			memcpy(&entry, container + Image::HEADER_SIZE + i*sizeof(entry), sizeof(entry));
			if (!strcmp(entry.name, name, sizeof(entry.name)))
				return { container + entry.offset, size_t(entry.length) };
		}
		return { };
	}

	/**
	 * Return true if records of the last container are those of a complete image
	 */
	bool _same_records(char const *whole) const
	{
		char const *last = nullptr;
		_chain->with_container(_chain->length() - 1, [&] (char const *start, size_t) {
			last = start; });

		bool same = true;

		for (unsigned s = 0; s < Image::NUM_SECTIONS; s++) {

			if (!Image::has_section(Image::COMPLETE, s) || s == Image::PAGES)
				continue;

			Place const a = _section(last,  Image::SECTION_NAMES[s]),
			            b = _section(whole, Image::SECTION_NAMES[s]);

			/* the version of the contents differs, and the clock of the timers goes on */
			size_t const skip = s == Image::SYSTEM ? sizeof(uint32_t)
			                  : s == Image::TIMERS ? b.length : 0;

			if (a.start && b.start && a.length == b.length
			 && !memcmp(a.start + skip, b.start + skip, b.length - skip))
				continue;

			log("section '", Image::SECTION_NAMES[s], "' is not the same");
			same = false;
		}
		return same;
	}

	/**
	 * Return true if all pages that the chain leaves are those of a complete image
	 */
	bool _same_pages(Image::Chain const &whole) const
	{
		char * const pages = _pages.local_addr<char>();

		bool same = true;

		whole.last().for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

			if (!ds.has_pages())
				return;

			bzero(pages, size_t(ds.size));

			_chain->for_each_page(uint32_t(i), [&] (uint32_t page, char const *bytes) {
				memcpy(pages + page*Shadow::PAGE, bytes, Shadow::PAGE); });

			size_t differ = 0;

			/* what is left is zero if there is no page in the complete image */
			whole.for_each_page(uint32_t(i), [&] (uint32_t page, char const *bytes) {
				differ += memcmp(pages + page*Shadow::PAGE, bytes, Shadow::PAGE) != 0;
				bzero(pages + page*Shadow::PAGE, Shadow::PAGE); });

			for (size_t page = 0; page < ds.size/Shadow::PAGE; page++)
				differ += !Image::zero_page(pages + page*Shadow::PAGE);

			if (differ) {
				log(differ, " pages of dataspace ", i, " are not the same");
				same = false;
			}
		});
		return same;
	}

	/**
	 * Compare with a complete image of the same instant
	 */
	bool same(char const *bytes, size_t size) const
	{
		Image::Chain const whole { bytes, size };

		return whole.valid() && _same_records(bytes) && _same_pages(whole);
	}
};

#endif /* _CHAIN_H_ */
