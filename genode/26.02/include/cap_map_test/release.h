/*
 * \brief  What the tests need from the release
 * \date   2026-11-29
 *
 * The constructors of threads and entrypoints, and the access to the
 * configuration differ between releases.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_MAP_TEST__RELEASE_H_
#define _INCLUDE__CAP_MAP_TEST__RELEASE_H_

#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>

namespace Test {

	using namespace Genode;

	struct Server : Entrypoint
	{
		Server(Env &env) : Entrypoint(env, 16*1024, "server", { }) { }
	};

	struct Worker : Thread
	{
		Worker(Env &env, Name const &name) : Thread(env, name, Stack_size { 32*1024 }) { }
	};

	struct Config
	{
		Attached_rom_dataspace rom;

		Config(Env &env) : rom(env, "config") { }

		template <typename T>
		T value(char const *name, T const &otherwise) const
		{
			return rom.node().attribute_value(name, otherwise);
		}
	};

	/**
	 * Return capability that tells core which thread serves a new gate
	 *
	 * \param managed  capability of an object of the calling thread's entrypoint
	 */
	static inline Native_capability gate_server(Env &, Native_capability managed)
	{
		return managed;
	}

	/**
	 * Return capability of a new gate, 'ref' comes from 'gate_server'
	 */
	static inline Native_capability new_gate(Env &env, Native_capability ref)
	{
		return env.pd().alloc_rpc_cap(ref).convert<Native_capability>(
			[&] (Native_capability gate) { return gate; },
			[&] (Alloc_error e) { error("no gate: ", e); return Native_capability(); });
	}
}

#endif /* _INCLUDE__CAP_MAP_TEST__RELEASE_H_ */
