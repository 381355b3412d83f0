/*
 * \brief  Put the memory of a component into an image
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/save.h>

using namespace Cap_checkpoint;


/**
 * Let trace controls be new in an increment if they are at another place in it than before
 *
 * So they are as soon as a component has its first child, or none any more. Dataspaces of an increment
 * are in the order of their origins.
 */
void Save::_forget_moved()
{
	uint32_t next = 0;
	bool     moved = false;

	_for_each_own_dataspace([&] (uint32_t, Dataspace &ds, uint32_t) {
		if (ds.shadow && ds.shadow->reference != NONE) {
			moved |= ds.shadow->reference < next;
			next   = ds.shadow->reference + 1;
		} });

	_for_each_own_dataspace([&] (uint32_t, Dataspace &ds, uint32_t) {
		if (moved && ds.shadow && ds.kind == Dataspace::Kind::TRACE)
			ds.shadow->reference = NONE; });
}


/**
 * Put what an increment continues, and which of its dataspaces
 */
void Save::_put_base()
{
	_forget_moved();

	_writer.put(*_base);

	/* in the order of the records of dataspaces */
	auto put = [&] (uint32_t origin) { _writer.put(Image::Origin { origin }); };

	_child.parent.for_each_session([&] (Open_session &session) {
		session.for_each_memory([&] (uint32_t, Dataspace &) { put(NONE); }); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &) { put(NONE); }); }); });

	_for_each_own_dataspace([&] (uint32_t, Dataspace &ds, uint32_t) {
		put(ds.shadow ? ds.shadow->reference : NONE); });

	_child.parent.for_each_session([&] (Open_session &session) {
		session.with_rom([&] (Rom_service_session &) { put(NONE); }); });
}


/**
 * Append the memory of sessions, which have the lowest numbers
 */
bool Save::_put_session_pages()
{
	bool     all    = true;
	uint32_t number = 0;

	auto put = [&] (Dataspace const &ds)
	{
		uint32_t const as = number++;

		if (!with_attached(_child.monitor().local_rm, ds.cap, Access::READ,
			[&] (char *start, size_t) {
				_writer.pages(as, 0, start, ds.size/Image::PAGE_SIZE); }))
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, "memory of a session");
	};

	_child.parent.for_each_session([&] (Open_session &session) {
		session.for_each_memory([&] (uint32_t, Dataspace &ds) { put(ds); }); });

	return all;
}


bool Save::_put_pages()
{
	bool all = true;

	_for_each_own_dataspace([&] (uint32_t, Dataspace &ds, uint32_t) {

		if (ds.kind != Dataspace::Kind::RAM && ds.kind != Dataspace::Kind::TRACE)
			return;

		auto put = [&] (char const *start) {
			_writer.pages(ds.number, 0, start, ds.size/Image::PAGE_SIZE); };

		if (ds.shadow) {
			put(ds.shadow->origin());
			return;
		}
		if (!with_attached(_child.monitor().local_rm, ds.cap, Access::READ,
			[&] (char *start, size_t) { put(start); }))
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, "dataspace of ", ds.size, " bytes");

		/* by the end of the attachment */
		ds.forgotten(0, ds.size); });

	return all;
}


/**
 * Append pages from the copies
 *
 * \return  true if that was all
 */
bool Save::_put_copies(size_t max_pages)
{
	while (Shadow const * const shadow = _precopy->pinned(_next_number)) {

		bool const differences = _base.constructed() && shadow->reference != NONE;

		/* what has the content of the reference costs nothing */
		if (differences)
			_next_page = shadow->next_difference(_next_page);

		if (_next_page >= shadow->num_pages) {
			_next_number = shadow->number + 1;
			_next_page   = 0;
			continue;
		}

		if (!max_pages)
			return false;

		char const * const copy = shadow->copy() + _next_page*Shadow::PAGE;

		size_t const count = differences ? 1 : min(max_pages, shadow->num_pages - _next_page);

		if (differences)
			_writer.page(shadow->number, uint32_t(_next_page), copy);
		else
			_writer.pages(shadow->number, uint32_t(_next_page), copy, count);

		_next_page += count;
		max_pages  -= count;
	}
	return true;
}


Save::Pages_result Save::save_pages(size_t max_pages)
{
	if (_pinned) {
		if (!_put_copies(max_pages))
			return false;

		_precopy->unpin(true);
		_pinned = false;
	}

	char const * const failure = _writer.finish();

	return _result(!failure || _refuse(Refused::Reason::IMAGE, failure))
		.convert<Pages_result>([&] (Ok)               { return true; },
		                       [&] (Refused const &r) { return r; });
}
