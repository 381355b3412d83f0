/*
 * \brief  Threads that wait for page faults at the same time
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CROWD_H_
#define _CROWD_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/semaphore.h>
#include <base/thread.h>
#include <cpu_thread/client.h>

/* local includes */
#include <types.h>

namespace Test {

	struct Visitor;
	struct Crowd;
	struct Detour;
}


/**
 * Thread that writes to one place each time it is told to
 */
struct Test::Visitor : Thread
{
	/*
	 * Noncopyable
	 */
	Visitor(Visitor const &);
	Visitor &operator = (Visitor const &);

	char * const _place;

	Semaphore _visits { };

	unsigned _told = 0;

	unsigned volatile _came = 0;

	void entry() override
	{
		for (;;) {
			_visits.down();
			*(unsigned volatile *)_place = _came;
			_came = _came + 1;
		}
	}

	void visit()
	{
		_told++;
		_visits.up();
	}

	bool under_way() const { return _came != _told; }

	Visitor(Env &env, char const *name, char *place)
	: Thread(env, name, Stack_size { 8*1024 }), _place(place) { start(); }
};


/**
 * Four threads that wait for three pages of two region maps
 *
 * One page comes after the other, and lets those threads go on that wait for it, and no other. Two threads wait for the
 * same page.
 */
struct Test::Crowd
{
	static constexpr unsigned PAGES = 3, MAX_DELAY = 16, MAX_STEPS = 3000;

	/*
	 * Noncopyable
	 */
	Crowd(Crowd const &);
	Crowd &operator = (Crowd const &);

	Env     &_env;
	Verdict &_verdict;

	Rm _rm { _env, 64*1024, 10 };

	Region_map_client _first  { _rm.create(2*PAGE) },
	                  _second { _rm.create(PAGE) };

	char * const _first_start  { attach(_env, _first .dataspace()) },
	     * const _second_start { attach(_env, _second.dataspace()) };

	Ram_dataspace_capability const _ram { _env.ram().alloc(PAGES*PAGE) };

	Visitor _near  { _env, "near",  _first_start },
	        _twin  { _env, "twin",  _first_start },
	        _far   { _env, "far",   _first_start + PAGE },
	        _other { _env, "other", _second_start };

	struct { Visitor &visitor; unsigned page; } const _crowd[4] {
		{ _near, 0 }, { _twin, 0 }, { _far, 1 }, { _other, 2 } };

	struct { Region_map &map; addr_t at; } const _pages[PAGES] {
		{ _first, 0 }, { _first, PAGE }, { _second, 0 } };

	unsigned _present = PAGES, _steps = 0, _delay = 0, rounds = 0;

	/* nobody asks core for the faults, but without a handler, there are none */
	void _handle_fault() { }

	Signal_handler<Crowd> _fault_handler;

	void step()
	{
		bool missing = false;

		for (auto const &c : _crowd) {
			if (c.page < _present)
				missing |= c.visitor.under_way();
			else if (!c.visitor.under_way())
				_verdict.wrong("thread '", c.visitor.name, "' goes on without its page");
		}

		_steps++;

		if (missing) {
			if (_steps > MAX_STEPS)
				_verdict.wrong("a thread waits for a page that is there");
			return;
		}

		if (_steps < _delay)
			return;

		_steps = 0;
		_delay = (_delay*5 + 3) % MAX_DELAY;

		if (_present < PAGES) {
			auto const &page = _pages[_present];
			if (!attach_at(page.map, _ram, page.at, PAGE, _present*PAGE))
				_verdict.wrong("page ", _present, " of a crowd is not attached");
			_present++;
			return;
		}

		for (auto const &page : _pages)
			page.map.detach(page.at);

		_present = 0;
		rounds++;

		for (auto const &c : _crowd)
			c.visitor.visit();
	}

	Crowd(Env &env, Entrypoint &ep, Verdict &verdict)
	: _env(env), _verdict(verdict), _fault_handler(ep, *this, &Crowd::_handle_fault)
	{
		_first .fault_handler(_fault_handler);
		_second.fault_handler(_fault_handler);
	}
};


/**
 * Thread that waits for a page of a map, which other memory takes the place of
 *
 * Nothing is attached to the map. So the thread goes on if it is resumed, which has no effect as long as it waits
 * at core. It does not have to wait for the page any more once it goes on.
 */
struct Test::Detour
{
	static constexpr unsigned DELAY = 12, VISITS = 40, MAX_STEPS = 3000;

	/*
	 * Noncopyable
	 */
	Detour(Detour const &);
	Detour &operator = (Detour const &);

	Env     &_env;
	Verdict &_verdict;

	Rm _rm { _env, 64*1024, 10 };

	Region_map_client _outer { _rm.create(PAGE) },
	                  _inner { _rm.create(PAGE) };

	Ram_dataspace_capability const _ram { _env.ram().alloc(PAGE) };

	Visitor _visitor { _env, "detour", attach(_env, _outer.dataspace()) };

	enum class State { WAITS, RESUMED, VISITS_MEMORY } _state { State::WAITS };

	unsigned _steps = 0, _visits = 0, rounds = 0;

	void _handle_fault() { }

	Signal_handler<Detour> _fault_handler;

	void _replace_by(Dataspace_capability ds)
	{
		_outer.detach(0);
		if (!attach_at(_outer, ds, 0))
			_verdict.wrong("detour is not attached");
	}

	/**
	 * Return false if the thread has to go on, and has not yet
	 */
	bool settled() const
	{
		return _state != State::VISITS_MEMORY || !_visitor.under_way();
	}

	void step()
	{
		_steps++;

		switch (_state) {

		case State::WAITS:

			if (_steps < DELAY)
				return;

			if (!_visitor.under_way())
				_verdict.wrong("thread does not wait in front of its detour");

			_replace_by(_ram);
			_state = State::RESUMED;
			return;

		case State::RESUMED:

			if (_visitor.under_way()) {
				Cpu_thread_client(_visitor.cap()).resume();
				return;
			}
			rounds++;
			_visits = 0;
			_steps  = 0;
			_state  = State::VISITS_MEMORY;
			return;

		case State::VISITS_MEMORY:

			if (_visitor.under_way()) {
				if (_steps > MAX_STEPS)
					_verdict.wrong("thread does not go on behind its detour");
				return;
			}
			_steps = 0;

			if (_visits++ == VISITS) {
				_replace_by(_inner.dataspace());
				_state = State::WAITS;
			}
			_visitor.visit();
			return;
		}
	}

	Detour(Env &env, Entrypoint &ep, Verdict &verdict)
	: _env(env), _verdict(verdict), _fault_handler(ep, *this, &Detour::_handle_fault)
	{
		_inner.fault_handler(_fault_handler);

		if (!attach_at(_outer, _inner.dataspace(), 0))
			_verdict.wrong("detour is not attached");

		_visitor.visit();
	}
};

#endif /* _CROWD_H_ */
