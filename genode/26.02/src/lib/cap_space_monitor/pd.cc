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


void Pd::_refer_to(Pd &ref)
{
	_ref = &ref;
	ref._referrers.insert(&_of_ref);
}


Pd::~Pd()
{
	_ep.dissolve(*this);

	if (_ref)
		_ref->_referrers.remove(&_of_ref);

	/* like core, let the account above take the place of this one */
	while (List_element<Pd> * const e = _referrers.first()) {

		_referrers.remove(e);
		e->object()->_ref = nullptr;

		if (_ref)
			e->object()->_refer_to(*_ref);
	}
}


Pd_session::Ref_account_result Pd::ref_account(Capability<Pd_account> account)
{
	Ref_account_result const result = _real.ref_account(real_cap_of(account));

	/* core respects the first account only, and ignores the session itself */
	if (result == Ref_account_result::OK && !_ref && account != cap())
		with_pd(_ep, static_cap_cast<Pd_session>(account), [&] (Pd &ref) { _refer_to(ref); }, [&] { });

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


Pd::Pay_result Monitored_pd::move_to_monitor(Costs const &costs)
{
	Pay_result result = Alloc_error::DENIED;

	/* core moves quota to the reference account only, which is a child's, too */
	_with_ref_account([&] (Pd &ref) {

		result = transfer(real(), real_cap(), ref.real(), ref.real_cap(), costs);
		if (result.failed())
			return;

		result = ref.move_to_monitor(costs);
		if (result.failed())
			(void)transfer(ref.real(), ref.real_cap(), real(), real_cap(), costs);
	});

	return result;
}


void Monitored_pd::move_from_monitor(Costs const &costs)
{
	_with_ref_account([&] (Pd &ref) {

		ref.move_from_monitor(costs);

		/* core would move the quota to the reference account right away */
		if (!_closing)
			(void)transfer(ref.real(), ref.real_cap(), real(), real_cap(), costs);
	});
}


Pd::Pay_result Monitored_pd::pay(Costs const &costs)
{
	Pay_result const result = move_to_monitor(costs);

	if (result.ok()) {
		_paid.ram.value  += costs.ram.value;
		_paid.caps.value += costs.caps.value;
	}
	return result;
}


void Monitored_pd::repay(Costs const &costs)
{
	move_from_monitor(costs);

	_paid.ram.value  -= costs.ram.value;
	_paid.caps.value -= costs.caps.value;
}


Pd::Costs Monitored_pd::received()
{
	/* the monitor may have repaid more than was paid, and the sum is right nevertheless */
	return { { real().ram_quota().value + _paid.ram.value  },
	         { real().cap_quota().value + _paid.caps.value } };
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
 * Return true if the slot still carries the badge of the gate to be replaced
 */
bool Monitored_pd::_unchanged(Rewrite const &rewrite)
{
	Snapshot::Entry entry { };

	return Cap_map::ok(cap_space.entry(rewrite.slot, entry))
	    && entry.state == CAP_MAP_STATE_USED
	    && entry.badge == rewrite.expected;
}


/**
 * Let a slot that got the new gate refer to the gate that its badge belongs to
 *
 * If the slot is in use for anything else, or does not refer to the new gate
 * anymore, the component has changed it, and it is left alone. A new gate that
 * remains at the selector of a free slot vanishes with the gate.
 */
void Monitored_pd::_install_present(Rewrite const &rewrite)
{
	Snapshot::Entry entry { };
	if (!Cap_map::ok(cap_space.entry(rewrite.slot, entry))
	 || entry.state != CAP_MAP_STATE_USED)
		return;

	if (Gate * const present = _gates.find(entry.badge))
		(void)cap_space.install(present->cap, rewrite.slot, rewrite.replacement);
}


/**
 * Let the gate stay because the component changed its slot meanwhile
 */
void Monitored_pd::_leave_out(Rewrite const &rewrite)
{
	if (Gate * const gate = _gates.find(rewrite.expected))
		gate->pending.left_out = true;

	_install_present(rewrite);
}


/**
 * Remove those gates from the batch the slots of which were changed
 *
 * \return  number of gates that remain
 */
unsigned Monitored_pd::_leave_out_changed(Rewrite *batch, unsigned count)
{
	unsigned remaining = 0;

	for (unsigned i = 0; i < count; i++) {
		if (_unchanged(batch[i]))
			batch[remaining++] = batch[i];
		else
			_leave_out(batch[i]);
	}
	return remaining;
}


/**
 * Install the new gates in the place of the old ones
 *
 * \param count  number of gates that are installed and thereby in the batch
 * \return       false if an installation failed
 */
bool Monitored_pd::_install_pending(Rewrite *batch, unsigned &count)
{
	bool ok = true;

	_gates.for_each([&] (Gate &gate) {
		if (!gate.pending.cap.valid() || !ok)
			return;

		unsigned const slot = gate.pending.slot, badge = unsigned(gate.cap.local_name());

		switch (cap_space.install(gate.pending.cap, slot, badge)) {
		case Install_result::OK:
			batch[count++] = {
				.slot        = slot,
				.expected    = badge,
				.replacement = unsigned(gate.pending.cap.local_name()),
				.left_out = 0, .head = 0, .next = 0 };
			break;

		/* the component uses the slot for something else */
		case Install_result::IN_USE: gate.pending.left_out = true; break;

		case Install_result::OUT_OF_RANGE:
		case Install_result::INVALID_CAP:
		case Install_result::FAILED: ok = false;
		}
	});

	return ok;
}


/**
 * Let the table carry the new badges
 *
 * \param count  number of gates in the batch, decreased by those left out
 * \return       false if the table is unchanged
 */
bool Monitored_pd::_rewrite(Rewrite *batch, unsigned &count)
{
	/* each refused attempt is the last one, or leaves out a gate */
	for (;;) {
		unsigned slot = 0;
		if (Cap_map::ok(cap_space.rewrite(batch, count, slot)))
			return true;

		unsigned const remaining = _leave_out_changed(batch, count);
		if (remaining == count)
			return false;

		count = remaining;
	}
}


/**
 * Let each slot refer to the gate that its badge belongs to after a rewrite
 *
 * \param sequence  of the table before the first new gate was installed
 * \return          number of gates replaced
 */
unsigned Monitored_pd::_conclude(Rewrite const *batch, unsigned count, uint64_t sequence)
{
	Stamp stamp { };
	bool const untouched = Cap_map::ok(cap_space.stamp(stamp))
	                    && stamp.sequence == sequence && !(sequence & 1);

	unsigned replaced = 0;

	for (Rewrite const *rewrite = batch; rewrite < batch + count; rewrite++) {

		if (rewrite->left_out) {
			_leave_out(*rewrite);
			continue;
		}
		replaced++;

		/* the component may have received the old gate once more at the slot */
		Gate * const gate = untouched ? nullptr : _gates.find(rewrite->expected);
		if (gate)
			(void)cap_space.install(gate->pending.cap, rewrite->slot, rewrite->expected);
	}
	return replaced;
}


Monitored_pd::Replace_result Monitored_pd::_replace_pending(unsigned const pending)
{
	if (!pending)
		return 0U;

	return _alloc.try_alloc(pending*sizeof(Rewrite)).convert<Replace_result>(

		[&] (Memory::Allocation &memory) -> Replace_result {

			Rewrite * const batch = (Rewrite *)memory.ptr;

			unsigned count = 0;

			Stamp stamp { };
			(void)cap_space.stamp(stamp);

			bool const installed = _install_pending(batch, count);

			if (installed && _rewrite(batch, count))
				return _conclude(batch, count, stamp.sequence);

			/* the table still has the old badges */
			for (unsigned i = 0; i < count; i++)
				_install_present(batch[i]);

			return installed ? Replace_error::REFUSED : Replace_error::INSTALL_FAILED;
		},
		[&] (Alloc_error) -> Replace_result { return Replace_error::OUT_OF_RAM; });
}
