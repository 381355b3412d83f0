/*
 * \brief  Region maps of a restored component
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/rm_session.h>

using namespace Cap_checkpoint;


/**
 * Create the region maps of RM sessions, which depend on what the last container says
 */
bool Restore::_create_maps()
{
	bool   all = true;
	size_t num = 0;

	_image.for_each<Image::Dataspace>([&] (size_t i, Image::Dataspace const &ds) {

		if (!all || ds.kind != Image::Dataspace::REGION_MAP)
			return;

		_sessions[ds.owner]->with_rm([&] (Rm_service_session &rm) {
			rm.create(size_t(ds.size), ds.part).with_result(
				[&] (Rm_service_session::Map *map) {
					_maps[num]     = map;
					_dataspaces[i] = map->managed; },
				[&] (Alloc_error) { }); });

		if (!_maps[num++])
			all = _refuse(Refused::Reason::MEMORY, "region map ", ds.part, " of session ",
			              _sessions[ds.owner]->request.id.value); });

	return all;
}


/**
 * Call 'fn' with the 'Virtual_region_map &' that has a number in the image
 */
void Restore::_with_map(uint32_t const number, auto const &fn)
{
	uint32_t const NUM_MAPS = Image::Region::NUM_MAPS;

	uint32_t const member = number/NUM_MAPS;

	if (member >= _image.num_members()) {
		fn(*_maps[number - _image.num_members()*NUM_MAPS]);
		return;
	}
	_members[member]->for_each_map([&] (uint32_t i, Virtual_region_map &map) {
		if (i == number % NUM_MAPS)
			fn(map); });
}


bool Restore::_attach_regions()
{
	bool all = true;

	_image.for_each<Image::Region>([&] (size_t, Image::Region const &r) {

		Region_map::Attr const attr {
			.size       = size_t(r.size),
			.offset     = addr_t(r.offset),
			.use_at     = true,
			.at         = addr_t(r.at),
			.executable = bool(r.rights & Image::Region::EXECUTE),
			.writeable  = bool(r.rights & Image::Region::WRITE) };

		_with_map(r.map, [&] (Virtual_region_map &map) {
			if (all && map.attach(_dataspaces[r.dataspace]->cap, attr).failed())
				all = _refuse(Refused::Reason::MEMORY, "region at ", Hex(r.at), " in map ",
				              r.map); }); });

	return all;
}


/**
 * Return false if a thread waits for a page fault where something is attached
 *
 * Nothing else would be attached there, so it would wait for ever.
 */
bool Restore::_faults_are_open()
{
	bool all = true;

	_image.for_each<Image::Fault>([&] (size_t, Image::Fault const &fault) {

		_with_map(fault.map, [&] (Virtual_region_map &map) {
			map.for_each_region([&] (Region &r) {

				bool const within = fault.address >= r.range.start
				                 && fault.address - r.range.start < r.range.num_bytes;

				if (all && within)
					all = _refuse(Refused::Reason::MEMORY, "page fault at ", Hex(fault.address),
					              " in map ", fault.map, ", where something is attached"); }); }); });

	return all;
}


/**
 * Let the threads that wait for the resolution of a page fault do so
 *
 * They have not got to the instruction with the fault yet.
 */
void Restore::_hold_faulters()
{
	using Type = Region_map::Fault::Type;

	_image.for_each<Image::Fault>([&] (size_t, Image::Fault const &fault) {

		Type const type = (fault.type == Image::Fault::WRITE)   ? Type::WRITE :
		                  (fault.type == Image::Fault::EXECUTE) ? Type::EXEC : Type::READ;

		Cpu_thread_client(_threads[fault.thread]).pause();

		_with_map(fault.map, [&] (Virtual_region_map &map) {
			_child.unit.faults.add(_threads[fault.thread], map, { type, addr_t(fault.address) }); }); });
}
