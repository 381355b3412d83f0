/*
 * \brief  What the tests need from the release
 * \date   2026-11-29
 *
 * The constructors of threads and entrypoints, and the access to the
 * configuration differ between releases.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_MAP_TEST__RELEASE_H_
#define _INCLUDE__CAP_MAP_TEST__RELEASE_H_

#include <base/component.h>
#include <base/entrypoint.h>
#include <base/env.h>
#include <base/thread.h>
#include <foc_native_cpu/client.h>
#include <os/config.h>

namespace Test {

	using namespace Genode;

	struct Server : Entrypoint
	{
		Server(Env &env) : Entrypoint(env, 4*1024*sizeof(long), "server") { }
	};

	struct Worker : Thread
	{
		Worker(Env &env, char const *name) : Thread(env, name, 4*1024*sizeof(long)) { }
	};

	struct Config
	{
		Config(Env &) { }

		template <typename T>
		T value(char const *name, T const &otherwise) const
		{
			return config()->xml_node().attribute_value(name, otherwise);
		}
	};

	/**
	 * Return capability that tells core which thread serves a new gate
	 *
	 * This is the calling thread. On later releases, any object of its
	 * entrypoint tells it.
	 */
	static inline Native_capability gate_server(Env &env, Native_capability)
	{
		return Foc_native_cpu_client(env.cpu().native_cpu())
			.native_cap(Thread::myself()->cap());
	}

	/**
	 * Return capability of a new gate, 'ref' comes from 'gate_server'
	 */
	static inline Native_capability new_gate(Env &env, Native_capability ref)
	{
		for (;;) {
			try { return env.pd().alloc_rpc_cap(ref); }
			catch (Pd_session::Out_of_metadata) {
				env.parent().upgrade(Genode::env()->pd_session_cap(), "ram_quota=64K"); }
		}
	}
}

#endif /* _INCLUDE__CAP_MAP_TEST__RELEASE_H_ */
