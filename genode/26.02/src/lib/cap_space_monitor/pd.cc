/*
 * \brief  Virtualized PD session that gives insight into the capability space
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_space_monitor/pd.h>

using namespace Cap_space_monitor;


Pd_session_capability Pd::real_cap_of(Capability<Pd_account> account) const
{
	/* while being called, the object at hand must not be looked up */
	if (account == cap())
		return _real_cap;

	Pd_session_capability result = static_cap_cast<Pd_session>(account);

	with_pd(_ep, result, [&] (Pd &pd) { result = pd._real_cap; }, [&] { });

	return result;
}


Pd_session::Alloc_rpc_cap_result Monitored_pd::alloc_rpc_cap(Native_capability thread)
{
	/* called before application code, which may damage the table, is executed */
	(void)cap_space.attach();

	Alloc_rpc_cap_result const result = real().alloc_rpc_cap(thread);

	result.with_result(
		[&] (Native_capability cap) {
			if (cap.valid())
				new (_alloc) Registered<Gate>(_gates, _num_gates++, thread, cap); },
		[&] (Alloc_error) { });

	return result;
}


void Monitored_pd::free_rpc_cap(Native_capability cap)
{
	_gates.for_each([&] (Registered<Gate> &gate) {
		if (gate.cap == cap)
			destroy(_alloc, &gate); });

	real().free_rpc_cap(cap);
}


Monitored_pd::Replace_result Monitored_pd::_replace_selected(Snapshot &snapshot)
{
	if (!Cap_map::ok(cap_space.take(snapshot)))
		return Replace_error::REFUSED;

	/* a gate that has left the table is not used by the component anymore */
	snapshot.for_each([&] (unsigned slot, unsigned badge) {
		_gates.for_each([&] (Gate &gate) {
			if (gate.pending.selected && badge == unsigned(gate.cap.local_name()))
				gate.pending.slot = slot; }); });

	unsigned      count = 0;
	bool          failed = false;
	Replace_error error { };

	_gates.for_each([&] (Gate &gate) {
		if (!gate.pending.slot || failed)
			return;

		real().alloc_rpc_cap(gate.thread).with_result(
			[&] (Native_capability cap) {
				gate.pending.cap = cap;
				count++; },
			[&] (Alloc_error e) {
				failed = true;
				error  = (e == Alloc_error::OUT_OF_RAM) ? Replace_error::OUT_OF_RAM
				                                        : Replace_error::OUT_OF_CAPS; }); });

	Replace_result const result = failed ? Replace_result(error)
	                                     : _replace_pending(count);

	/* release either the old gates or the ones that did not come into effect */
	_gates.for_each([&] (Gate &gate) {
		if (!gate.pending.cap.valid())
			return;

		Native_capability const obsolete = result.ok() ? gate.cap : gate.pending.cap;

		if (result.ok())
			gate.cap = gate.pending.cap;

		real().free_rpc_cap(obsolete);
		gate.pending = { };
	});

	return result;
}


Monitored_pd::Replace_result Monitored_pd::_replace_pending(unsigned const count)
{
	if (!count)
		return 0U;

	auto install = [&] (Native_capability cap, unsigned slot)
	{
		return cap_space.install(cap, slot, Replace::YES) == Install_result::OK;
	};

	return _alloc.try_alloc(count*sizeof(Rewrite)).convert<Replace_result>(

		[&] (Memory::Allocation &memory) -> Replace_result {

			Rewrite * const batch = (Rewrite *)memory.ptr;

			Replace_error error = Replace_error::INSTALL_FAILED;

			unsigned i = 0;
			bool installed = true;

			_gates.for_each([&] (Gate &gate) {
				if (!gate.pending.cap.valid())
					return;

				batch[i++] = { .slot        = gate.pending.slot,
				               .expected    = unsigned(gate.cap.local_name()),
				               .replacement = unsigned(gate.pending.cap.local_name()),
				               .head = 0, .next = 0 };

				installed &= install(gate.pending.cap, gate.pending.slot); });

			if (installed) {
				unsigned slot = 0;
				if (Cap_map::ok(cap_space.rewrite(batch, i, slot)))
					return i;

				error = Replace_error::REFUSED;
			}

			/* the table still has the old badges */
			_gates.for_each([&] (Gate &gate) {
				if (gate.pending.cap.valid())
					(void)install(gate.cap, gate.pending.slot); });

			return error;
		},
		[&] (Alloc_error) -> Replace_result { return Replace_error::OUT_OF_RAM; });
}


Monitored_pd::~Monitored_pd()
{
	_gates.for_each([&] (Registered<Gate> &gate) { destroy(_alloc, &gate); });
}
