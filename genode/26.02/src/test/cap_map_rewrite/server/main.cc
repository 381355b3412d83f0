/*
 * \brief  Server whose badges are rewritten while it serves requests
 * \date   2026-11-22
 *
 * The order in which the RPC objects are created is known to the monitor: the
 * exit handler and the signal proxy of the entrypoint, the counters, and the
 * control object.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <util/reconstructible.h>

/* local includes */
#include <counter.h>

namespace Test {

	struct Counter_component;
	struct Service;
	struct Main;
}


struct Test::Counter_component : Rpc_object<Counter, Counter_component>
{
	Entrypoint &_ep;

	unsigned const _number;

	unsigned _served = 0;

	Counter_component(Entrypoint &ep, unsigned number)
	: _ep(ep), _number(number) { _ep.manage(*this); }

	~Counter_component() { _ep.dissolve(*this); }

	unsigned number() { _served++; return _number; }
	unsigned served() { return _served; }
};


struct Test::Service
{
	Entrypoint _ep;

	Constructible<Counter_component> _counters[NUM_COUNTERS] { };

	unsigned volatile handled = 0;

	void _handle_signal() { handled = handled + 1; }

	Signal_handler<Service> _signal_handler {
		_ep, *this, &Service::_handle_signal };

	Service(Env &env) : _ep(env, 16*1024, "server", { })
	{
		for (unsigned i = 0; i < NUM_COUNTERS; i++)
			_counters[i].construct(_ep, i);
	}

	void submit() { Signal_transmitter(_signal_handler).submit(); }
};


struct Test::Main : Rpc_object<Control, Main>
{
	Env &_env;

	Constructible<Service> _service { };

	void submit() { _service->submit(); }

	unsigned handled() { return _service->handled; }

	void finish()
	{
		_service.destruct();
		log("entrypoint destroyed");
	}

	Main(Env &env) : _env(env)
	{
		_service.construct(_env);
		_env.ep().manage(*this);
		log("server ready");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
