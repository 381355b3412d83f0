/*
 * \brief  What clients donate to a component, and get back
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/offer.h>

using namespace Cap_checkpoint;


/**
 * Let the component have what a client has donated
 *
 * What it gets after it was saved would be missing in the image.
 */
void Offer::_pay_debts(Served &served)
{
	if (!_pd || _stamp)
		return;

	_pd->repay(served.unpaid);

	served.donated = _sum(served.donated, served.unpaid);
	served.unpaid  = { };
}


void Offer::_pay(Served &served, Costs const &costs)
{
	served.unpaid = _sum(served.unpaid, costs);
	_pay_debts(served);
}


/**
 * Take back what a client has donated
 *
 * The parent returns it to the client at the expense of the monitor. So a component
 * that does not return it takes from all others, which has its limit.
 *
 * \return  false if the component has to return it first
 */
bool Offer::_take_back(Served &served)
{
	if (_pd && _pd->pay(served.donated).failed()) {

		Costs const kept = _sum(_kept, served.donated);

		if (kept.ram.value > MAX_KEPT_RAM || kept.caps.value > MAX_KEPT_CAPS)
			return false;

		warning(_label, ": keeps the quota of a ", served.service, " session: ",
		        served.donated.ram.value, " bytes, ", served.donated.caps.value, " capabilities");
		_kept = kept;
	}
	served.donated = { };
	return true;
}


/**
 * Answer requests to close sessions whose quota has come back
 */
void Offer::_settle_owed()
{
	_for_each([&] (Served &served) {
		if (!served.owed || !_take_back(served))
			return;

		bool const over = served.over();

		served.owed = false;
		if (over)
			_end(served, served.answer); });
}


Offer::Costs Offer::donated()
{
	Costs result = _kept;
	_for_each([&] (Served const &served) { result = _sum(result, served.donated); });
	return result;
}


bool Offer::affords(Costs const &costs) const
{
	return _own_pd.avail_ram().value  >= costs.ram.value  + RESERVED_RAM
	    && _own_pd.avail_caps().value >= costs.caps.value + RESERVED_CAPS;
}


Offer::Costs Offer::max_donated(Offer_state const &state)
{
	/* the component may have to return something of a session that is not one of the state */
	if (_stamp && state.stamp == _stamp)
		return _sum(donated(), { { MAX_KEPT_RAM }, { MAX_KEPT_CAPS } });

	Costs result { { MAX_KEPT_RAM }, { MAX_KEPT_CAPS } };
	for (Offer_state::Session const &session : state.sessions)
		result = _sum(result, { { size_t(session.ram) }, { size_t(session.caps) } });

	return result;
}
