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


Pd_session::Ref_account_result Pd::ref_account(Capability<Pd_account> account)
{
	Ref_account_result const result = _real.ref_account(real_cap_of(account));

	/* core respects the first account only, and ignores the session itself */
	if (result == Ref_account_result::OK && !_ref_cap.valid() && account != cap())
		_ref_cap = static_cap_cast<Pd_session>(account);

	return result;
}


/**
 * Move quota between two sessions of core, either all or nothing
 */
static Pd::Pay_result transfer(Pd_session &from, Capability<Pd_account> from_cap,
                               Pd_session &to,   Capability<Pd_account> to_cap,
                               Pd::Costs const &costs)
{
	using Transfer_result = Pd_account::Transfer_result;

	auto error = [] (Transfer_result result, Alloc_error exceeded)
	{
		return (result == Transfer_result::EXCEEDED) ? exceeded : Alloc_error::DENIED;
	};

	Transfer_result const ram = from.transfer_quota(to_cap, costs.ram);
	if (ram != Transfer_result::OK)
		return error(ram, Alloc_error::OUT_OF_RAM);

	Transfer_result const caps = from.transfer_quota(to_cap, costs.caps);
	if (caps == Transfer_result::OK)
		return Ok();

	(void)to.transfer_quota(from_cap, costs.ram);

	return error(caps, Alloc_error::OUT_OF_CAPS);
}


Pd::Pay_result Monitored_pd::pay(Costs const &costs)
{
	Pay_result result = Alloc_error::DENIED;

	/* core moves quota to the reference account only, which is a child's, too */
	_with_ref_account([&] (Pd &ref) {

		result = transfer(real(), real_cap(), ref.real(), ref.real_cap(), costs);
		if (result.failed())
			return;

		result = ref.pay(costs);
		if (result.failed())
			(void)transfer(ref.real(), ref.real_cap(), real(), real_cap(), costs);
	});

	return result;
}


void Monitored_pd::repay(Costs const &costs)
{
	_with_ref_account([&] (Pd &ref) {

		ref.repay(costs);

		/* core would move the quota to the reference account right away */
		if (!_closing)
			(void)transfer(ref.real(), ref.real_cap(), real(), real_cap(), costs);
	});
}


Pd_session::Alloc_rpc_cap_result Monitored_pd::alloc_rpc_cap(Native_capability thread)
{
	using Result = Alloc_rpc_cap_result;

	/* called before application code, which may damage the table, is executed */
	(void)cap_space.attach();

	return _gates.reserve().convert<Result>(
		[&] (Ok) -> Result {
			return real().alloc_rpc_cap(thread).convert<Result>(
				[&] (Native_capability cap) -> Result {

					/* our capability space is exhausted */
					if (!cap.valid())
						return Alloc_error::DENIED;

					_gates.insert(thread, cap);
					return cap; },

				[&] (Alloc_error e) -> Result { return e; }); },

		[&] (Alloc_error e) -> Result { return e; });
}


void Monitored_pd::free_rpc_cap(Native_capability cap)
{
	if (!cap.valid())
		return;

	Gate * const gate = _gates.find(unsigned(cap.local_name()));

	if (gate && gate->cap == cap)
		_gates.remove(*gate);

	real().free_rpc_cap(cap);
}


Monitored_pd::Replace_result Monitored_pd::_replace_selected(Snapshot &snapshot)
{
	if (!Cap_map::ok(cap_space.take(snapshot)))
		return Replace_error::REFUSED;

	/* a gate that has left the table is not used by the component anymore */
	snapshot.for_each([&] (unsigned slot, unsigned badge) {
		Gate * const gate = _gates.find(badge);
		if (gate && gate->pending.selected)
			gate->pending.slot = slot; });

	unsigned      count = 0;
	bool          failed = false;
	Replace_error error { };

	_gates.for_each([&] (Gate &gate) {
		if (!gate.pending.slot || failed)
			return;

		real().alloc_rpc_cap(gate.thread).with_result(
			[&] (Native_capability cap) {

				/* our capability space is exhausted */
				if (!cap.valid()) {
					failed = true;
					error  = Replace_error::OUT_OF_CAPS;
					return;
				}
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

		bool const replaced = result.ok() && !gate.pending.left_out;

		Native_capability const obsolete = replaced ? gate.cap : gate.pending.cap;

		if (replaced)
			_gates.replace(gate, gate.pending.cap);

		real().free_rpc_cap(obsolete);
		gate.pending = { };
	});

	return result;
}


/**
 * Respond to a slot that the component changed while its gate was replaced
 *
 * The new gate may be present at the selector although the slot belongs to
 * another capability. It vanishes with the gate. If the slot belongs to a gate
 * again, let the selector refer to it. Any other capability that the component
 * obtained in the slot before the new gate was installed is lost.
 */
void Monitored_pd::_leave_out(Rewrite const &rewrite)
{
	if (Gate * const gate = _gates.find(rewrite.expected))
		gate->pending.left_out = true;

	Snapshot::Entry entry { };
	if (!Cap_map::ok(cap_space.entry(rewrite.slot, entry))
	 || entry.state != CAP_MAP_STATE_USED)
		return;

	Gate * const present = _gates.find(entry.badge);

	if (present && !cap_space.confirmed(rewrite.slot, entry.badge))
		(void)cap_space.install(present->cap, rewrite.slot, Replace::YES);
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
				               .left_out = 0, .head = 0, .next = 0 };

				installed &= install(gate.pending.cap, gate.pending.slot); });

			if (installed) {
				unsigned slot = 0;
				if (Cap_map::ok(cap_space.rewrite(batch, i, slot))) {

					unsigned replaced = 0;
					for (Rewrite const *rewrite = batch; rewrite < batch + i; rewrite++) {
						if (rewrite->left_out)
							_leave_out(*rewrite);
						else
							replaced++;
					}
					return replaced;
				}

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
