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
 * Respond to a slot that the component changed while its gate was replaced
 *
 * The new gate may be present at the selector although the slot belongs to
 * another capability. It vanishes with the gate. If the slot belongs to a gate
 * again, let the selector refer to it. Any other capability that the component
 * obtained in the slot before the new gate was installed is lost.
 */
void Monitored_pd::_leave_out(Rewrite const &rewrite)
{
	Snapshot::Entry entry { CAP_MAP_STATE_FREE, 0 };
	bool const used = Cap_map::ok(cap_space.entry(rewrite.slot, entry))
	               && entry.state == CAP_MAP_STATE_USED;

	_for_each(_gates, [&] (Gate &gate) {

		if (gate.badge() == rewrite.expected)
			gate.left_out = true;

		if (used && gate.badge() == entry.badge
		 && !cap_space.confirmed(rewrite.slot, entry.badge))
			(void)cap_space.install(gate.cap, rewrite.slot,
			                        Foc_native_pd::REPLACE); });
}


Monitored_pd::Replace_result Monitored_pd::_replace_pending(unsigned const count)
{
	if (!count)
		return REPLACED;

	auto install = [&] (Native_capability cap, unsigned slot)
	{
		return cap_space.install(cap, slot, Foc_native_pd::REPLACE)
		    == Foc_native_pd::INSTALL_OK;
	};

	void *memory = nullptr;
	if (!_alloc.alloc(count*sizeof(Rewrite), &memory))
		return OUT_OF_METADATA;

	Rewrite * const batch = (Rewrite *)memory;

	Replace_result result = INSTALL_FAILED;

	unsigned i = 0;
	bool installed = true;

	_for_each(_gates, [&] (Gate &gate) {
		if (!gate.pending.valid())
			return;

		Rewrite rewrite = Rewrite();
		rewrite.slot        = gate.slot;
		rewrite.expected    = gate.badge();
		rewrite.replacement = gate.pending.local_name();

		batch[i++] = rewrite;

		installed &= install(gate.pending, gate.slot); });

	if (installed) {
		unsigned slot = 0;
		result = Cap_map::ok(cap_space.rewrite(batch, i, slot)) ? REPLACED : REFUSED;

		for (Rewrite const *rewrite = batch; rewrite < batch + i; rewrite++)
			if (result == REPLACED && rewrite->left_out)
				_leave_out(*rewrite);
	}

	/* the table still has the old badges */
	if (result != REPLACED)
		_for_each(_gates, [&] (Gate &gate) {
			if (gate.pending.valid())
				(void)install(gate.cap, gate.slot); });

	_alloc.free(memory, count*sizeof(Rewrite));

	return result;
}


Monitored_pd::~Monitored_pd()
{
	while (Gate * const gate = _gates.first()) {
		_gates.remove(gate);
		destroy(_alloc, gate);
	}
}
