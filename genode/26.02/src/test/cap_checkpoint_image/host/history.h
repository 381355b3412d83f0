/*
 * \brief  Component whose memory changes, and the chain that is saved meanwhile
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _HISTORY_H_
#define _HISTORY_H_

#include <map>
#include <set>

#include <cap_checkpoint/image_chain.h>

#include "sample_unit.h"

namespace Cap_checkpoint { namespace Image {

	struct History;

	/**
	 * Append a container to a chain
	 */
	static inline void append(Bytes &chain, Bytes const &container)
	{
		chain.resize((chain.size() + CHAIN_ALIGN - 1)/CHAIN_ALIGN*CHAIN_ALIGN);
		chain.insert(chain.end(), container.begin(), container.end());
	}

	/**
	 * Return checksum in the header of a container
	 */
	static inline uint32_t header_crc(Bytes const &container)
	{
		uint32_t crc;
		__builtin_memcpy(&crc, container.data() + 28, sizeof(crc));
		return crc;
	}
} }


struct Cap_checkpoint::Image::History
{
	struct Content { alignas(8) char bytes[PAGE_SIZE] { }; };

	using Memory = std::map<uint32_t, Content>;  /* pages that were ever written, by number */

	/* what the dataspaces that are numbered alike are filled with, and where they come from */
	struct State
	{
		Memory             memory { };
		std::set<uint32_t> dirty  { };
		uint32_t           origin = NONE;
	};

	Sample             sample;
	std::vector<State> states { sample.all<Dataspace>().size() };
	uint32_t const     max_dataspaces = uint32_t(states.size()) + 6;
	Bytes              chain  { };
	Bytes              last   { };  /* container that was appended */
	uint32_t           length = 0;
	uint32_t           random;

	History(uint32_t seed, bool unit = false)
	: sample(unit ? Sample_unit() : Sample()), random(seed) { }

	uint32_t next(uint32_t limit)
	{
		random = random*1664525 + 1013904223;
		return (random >> 8) % limit;
	}

	/**
	 * Let numbers of dataspaces be different ones, starting at 'from'
	 */
	void renumber(uint32_t from, uint32_t difference)
	{
		auto shift = [&] (uint32_t &number) { if (number >= from) number += difference; };

		if (sample.system.parent_dataspace != NONE)
			shift(sample.system.parent_dataspace);
		for (Member &member : sample.all<Member>())
			if (member.parent_dataspace != NONE)
				shift(member.parent_dataspace);
		for (Region &region : sample.all<Region>())
			shift(region.dataspace);
		for (Object &object : sample.all<Object>())
			if (object.kind == Object::DATASPACE)
				shift(object.number);
	}

	void insert(uint32_t at, uint64_t num_pages)
	{
		renumber(at, 1);
		uint32_t const member = sample.all<Member>().empty() ? 0 : at % Sample_unit::NEW;
		sample.all<Dataspace>().insert(sample.all<Dataspace>().begin() + at,
			{ Dataspace::RAM, Dataspace::CACHED, num_pages*PAGE_SIZE, 0, 0, NONE, member });
		states.insert(states.begin() + at, State { });
	}

	void remove(uint32_t at)
	{
		renumber(at, ~0U);
		sample.all<Dataspace>().erase(sample.all<Dataspace>().begin() + at);
		states.erase(states.begin() + at);
	}

	/**
	 * Return true if nothing refers to the dataspace
	 */
	bool removable(uint32_t at)
	{
		Dataspace const ds = sample.all<Dataspace>()[at];

		bool used = ds.kind != Dataspace::RAM || ds.slot != NONE
		         || sample.system.parent_dataspace == at;
		for (Member const &member : sample.all<Member>())
			used |= member.parent_dataspace == at;
		for (Region const &region : sample.all<Region>())
			used |= region.dataspace == at;
		return !used;
	}

	/**
	 * Write a byte of a page, or zeros to all of it
	 */
	void write(uint32_t dataspace, uint32_t page, uint32_t at, char value)
	{
		Content &content = states[dataspace].memory[page];
		if (value)
			content.bytes[at] = value;
		else
			content = { };
		states[dataspace].dirty.insert(page);
	}

	/**
	 * Change anything
	 */
	void step()
	{
		uint32_t const num = uint32_t(states.size()), at = next(num + 1);

		switch (next(8)) {
		case 0:
			if (num < max_dataspaces)
				insert(at, 1 + next(4));
			return;
		case 1:
			if (at < num && removable(at))
				remove(at);
			return;
		case 2:
			sample.all<Thread>()[0].sp += 8;
			return;
		}
		if (at < num && sample.all<Dataspace>()[at].has_pages())
			write(at, next(uint32_t(sample.all<Dataspace>()[at].size/PAGE_SIZE)), next(PAGE_SIZE),
			      char(next(3)));
	}

