/*
 * \brief  Test of components that change, and are saved by increments
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"
#include "history.h"

using namespace Cap_checkpoint::Image;


using Pages = std::map<uint32_t, std::map<uint32_t, Bytes>>;  /* by dataspace and number */


/**
 * Bring memory that was filled from the containers before up to date by the last one
 */
static Pages updated(Chain const &chain, Pages const &before)
{
	Pages now { };

	unsigned const last = chain.length() - 1;

	for (uint32_t i = 0; i < chain.last().num<Dataspace>(); i++) {

		uint32_t const origin = last ? chain.origin(i, last - 1) : NONE;
		if (before.count(origin))
			now[i] = before.at(origin);

		chain.for_each_page(i, [&] (uint32_t page, char const *bytes) {
			now[i][page] = Bytes(bytes, bytes + PAGE_SIZE); }, last);
	}
	return now;
}


static bool equal(Pages const &a, std::map<std::pair<uint32_t, uint32_t>, Page> b)
{
	for (auto const &[dataspace, pages] : a)
		for (auto const &[number, bytes] : pages) {

			Page page { dataspace, number, { } };
			auto const found = b.find({ dataspace, number });
			if (found != b.end()) {
				page = found->second;
				b.erase(found);
			}
			if (memcmp(page.bytes, bytes.data(), PAGE_SIZE))
				return false;
		}
	return b.empty();
}


void Cap_checkpoint::Image::test_histories()
{
	static char memory[2 << 20];

	for (unsigned seed = 0; seed < 70; seed++) {

		/* the last ones are those of units */
		History history { seed, seed >= 50 };
		Pages   present { };

		history.save();
		memcpy(memory, history.chain.data(), history.chain.size());
		Chain follower { memory, history.chain.size() };

		for (unsigned n = 1; n <= 12; n++) {

			std::string const what = "history " + std::to_string(seed) + " at " + std::to_string(n);

			Bytes const &bytes = history.chain;
			Chain const chain { bytes.data(), bytes.size() };

			if (!checks.that(chain.length() == n && chain.rest() == Chain::Rest::NOTHING
			              && chain.size() == bytes.size(), what))
				return;

			Bytes const complete = history.complete();
			checks.that(merged(chain)    == complete,  what + ": merged");
			checks.that(merged(follower) == complete,  what + ": merged by a reader that follows");
			checks.that(verdict(complete).valid,       what + ": is valid");

			present = updated(chain, present);
			checks.that(equal(present, pages(chain)),  what + ": brought up to date");

			for (unsigned i = history.next(10); i; i--)
				history.step();
			history.save();

			size_t const size = history.chain.size();
			if (checks.that(size <= sizeof(memory), what + ": memory of the test"))
				memcpy(memory, history.chain.data(), size);
			follower.extend(size);
		}
	}
}
