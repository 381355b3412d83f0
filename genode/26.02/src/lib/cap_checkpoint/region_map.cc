/*
 * \brief  Dataspaces and region maps of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/region_map.h>
#include <cap_checkpoint/shadow.h>

using namespace Cap_checkpoint;


void Cap_checkpoint::Dataspace::forgotten(size_t offset, size_t num_bytes)
{
	if (area)
		area->forgotten();
	else if (shadow)
		shadow->mark(offset/Shadow::PAGE, num_bytes/Shadow::PAGE);
	else
		changed = true;
}


Dataspaces::~Dataspaces()
{
	while (_space.apply_any<Dataspace>([&] (Dataspace &ds) {
		ds.users = 1;
		remove(ds); }));
}


Dataspaces::Result Dataspaces::add(Dataspace::Kind kind, size_t size, Cache cache,
                                   Dataspace_capability cap)
{
	Dataspace *known = nullptr;
	_index.with_dataspace(cap, [&] (Dataspace &ds) { known = &ds; }, [&] { });

	if (known) {
		if (kind != Dataspace::Kind::ROM || known->kind != kind)
			return Alloc_error::DENIED;
		known->users++;
		return known;
	}

	return _account.charge(sizeof(Dataspace)).convert<Result>(
		[&] (Ok) -> Result {
			return _alloc.try_alloc(sizeof(Dataspace)).convert<Result>(
				[&] (Memory::Allocation &a) -> Result {
					a.deallocate = false;
					return construct_at<Dataspace>(a.ptr, _space, _index._space, kind, size,
					                               cache, cap); },
				[&] (Alloc_error e) -> Result {
					_account.refund(sizeof(Dataspace));
					return e; }); },
		[&] (Alloc_error e) -> Result { return e; });
}


void Dataspaces::remove(Dataspace &ds)
{
	if (--ds.users)
		return;

	while (Region * const region = ds.regions.first())
		region->map.forget(*region);

	if (ds.shadow)
		ds.shadow->discard();

	destroy(_alloc, &ds);
	_account.refund(sizeof(Dataspace));
}


void Dataspace_index::forget_within_maps()
{
	_space.for_each<Dataspace>([&] (Dataspace &ds) {
		if (ds.area)
			return;

		for (Region *r = ds.regions.first(); r; r = r->next())
			if (r->map.managed)
				ds.forgotten(r->offset, r->range.num_bytes); });
}


Virtual_region_map::~Virtual_region_map()
{
	_ep.dissolve(*this);
	_faults.map_vanishes(*this);

	while (_regions.apply_any<Region>([&] (Region &region) { forget(region); }));
}


void Virtual_region_map::forgotten()
{
	bool nested = false;

	for_each_region([&] (Region &r) {
		if (r.ds && r.ds->area)
			nested = true;
		else if (r.ds)
			r.ds->forgotten(r.offset, r.range.num_bytes); });

	/* a map may be within another one many times, so nobody follows all ways */
	if (nested)
		_dataspaces.forget_within_maps();
}


/**
 * Return number of maps around this one, the longest way counts
 *
 * \param visit  number of the visit, by which each map is looked at once
 */
unsigned Virtual_region_map::_levels_above(unsigned const visit)
{
	if (_visit == visit)
		return _levels;

	_visit  = visit;
	_levels = 0;

	if (managed)
		for (Region *r = managed->regions.first(); r; r = r->next())
			_levels = max(_levels, 1 + r->map._levels_above(visit));

	return _levels;
}


/**
 * Return number of maps within this one, the longest way counts
 */
unsigned Virtual_region_map::_levels_below(unsigned const visit)
{
	if (_visit == visit)
		return _levels;

	_visit  = visit;
	_levels = 0;

	for_each_region([&] (Region &r) {
		if (r.ds && r.ds->area)
			_levels = max(_levels, 1 + r.ds->area->_levels_below(visit)); });

	return _levels;
}


/**
 * Return false if another map would contain itself, or be too deep, if it was attached to this one
 *
 * Core would wait for a mutex that it has, or follow map after map.
 */
bool Virtual_region_map::_may_contain(Virtual_region_map &inner)
{
	unsigned const visit = _dataspaces.next_visit(),
	               above = _levels_above(visit);

	if (inner._visit == visit)
		return false;

	return above + 1 + inner._levels_below(_dataspaces.next_visit()) <= MAX_LEVELS;
}


bool Virtual_region_map::release_faulters(Fault const &fault, Dataspace_capability ds)
{
	addr_t const at = fault.addr & ~addr_t(Image::PAGE_SIZE - 1);

	bool const attached = _real.attach(ds, { .size       = Image::PAGE_SIZE, .offset    = 0,
	                                         .use_at     = true,             .at        = at,
	                                         .executable = false,            .writeable = false }).ok();
	if (attached)
		_real.detach(at);

	return attached;
}


void Virtual_region_map::forget(Region &region)
{
	destroy(_alloc, &region);
	_account.refund(sizeof(Region));
}


Region_map::Attach_result Virtual_region_map::attach(Dataspace_capability cap,
                                                     Attr const &attr)
{
	auto error = [] (Alloc_error e)
	{
		return (e == Alloc_error::OUT_OF_CAPS) ? Attach_error::OUT_OF_CAPS
		                                       : Attach_error::OUT_OF_RAM;
	};

	Dataspace *ds = nullptr;
	_dataspaces.with_dataspace(cap, [&] (Dataspace &d) { ds = &d; }, [&] { });

	if (ds && ds->area && !_may_contain(*ds->area))
		return Attach_error::REGION_CONFLICT;

	return _account.charge(sizeof(Region)).convert<Attach_result>([&] (Ok) {

		return _alloc.try_alloc(sizeof(Region)).convert<Attach_result>([&] (Memory::Allocation &a) {

			return _real.attach(cap, attr).convert<Attach_result>(
				[&] (Range range) -> Attach_result {
					a.deallocate = false;
					construct_at<Region>(a.ptr, *this, _regions, ds, range, attr);
					_faults.resolve(*this, range);
					return range; },
				[&] (Attach_error e) -> Attach_result {
					_account.refund(sizeof(Region));
					return e; });

		}, [&] (Alloc_error e) -> Attach_result {
			_account.refund(sizeof(Region));
			return error(e); });

	}, [&] (Alloc_error e) -> Attach_result { return error(e); });
}


void Virtual_region_map::detach(addr_t at)
{
	/* like core, accept any address of the region */
	Region *region = nullptr;
	for_each_region([&] (Region &r) {
		if (at >= r.range.start && at - r.range.start < r.range.num_bytes)
			region = &r; });

	_real.detach(at);

	if (!region)
		return;

	/* core unmaps the memory everywhere, and with it, what it has noted of writes */
	if (region->ds)
		region->ds->forgotten(region->offset, region->range.num_bytes);

	forget(*region);
}
