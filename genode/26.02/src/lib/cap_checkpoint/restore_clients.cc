/*
 * \brief  Let a restored component have the clients that it had
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>

using namespace Cap_checkpoint;


/**
 * Return what tells the state of the image to the monitor that has frozen the component
 */
uint64_t Restore::_stamp_of_clients() const
{
	uint64_t stamp = 0;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		bool const state = ds.kind == Image::Dataspace::SESSION
		                && ds.part == Requests_service_session::STATE
		                && _sessions[ds.owner] && _sessions[ds.owner]->requests_session();
		if (state)
			_chain.for_each_page(uint32_t(i), [&] (uint32_t page, char const *bytes) {
				if (!page)
					memcpy(&stamp, bytes, sizeof(stamp)); }); });

	return stamp;
}


/**
 * Take memory that clients share, with the content that it has by now
 */
void Restore::_take_shared_memory()
{
	Offer * const offer = _child.parent.offer();

	uint64_t const stamp = offer ? _stamp_of_clients() : 0;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		Ram_dataspace_capability cap { };

		if (offer && ds.kind == Image::Dataspace::RAM && !_dataspaces[i])
			cap = offer->shared_memory(stamp, uint32_t(i));

		if (cap.valid())
			_child.pd.adopt(size_t(ds.size), Cache(ds.cache), cap).with_result(
				[&] (Dataspace *adopted) {
					offer->return_memory(*adopted);
					_dataspaces[i] = adopted;
					_kept[i]       = true; },
				[&] (Alloc_error) {
					(void)_refuse(Refused::Reason::MEMORY, "dataspace ", i, " of clients"); }); });
}


/**
 * Find the clients of sessions that the component provides
 */
void Restore::_resume_clients()
{
	_child.parent.with_offer([&] (Offer &offer, Offer_state const &state) {
		offer.resume(state, _gates); });
}