	/**
	 * Return complete image of what there is now
	 */
	Bytes complete() const
	{
		return sealed(written([&] (Writer &writer) {
			sample.put(writer);
			for (uint32_t i = 0; i < states.size(); i++)
				for (auto const &[page, content] : states[i].memory)
					writer.pages(i, page, content.bytes, 1);
		}, Contents(sample.system.version)));
	}

	/**
	 * Return increment
	 */
	Bytes increment() const
	{
		Sample copy { sample };

		Contents const contents = is_unit(Contents(sample.system.version)) ? UNIT_INCREMENT : INCREMENT;

		copy.system.version = contents;
		copy.all<Base>()    = { { sample.system.checkpoint - 1, header_crc(last), length } };
		for (State const &state : states)
			copy.all<Origin>().push_back({ state.origin });

		return sealed(written([&] (Writer &writer) {
			copy.put(writer);
			for (uint32_t i = 0; i < states.size(); i++)
				for (auto const &[page, content] : states[i].memory) {
					if (states[i].origin == NONE)
						writer.pages(i, page, content.bytes, 1);
					else if (states[i].dirty.count(page))
						writer.page(i, page, content.bytes);
				}
		}, contents));
	}

	/**
	 * Save to the chain
	 */
	void save()
	{
		sample.system.checkpoint++;
		last = length ? increment() : complete();
		append(chain, last);
		length++;

		for (uint32_t i = 0; i < states.size(); i++) {
			states[i].origin = sample.all<Dataspace>()[i].has_pages() ? i : NONE;
			states[i].dirty.clear();
		}
	}

	/**
	 * Let the component become another one whose dataspaces begin with the same ones
	 */
	void become(Sample const &other)
	{
		uint64_t const checkpoint = sample.system.checkpoint;

		sample = other;
		sample.system.checkpoint = checkpoint;
		states.resize(sample.all<Dataspace>().size());
	}

	/**
	 * Save that many times, with changes in between
	 */
	History(uint32_t seed, bool unit, unsigned num_containers) : History(seed, unit)
	{
		while (length < num_containers) {
			for (unsigned i = next(12); i; i--)
				step();
			save();
		}
	}
};


namespace Cap_checkpoint { namespace Image {

	/**
	 * Return history of a component that has children at some containers only
	 *
	 * \param units  a bit for each container, set if it is the one of a unit
	 */
	static inline History mixed_history(uint32_t units, unsigned num_containers)
	{
		History history { 1, bool(units & 1) };

		for (unsigned n = 0; n < num_containers; n++) {

			bool const unit = units >> n & 1;

			if (n)
				history.become(unit ? Sample_unit() : Sample());

			history.write(unit ? 8 : 0, n % 2, 7, char('a' + n));
			history.save();
		}
		return history;
	}

	/**
	 * Return pages of the component in a chain that are not zero
	 */
	static inline std::map<std::pair<uint32_t, uint32_t>, Page> pages(Chain const &chain)
	{
		std::map<std::pair<uint32_t, uint32_t>, Page> result { };

		for (uint32_t i = 0; i < chain.last().num<Dataspace>(); i++)
			chain.for_each_page(i, [&] (uint32_t number, char const *bytes) {

				Page page { i, number, { } };
				__builtin_memcpy(page.bytes, bytes, PAGE_SIZE);

				bool any = false;
				for (uint8_t const byte : page.bytes)
					any |= byte;

				if (any)
					result[{ i, number }] = page;
				else
					result.erase({ i, number });
			});

		return result;
	}

	/**
	 * Return complete image of the component in a chain
	 */
	static inline Bytes merged(Chain const &chain)
	{
		Reader const &reader = chain.last();

		Contents const contents = is_unit(reader.contents()) ? UNIT : COMPLETE;

		return written([&] (Writer &writer) {

			auto put = [&] <typename RECORD> (RECORD const *) {
				reader.for_each<RECORD>([&] (size_t, RECORD const &r) { writer.put(r); }); };

			System system  = reader.system();
			system.version = contents;
			writer.put(system);

			put((Member  *)nullptr);
			for (uint32_t i = 0; i < reader.num_members(); i++)
				reader.with_table([&] (char const *bytes, size_t size) {
					writer.table(bytes, size); }, i);

			put((Object  *)nullptr);
			put((Session *)nullptr);
			put((Part    *)nullptr);
			put((Handler *)nullptr);
			put((Dataspace *)nullptr);
			put((Rom     *)nullptr);
			put((Region  *)nullptr);
			put((Thread  *)nullptr);
			put((Fault   *)nullptr);
			put((Gate    *)nullptr);
			put((Source  *)nullptr);
			put((Context *)nullptr);
			put((Timer   *)nullptr);

			for (auto const &[place, page] : pages(chain))
				writer.put(page);

		}, contents, chain.size() + NUM_SECTIONS*SECTION_ALIGN);
	}
} }

#endif /* _HISTORY_H_ */
