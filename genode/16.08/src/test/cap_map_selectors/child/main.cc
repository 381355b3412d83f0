/*
 * \brief  Component whose capability selectors are examined by a monitor
 * \date   2026-11-22
 *
 * The component pretends to own a foreign IPC gate by giving the badge of the
 * gate to an IRQ object.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <cpu_thread/client.h>
#include <foc_native_cpu/client.h>
#include <os/config.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/irq.h>
}

namespace Test {

	using namespace Genode;

	struct Idle_thread;
	struct Main;
}


struct Test::Idle_thread : Thread
{
	Idle_thread(Env &env) : Thread(env, "idle", 8*1024) { start(); }

	void entry() override { }
};


struct Test::Main
{
	Idle_thread _thread;

	/* remains present while the monitor examines the component */
	Native_capability const _thread_cap;

	Main(Env &env)
	:
		_thread(env),
		_thread_cap(Foc_native_cpu_client(env.cpu().native_cpu()).native_cap(_thread.cap()))
	{
		using namespace Fiasco;

		unsigned long foreign_badge = 0;
		config()->xml_node().attribute("foreign_badge").value(&foreign_badge);

		addr_t const irq =
			Cpu_thread_client(_thread.cap()).state().kcap + THREAD_IRQ_CAP;

		/* core has attached the IRQ to the thread already */
		(void)l4_irq_detach(irq);

		long const error =
			l4_error(l4_irq_attach(irq, foreign_badge, _thread_cap.data()->kcap()));

		log(error ? "unable to forge" : "forged", " ID ", foreign_badge,
		    " of IRQ at selector ", Hex(irq));
	}
};


Genode::size_t Component::stack_size() { return 8*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
