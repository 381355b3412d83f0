/*
 * \brief  What may have become of a chain on a medium
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CASES_H_
#define _CASES_H_

/* local includes */
#include <chain_file.h>

namespace Test { struct Case; }


/**
 * Chain as it was found, and the container that the component must go on from
 */
struct Test::Case
{
	static constexpr unsigned LAST = Chain_file::LENGTH - 1;

	char const *name;
	void      (*tear)(Chain_file &);
	int         container = LAST;     /* -1 if it cannot be restored */
	char const *reason    = nullptr;  /* part of what is said, nullptr for nothing */

	static size_t _at(Chain_file const &f, unsigned i) { return f.container(i).at; }

	/* in the middle of the pages */
	static size_t _page(Chain_file const &f, unsigned i)
	{
		return f.container(i).at + f.container(i).size - 2048;
	}

	static void for_each(auto const &fn)
	{
		using File = Chain_file;

		fn(Case { .name = "whole chain", .tear = [] (File &) { } });

		fn(Case { .name = "no header of the last increment, whose pages are there",
		          .tear = [] (File &f) { f.clear(_at(f, LAST), 4096); },
		          .container = LAST - 1 });

		fn(Case { .name = "no header of the last increment, of which the half is there",
		          .tear = [] (File &f) {
			f.clear(_at(f, LAST), 4096);
			f.clear(_at(f, LAST) + f.container(LAST).size/2, f.container(LAST).size/2); },
		          .container = LAST - 1 });

		fn(Case { .name = "one sector of the header of the last increment",
		          .tear = [] (File &f) {
			f.clear(_at(f, LAST) + File::SECTOR, 4096 - File::SECTOR); },
		          .container = LAST - 1, .reason = "container 3" });

		fn(Case { .name = "header in front of pages that are not there",
		          .tear = [] (File &f) {
			f.clear(_at(f, LAST) + 4096, f.container(LAST).size - 4096); },
		          .container = LAST - 1, .reason = "container 3" });

		fn(Case { .name = "bit of a page of the last increment",
		          .tear = [] (File &f) { f.flip(_page(f, LAST)); },
		          .container = LAST - 1, .reason = "checksum of a section" });

		fn(Case { .name = "bit of the first increment",
		          .tear = [] (File &f) { f.flip(_page(f, 1)); },
		          .container = 0, .reason = "container 1" });

		fn(Case { .name = "bytes behind an increment",
		          .tear = [] (File &f) { f.flip(_at(f, LAST) - 1); },
		          .container = LAST - 1, .reason = "bytes behind the container" });

		fn(Case { .name = "increment of an earlier chain",
		          .tear = [] (File &f) { f.copy(1, LAST); },
		          .container = LAST - 1 });

		fn(Case { .name = "complete image in place of an increment",
		          .tear = [] (File &f) { f.copy(0, 1); },
		          .container = 0 });

		fn(Case { .name = "cut in front of the last increment",
		          .tear = [] (File &f) { f.cut(_at(f, LAST)); },
		          .container = LAST - 1 });

		fn(Case { .name = "cut within the last increment",
		          .tear = [] (File &f) { f.cut(_page(f, LAST)); },
		          .container = LAST - 1, .reason = "container 3" });

		fn(Case { .name = "bit of the complete image",
		          .tear = [] (File &f) { f.flip(_page(f, 0)); },
		          .container = -1, .reason = "checksum of a section" });
	}

	static unsigned count()
	{
		unsigned result = 0;
		for_each([&] (Case const &) { result++; });
		return result;
	}

	/**
	 * Call 'fn' with one of the cases
	 */
	static void with(unsigned number, auto const &fn)
	{
		unsigned i = 0;
		for_each([&] (Case const &c) {
			if (i++ == number)
				fn(c); });
	}
};

#endif /* _CASES_H_ */
