/*
 * \brief  Region maps within each other, which change all the time
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _NESTED_H_
#define _NESTED_H_

/* Genode includes */
#include <base/entrypoint.h>

/* local includes */
#include <types.h>

namespace Test { struct Nested; }


/**
 * Memory that is seen by way of region maps, and directly
 *
 * The map 'low' is at two places of 'mid', which is at two places of 'top'. So each page is
 * there four times, and a number that is written at one of them must appear at all.
 */
struct Test::Nested
{
	static constexpr size_t   SIZE = 2*PAGE;
	static constexpr unsigned WORDS = SIZE/sizeof(unsigned);

	/*
	 * Noncopyable
	 */
	Nested(Nested const &);
	Nested &operator = (Nested const &);

	Env     &_env;
	Verdict &_verdict;

	Rm _rm { _env, 256*1024, 60 };

	Region_map_client _top { _rm.create(64*PAGE) }, _mid { _rm.create(16*PAGE) },
	                  _low { _rm.create(4*PAGE) };

	Ram_dataspace_capability const _ram { _env.ram().alloc(SIZE) };

	char * const _direct { attach(_env, _ram) };
	char * const _outer  { attach(_env, _top.dataspace()) };

	/* where 'low' is in 'mid', 'mid' in 'top', and the memory in 'low' */
	addr_t const _low_at[2] { 0, 8*PAGE }, _mid_at[2] { 16*PAGE, 40*PAGE }, _ram_at { PAGE };

	unsigned _count = 0;

	/* second place of the map 'low', which is attached and detached */
	bool _twice = false;

	unsigned *_word(char *start, unsigned number) const
	{
		return (unsigned *)start + number % WORDS;
	}

	char *_seen_at(unsigned mid, unsigned low) const
	{
		return _outer + _mid_at[mid] + _low_at[low] + _ram_at;
	}

	/**
	 * A map that comes, is attached twice, and is destroyed as it is
	 */
	void _destroy_while_attached()
	{
		Capability<Region_map> const cap = _rm.create(2*PAGE);
		Region_map_client map { cap };

		bool const filled = attach_at(map,  _ram, 0, PAGE, PAGE),
		           first  = attach_at(_mid, map.dataspace(), 4*PAGE),
		           second = attach_at(_top, map.dataspace(), 60*PAGE);

		if (!filled || !first || !second) {
			_verdict.wrong("map that comes is not attached: ", filled, first, second);
			return;
		}
		unsigned const value = *_word(_direct + PAGE, 7);

		if (*_word(_outer + 60*PAGE, 7) != value || *_word(_outer + _mid_at[1] + 4*PAGE, 7) != value)
			_verdict.wrong("map that comes shows something else");

		_rm.destroy(cap);

		/* core keeps the places until then */
		_mid.detach(4*PAGE);
		_top.detach(60*PAGE);
	}

	/**
	 * A session that is closed while its map is attached
	 */
	void _close_while_attached()
	{
		{
			Rm rm { _env, 32*1024, 10 };
			Region_map_client map { rm.create(PAGE) };

			if (!attach_at(map, _ram, 0, PAGE) || !attach_at(_top, map.dataspace(), 62*PAGE)
			 || *_word(_outer + 62*PAGE, 3) != *_word(_direct, 3))
				_verdict.wrong("map of a further session is not attached");
		}
		_top.detach(62*PAGE);
	}

	void step()
	{
		_count++;

		/* each write takes another way, of four or of two */
		unsigned const ways = _twice ? 4 : 2, way = _count % (ways + 1);

		char * const start = (way == ways) ? _direct : _seen_at(way & 1, way >> 1);

		*_word(start, _count) = _count;

		for (unsigned mid = 0; mid < 2; mid++)
			for (unsigned low = 0; low < ways/2; low++)
				for (unsigned back = 0; back < 40; back++) {
					unsigned const number = _count - min(back, _count - 1);
					if (*_word(_seen_at(mid, low), number) != number) {
						_verdict.wrong("at place ", mid, ".", low, ": ", *_word(_seen_at(mid, low), number),
						               " instead of ", number);
						return;
					}
				}

		if (_count % 8 == 0) {
			if (_twice)
				_mid.detach(_low_at[1]);
			else if (!attach_at(_mid, _low.dataspace(), _low_at[1]))
				_verdict.wrong("map is not attached for the second time");
			_twice = !_twice;
		}
		if (_count % 16 == 5)
			_destroy_while_attached();
		if (_count % 32 == 9)
			_close_while_attached();
	}

	/**
	 * What must be denied
	 */
	void _expect_errors()
	{
		auto deny = [&] (Region_map &map, Dataspace_capability ds, addr_t at, char const *what)
		{
			if (attach_at(map, ds, at))
				_verdict.wrong(what, " is not denied");
		};

		deny(_low, _low.dataspace(), 3*PAGE, "map in itself");
		deny(_low, _top.dataspace(), 3*PAGE, "map that contains itself");
		deny(_low, _ram,             3*PAGE, "region beyond the end");
		deny(_low, _ram,             2*PAGE, "overlap");

		if (Rm_session_client(_rm.cap()).create(0).ok())
			_verdict.wrong("map of size 0 is not denied");

		/* as deep as the monitor allows, each in the one before */
		static constexpr unsigned MAX = 12;
		Capability<Region_map> maps[MAX] { };
		unsigned depth = 0;
		for (; depth < MAX; depth++) {
			maps[depth] = _rm.create(PAGE);
			if (!depth)
				continue;
			Region_map_client outer { maps[depth - 1] };
			if (!attach_at(outer, Region_map_client(maps[depth]).dataspace(), 0))
				break;
		}
		if (depth == MAX)
			_verdict.wrong("any depth is allowed");
		for (unsigned i = 0; i <= min(depth, MAX - 1); i++)
			_rm.destroy(maps[i]);
	}

	void _handle_fault() { _verdict.wrong("memory is missing"); }

	Signal_handler<Nested> _fault_handler;

	/**
	 * Constructor
	 *
	 * \param ep  serves page faults of the thread that calls 'step'
	 */
	Nested(Env &env, Entrypoint &ep, Verdict &verdict)
	:
		_env(env), _verdict(verdict), _fault_handler(ep, *this, &Nested::_handle_fault)
	{
		_top.fault_handler(_fault_handler);
		_mid.fault_handler(_fault_handler);
		_low.fault_handler(_fault_handler);

		bool const ok = attach_at(_low, _ram, _ram_at)
		             && attach_at(_mid, _low.dataspace(), _low_at[0])
		             && attach_at(_top, _mid.dataspace(), _mid_at[0])
		             && attach_at(_top, _mid.dataspace(), _mid_at[1]);
		if (!ok || !_outer || !_direct)
			_verdict.wrong("maps are not attached");

		_expect_errors();
	}
};

#endif /* _NESTED_H_ */
