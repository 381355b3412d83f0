/*
 * \brief  What the parts of the component have in common
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _TYPES_H_
#define _TYPES_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint_test/region_maps.h>

namespace Test {

	using namespace Genode;

	/**
	 * End of the component, by the first mistake or without any
	 */
	struct Verdict : Noncopyable
	{
		Env &_env;
		bool _done = false;

		void exit(int value)
		{
			if (!_done)
				_env.parent().exit(value);
			_done = true;
		}

		void wrong(auto &&... what)
		{
			if (!_done)
				log("mistake: ", what...);
			exit(-1);
		}

		Verdict(Env &env) : _env(env) { }
	};
}

#endif /* _TYPES_H_ */
