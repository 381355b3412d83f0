/*
 * \brief  Capability space of a monitored component
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <cap_space_monitor/cap_space.h>
#include <trace/timestamp.h>
#include <util/string.h>

using namespace Cap_space_monitor;


/*
 * Calls of 'cap_map_relax' granted to a component that asks for quiet
 *
 * In the presence of a component that is always busy, each call may take as
 * long as the time slice of a thread. A rewrite waits several times.
 */
static constexpr uint32_t WAIT_BUDGET = 4;


Status Cap_space::attach()
{
	return _table.attached() ? CAP_MAP_STATUS_OK
	                         : _table.attach(_ds.local_addr<void>(), _size, WAIT_BUDGET);
}


void *Cap_space::area(size_t bytes, unsigned version)
{
	Cap_map::Header header { };

	/* the position has been checked against the size of the memory */
	if (!Cap_map::ok(attach()) || !Cap_map::ok(_table.header(header))
	 || !header.area_offset || header.area_bytes != bytes || header.area_version != version)
		return nullptr;

	return _ds.local_addr<char>() + header.area_offset;
}


Status Cap_space::stamp(Stamp &stamp)
{
	Status const status = attach();

	return Cap_map::ok(status) ? _table.stamp(stamp) : status;
}


Status Cap_space::take(Snapshot &snapshot)
{
	snapshot._num_slots = 0;

	Status status = attach();
	if (!Cap_map::ok(status))
		return status;

	status = _table.snapshot(snapshot._words, snapshot._max_slots, snapshot._info);
	if (Cap_map::ok(status))
		snapshot._num_slots = snapshot._info.slots;

	return status;
}


Status Cap_space::entry(unsigned slot, Snapshot::Entry &entry)
{
	Status const status = attach();

	return Cap_map::ok(status) ? _table.entry(slot, entry) : status;
}


Status Cap_space::rewrite(Rewrite *batch, size_t count, unsigned &slot)
{
	slot = ~0U;

	Status const status = attach();

	return Cap_map::ok(status) ? _table.rewrite(batch, count, slot) : status;
}


Status Cap_space::take_over()
{
	Status const status = attach();

	return Cap_map::ok(status) ? _table.take_over() : status;
}


Identity Cap_space::identity(char const *label, Native_capability pd)
{
	Identity result { };

	size_t const length = strlen(label),
	             excess = length > CAP_MAP_LABEL_BYTES ? length - CAP_MAP_LABEL_BYTES : 0;

	/* don't start within a character of UTF-8 */
	char const *start = label + excess;
	while ((*start & 0xc0) == 0x80)
		start++;

	(void)Cap_map::set_label(result, start, strlen(start));

	result.instance = (uint64_t(pd.local_name()) << 32)
	                | uint32_t(Trace::timestamp());
	return result;
}


static size_t table_size(unsigned slots)
{
	return Cap_map::region_bytes(max(unsigned(Cap_map::MIN_SLOTS),
	                                 min(unsigned(MAX_SLOTS), slots)));
}


Cap_space::Cap_space(Ram_reference ram, Local_rm_reference local_rm,
                     Capability<Pd_session::Native_pd> native_pd,
                     Identity const &identity, unsigned num_slots,
                     size_t area_bytes)
:
	_size(table_size(num_slots) + area_bytes), _ds(ram, local_rm, _size), _native_pd(native_pd)
{
	void * const memory = _ds.local_addr<void>();

	/* a label that is no UTF-8 is left out */
	if (Cap_map::prepare(memory, _size, identity) == CAP_MAP_STATUS_BAD_LABEL) {
		Identity unnamed = identity;
		(void)Cap_map::set_label(unnamed, "", 0);
		(void)Cap_map::prepare(memory, _size, unnamed);
	}
}
