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
	with_dataspace(cap, [&] (Dataspace &ds) { known = &ds; }, [&] { });

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
					return construct_at<Dataspace>(a.ptr, _space, kind, size, cache, cap); },
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


Virtual_region_map::~Virtual_region_map()
{
	_ep.dissolve(*this);

	while (_regions.apply_any<Region>([&] (Region &region) { forget(region); }));
}


void Virtual_region_map::forgotten()
{
	for_each_region([&] (Region &r) {
		if (r.ds && !r.ds->area)
			r.ds->forgotten(r.offset, r.range.num_bytes); });
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

	return _account.charge(sizeof(Region)).convert<Attach_result>([&] (Ok) {

		return _alloc.try_alloc(sizeof(Region)).convert<Attach_result>([&] (Memory::Allocation &a) {

			return _real.attach(cap, attr).convert<Attach_result>(
				[&] (Range range) -> Attach_result {
					a.deallocate = false;
					construct_at<Region>(a.ptr, *this, _regions, ds, range, attr);
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
