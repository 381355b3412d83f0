/*
 * \brief  PD session of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/pd.h>
#include <dataspace/client.h>

using namespace Cap_checkpoint;


Virtual_pd::Virtual_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
                       Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc, Unit &unit)
:
	Monitored_pd(ep, real, name, ram, local_rm, alloc),
	unit(unit),
	dataspaces(alloc, _account, unit.dataspaces),
	signals(ep, Pd::real(), alloc, _account),
	space (ep, Pd::real().address_space(), alloc, _account, unit.dataspaces, faults),
	stack (ep, Pd::real().stack_area(),    alloc, _account, unit.dataspaces, faults),
	linker(ep, Pd::real().linker_area(),   alloc, _account, unit.dataspaces, faults)
{
	auto add = [&] (Dataspace::Kind kind, Dataspace_capability cap, Virtual_region_map *area)
	{
		/* our capability space is exhausted */
		if (!cap.valid())
			throw Out_of_caps();

		dataspaces.add(kind, align_addr(Dataspace_client(cap).size(), AT_PAGE), CACHED, cap)
			.with_result([&] (Dataspace *ds) {
				ds->area = area;
				if (area)
					area->managed = ds; },
			             [] (Alloc_error) { throw Out_of_ram(); });
	};

	add(Dataspace::Kind::STACK_AREA,  stack.dataspace(),  &stack);
	add(Dataspace::Kind::LINKER_AREA, linker.dataspace(), &linker);
	add(Dataspace::Kind::CAP_SPACE,   cap_space.ds(),     nullptr);

	if (unit.tracks_dirty_pages)
		(void)track_dirty_pages();
}


Virtual_pd::~Virtual_pd()
{
	dataspaces.for_each([&] (Dataspace &ds) {
		if (outside && ds.of_monitor) {
			if (ds.shared)
				outside->keep(ds);
			else
				outside->ram_pd().free_ram(static_cap_cast<Ram_dataspace>(ds.cap));
		} });
}


/**
 * What the component pays for RAM of the monitor
 */
static Virtual_pd::Costs costs_of_ram(size_t size) { return { { align_addr(size, AT_PAGE) }, { 1 } }; }


Virtual_pd::Ram_result Virtual_pd::adopt(size_t size, Cache cache, Ram_dataspace_capability cap)
{
	return pay(costs_of_ram(size)).convert<Ram_result>(
		[&] (Ok) -> Ram_result {
			Ram_result const result =
				dataspaces.add(Dataspace::Kind::RAM, align_addr(size, AT_PAGE), cache, cap);
			result.with_result(
				[&] (Dataspace *ds) { ds->of_monitor = true; },
				[&] (Alloc_error)   { repay(costs_of_ram(size)); });
			return result; },
		[&] (Alloc_error e) -> Ram_result { return e; });
}


Virtual_pd::Ram_result Virtual_pd::_alloc_of_monitor(Pd_session &pd, size_t size, Cache cache)
{
	/* the quota of the component decides, the monitor has what is paid */
	if (avail_ram().value < align_addr(size, AT_PAGE))
		return Alloc_error::OUT_OF_RAM;

	return pd.alloc_ram(size, cache).convert<Ram_result>(
		[&] (Ram_dataspace_capability cap) -> Ram_result {
			Ram_result result = Alloc_error::DENIED;
			if (cap.valid())
				result = adopt(size, cache, cap);
			if (result.failed() && cap.valid())
				pd.free_ram(cap);
			return result; },
		[&] (Alloc_error) -> Ram_result { return Alloc_error::DENIED; });
}


Virtual_pd::Ram_result Virtual_pd::alloc(size_t size, Cache cache, Dataspace::Kind kind)
{
	if (outside && kind == Dataspace::Kind::RAM)
		return _alloc_of_monitor(outside->ram_pd(), size, cache);

	return real().alloc_ram(size, cache).convert<Ram_result>(
		[&] (Ram_dataspace_capability cap) -> Ram_result {

			/* our capability space is exhausted */
			if (!cap.valid())
				return Alloc_error::DENIED;

			Ram_result const result =
				dataspaces.add(kind, align_addr(size, AT_PAGE), cache, cap);

			if (result.failed())
				real().free_ram(cap);

			return result; },

		[&] (Alloc_error e) -> Ram_result { return e; });
}


Pd_session::Alloc_ram_result Virtual_pd::alloc_ram(size_t size, Cache cache)
{
	return alloc(size, cache).convert<Alloc_ram_result>(
		[&] (Dataspace *ds) -> Alloc_ram_result {
			ds->changed = false;
			return static_cap_cast<Ram_dataspace>(ds->cap); },
		[&] (Alloc_error e) -> Alloc_ram_result { return e; });
}


void Virtual_pd::free(Dataspace &ds)
{
	Ram_dataspace_capability const cap = static_cap_cast<Ram_dataspace>(ds.cap);

	bool   const of_monitor = outside && ds.of_monitor;
	size_t const size       = ds.size;

	if (of_monitor && ds.shared)
		outside->forget(ds);

	dataspaces.remove(ds);

	if (of_monitor) {
		outside->ram_pd().free_ram(cap);
		repay(costs_of_ram(size));
	} else
		real().free_ram(cap);
}


void Virtual_pd::free_ram(Ram_dataspace_capability cap)
{
	dataspaces.with_dataspace(cap,
		[&] (Dataspace &ds) {
			if (ds.kind == Dataspace::Kind::RAM)
				free(ds); },
		[&] { });
}


size_t Virtual_pd::ram_size(Ram_dataspace_capability cap)
{
	size_t result = 0;
	unit.dataspaces.with_dataspace(cap, [&] (Dataspace &ds) { result = ds.size; }, [&] { });
	return result;
}


Pd_session::Signal_source_result Virtual_pd::signal_source()
{
	return signals.source().convert<Signal_source_result>(
		[&] (Virtual_source *source) -> Signal_source_result {
			return source->source_cap(); },
		[&] (Alloc_error e) -> Signal_source_result { return e; });
}


/**
 * Like core, ignore the source, of which there is one
 */
Pd_session::Alloc_context_result
Virtual_pd::alloc_context(Capability<Signal_source>, Imprint imprint)
{
	return signals.create_context(imprint.value).convert<Alloc_context_result>(
		[&] (Context *context) -> Alloc_context_result { return context->cap; },
		[&] (Alloc_error e) -> Alloc_context_result { return e; });
}


void Virtual_pd::free_context(Capability<Signal_context> cap)
{
	signals.free(cap);
}


void Virtual_pd::submit(Capability<Signal_context> cap, unsigned count)
{
	bool stand_in = false;

	signals.with_context(cap, [&] (Context &context) {
		stand_in = context.stand_in();
		if (stand_in && outside)
			outside->submit(context.imprint, count); });

	if (!stand_in)
		real().submit(cap, count);
}
