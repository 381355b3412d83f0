/*
 * \brief  Region maps that are attached within themselves
 * \date   2026-12-01
 *
 * A thread that accesses such a place never goes on. Everybody else has to, the component and core
 * included. The component needs nothing but the release.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/sleep.h>
#include <base/thread.h>
#include <cap_checkpoint_test/region_maps.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Visitor;
	struct Map;
	struct Main;
}


/**
 * Thread that writes to one place
 */
struct Test::Visitor : Thread
{
	/*
	 * Noncopyable
	 */
	Visitor(Visitor const &);
	Visitor &operator = (Visitor const &);

	char volatile * const _place;

	bool volatile done = false;

	void entry() override
	{
		*_place = 1;
		done = true;
	}

	Visitor(Env &env, char *place)
	: Thread(env, "visitor", Stack_size { 8*1024 }), _place(place) { start(); }
};


/**
 * Region map with memory in its first page, and any dataspace in its second one
 */
struct Test::Map : Region_map_client
{
	Attached_ram_dataspace _ram;

	bool attach_at(Dataspace_capability ds, addr_t at, addr_t offset)
	{
		return attach(ds, { .size       = PAGE, .offset    = offset,
		                    .use_at     = true, .at        = at,
		                    .executable = { },  .writeable = true }).ok();
	}

	bool attach_second(Region_map_client &other) { return attach_at(other.dataspace(), PAGE, PAGE); }

	bool attach_memory() { return attach_at(_ram.cap(), PAGE, 0); }

	Attached_dataspace _window;

	char *first()  { return _window.local_addr<char>(); }
	char *second() { return _window.local_addr<char>() + PAGE; }

	bool const complete;

	Map(Env &env, Rm &rm)
	:
		Region_map_client(rm.create(2*PAGE)),
		_ram(env.ram(), env.rm(), PAGE), _window(env.rm(), dataspace()),
		complete(attach_at(_ram.cap(), 0, 0))
	{ }
};


struct Test::Main
{
	static constexpr unsigned ROUNDS = 10, ENOUGH_MS = 100;

	Env &_env;

	Timer::Connection _timer { _env };

	void _check(bool condition, auto &&... message)
	{
		if (condition)
			return;

		error(message...);
		log("--- map loop test failed ---");
		sleep_forever();
	}

	/**
	 * Return true if another thread is able to write to the place
	 */
	bool _accessible(char *place)
	{
		Visitor visitor { _env, place };
		_timer.msleep(ENOUGH_MS);
		return visitor.done;
	}

	void _round()
	{
		Rm rm { _env, 128*1024, 10 };

		/* a map within itself, and two maps within each other */
		Map self { _env, rm }, left { _env, rm }, right { _env, rm };

		_check(self.complete && left.complete && right.complete, "incomplete map");
		_check(self.attach_second(self) && left.attach_second(right) && right.attach_second(left),
		       "no loop");

		log("threads access loops");

		_check(!_accessible(self.second()), "a page without memory is accessible");
		_check(!_accessible(left.second()), "a page without memory is accessible");
		_check(_accessible(self.first()) && _accessible(left.first()), "memory is not accessible");

		/* without the loop, the place may be used */
		self.detach(PAGE);
		_check(self.attach_memory() && _accessible(self.second()), "place of a loop is lost");

		left.detach(PAGE);
		_check(left.attach_memory() && _accessible(left.second()) && _accessible(right.second()),
		       "place of a loop is lost");

		/* these end with their session */
		left.detach(PAGE);
		self.detach(PAGE);
		_check(self.attach_second(self) && left.attach_second(right), "no loop again");
	}

	Main(Env &env) : _env(env)
	{
		for (unsigned i = 0; i < ROUNDS; i++)
			_round();

		log("--- map loop test succeeded ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
