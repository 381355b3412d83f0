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
 * Return true if the sessions for clients are provided by the root
 *
 * Whatever else clients get is translated by way of the root.
 */
bool Restore::_gates_of_root(Offer_state const &state) const
{
	for (Offer_state::Session const &session : state.sessions)
		for (uint32_t const gate : session.gates)
			if (gate >= _image.member(0).num_gates && gate < _image.num<Image::Gate>())
				return false;

	return true;
}


/**
 * Copy what the image tells of clients, which must be possible
 */
bool Restore::_read_clients()
{
	bool ok = true;

	auto requests = [&] (Image::Session const &session)
	{
		return !strcmp(session.service, "ROM")
		    && label_from_args(session.args).last_element() == "session_requests";
	};

	/* the one of the first session, if there are several */
	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		if (_clients.count() || !ok || ds.kind != Image::Dataspace::SESSION
		 || ds.part != Requests_service_session::STATE
		 || !requests(_image.get<Image::Session>(ds.owner)))
			return;

		if (!_clients.reserve(1)) {
			ok = _refuse(Refused::Reason::OUT_OF_MEMORY, "clients");
			return;
		}

		char * const state = (char *)&_clients[0];

		_chain.for_each_page(uint32_t(i), [&] (uint32_t page, char const *bytes) {
			size_t const at = page*Image::PAGE_SIZE;
			if (at < sizeof(Offer_state))
				memcpy(state + at, bytes, min(size_t(Image::PAGE_SIZE), sizeof(Offer_state) - at)); });

		ok = (_clients[0].plausible() && _gates_of_root(_clients[0]))
		  || _refuse(Refused::Reason::IMAGE, "state of clients"); });

	return ok;
}


static uint64_t missing(uint64_t needed, size_t present)
{
	return needed > present ? needed - present : 0;
}


/**
 * Let the component have what its clients have donated
 */
bool Restore::_take_donations()
{
	Offer * const offer = _child.parent.offer();

	if (!offer || !_clients.count())
		return true;

	Image::System const system = _image.system();
	Offer::Costs  const most   = offer->max_donated(_clients[0]);

	if (missing(system.ram_quota, _child.quota.ram.value)  > most.ram.value
	 || missing(system.cap_quota, _child.quota.caps.value) > most.caps.value)
		return _refuse(Refused::Reason::IMAGE, "more quota than clients have donated");

	Offer::Costs const more {
		{ size_t(missing(system.ram_quota, _child.quota.ram.value  + _child.donated.ram.value)) },
		{ size_t(missing(system.cap_quota, _child.quota.caps.value + _child.donated.caps.value)) } };

	if ((more.ram.value || more.caps.value) && !offer->affords(more))
		return _refuse(Refused::Reason::MEMORY, "quota of clients exceeds what the monitor has");

	if (!offer->has_room(_clients[0]))
		return _refuse(Refused::Reason::MEMORY, "clients here have too many sessions");

	_child.donate(more);
	return true;
}


/**
 * Take memory that clients share, with the content that it has by now
 */
bool Restore::_take_shared_memory()
{
	Offer * const offer = _child.parent.offer();

	uint64_t const stamp = _clients.count() ? _clients[0].stamp : 0;

	bool all = true;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		Ram_dataspace_capability cap { };

		if (offer && ds.kind == Image::Dataspace::RAM && !_dataspaces[i])
			cap = offer->shared_memory(stamp, uint32_t(i));

		if (!all || !cap.valid())
			return;

		/* that of other members vanishes along with them */
		if (!ds.member)
			_child.pd.adopt(size_t(ds.size), Cache(ds.cache), cap).with_result(
				[&] (Dataspace *adopted) {
					offer->return_memory(*adopted);
					_dataspaces[i] = adopted;
					_kept[i]       = true; },
				[&] (Alloc_error) { });

		if (!_kept[i])
			all = _refuse(Refused::Reason::MEMORY, _named(ds.member), "dataspace ", i,
			              " of clients"); });

	return all;
}


/**
 * Find the clients of sessions that the component provides
 */
void Restore::_resume_clients()
{
	Offer * const offer = _child.parent.offer();

	if (!offer)
		return;

	Image::System const system = _image.system();

	/* what was begun ahead may have had more */
	_child.limit_donations({ { size_t(missing(system.ram_quota, _child.quota.ram.value))  },
	                         { size_t(missing(system.cap_quota, _child.quota.caps.value)) } });

	/* a component that has not asked for requests yet knows no client, as one that starts */
	if (!_clients.count())
		return offer->start(_child.pd);

	offer->resume(_child.pd, _clients[0], _gates, _child.donated);
}
