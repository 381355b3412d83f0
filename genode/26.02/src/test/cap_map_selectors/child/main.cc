/*
 * \brief  Component whose capability selectors are examined by a monitor
 * \date   2026-11-22
 *
 * The component pretends to own a foreign IPC gate by giving the ID of the gate
 * to an IRQ object. As far as the kernel's comparison of capabilities is
 * concerned, both are the same.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <foc/native_thread.h>
#include <foc_native_cpu/client.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Idle_thread;
	struct Main;
}


struct Test::Idle_thread : Thread
{
	Idle_thread(Env &env) : Thread(env, "idle", Stack_size { 8*1024 }) { start(); }

	void entry() override { }
};


struct Test::Main
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Idle_thread _thread { _env };

	Native_capability const _thread_cap =
		Foc_native_cpu_client(_env.cpu().native_cpu()).native_cap(_thread.cap());

	Main(Env &env) : _env(env)
	{
		using namespace Foc;

		unsigned long const foreign_badge =
			_config.node().attribute_value("foreign_badge", 0UL);

		Foc_thread_state const state =
			Foc_native_cpu_client(_env.cpu().native_cpu()).thread_state(_thread.cap());

		addr_t const irq = state.kcap + THREAD_IRQ_CAP;

		long const error = l4_error(
			l4_rcv_ep_bind_thread(irq, _thread_cap.data()->kcap(), foreign_badge));

		log(error ? "unable to forge" : "forged", " ID ", foreign_badge,
		    " of IRQ at selector ", Hex(irq));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
