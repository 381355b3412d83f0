/*
 * \brief  Copy the memory of a component while it is running
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/image_writer.h>
#include <cap_checkpoint/precopy.h>
#include <cap_checkpoint/rm_session.h>

using namespace Cap_checkpoint;

using Kind = Cap_checkpoint::Dataspace::Kind;


void Precopy::release()
{
	while (Shadow * const shadow = _shadows.first())
		_destroy(*shadow);

	_complete = false;
}


static size_t in_use(Shadow const &shadow)
{
	size_t result = 0;

	for (size_t i = 0; i < shadow.num_pages; i++)
		result += !Image::zero_page(shadow.copy() + i*Shadow::PAGE);

	return result;
}


size_t Precopy::pages_in_use() const
{
	size_t result = 0;

	for_each_shadow([&] (Shadow const &shadow) { result += in_use(shadow); });

	return result;
}


size_t Precopy::pages_written() const
{
	size_t result = 0;

	/* an image has no pages of zeros of a dataspace that is new in it */
	for_each_shadow([&] (Shadow const &shadow) {
		result += shadow.reference == NONE ? in_use(shadow) : shadow.differences(); });

	return result;
}


void Precopy::_destroy(Shadow &shadow)
{
	_shadows.remove(&shadow);
	_used -= shadow.size();
	_count--;

	destroy(_child.monitor().heap, &shadow);
}


void Precopy::discard(Shadow &shadow)
{
	/* the image that is being written needs the copy */
	if (_pinned && shadow.number != NONE)
		shadow.release_origin();
	else
		_destroy(shadow);
}


void Precopy::pin()
{
	_pinned = true;

	for (Shadow *s = _shadows.first(); s; s = s->next())
		s->number = s->ds ? s->ds->number : NONE;
}


void Precopy::unpin(bool written)
{
	_pinned = false;

	for (Shadow *s = _shadows.first(); s; ) {

		Shadow &shadow = *s;
		s = s->next();

		if (written)
			shadow.refer_to(shadow.number);

		shadow.number = NONE;
		if (!shadow.ds)
			_destroy(shadow);
	}
}


Shadow const *Precopy::pinned(uint32_t const number) const
{
	Shadow const *result = nullptr;

	for (Shadow const *s = _shadows.first(); s; s = s->next())
		if (s->number != NONE && s->number >= number && (!result || s->number < result->number))
			result = s;

	return result;
}


/**
 * Make a copy of a dataspace if there is none, which is empty at first
 */
bool Precopy::_provide(Dataspace &ds)
{
	if (ds.shadow)
		return true;

	if (_used + ds.size > _limit.ram || _count >= _limit.caps)
		return false;

	Monitor &monitor = _child.monitor();
	Owner   &owner   = *this;

	Shadow * const shadow = monitor.heap.try_alloc(sizeof(Shadow)).convert<Shadow *>(
		[&] (Memory::Allocation &a) {
			a.deallocate = false;
			return construct_at<Shadow>(a.ptr, owner, _ram, monitor.local_rm, monitor.heap,
			                            ds); },
		[&] (Alloc_error) { return (Shadow *)nullptr; });

	if (!shadow)
		return false;

	_shadows.insert(shadow);
	_used    += ds.size;
	_count++;
	ds.shadow = shadow;

	if (!shadow->valid())
		_destroy(*shadow);

	return ds.shadow != nullptr;
}


bool Precopy::_provide_all()
{
	bool all = true;

	_child.for_each_pd([&] (Virtual_pd &pd) {
		pd.dataspaces.for_each([&] (Dataspace &ds) {
			if (ds.kind == Kind::RAM || ds.kind == Kind::TRACE)
				all &= _provide(ds); }); });

	return all;
}


/**
 * Obtain core's answer about a page, and about those that follow
 *
 * \return  false if there is none, or there were too many questions
 */
bool Precopy::_ask(Virtual_pd &pd, addr_t at, Round &round)
{
	if (round.calls >= max_calls())
		return false;

	_answer = { .at = at, .count = Dirty_pages::MAX,
	            .pages = pd.native.dirty_pages(at, Dirty_pages::MAX) };
	round.calls++;

	return _answer.pages.state == Dirty_pages::OK;
}


/**
 * Mark pages of a region that were written
 *
 * \param pd     component whose map it is, or that sees the map at one place
 * \param at     address of the first page in the component
 * \param skip   pages of the region in front of it
 * \param count  number of pages to look at
 */
void Precopy::_look_at(Virtual_pd &pd, Region const &region, addr_t const at, size_t skip,
                       size_t count, Round &round)
{
	Shadow * const shadow = region.ds ? region.ds->shadow : nullptr;

	if (!shadow || !region.writeable)
		return;

	size_t const first = region.offset/Shadow::PAGE + skip;

	for (size_t i = 0; i < count; ) {

		addr_t const page = at + i*Shadow::PAGE;

		size_t known = (page - _answer.at)/Shadow::PAGE;

		/* an answer tells of other regions, too, and nobody else will */
		if (page < _answer.at || known >= _answer.count) {
			if (!_ask(pd, page, round)) {
				shadow->mark(first + i, count - i);
				_answer = { };
				return;
			}
			known = 0;
		}

		for (; i < count && known < _answer.count; ) {

			addr_t const bits = _answer.pages.words[known/Dirty_pages::BITS]
			                    >> (known % Dirty_pages::BITS);

			/* nothing written up to the end of the word */
			if (!bits) {
				size_t const rest = Dirty_pages::BITS - known % Dirty_pages::BITS;
				i += rest; known += rest;
				continue;
			}
			size_t const skip = size_t(__builtin_ctzl(bits));

			if (i + skip < count)
				shadow->mark(first + i + skip);

			i += skip + 1; known += skip + 1;
		}
	}
}


