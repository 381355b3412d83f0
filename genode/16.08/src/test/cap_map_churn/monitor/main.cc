/*
 * \brief  Take snapshots of a capability table that changes all the time
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/snprintf.h>
#include <cap_space_monitor/child.h>

/* local includes */
#include <churn.h>

namespace Test { struct Main; }


Test::Source_component *Test::Churn_pd::source_ptr;


struct Test::Main
{
	Churn _churn;

	Main(Env &env) : _churn(env)
	{
		char config[64];
		snprintf(config, sizeof(config), "<config pairs=\"%u\"/>", _churn._pairs);

		Basic_child<Churn_pd>::Attr attr;
		attr.label  = "test-cap_map_churn-child";
		attr.binary = "test-cap_map_churn-child";
		attr.config = config;
		attr.ram    = 4*1024*1024;

		static Basic_child<Churn_pd> child(attr);

		_churn.test(child.pd.cap_space);
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
