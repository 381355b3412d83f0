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

#include <base/entrypoint.h>
#include <base/thread.h>
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
}

#endif /* _INCLUDE__CAP_MAP_TEST__RELEASE_H_ */
