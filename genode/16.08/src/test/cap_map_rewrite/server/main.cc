/*
 * \brief  Server whose badges are rewritten while it serves requests
 * \date   2026-11-22
 *
 * The order in which the RPC objects are created is known to the monitor: the
 * ones of the initial entrypoint, the exit handler of the entrypoint that serves
 * the counters, the counters, and the control object.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <base/signal.h>
#include <util/volatile_object.h>

/* local includes */
#include <counter.h>

namespace Test {

	struct Counter_component;
	struct Service;
	struct Main;
}


struct Test::Counter_component : Rpc_object<Counter, Counter_component>
{
	unsigned _number = 0;
	unsigned _served = 0;

	unsigned number() { _served++; return _number; }
	unsigned served() { return _served; }
};


struct Test::Service
{
	enum { STACK_SIZE = 4*1024*sizeof(long) };

	Rpc_entrypoint _ep;

	Counter_component _counters[NUM_COUNTERS];

	Service(Env &env) : _ep(&env.pd(), STACK_SIZE, "server")
	{
		for (unsigned i = 0; i < NUM_COUNTERS; i++) {
			_counters[i]._number = i;
			_ep.manage(&_counters[i]);
		}
	}

	~Service()
	{
		for (unsigned i = 0; i < NUM_COUNTERS; i++)
			_ep.dissolve(&_counters[i]);
	}
};


struct Test::Main : Rpc_object<Control, Main>
{
	Env &_env;

	Lazy_volatile_object<Service> _service;

	unsigned volatile _handled = 0;

	void _handle_signal() { _handled = _handled + 1; }

	Signal_handler<Main> _signal_handler {
		_env.ep(), *this, &Main::_handle_signal };

	void submit() { Signal_transmitter(_signal_handler).submit(); }

	unsigned handled() { return _handled; }

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


Genode::size_t Component::stack_size() { return 8*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
