/*
 * \brief  Offer unsuitable memory for the capability table
 * \date   2026-11-22
 *
 * The name of each child denotes what is wrong about the dataspace, or about
 * the circumstances under which the child attaches it.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Odd_pd;
	struct Main;
}


struct Test::Odd_pd : Monitored_pd
{
	static constexpr size_t TABLE_SIZE = 36*1024, PAGE = 4096;

	Attached_ram_dataspace _foreign, _small;

	Ram_quota _taken_ram  { };
	Cap_quota _taken_caps { };

	unsigned requests = 0;

	Odd_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
	       Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc)
	:
		Monitored_pd(ep, real, name, ram, local_rm, alloc),
		_foreign(ram, local_rm, TABLE_SIZE), _small(ram, local_rm, PAGE)
	{
		*_foreign.local_addr<uint64_t>() = 0x464f524549474e;
	}

	/*
	 * Regions attached to the child's address space
	 *
	 * Core keeps meta data about each region, which it allocates in larger
	 * units from the quota of the child. Without any quota, attachments succeed
	 * until the current unit is used up.
	 */
	static constexpr unsigned MAX_REGIONS = 1000;

	addr_t   _regions[MAX_REGIONS] { };
	unsigned _num_regions = 0;

	void _use_up_meta_data()
	{
		Region_map_client rm { real().address_space() };

		while (_num_regions < MAX_REGIONS) {

			bool const attached = rm.attach(_small.cap(), { }).convert<bool>(
				[&] (Region_map::Range range) {
					_regions[_num_regions++] = range.start;
					return true; },
				[&] (Region_map::Attach_error) { return false; });

			if (!attached)
				return;
		}
		error("attaching does not consume quota");
	}

	/* dataspaces that use up the remaining capability quota */
	Ram_dataspace_capability _dataspaces[200] { };

	unsigned _num_dataspaces = 0;

	void _use_up_caps()
	{
		for (Ram_dataspace_capability &ds : _dataspaces) {

			ds = real().alloc_ram(PAGE, CACHED).convert<Ram_dataspace_capability>(
				[&] (Ram_dataspace_capability ds) { return ds; },
				[&] (Alloc_error) { return Ram_dataspace_capability(); });

			if (!ds.valid())
				return;

			_num_dataspaces++;
		}
		error("dataspaces do not consume capability quota");
	}

	void _free_meta_data()
	{
		Region_map_client rm { real().address_space() };

		while (_num_regions)
			rm.detach(_regions[--_num_regions]);

		while (_num_dataspaces)
			real().free_ram(_dataspaces[--_num_dataspaces]);
	}

	/**
	 * Let the child start to attach the dataspace without any resources left
	 */
	void _take_quota(bool ram, bool caps)
	{
		Capability<Pd_account> const to = env_ptr->pd_session_cap();

		if (ram) {
			_taken_ram = real().avail_ram();
			(void)real().transfer_quota(to, _taken_ram);
		}
		if (caps) {
			/* the part donated at session creation cannot be taken back */
			_taken_caps = real().avail_caps();
			while (_taken_caps.value
			    && real().transfer_quota(to, _taken_caps) != Transfer_result::OK)
				_taken_caps.value--;

			_use_up_caps();
		}

		_use_up_meta_data();

		log(name, ": ", _num_regions, " regions attached, ", real().avail_ram(),
		    " and ", real().avail_caps(), " left");
	}

	/**
	 * Return capability of a dataspace that does not exist anymore
	 */
	Dataspace_capability _freed_dataspace()
	{
		Dataspace_capability result { };

		real().alloc_ram(TABLE_SIZE).with_result(
			[&] (Ram_dataspace_capability ds) {
				result = ds;
				real().free_ram(ds); },
			[&] (Alloc_error) { error("allocation failed"); });

		return result;
	}

	/* the monitor accommodates the resources taken from children */
	static Env *env_ptr;

	void _return_quota()
	{
		if (_taken_ram.value)
			(void)env_ptr->pd().transfer_quota(real_cap(), _taken_ram);

		if (_taken_caps.value)
			(void)env_ptr->pd().transfer_quota(real_cap(), _taken_caps);

		_taken_ram  = { };
		_taken_caps = { };

		_free_meta_data();
	}


	/**************************
	 ** Pd_session interface **
	 **************************/

	Dataspace_capability cap_space_info() override
	{
		requests++;

		if (name == "small")   return _small.cap();
		if (name == "foreign") return _foreign.cap();

		if (name == "withdrawn") return _freed_dataspace();

		if (name == "no_dataspace")
			return reinterpret_cap_cast<Dataspace>(real_cap());

		if (name == "no_ram")  _take_quota(true, false);
		if (name == "no_caps") _take_quota(false, true);

		return Monitored_pd::cap_space_info();
	}

	Alloc_ram_result alloc_ram(size_t size, Cache cache) override
	{
		_return_quota();
		return Monitored_pd::alloc_ram(size, cache);
	}

	Alloc_rpc_cap_result alloc_rpc_cap(Native_capability thread) override
	{
		_return_quota();
		return Monitored_pd::alloc_rpc_cap(thread);
	}
};


Genode::Env *Test::Odd_pd::env_ptr;


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Constructible<Basic_sandbox<Odd_pd> > _sandbox { };

	void handle_sandbox_state() override { }

	void _handle_timer()
	{
		_sandbox->for_each_pd([&] (Odd_pd &pd) {

			Stamp stamp { };
			bool const exposed = Cap_map::ok(pd.cap_space.stamp(stamp));

			log(pd.name, ": asked ", pd.requests, " times, ",
			    exposed ? "exposed" : "private"); });

		log("attach test finished");
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	void _handle_resource_avail() { }

	Signal_handler<Main> _resource_avail_handler {
		_env.ep(), *this, &Main::_handle_resource_avail };

	Main(Env &env) : _env(env)
	{
		_env.parent().resource_avail_sigh(_resource_avail_handler);

		Odd_pd::env_ptr = &_env;

		_sandbox.construct(_env, *this);
		_sandbox->apply_config(_config.node());

		_timer.sigh(_timer_handler);
		_timer.trigger_once(15*1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
