/*
 * \brief  Checks of the host tests, each of which prints what failed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CHECK_H_
#define _CHECK_H_

#include <cstdio>
#include <set>
#include <string>

#include "sample.h"

namespace Cap_checkpoint { namespace Image {

	struct Checks
	{
		unsigned long count = 0, failed = 0;

		/* reasons of all refusals, to be compared with the sources */
		std::set<std::string> reasons { };

		bool that(bool ok, std::string const &what)
		{
			count++;
			if (!ok) {
				failed++;
				fprintf(stderr, "failed: %s\n", what.c_str());
			}
			return ok;
		}
	};

	inline Checks checks { };

	static inline std::string text(Refusal const &refusal)
	{
		struct Text : Genode::Output
		{
			std::string text = { };

			void out_string(char const *s) override { text += s; }

		} text { };

		refusal.print(text);
		return text.text;
	}

	/**
	 * Where an image is refused, and why
	 */
	struct Verdict
	{
		bool        valid;
		uint64_t    offset;
		std::string text;
	};

	static inline Verdict verdict(Bytes const &image)
	{
		/* a block of exactly this size, which the sanitizer guards */
		std::vector<char> const copy(image);
		Reader const reader { copy.data(), copy.size() };

		if (reader.valid())
			return { true, 0, "" };

		checks.reasons.insert(reader.refusal().reason);
		return { false, reader.refusal().offset, text(reader.refusal()) };
	}

	/**
	 * Return place of a section, according to the section table
	 */
	static inline size_t place(Bytes const &image, Section section)
	{
		uint64_t offset;
		__builtin_memcpy(&offset, image.data() + 32 + 40*section + 16, 8);
		return offset;
	}

	static inline void refused(Bytes const &image, uint64_t offset, std::string const &why)
	{
		Verdict const v = verdict(image);
		if (v.valid)
			checks.that(false, "accepted instead of: " + why);
		else
			checks.that(v.offset == offset && v.text.find(why) != std::string::npos,
			            "\"" + v.text + "\" instead of " + std::to_string(offset) + ": " + why);
	}

	/**
	 * Return contents of a valid image as JSON
	 */
	std::string json(Bytes const &);

	/* further tests */
	void test_fields();
	void test_container();
} }

#endif /* _CHECK_H_ */
