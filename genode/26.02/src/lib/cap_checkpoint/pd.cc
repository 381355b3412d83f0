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

using namespace Cap_checkpoint;


Virtual_pd::Virtual_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
                       Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc)
:
	Monitored_pd(ep, real, name, ram, local_rm, alloc),
	dataspaces(alloc, _account),
	signals(ep, Pd::real(), alloc, _account),
	space (ep, Pd::real().address_space(), alloc, _account, dataspaces),
	stack (ep, Pd::real().stack_area(),    alloc, _account, dataspaces),
	linker(ep, Pd::real().linker_area(),   alloc, _account, dataspaces)
{ }


Virtual_pd::Ram_result Virtual_pd::alloc(size_t size, Cache cache, Dataspace::Kind kind)
{
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

	dataspaces.remove(ds);
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
	dataspaces.with_dataspace(cap, [&] (Dataspace &ds) { result = ds.size; }, [&] { });
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
