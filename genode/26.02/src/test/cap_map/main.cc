/*
 * \brief  Test subject for the report of a component's capability space
 * \date   2026-11-22
 *
 * The component goes through a number of stages, each with a known set of
 * capabilities. It stays in each stage for a while and logs the slots and
 * badges of the capabilities that it created, as seen from the inside.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <timer_session/connection.h>
#include <util/interface.h>
#include <util/reconstructible.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

namespace Test {

	using namespace Genode;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_nop, void, nop);
		GENODE_RPC_INTERFACE(Rpc_nop);
	};

	struct Object;
	struct Main;
}


struct Test::Object : Rpc_object<Dummy, Object>
{
	Entrypoint &_server;

	Object(Entrypoint &server) : _server(server) { server.manage(*this); }

	~Object() { _server.dissolve(*this); }

	void nop() { }
};


struct Test::Main
{
	static constexpr unsigned MAX_OBJECTS = 200, STAGES = 6;

	Env &_env;

	Timer::Connection _timer { _env };

	Constructible<Object> _objects[MAX_OBJECTS] { };

	unsigned _stage = 0;

	void _create(unsigned from, unsigned to)
	{
		for (unsigned i = from; i < to; i++)
			_objects[i].construct(_env.ep());
	}

	void _destroy(unsigned from, unsigned to, unsigned step)
	{
		for (unsigned i = from; i < to; i += step)
			_objects[i].destruct();
	}

	void _enter_stage()
	{
		switch (_stage) {
		case 0: _create(0, 10);          break;
		case 1: _create(10, 100);        break;
		case 2: _destroy(0, 100, 2);     break;
		case 3: _create(100, 200);       break;
		case 4: _destroy(1, 100, 2);     break;
		case 5: _destroy(100, 200, 1);   break;
		}
	}

	void _log_stage()
	{
		unsigned count = 0;
		for (auto const &object : _objects)
			if (object.constructed())
				count++;

		for (auto const &object : _objects)
			if (object.constructed())
				log("own cap ", Base_foc::Cap_index<Foc_cap_platform>(object->cap()).slot(),
				    " ", object->cap().local_name());

		log("stage ", _stage, " with ", count, " objects");
	}

	void _handle_timer()
	{
		if (_stage)
			log("end of stage ", _stage - 1);

		if (_stage == STAGES) {
			log("all stages done");
			return;
		}

		_enter_stage();
		_log_stage();

		_stage++;
		_timer.trigger_once(3*1000*1000);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_once(3*1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
