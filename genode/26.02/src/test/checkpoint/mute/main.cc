/*
 * \brief  Server that never answers a request for a session
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>


void Component::construct(Genode::Env &env)
{
	env.parent().announce("File_system");

	Genode::log("announced");
}
