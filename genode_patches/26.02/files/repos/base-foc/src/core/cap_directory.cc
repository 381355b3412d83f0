/*
 * \brief  Directory of PDs and of the objects behind core's capability slots
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <util/string.h>

/* core includes */
#include <cap_directory.h>

/* flat capability table */
#include <cap_map.h>

using namespace Core;


static void store(uint64_t &word, uint64_t value)
{
	__atomic_store_n(&word, value, __ATOMIC_RELAXED);
}


static uint64_t checksum(uint8_t const *bytes, size_t count)
{
	/* FNV-1a */
	uint64_t hash = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;

	return hash;
}


/**
 * Let 'fn' change the directory, with an odd sequence meanwhile
 *
 * The lock is used before those of the base library work, and within short
 * sections only.
 */
void Cap_directory::_change(auto const &fn)
{
	while (__atomic_exchange_n(&_lock, 1, __ATOMIC_ACQUIRE))
		cap_map_relax();

	uint64_t &sequence = _layout.header.sequence;

	store(sequence, sequence + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);

	fn();

	__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&_lock, 0, __ATOMIC_RELEASE);
}


void Cap_directory::_with_entry_of(void const *owner, auto const &fn)
{
	for (unsigned i = 0; owner && i < _num_living; i++) {
		if (_living[i].owner == owner) {
			fn(_living[i].entry);
			return;
		}
	}
}


void Cap_directory::_set_slot(unsigned slot, Genode::uint32_t record)
{
	/* slot 0 stands for an object that could not be created */
	if (!slot || slot >= NUM_SLOTS)
		return;

	Genode::uint32_t &curr = _layout.slots[slot];

	auto objects_of = [&] (Genode::uint32_t record, int change)
	{
		unsigned const pd = record & 0xffff;
		if (pd && pd <= NUM_PDS)
			_objects[pd - 1] += change;
	};

	objects_of(curr,   -1);
	objects_of(record, +1);

	__atomic_store_n(&curr, record, __ATOMIC_RELAXED);
}


void Cap_directory::add_pd(void const *owner, unsigned badge, char const *label)
{
	_change([&] {

		/* an entry that is named by records keeps telling what they mean */
		auto usable = [&] (unsigned i, uint64_t state) {
			return _layout.pds[i].state == state && !_objects[i]; };

		unsigned entry = 0;
		while (entry < NUM_PDS && !usable(entry, Pd::FREE))
			entry++;

		if (entry == NUM_PDS)
			for (entry = 0; entry < NUM_PDS && !usable(entry, Pd::DEAD); )
				entry++;

		/* the PD remains unknown */
		if (entry == NUM_PDS)
			return;

		size_t const length = strlen(label);

		/* of a long label, the end, from the start of a character of UTF-8 */
		char const *from = label + length - min(length, size_t(LABEL_BYTES));
		while ((*from & 0xc0) == 0x80)
			from++;

		uint64_t text[LABEL_BYTES/8] { };
		memcpy(text, from, strlen(from));

		Pd &pd = _layout.pds[entry];

		for (unsigned i = 0; i < LABEL_BYTES/8; i++)
			store(pd.label[i], text[i]);

		store(pd.badge,      badge);
		store(pd.table,      0);
		store(pd.table_size, 0);
		store(pd.instance,   0);
		store(pd.state,      Pd::ALIVE);

		/* a living PD has an entry of its own, so there is room */
		_living[_num_living++] = { .owner = owner, .entry = entry };
	});
}


void Cap_directory::table(void const *owner, addr_t phys, size_t size, uint64_t instance)
{
	_change([&] {
		_with_entry_of(owner, [&] (unsigned i) {

			/* the monitor is first, the component may claim something else */
			if (_layout.pds[i].table)
				return;

			store(_layout.pds[i].table,      phys);
			store(_layout.pds[i].table_size, size);
			store(_layout.pds[i].instance,   instance); }); });
}


void Cap_directory::remove_pd(void const *owner)
{
	_change([&] {
		for (unsigned i = 0; i < _num_living; i++) {

			if (_living[i].owner != owner)
				continue;

			store(_layout.pds[_living[i].entry].state, Pd::DEAD);
			_living[i] = _living[--_num_living];
			return;
		} });
}


void Cap_directory::object(unsigned slot, Kind kind, void const *owner)
{
	_change([&] {
		Genode::uint32_t pd = 0;
		_with_entry_of(owner, [&] (unsigned i) { pd = i + 1; });
		_set_slot(slot, pd | Genode::uint32_t(kind) << 16); });
}


void Cap_directory::no_object(unsigned slot)
{
	if (slot < NUM_SLOTS && !__atomic_load_n(&_layout.slots[slot], __ATOMIC_RELAXED))
		return;

	_change([&] { _set_slot(slot, 0); });
}


Cap_directory::Cap_directory(uint64_t boot)
{
	Header &header = _layout.header;

	header.version   = 1;
	header.size      = sizeof(_layout);
	header.num_pds   = NUM_PDS;
	header.pd_size   = sizeof(Pd);
	header.pds       = __builtin_offsetof(Layout, pds);
	header.num_slots = NUM_SLOTS;
	header.slots     = __builtin_offsetof(Layout, slots);
	header.boot      = boot;

	static constexpr uint64_t MAGIC = 0x4341504449524543ULL;

	/* the checksum regards the magic, which is to be written last */
	Header copy = header;
	copy.magic = MAGIC;
	header.checksum = checksum((uint8_t const *)&copy,
	                           __builtin_offsetof(Header, checksum));

	__atomic_store_n(&header.magic, MAGIC, __ATOMIC_RELEASE);
}
