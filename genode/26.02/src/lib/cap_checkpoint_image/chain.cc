/*
 * \brief  Increments, and chains of them
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_checkpoint/image_chain.h>

#include "check.h"

using namespace Cap_checkpoint::Image;


bool Reader::_check_base()
{
	if (!is_increment(_contents))
		return true;

	uint64_t const checkpoint = system().checkpoint;

	return _check_each<Base>([&] (auto const &item) {

		Base const &b = item.r;

		if (b.checkpoint >= checkpoint)
			return item.refuse(b.checkpoint, "is not the number of an earlier checkpoint");
		if (!b.position || b.position >= MAX_CHAIN_LENGTH)
			return item.refuse(b.position, "no such position in a chain");

		return true;
	});
}


bool Reader::_check_origins()
{
	if (!is_increment(_contents))
		return true;

	if (num<Origin>() != num<Dataspace>())
		return _refuse(ORIGINS, 0, "is not one record for each dataspace");

	uint32_t next = 0;

	return _check_each<Origin>([&] (auto const &item) {

		uint32_t const &origin = item.r.dataspace;

		if (origin == NONE)
			return true;
		if (!get<Dataspace>(item.number).has_pages())
			return item.refuse(origin, "dataspace has no pages of its own");
		if (origin < next)
			return item.refuse(origin, OUT_OF_ORDER);

		next = origin + 1;
		return true;
	});
}


/**
 * Return true if this container, which was parsed, says that it follows the other one
 */
bool Reader::_names(Reader const &before) const
{
	Place place { };
	if (!_find(SECTION_NAMES[BASE], place) || place.length < sizeof(Base))
		return false;

	Base const base = _read<Base>(place.offset);

	return base.checkpoint == before.system().checkpoint && base.crc == before.header_crc();
}


/**
 * Check that what this increment says of the container before it is right
 */
bool Reader::_follows(Reader const &before, unsigned position)
{
	bool const at_position = _check_each<Base>([&] (auto const &item) {
		return item.r.position == position
		    || item.refuse(item.r.position, "is not the next position in the chain"); });

	return at_position && _check_each<Origin>([&] (auto const &item) {

		uint32_t const &origin = item.r.dataspace;

		if (origin == NONE)
			return true;
		if (!item.names(origin, before.num<Dataspace>(), NO_DATASPACE))
			return false;

		Dataspace const ds  = get<Dataspace>(item.number),
		                old = before.get<Dataspace>(origin);

		return (ds.kind == old.kind && ds.size == old.size)
		    || item.refuse(origin, "origin is of another kind or size");
	});
}


/**
 * Return number of bytes to read a container from
 */
size_t Chain::_extent(size_t at) const
{
	size_t   const rest = _num_bytes - at;
	uint64_t const said = Container::size(_start + at, rest);

	return (said >= HEADER_SIZE && said <= rest) ? size_t(said) : rest;
}


bool Chain::_refuse(Refusal const &refusal, unsigned position, size_t at)
{
	_rest              = Rest::DAMAGED;
	_refusal           = refusal;
	_refusal.offset   += at;
	_refusal.container = position;
	return false;
}


bool Chain::_add(Reader const &reader, size_t at)
{
	_links[_length++] = { .at        = at,
	                      .size      = reader._num_bytes,
	                      .origins   = reader._start + reader._places[ORIGINS].offset,
	                      .pages     = reader._start + reader._places[PAGES].offset,
	                      .num_pages = reader.num<Page>() };
	_last = reader;
	return true;
}


bool Chain::_begin()
{
	Reader const reader { _start, _extent(0), COMPLETE, _pace };

	return reader.valid() ? _add(reader, 0) : _refuse(reader.refusal(), 0, 0);
}


/**
 * Add the container behind the last one if it is the next increment
 */
bool Chain::_append()
{
	unsigned const last = _length - 1;
	size_t   const end  = size();

	for (size_t i = end; i < next() && i < _num_bytes; i++)
		if (_start[i])
			return _refuse({ "bytes behind the container are not zero", nullptr,
			                 Refusal::NO_RECORD, 0 }, last, end);

	if (next() > _num_bytes || !Container::begins(_start + next(), _num_bytes - size_t(next())))
		return false;

	size_t const at = size_t(next());

	Reader reader { Reader::Unchecked(), _start + at, _extent(at), INCREMENT, _pace };

	if (!reader._parse())
		return _refuse(reader.refusal(), _length, at);

	if (!reader._names(_last)) {
		_rest = Rest::LEFT_OVER;
		return false;
	}

	if (at + reader._num_bytes > MAX_CHAIN_SIZE)
		return _refuse({ "chain is too long", nullptr, Refusal::NO_RECORD, 0 }, _length, at);

	/* a position that is checked is within the array */
	reader._valid = reader._check() && reader._follows(_last, _length);

	return reader.valid() ? _add(reader, at) : _refuse(reader.refusal(), _length, at);
}


void Chain::extend(size_t num_bytes)
{
	_num_bytes = num_bytes;
	_rest      = Rest::NOTHING;
	_refusal   = { nullptr, nullptr, Refusal::NO_RECORD, 0 };

	if (_length || _begin())
		while (_append());
}


size_t Chain::_first_page(Link const &link, uint32_t dataspace)
{
	size_t first = 0, behind = link.num_pages;

	while (first < behind) {
		size_t const middle = first + (behind - first)/2;
		if (_number(link.pages, sizeof(Page), middle) < dataspace)
			first = middle + 1;
		else
			behind = middle;
	}
	return first;
}
