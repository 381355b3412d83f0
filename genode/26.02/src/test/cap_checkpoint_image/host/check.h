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
#include <cstring>
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
	 * Return place of the entry of a section in the section table
	 */
	static inline size_t entry(Bytes const &image, Section section)
	{
		size_t at = 32;
		while (std::string(image.data() + at, NAME_SIZE).c_str() != std::string(SECTION_NAMES[section]))
			at += 40;
		return at;
	}

	/**
	 * Return place of a section, according to the section table
	 */
	static inline size_t place(Bytes const &image, Section section)
	{
		uint64_t offset;
		__builtin_memcpy(&offset, image.data() + entry(image, section) + 16, 8);
		return offset;
	}

	static inline Bytes section_of(Bytes const &image, Section section)
	{
		uint64_t length;
		memcpy(&length, image.data() + entry(image, section) + 24, 8);

		auto const start = image.begin() + long(place(image, section));
		return Bytes(start, start + long(length));
	}

	/**
	 * Return image with another value at an offset
	 */
	template <typename T>
	static inline Bytes with(Bytes image, size_t at, T value)
	{
		memcpy(image.data() + at, &value, sizeof(value));
		return image;
	}

	/**
	 * Return image with other contents, and maybe another name, of one section
	 */
	static inline Bytes replaced(Bytes const &image, Section section, Bytes const &content,
	                             char const *name = nullptr)
	{
		uint32_t count;
		memcpy(&count, image.data() + 12, sizeof(count));

		size_t const table_end = 32 + 40*count, replaced = entry(image, section);

		Bytes result(image.begin(), image.begin() + long(table_end));

		for (size_t entry = 32; entry < table_end; entry += 40) {

			uint64_t place[2];
			memcpy(place, result.data() + entry + 16, sizeof(place));

			Bytes bytes(image.begin() + long(place[0]), image.begin() + long(place[0] + place[1]));
			if (entry == replaced) {
				bytes = content;
				if (name) {
					memset(result.data() + entry, 0, NAME_SIZE);
					memcpy(result.data() + entry, name, strlen(name));
				}
			}

			size_t const at = (result.size() + 7) & ~size_t(7);
			place[0] = at, place[1] = bytes.size();
			memcpy(result.data() + entry + 16, place, sizeof(place));

			result.resize(at);
			result.insert(result.end(), bytes.begin(), bytes.end());
		}
		return sealed(with(result, 16, uint64_t(result.size())));
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

	static inline void accepted(Sample const &sample, std::string const &what)
	{
		Verdict const v = verdict(sample.image());
		checks.that(v.valid, what + ": " + v.text);
	}

	/**
	 * Return contents of a valid image as JSON
	 */
	std::string json(Bytes const &);

	/* further tests */
	void test_fields();
	void test_units();
	void test_holders();
	void test_map_sizes();
	void test_container();
	void test_chain();
	void test_histories();
} }

#endif /* _CHECK_H_ */
