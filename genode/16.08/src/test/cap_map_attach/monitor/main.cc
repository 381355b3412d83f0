/*
 * \brief  Offer unsuitable memory for the capability table
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <cap_space_monitor/child.h>
#include <region_map/client.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Odd_pd;
	struct Odd_child;
	struct Main;
}


struct Test::Odd_pd : Monitored_pd
{
	enum { TABLE_SIZE = 36*1024, PAGE = 4096, MAX_REGIONS = 2000 };

	/* name of the child for which the next session is created */
	static char const *next_name;

	String<32> const _name { next_name };

	Ram_session &_ram;

	Attached_ram_dataspace _foreign, _small;

	unsigned requests = 0;

	Odd_pd(Rpc_entrypoint &ep, Pd_session_capability real, char const *label,
	       Ram_session &ram, Region_map &local_rm, Allocator &alloc)
	:
		Monitored_pd(ep, real, label, ram, local_rm, alloc),
		_ram(ram),
		_foreign(ram, local_rm, TABLE_SIZE), _small(ram, local_rm, PAGE)
	{
		*_foreign.local_addr<uint64_t>() = 0x464f524549474e;
	}

	/* regions attached to the child's address space */
	addr_t   _regions[MAX_REGIONS];
	unsigned _num_regions = 0;

	/**
	 * Let the child start to attach the dataspace without any quota left for
	 * the meta data of a region
	 */
	void _use_up_meta_data()
	{
		Region_map_client rm(real().address_space());

		try {
			while (_num_regions < MAX_REGIONS) {
				addr_t const at = rm.attach(_small.cap());
				_regions[_num_regions++] = at;
			}
			error("attaching does not consume quota");
		}
		catch (Region_map::Out_of_metadata) { }

		log(_name, ": ", _num_regions, " regions attached");
	}

	void _free_meta_data()
	{
		Region_map_client rm(real().address_space());

		while (_num_regions)
			rm.detach(_regions[--_num_regions]);
	}

	/**
	 * Return capability of a dataspace that does not exist anymore
	 */
	Dataspace_capability _freed_dataspace()
	{
		Ram_dataspace_capability const ds = _ram.alloc(TABLE_SIZE);
		_ram.free(ds);
		return ds;
	}


	/**************************
	 ** Pd_session interface **
	 **************************/

	Dataspace_capability cap_space_info() override
	{
		requests++;

		if (_name == "small")     return _small.cap();
		if (_name == "foreign")   return _foreign.cap();
		if (_name == "withdrawn") return _freed_dataspace();

		if (_name == "no_dataspace")
			return reinterpret_cap_cast<Dataspace>(real_cap());

		if (_name == "no_quota")
			_use_up_meta_data();

		return Monitored_pd::cap_space_info();
	}

	Native_capability alloc_rpc_cap(Native_capability thread) override
	{
		_free_meta_data();
		return Monitored_pd::alloc_rpc_cap(thread);
	}
};


char const *Test::Odd_pd::next_name;


struct Test::Odd_child
{
	typedef Basic_child<Odd_pd> Child;

	Child child;

	static Child::Attr _attr(char const *name)
	{
		Odd_pd::next_name = name;

		Child::Attr attr;
		attr.label  = name;
		attr.binary = "test-cap_map_attach-child";
		attr.config = nullptr;
		attr.ram    = 2*1024*1024;
		return attr;
	}

	Odd_child(char const *name) : child(_attr(name)) { }

	void report()
	{
		Stamp stamp;
		bool const exposed = Cap_map::ok(child.pd.cap_space.stamp(stamp));

		log(child.name, ": asked ", child.pd.requests, " times, ",
		    exposed ? "exposed" : "private");
	}
};


struct Test::Main
{
	Timer::Connection _timer;

	Odd_child _regular      { "regular" },
	          _small        { "small" },
	          _foreign      { "foreign" },
	          _withdrawn    { "withdrawn" },
	          _no_dataspace { "no_dataspace" },
	          _no_quota     { "no_quota" };

	Main(Env &env) : _timer(env)
	{
		_timer.msleep(10*1000);

		Odd_child * const children[] { &_regular, &_small, &_foreign, &_withdrawn,
		                               &_no_dataspace, &_no_quota };

		for (Odd_child *child : children)
			child->report();

		log("attach test finished");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
