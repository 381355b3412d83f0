/*
 * \brief  Check of the sections of an image
 * \date   2026-11-29
 *
 * Fields are checked in the order of the records, sections in the order of
 * 'Section'. So each reader refuses an image for the same field.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"

using namespace Cap_checkpoint::Image;


static constexpr char const *NO_PAGES   = "is not a number of pages",
                            *OF_MONITOR = "memory is not the component's";


/**
 * Return true if the text in the fixed-size field, which may be malformed, is 'text'
 */
static bool equal(char const *field, char const *text)
{
	for (; *text; field++, text++)
		if (*field != *text)
			return false;
	return !*field;
}


static bool unaligned(uint64_t value) { return value % PAGE_SIZE; }


bool Reader::_service(uint32_t session, char const *name) const
{
	return session < num<Session>() && equal(get<Session>(session).service, name);
}


/**
 * Return true if the component must not have the memory
 *
 * The monitor trusts the content. It shares the buffers of a session only.
 */
bool Reader::_of_monitor(Dataspace const &ds) const
{
	uint32_t const num_buffers = _service(ds.owner, "Nic") ? 2 : 1;

	return ds.kind == Dataspace::SESSION && ds.part >= num_buffers;
}


bool Reader::_check_system()
{
	return _check_each<System>([&] (auto const &item) {

		System const &s = item.r;

		if (s.architecture != System::X86_64 && s.architecture != System::ARM_V7)
			return item.refuse(s.architecture, "unknown architecture");
		if (s.page_size != PAGE_SIZE)
			return item.refuse(s.page_size, "unknown page size");
		if (s.kernel != System::FOC)
			return item.refuse(s.kernel, "unknown kernel");

		return item.text(s.release) && item.zero(s.zero) && item.text(s.label);
	});
}


bool Reader::_check_sessions()
{
	uint64_t id  = 0;
	uint32_t pds = 0;

	bool const each_ok = _check_each<Session>([&] (auto const &item) {

		Session const &s = item.r;

		if (item.number && s.id <= id)
			return item.refuse(s.id, OUT_OF_ORDER);

		if (!item.slot(s.slot, Object::SESSION) || !item.zero(s.zero) || !item.text(s.service))
			return false;

		bool const is_pd = equal(s.service, "PD");

		if (is_pd && !is_unit(_contents) && pds)
			return item.refuse(s.service, "is a second PD session");
		if (is_pd && is_unit(_contents)
		 && (pds >= _num_members || get<Member>(pds).session != item.number))
			return item.refuse(s.service, "is the PD session of no member");

		id   = s.id;
		pds += is_pd;

		return item.text(s.label) && item.text(s.args);
	});

	return each_ok && (pds || _refuse(SESSIONS, 0, "there is no PD session"));
}


bool Reader::_check_parts()
{
	Part last { };

	return _check_each<Part>([&] (auto const &item) {

		Part const &p = item.r;

		if (!item.names(p.session, num<Session>(), NO_SESSION))
			return false;
		if (item.number && (p.session < last.session
		                || (p.session == last.session && p.part <= last.part)))
			return item.refuse(p.session, OUT_OF_ORDER);

		if ((_service(p.session, "PD")  && p.part >= Part::NUM_PD)
		 || (_service(p.session, "CPU") && p.part >= Part::NUM_CPU))
			return item.refuse(p.part, "unknown part of the session");

		last = p;
		return item.slot(p.slot, Object::PART) && item.zero(p.zero);
	});
}


bool Reader::_check_handlers()
{
	Handler last { };

	return _check_each<Handler>([&] (auto const &item) {

		Handler const &h = item.r;

		if (!item.names_or_none(h.session, num<Session>(), NO_SESSION))
			return false;
		if (item.number && (h.session < last.session
		                || (h.session == last.session && h.part <= last.part)))
			return item.refuse(h.session, OUT_OF_ORDER);

		uint32_t const num_parts =
			(h.session == NONE)                    ? uint32_t(Handler::NUM_PARENT) :
			_service(h.session, "PD")              ? uint32_t(Region::NUM_MAPS)    :
			_service(h.session, "CPU")
			 || _service(h.session, "ROM")
			 || _service(h.session, "Timer")       ? 1 : NONE;

		if (h.part >= num_parts)
			return item.refuse(h.part, "unknown part of the session");

		last = h;
		return item.names(h.context, num<Context>(), NO_CONTEXT) && item.zero(h.zero);
	});
}


