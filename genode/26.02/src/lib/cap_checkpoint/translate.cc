/*
 * \brief  Capabilities that a component and its clients pass to each other
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
 * Return gate of the component with a badge, or an invalid capability
 */
Native_capability Offer::_gate_of(uint32_t const badge) const
{
	Native_capability result { };

	if (_pd)
		_pd->for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
			if (uint32_t(gate.cap.local_name()) == badge)
				result = gate.cap; });

	return result;
}


/**
 * Return signal context of the component that stands for a capability of a client
 *
 * What the monitor gets to know of its use is that the component submits a signal. The context is
 * saved and restored like any other one, and means nothing where the client is not known.
 */
Native_capability Offer::_stand_in(Served &served, Native_capability const &cap)
{
	Native_capability result { };

	for (Served::Stand_in &stand_in : served.stand_ins) {

		if (stand_in.imprint && stand_in.cap != cap)
			continue;

		if (stand_in.imprint)
			_pd->signals.with_imprint(stand_in.imprint, [&] (Context &context) {
				result = context.cap; });

		/* a restored component may have some that belong to nobody here */
		for (unsigned i = 0; !result.valid() && i < 64; i++) {

			addr_t const imprint = Context::FIRST_STAND_IN + _next_imprint++ % 0xfffff;

			_pd->signals.create_context(imprint).with_result(
				[&] (Context *context) {
					stand_in = { .cap = cap, .imprint = imprint };
					result   = context->cap; },
				[&] (Alloc_error) { });
		}
		return result;
	}
	return { };
}


Native_capability Offer::_to_component(Served &served, Native_capability const &cap)
{
	if (!cap.valid() || !_pd)
		return { };

	/* an object of the component comes back */
	Native_capability result { };
	_for_each_proxy([&] (Served &, Proxy &proxy) {
		if (!result.valid())
			result = proxy.target_of(cap); });

	if (!result.valid())
		result = _stand_in(served, cap);

	if (!result.valid())
		warning(_label, ": a capability of a client of ", served.service, " is left out");

	return result;
}


Native_capability Offer::_to_client(Served &served, uint32_t const badge)
{
	if (badge == ~0U || !_pd)
		return { };

	Native_capability result { };

	if (Native_capability const gate = _gate_of(badge); gate.valid()) {
		served.proxy->drop_dead_objects([&] (Native_capability const &target) {
			return _gate_of(uint32_t(target.local_name())).valid(); });
		result = served.proxy->gate_for(gate);
	}

	_pd->dataspaces.for_each([&] (Dataspace &ds) {
		if (ds.of_monitor && uint32_t(ds.cap.local_name()) == badge)
			result = _share(served, ds); });

	/* a capability of the client goes back */
	_pd->signals.for_each_context([&] (Context &context) {
		if (uint32_t(context.cap.local_name()) == badge)
			for (Served::Stand_in const &stand_in : served.stand_ins)
				if (stand_in.imprint == context.imprint)
					result = stand_in.cap; });

	if (!result.valid())
		warning(_label, ": a capability for a client of ", served.service, " is left out");

	return result;
}


void Offer::_answer_proxies()
{
	_for_each([&] (Served &served) {
		if (served.proxy.constructed())
			served.proxy->answer(
				[&] (Native_capability const &cap) { return _to_component(served, cap); },
				[&] (uint32_t badge)               { return _to_client(served, badge); }); });
}


void Offer::submit(addr_t const imprint, unsigned const count)
{
	_for_each([&] (Served &served) {
		for (Served::Stand_in const &stand_in : served.stand_ins)
			if (stand_in.imprint == imprint && served.known)
				_own_pd.submit(reinterpret_cap_cast<Signal_context>(stand_in.cap), count); });
}