/**
 * Return true if a region map of an RM session is at one place only, be it of any component
 */
static bool at_one_place(Cap_checkpoint::Dataspace const &map)
{
	Region const * const region = map.regions.first();

	return map.kind == Kind::REGION_MAP && region && !region->next();
}


/**
 * Look at the part of a region map that a region shows
 *
 * \param outer       region with the region map
 * \param at          address of the part in the component
 * \param begin, end  part of the region map
 */
void Precopy::_look_at_area(Virtual_pd &pd, Region const &outer, addr_t const at,
                            addr_t const begin, addr_t const end, Round &round)
{
	Virtual_region_map &area = *outer.ds->area;

	area.seen = true;

	area.for_each_region([&] (Region &inner) {

		addr_t const first = max(begin, inner.range.start),
		             last  = min(end,   inner.range.start + inner.range.num_bytes);

		if (first >= last)
			return;

		addr_t const skip = first - inner.range.start, place = at + (first - begin);

		if (inner.ds && at_one_place(*inner.ds))
			_look_at_area(pd, inner, place, inner.offset + skip,
			              inner.offset + skip + (last - first), round);
		else
			_look_at(pd, inner, place, skip/Shadow::PAGE, (last - first)/Shadow::PAGE, round); });
}


/**
 * Mark what is in the region maps of RM sessions that nobody has looked at
 */
void Precopy::_look_at_others()
{
	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &map) {

				bool const attached = map.managed->regions.first();

				if (attached && !map.seen)
					map.for_each_region([&] (Region &r) {
						if (r.ds && !r.ds->area && r.writeable)
							r.ds->forgotten(r.offset, r.range.num_bytes); });

				map.seen = false; }); }); });
}


/**
 * Look at all regions of a component in the order of their addresses
 */
void Precopy::_look_at_pd(Virtual_pd &pd, Round &round)
{
	bool stack = false, linker = false, elsewhere = false;

	_answer = { };

	/* nobody knows what it has written */
	if (!pd.dirty_pages_tracked)
		pd.for_each_map([&] (uint32_t, Virtual_region_map &map) { map.forgotten(); });

	pd.space.for_each_region([&] (Region &outer) {

		Virtual_region_map * const area = outer.ds ? outer.ds->area : nullptr;

		auto look_at_area = [&] {
			_look_at_area(pd, outer, outer.range.start, outer.offset,
			              outer.offset + outer.range.num_bytes, round); };

		if (!area) {
			_look_at(pd, outer, outer.range.start, 0, outer.range.num_bytes/Shadow::PAGE, round);
			return;
		}

		if (outer.ds->kind == Kind::REGION_MAP) {
			if (at_one_place(*outer.ds))
				look_at_area();
			return;
		}

		/* the other component is not asked what happens here */
		if (area != &pd.stack && area != &pd.linker) {
			area->forgotten();
			return;
		}

		bool &seen = (area == &pd.stack) ? stack : linker;

		elsewhere |= seen;
		if (!seen)
			look_at_area();
		seen = true;
	});

	/*
	 * An area may be at several addresses, and within an area. A component without
	 * such intentions has each of them once, so nobody looks for all places.
	 */
	auto look_within = [&] (Virtual_region_map &map) {
		map.for_each_region([&] (Region &r) { elsewhere |= r.ds && r.ds->area; }); };

	look_within(pd.stack);
	look_within(pd.linker);

	if (elsewhere) {
		pd.stack.forgotten();
		pd.linker.forgotten();
	}
}


/**
 * Look at what all components may have written
 *
 * What several of them share is marked if one of them has written it.
 */
void Precopy::_look_at_all(Round &round)
{
	_child.for_each_pd([&] (Virtual_pd &pd) { _look_at_pd(pd, round); });

	_look_at_others();

	/* core writes to it, too */
	auto mark_trace = [] (Virtual_cpu &cpu)
	{
		if (cpu.trace && cpu.trace->shadow)
			cpu.trace->shadow->mark(0, 1);
	};

	mark_trace(_child.cpu);
	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_cpu([&] (Cpu_service_session &other) { mark_trace(other.cpu); }); });
}


Precopy::Round Precopy::round()
{
	Round result { };

	_complete = _available && !_pinned && _provide_all();

	if (!_complete)
		return result;

	_look_at_all(result);

	auto now_us = [&] {
		return _child.monitor().timer.curr_time().trunc_to_plain_us().value; };

	uint64_t const start_us = now_us();

	for (Shadow *s = _shadows.first(); s; s = s->next())
		result.pages += s->update();

	result.copy_us = now_us() - start_us;

	return result;
}


Precopy::Result Precopy::rounds(Bound const &bound)
{
	Result result { };

	do result.add(round());
	while (!result.enough(bound));

	return result;
}
