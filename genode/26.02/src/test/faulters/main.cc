/*
 * \brief  Many threads that wait for pages of region maps
 * \date   2026-12-01
 *
 * Threads of a group wait for the same page. Once it is attached, they write to it, and wait for the next one at
 * once. So threads cause page faults while core is still waking up others. The component needs nothing
 * but the release.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <cap_checkpoint_test/region_maps.h>
#include <timer_session/connection.h>
#include <util/reconstructible.h>

namespace Test {

	using namespace Genode;

	struct Faulter;
	struct Group;
	struct Main;
}


/**
 * Thread that writes to two pages in turn
 */
struct Test::Faulter : Thread
{
	/*
	 * Noncopyable
	 */
	Faulter(Faulter const &);
	Faulter &operator = (Faulter const &);

	char * const _window;

	unsigned volatile writes;

	void entry() override
	{
		for (;;) {
			*(unsigned volatile *)(_window + (writes % 2)*PAGE) = writes;
			writes = writes + 1;
		}
	}

	Faulter(Env &env, char *window, unsigned writes)
	:
		Thread(env, "faulter", Stack_size { 8*1024 }),
		_window(window), writes(writes)
	{ start(); }
};


/**
 * Threads that write to the same two pages, of which one is there at a time
 */
struct Test::Group
{
	static constexpr unsigned MAX_THREADS = 8, MAX_STEPS = 10'000, LIFETIME = 20, FLEETING = 3;

	static constexpr size_t SIZE = 2*PAGE;

	/*
	 * Noncopyable
	 */
	Group(Group const &);
	Group &operator = (Group const &);

	Env        &_env;
	Region_map &_map;

	addr_t   const _at;        /* of the two pages within the region map */
	char   * const _window;    /* to the two pages                       */
	unsigned const _threads;

	Ram_dataspace_capability const _ram { _env.ram().alloc(SIZE) };

	Constructible<Faulter> _faulters[MAX_THREADS] { };

	unsigned _steps = 0, _pages = 0;

	bool _fail(auto &&... message)
	{
		error(_threads, " threads, page ", _pages, ": ", message...);
		return false;
	}

	bool _attach(unsigned page)
	{
		addr_t const offset = (page % 2)*PAGE;

		return _map.attach(_ram, { .size       = PAGE, .offset    = offset,
		                           .use_at     = true, .at        = _at + offset,
		                           .executable = { },  .writeable = true }).ok();
	}

	void _detach(unsigned page) { _map.detach(_at + (page % 2)*PAGE); }

	/**
	 * Attach the next page if all threads wait for it
	 *
	 * \return false if a thread does not do what it should
	 */
	bool step()
	{
		for (unsigned i = 0; i < _threads; i++) {

			unsigned const writes = _faulters[i]->writes;

			if (writes > _pages)
				return _fail("a thread goes on without its page");

			if (writes == _pages)
				continue;

			if (++_steps > MAX_STEPS)
				return _fail("a thread waits for a page that is there");

			return true;
		}

		_steps = 0;

		/* one of the threads that wait comes to its end */
		if (_pages % LIFETIME == 0)
			_faulters[(_pages / LIFETIME) % _threads].construct(_env, _window, _pages);

		if (_pages)
			_detach(_pages - 1);

		bool attached = _attach(_pages);

		/* some threads go on, others wait for the same page once more */
		if (attached && _pages % FLEETING == 0) {
			_detach(_pages);
			attached = _attach(_pages);
		}

		if (!attached)
			return _fail("attach failed");

		_pages++;

		if (_pages % 100 == 0)
			log(_threads, " threads: ", _pages, " pages");

		return true;
	}

	bool done(unsigned pages) const { return _pages >= pages; }

	Group(Env &env, Region_map &map, addr_t at, char *window, unsigned threads)
	:
		_env(env), _map(map), _at(at), _window(window), _threads(threads)
	{
		for (unsigned i = 0; i < _threads; i++)
			_faulters[i].construct(_env, _window, 0u);
	}
};


struct Test::Main
{
	static constexpr unsigned PAGES = 1000, PERIOD_US = 1000;

	/*
	 * Noncopyable
	 */
	Main(Main const &);
	Main &operator = (Main const &);

	Env &_env;

	Rm _rm { _env, 256*1024, 20 };

	Region_map_client _plain { _rm.create(3*Group::SIZE) },
	                  _outer { _rm.create(2*Group::SIZE) },
	                  _inner { _rm.create(2*Group::SIZE) };

	char * const _plain_start { attach(_env, _plain.dataspace()) },
	     * const _outer_start { attach(_env, _outer.dataspace()) };

	/* without a handler, core would not let the threads wait */
	unsigned _faults = 0;

	void _handle_fault() { _faults++; }

	Signal_handler<Main> _fault_handler { _env.ep(), *this, &Main::_handle_fault };

	Constructible<Group> _groups[5] { };

	Timer::Connection _timer { _env };

	bool _finished = false;

	void _finish(bool success)
	{
		_finished = true;
		log("--- faulters test ", success ? "succeeded" : "failed", " ---");
	}

	void _handle_timer()
	{
		if (_finished)
			return;

		bool done = true;

		for (auto &group : _groups) {

			if (!group->step()) {
				_finish(false);
				return;
			}
			done &= group->done(PAGES);
		}

		if (done)
			_finish(_faults > 0);
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (!_plain_start || !_outer_start || _outer.attach(_inner.dataspace(), {
			.size       = { },  .offset    = { },
			.use_at     = true, .at        = { },
			.executable = { },  .writeable = true }).failed()) {

			error("region maps are not attached");
			_finish(false);
			return;
		}

		_plain.fault_handler(_fault_handler);
		_inner.fault_handler(_fault_handler);

		auto create = [&] (unsigned index, Region_map &map, char *start, unsigned place, unsigned threads)
		{
			addr_t const at = place*Group::SIZE;
			_groups[index].construct(_env, map, at, start + at, threads);
		};

		create(0, _plain, _plain_start, 0, 8);
		create(1, _plain, _plain_start, 1, 1);
		create(2, _plain, _plain_start, 2, 3);
		create(3, _inner, _outer_start, 0, 4);
		create(4, _inner, _outer_start, 1, 1);

		log("threads wait for pages");

		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(PERIOD_US);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
