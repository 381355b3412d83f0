/*
 * \brief  Virtualized PD session that gives insight into the capability space
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#include <cap_space_monitor/pd.h>

using namespace Cap_space_monitor;


Native_capability Monitored_pd::alloc_rpc_cap(Native_capability thread)
{
	/* called before application code, which may damage the table, is executed */
	(void)cap_space.attach();

	Lock::Guard guard(_lock);

	Native_capability const cap = real().alloc_rpc_cap(thread);

	if (cap.valid())
		_gates.insert(new (_alloc) Gate(_num_gates++, thread, cap));

	return cap;
}


void Monitored_pd::free_rpc_cap(Native_capability cap)
{
	Lock::Guard guard(_lock);

	_for_each(_gates, [&] (Gate &gate) {
		if (gate.cap == cap) {
			_gates.remove(&gate);
			destroy(_alloc, &gate);
		} });

	real().free_rpc_cap(cap);
}


Monitored_pd::Replace_result
Monitored_pd::_replace_selected(Snapshot &snapshot, unsigned &count)
{
	count = 0;

	if (!Cap_map::ok(cap_space.take(snapshot)))
		return REFUSED;

	/* a gate that has left the table is not used by the component anymore */
	snapshot.for_each([&] (unsigned slot, unsigned badge) {
		_for_each(_gates, [&] (Gate &gate) {
			if (gate.selected && badge == gate.badge())
				gate.slot = slot; }); });

	unsigned created = 0;

	Replace_result result = REPLACED;

	try {
		_for_each(_gates, [&] (Gate &gate) {
			if (!gate.slot)
				return;

			gate.pending = real().alloc_rpc_cap(gate.thread);

			if (!gate.pending.valid())
				result = OUT_OF_METADATA;

			created++; });

	} catch (Pd_session::Out_of_metadata) { result = OUT_OF_METADATA; }

	if (result == REPLACED)
		result = _replace_pending(created);

	/* release either the old gates or the ones that did not come into effect */
	_for_each(_gates, [&] (Gate &gate) {

		if (!gate.pending.valid())
			return;

		bool const replaced = (result == REPLACED) && !gate.left_out;

		Native_capability const obsolete = replaced ? gate.cap : gate.pending;

		if (replaced) {
			gate.cap = gate.pending;
			count++;
		}

		gate.pending = Native_capability();

		real().free_rpc_cap(obsolete);
	});

	return result;
}


/**
 * Return gate that has the badge, or nullptr
 */
Monitored_pd::Gate *Monitored_pd::_gate(unsigned badge) const
{
	Gate *result = nullptr;

	_for_each(_gates, [&] (Gate &gate) {
		if (gate.badge() == badge)
			result = &gate; });

	return result;
}


/**
 * Return true if the slot still carries the badge of the gate to be replaced
 */
bool Monitored_pd::_unchanged(Rewrite const &rewrite)
{
	Snapshot::Entry entry { CAP_MAP_STATE_FREE, 0 };

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
	Snapshot::Entry entry { CAP_MAP_STATE_FREE, 0 };
	if (!Cap_map::ok(cap_space.entry(rewrite.slot, entry))
	 || entry.state != CAP_MAP_STATE_USED)
		return;

	if (Gate * const present = _gate(entry.badge))
		(void)cap_space.install(present->cap, rewrite.slot, rewrite.replacement);
}


/**
 * Let the gate stay because the component changed its slot meanwhile
 */
void Monitored_pd::_leave_out(Rewrite const &rewrite)
{
	if (Gate * const gate = _gate(rewrite.expected))
		gate->left_out = true;

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

	_for_each(_gates, [&] (Gate &gate) {
		if (!gate.pending.valid() || !ok)
			return;

		switch (cap_space.install(gate.pending, gate.slot, gate.badge())) {
		case Foc_native_pd::INSTALL_OK:
			{
				Rewrite rewrite = Rewrite();
				rewrite.slot        = gate.slot;
				rewrite.expected    = gate.badge();
				rewrite.replacement = gate.pending.local_name();

				batch[count++] = rewrite;
				break;
			}

		/* the component uses the slot for something else */
		case Foc_native_pd::INSTALL_IN_USE: gate.left_out = true; break;

		case Foc_native_pd::INSTALL_OUT_OF_RANGE:
		case Foc_native_pd::INSTALL_INVALID_CAP:
		case Foc_native_pd::INSTALL_FAILED: ok = false;
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
 */
void Monitored_pd::_conclude(Rewrite const *batch, unsigned count, uint64_t sequence)
{
	Stamp stamp = Stamp();
	bool const untouched = Cap_map::ok(cap_space.stamp(stamp))
	                    && stamp.sequence == sequence && !(sequence & 1);

	for (Rewrite const *rewrite = batch; rewrite < batch + count; rewrite++) {

		if (rewrite->left_out) {
			_leave_out(*rewrite);
			continue;
		}

		/* the component may have received the old gate once more at the slot */
		Gate * const gate = untouched ? nullptr : _gate(rewrite->expected);
		if (gate)
			(void)cap_space.install(gate->pending, rewrite->slot, rewrite->expected);
	}
}


Monitored_pd::Replace_result Monitored_pd::_replace_pending(unsigned const pending)
{
	if (!pending)
		return REPLACED;

	void *memory = nullptr;
	if (!_alloc.alloc(pending*sizeof(Rewrite), &memory))
		return OUT_OF_METADATA;

	Rewrite * const batch = (Rewrite *)memory;

	unsigned count = 0;

	Stamp stamp = Stamp();
	(void)cap_space.stamp(stamp);

	bool const installed = _install_pending(batch, count),
	           rewritten = installed && _rewrite(batch, count);

	if (rewritten)
		_conclude(batch, count, stamp.sequence);

	/* otherwise, the table still has the old badges */
	else
		for (unsigned i = 0; i < count; i++)
			_install_present(batch[i]);

	_alloc.free(memory, pending*sizeof(Rewrite));

	return rewritten ? REPLACED : installed ? REFUSED : INSTALL_FAILED;
}


Monitored_pd::~Monitored_pd()
{
	while (Gate * const gate = _gates.first()) {
		_gates.remove(gate);
		destroy(_alloc, gate);
	}
}
