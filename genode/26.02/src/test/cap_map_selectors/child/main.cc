/*
 * \brief  Component whose capability selectors are examined by a monitor
 * \date   2026-11-22
 *
 * The component pretends to own a foreign IPC gate by giving the ID of the gate
 * to an IRQ object. For its own part, it lets the kernel compare objects of
 * several kinds.
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

	Idle_thread _thread { _env }, _other_thread { _env };

	Native_capability _native_cap(Thread &thread)
	{
		return Foc_native_cpu_client(_env.cpu().native_cpu()).native_cap(thread.cap());
	}

	Native_capability const _thread_cap       = _native_cap(_thread),
	                        _other_thread_cap = _native_cap(_other_thread);

	addr_t _gate(Thread &thread)
	{
		return Foc_native_cpu_client(_env.cpu().native_cpu())
			.thread_state(thread.cap()).kcap;
	}

	/**
	 * Copy a capability to a selector beyond the table, without its rights
	 */
	static addr_t _copy(addr_t selector)
	{
		using namespace Foc;

		addr_t const copy = 10'000ul << L4_CAP_SHIFT;

		l4_task_unmap(L4_BASE_TASK_CAP, l4_obj_fpage(copy, 0, L4_FPAGE_RWX),
		              L4_FP_ALL_SPACES);

		l4_task_map(L4_BASE_TASK_CAP, L4_BASE_TASK_CAP,
		            l4_obj_fpage(selector, 0, L4_CAP_FPAGE_RO), copy | L4_ITEM_MAP);

		return copy;
	}

	/**
	 * Check that the kernel takes a capability for its copy, and for no other
	 */
	void _compare()
	{
		using namespace Foc;

		addr_t const gate = _gate(_thread), other_gate = _gate(_other_thread);

		addr_t const selectors[] = {
			L4_BASE_TASK_CAP,
			Cap_index(_thread_cap).kcap(), Cap_index(_other_thread_cap).kcap(),
			gate,                       other_gate,
			gate + THREAD_PAGER_CAP,    other_gate + THREAD_PAGER_CAP,
			gate + THREAD_IRQ_CAP,      other_gate + THREAD_IRQ_CAP,
			Cap_index(_env.pd_session_cap()).kcap() };

		unsigned pairs = 0, faults = 0;

		for (addr_t const &a : selectors) {

			addr_t const copy = _copy(a);

			for (addr_t const &b : selectors) {

				bool const equal =
					l4_msgtag_label(l4_task_cap_equal(L4_BASE_TASK_CAP, copy, b));

				pairs++;
				if (equal == (&a == &b))
					continue;

				faults++;
				error("selectors ", Hex(a), " and ", Hex(b),
				      equal ? " are equal" : " differ");
			}
		}
		log("compared ", pairs, " pairs of selectors, ", faults, " faults");
	}

	Main(Env &env) : _env(env)
	{
		using namespace Foc;

		unsigned long const foreign_badge =
			_config.node().attribute_value("foreign_badge", 0UL);

		Foc_thread_state const state =
			Foc_native_cpu_client(_env.cpu().native_cpu()).thread_state(_thread.cap());

		addr_t const irq = state.kcap + THREAD_IRQ_CAP;

		long const error = l4_error(
			l4_rcv_ep_bind_thread(irq, Cap_index(_thread_cap).kcap(), foreign_badge));

		log(error ? "unable to forge" : "forged", " ID ", foreign_badge,
		    " of IRQ at selector ", Hex(irq));

		_compare();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