bool Reader::_check_dataspaces()
{
	/* what is left of the quota of each member, and kinds of which it has one at most */
	uint64_t ram[MAX_MEMBERS] { };
	unsigned seen[MAX_MEMBERS] { };

	ram[0] = system().ram_quota;
	for (uint32_t i = 1; i < _num_members; i++) {
		ram[i]  = get<Member>(i).ram_quota;
		ram[0] -= ram[i];
	}

	_rm_map_sizes = { num<Dataspace>() };

	size_t num_roms = 0;

	/* memory of sessions, region maps, trace controls */
	Dataspace last { }, last_map { }, last_trace { };

	bool const each_ok = _check_each<Dataspace>([&] (auto const &item) {

		Dataspace const &d = item.r;

		if (!item.member())
			return false;
		if (d.kind < Dataspace::RAM || d.kind > Dataspace::REGION_MAP)
			return item.refuse(d.kind, "unknown kind of dataspace");

		/* the trace control is the one of a component, or of a CPU session */
		bool const trace = d.kind == Dataspace::TRACE && is_unit(_contents);

		bool const unique = d.kind >= Dataspace::STACK_AREA && d.kind <= Dataspace::TRACE;
		if (unique && !trace && (seen[d.member] & 1U << d.kind))
			return item.refuse(d.kind, "is a second one of its kind");
		seen[d.member] |= 1U << d.kind;

		if (d.cache >= Dataspace::NUM_CACHE)
			return item.refuse(d.cache, "unknown cache attribute");

		if (!d.size || unaligned(d.size))
			return item.refuse(d.size, NO_PAGES);

		bool const rom = d.kind == Dataspace::ROM, map = d.kind == Dataspace::REGION_MAP,
		           session = d.kind == Dataspace::SESSION || map;

		Dataspace &former = map ? last_map : trace ? last_trace : last;

		uint64_t * const sizes = &_map_sizes[d.member*Region::NUM_MAPS];

		switch (d.kind) {

		case Dataspace::RAM:
			if (d.size > ram[d.member])
				return item.refuse(d.size, "exceeds the RAM quota");
			ram[d.member] -= d.size;
			break;

		case Dataspace::ROM:
			if (d.owner == num_roms && num_roms < num<Rom>() && get<Rom>(num_roms).size != d.size)
				return item.refuse(d.size, "is not the size of the ROM module");
			break;

		case Dataspace::STACK_AREA:  sizes[Region::STACK_AREA]  = d.size; break;
		case Dataspace::LINKER_AREA: sizes[Region::LINKER_AREA] = d.size; break;

		case Dataspace::CAP_SPACE:
			if (d.size != _tables[d.member].size)
				return item.refuse(d.size, "is not the size of the table");
			break;

		case Dataspace::TRACE:
			if (d.size != PAGE_SIZE)
				return item.refuse(d.size, "is not one page");
			break;
		}

		if (rom && (d.owner != num_roms++ || d.owner >= num<Rom>()))
			return item.refuse(d.owner, "is not the next ROM module");
		if (session && !item.names(d.owner, num<Session>(), NO_SESSION))
			return false;
		if (map && !_service(d.owner, "RM"))
			return item.refuse(d.owner, "is not an RM session");
		if (trace && !_service(d.owner, "CPU"))
			return item.refuse(d.owner, NO_CPU_SESSION);
		if ((session || trace) && former.kind && (d.owner < former.owner
		                       || (d.owner == former.owner && (trace || d.part <= former.part))))
			return item.refuse(d.owner, OUT_OF_ORDER);
		if (!rom && !session && !trace && !item.zero(d.owner))
			return false;

		if (!session && !item.zero(d.part))
			return false;

		if (session || trace)
			former = d;

		_rm_map_sizes.add(item.number, map);

		if (_of_monitor(d) && d.slot != NONE)
			return item.refuse(d.slot, OF_MONITOR);

		bool const of_session = rom || session || d.kind == Dataspace::TRACE;

		return item.slot(d.slot, Object::DATASPACE) && (!of_session || item.zero(d.member));
	});

	if (!each_ok || num_roms == num<Rom>())
		return each_ok;

	_refuse(ROMS, num_roms*sizeof(Rom), "ROM module without a dataspace");
	_refusal.record = num_roms;
	return false;
}


