/*
 * \brief  Copy the memory of a component while it is running
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/image_writer.h>
#include <cap_checkpoint/precopy.h>

using namespace Cap_checkpoint;

using Kind = Cap_checkpoint::Dataspace::Kind;


/************
 ** Shadow **
 ************/

char *Shadow::_attach(Dataspace_capability cap, bool writeable)
{
	Env::Local_rm::Attach_attr attr { };
	attr.writeable = writeable;

	return _local_rm.attach(cap, attr).convert<char *>(
		[&] (Env::Local_rm::Attachment &a) {
			a.deallocate = false;
			return (char *)a.ptr; },
		[&] (Env::Local_rm::Error) { return (char *)nullptr; });
}


Shadow::Shadow(Owner &owner, Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc,
               Dataspace &ds)
:
	_owner(owner), _ram(ram), _local_rm(local_rm), _alloc(alloc),
	ds(&ds), num_pages(ds.size/PAGE)
{
	_ram.try_alloc(ds.size).with_result(
		[&] (Ram::Allocation &a) {
			a.deallocate = false;
			_copy_ds = a.cap; },
		[&] (Alloc_error) { });

	if (_copy_ds.valid())
		_copy = _attach(_copy_ds, true);

	if (_copy)
		_origin = _attach(ds.cap, false);

	if (_origin)
		_alloc.try_alloc(_bitmaps_size()).with_result(
			[&] (Memory::Allocation &a) {
				a.deallocate = false;
				_marks = (Word *)a.ptr;
				_news  = _marks + _num_words();
				for (size_t i = 0; i < _num_words(); i++)
					_marks[i] = _news[i] = 0; },
			[&] (Alloc_error) { });

	/* a dataspace whose pages nobody has written is zero, as the copy is */
	if (valid() && ds.changed)
		mark(0, num_pages);
}


Shadow::~Shadow()
{
	if (_marks)  _alloc.free(_marks, _bitmaps_size());
	if (_copy)   Env::Local_rm::Attachment { _local_rm, { _copy, size() } };

	if (_copy_ds.valid())
		Ram::Allocation { _ram, { _copy_ds, size() } };

	release_origin();
}


void Shadow::release_origin()
{
	if (_origin)
		Env::Local_rm::Attachment { _local_rm, { _origin, size() } };

	_origin = nullptr;

	/* with the attachment, core forgets what it has not told */
	if (ds) {
		ds->shadow  = nullptr;
		ds->changed = true;
		ds          = nullptr;
	}
}


size_t Shadow::update()
{
	size_t count = 0;

	if (!_origin)
		return count;

	for (size_t w = 0; w < _num_words(); w++) {

		_news[w] |= _marks[w];

		for (; _marks[w]; count++) {

			size_t const bit = size_t(__builtin_ctzll(_marks[w])), at = (w*BITS + bit)*PAGE;

			_marks[w] &= _marks[w] - 1;
			copy_page(_copy + at, _origin + at);
		}
	}
	return count;
}


/*************
 ** Precopy **
 *************/

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

	_child.pd.dataspaces.for_each([&] (Dataspace &ds) {
		if (ds.kind == Kind::RAM || ds.kind == Kind::TRACE)
			all &= _provide(ds); });

	return all;
}


/**
 * Obtain core's answer about a page, and about those that follow
 *
 * \return  false if there is none, or there were too many questions
 */
bool Precopy::_ask(addr_t at, Round &round)
{
	if (round.calls >= max_calls())
		return false;

	_answer = { .at = at, .count = Dirty_pages::MAX,
	            .pages = _native_pd.dirty_pages(at, Dirty_pages::MAX) };
	round.calls++;

	return _answer.pages.state == Dirty_pages::OK;
}


/**
 * Mark pages of a region that were written
 *
 * \param at     address of the first page in the component
 * \param skip   pages of the region in front of it
 * \param count  number of pages to look at
 */
void Precopy::_look_at(Region const &region, addr_t const at, size_t skip, size_t count,
                       Round &round)
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
			if (!_ask(page, round)) {
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
 * Look at the part of an area that a region shows
 */
void Precopy::_look_at_area(Region const &outer, Virtual_region_map &area, Round &round)
{
	addr_t const begin = outer.offset, end = begin + outer.range.num_bytes;

	area.for_each_region([&] (Region &inner) {

		addr_t const first = max(begin, inner.range.start),
		             last  = min(end,   inner.range.start + inner.range.num_bytes);

		if (first < last)
			_look_at(inner, outer.range.start + (first - begin),
			         (first - inner.range.start)/Shadow::PAGE, (last - first)/Shadow::PAGE, round); });
}


/**
 * Look at all regions of the component in the order of their addresses
 */
void Precopy::_look_at_all(Round &round)
{
	Virtual_pd &pd = _child.pd;

	bool stack = false, linker = false, elsewhere = false;

	_answer = { };

	pd.space.for_each_region([&] (Region &outer) {

		Virtual_region_map * const area = outer.ds ? outer.ds->area : nullptr;

		if (!area) {
			_look_at(outer, outer.range.start, 0, outer.range.num_bytes/Shadow::PAGE, round);
			return;
		}

		bool &seen = (area == &pd.stack) ? stack : linker;

		elsewhere |= seen;
		if (!seen)
			_look_at_area(outer, *area, round);
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

	/* core writes to it, too */
	if (_child.cpu.trace && _child.cpu.trace->shadow)
		_child.cpu.trace->shadow->mark(0, 1);
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
