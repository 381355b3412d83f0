/*
 * \brief  Memory of a component that is shared with its clients
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/offer.h>

using namespace Cap_checkpoint;


/**
 * Return capability for the client, which is the one of the component
 */
Native_capability Offer::_share(Served const &served, Dataspace &ds)
{
	if (ds.shared)
		return ds.cap;

	for (Shared &shared : _shared)
		if (!shared.cap.valid()) {
			shared = { .cap  = static_cap_cast<Ram_dataspace>(ds.cap), .key = served.key,
			           .kept = false, .number = NONE };
			ds.shared = true;
			return ds.cap;
		}

	return { };
}


void Offer::keep(Dataspace const &ds)
{
	_with_shared(ds.cap, [&] (Shared &shared) { shared.kept = true; });
}


void Offer::forget(Dataspace const &ds)
{
	_with_shared(ds.cap, [&] (Shared &shared) { shared = { }; });
}


/**
 * Respond to the end of a session, whose client has no use for the memory any more
 */
void Offer::_release_memory(Served const &served)
{
	for (Shared &shared : _shared) {

		if (!shared.cap.valid() || shared.key != served.key)
			continue;

		if (shared.kept)
			_own_pd.free_ram(shared.cap);
		else if (_pd)
			_pd->dataspaces.with_dataspace(shared.cap, [&] (Dataspace &ds) { ds.shared = false; },
			                               [] { });
		shared = { };
	}
}


void Offer::number_memory()
{
	for (Shared &shared : _shared) {

		/* what is left of an earlier state belongs to no image */
		shared.number = NONE;

		if (_pd && shared.cap.valid())
			_pd->dataspaces.with_dataspace(shared.cap,
				[&] (Dataspace &ds) { shared.number = ds.number; }, [] { });
	}
}


Ram_dataspace_capability Offer::shared_memory(uint64_t stamp, uint32_t number) const
{
	for (Shared const &shared : _shared)
		if (shared.kept && shared.number == number && stamp && stamp == _stamp)
			return shared.cap;

	return { };
}


void Offer::return_memory(Dataspace &ds)
{
	_with_shared(ds.cap, [&] (Shared &shared) {
		shared.kept = false;
		ds.shared   = true; });
}