bool Reader::_check_roms()
{
	uint32_t session = 0;

	return _check_each<Rom>([&] (auto const &item) {

		Rom const &r = item.r;

		if (!item.text(r.name) || !item.names(r.session, num<Session>(), NO_SESSION))
			return false;
		if (item.number && r.session <= session)
			return item.refuse(r.session, OUT_OF_ORDER);
		if (!_service(r.session, "ROM"))
			return item.refuse(r.session, "is not a ROM session");

		session = r.session;
		return item.zero(r.zero);
	});
}


/**
 * Return size of a region map, which there is
 */
uint64_t Reader::_map_size(uint32_t const map)
{
	uint32_t const fixed = _num_fixed_maps();

	return map < fixed ? _map_sizes[map]
	                   : _rm_map_sizes.size(map - fixed, [&] (size_t i) { return get<Dataspace>(i); });
}


bool Reader::_check_regions()
{
	for (uint32_t i = 0; i < _num_members; i++)
		_map_sizes[i*Region::NUM_MAPS + Region::ADDRESS_SPACE] = address_limit(system());

	uint32_t map = 0;
	uint64_t end = 0;

	return _check_each<Region>([&] (auto const &item) {

		Region const &r = item.r;

		if (!_is_map(r.map))
			return item.refuse(r.map, NO_MAP);
		if (r.map < map)
			return item.refuse(r.map, OUT_OF_ORDER);
		if (r.map > map)
			map = r.map, end = 0;

		if (!item.names(r.dataspace, num<Dataspace>(), NO_DATASPACE))
			return false;

		Dataspace const ds = get<Dataspace>(r.dataspace);

		bool const nested = ds.kind == Dataspace::STACK_AREA || ds.kind == Dataspace::LINKER_AREA;
		if (nested && (map >= _num_fixed_maps() || map % Region::NUM_MAPS != Region::ADDRESS_SPACE))
			return item.refuse(r.dataspace, "region map within a region map");
		if (nested && map/Region::NUM_MAPS != ds.member)
			return item.refuse(r.dataspace, "area of another member");
		if (_of_monitor(ds))
			return item.refuse(r.dataspace, OF_MONITOR);

		if (unaligned(r.at))
			return item.refuse(r.at, NO_PAGES);
		if (r.at < end)
			return item.refuse(r.at, "is not behind the one before");

		if (!r.size || unaligned(r.size))
			return item.refuse(r.size, NO_PAGES);
		if (exceeds(r.at, r.size, _map_size(map)))
			return item.refuse(r.size, "does not fit in the region map");

		if (unaligned(r.offset))
			return item.refuse(r.offset, NO_PAGES);
		if (exceeds(r.offset, r.size, ds.size))
			return item.refuse(r.offset, "does not fit in the dataspace");

		if (r.rights & ~uint32_t(Region::WRITE | Region::EXECUTE))
			return item.refuse(r.rights, "unknown rights");

		end = r.at + r.size;
		return item.zero(r.zero);
	});
}


bool Reader::_check_pages()
{
	/* the content is of no interest */
	struct Head { uint32_t dataspace, page; } last { };

	size_t const count = num<Page>();

	for (size_t i = 0; i < count; i++) {

		size_t const at   = i*sizeof(Page);
		Head   const head = _read<Head>(_places[PAGES].offset + at);

		auto refuse = [&] (size_t within, char const *reason)
		{
			_refuse(PAGES, at + within, reason);
			_refusal.record = i;
			return false;
		};

		if (head.dataspace >= num<Dataspace>())
			return refuse(0, NO_DATASPACE);

		Dataspace const ds = get<Dataspace>(head.dataspace);

		if (!ds.has_pages())
			return refuse(0, "dataspace has no pages of its own");
		if (i && head.dataspace < last.dataspace)
			return refuse(0, OUT_OF_ORDER);
		if (i && head.dataspace == last.dataspace && head.page <= last.page)
			return refuse(4, OUT_OF_ORDER);
		if (head.page >= ds.size/PAGE_SIZE)
			return refuse(4, "does not fit in the dataspace");

		last = head;
	}
	return true;
}


bool Reader::_check()
{
	return _find_sections()
	    && _check_system()   && _check_members()    && _check_tables()     && _check_objects()
	    && _check_start()    && _check_sessions()   && _check_parts()
	    && _check_handlers() && _check_dataspaces() && _check_roms()
	    && _check_regions()  && _check_threads()    && _check_faults()   && _check_gates()
	    && _check_sources()  && _check_contexts()   && _check_timers()
	    && _check_base()     && _check_origins()    && _check_pages();
}
