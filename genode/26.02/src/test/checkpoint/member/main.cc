/*
 * \brief  Child of a component that is saved, or component that has children itself
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <cpu_session/cpu_session.h>
#include <os/reporter.h>
#include <pd_session/client.h>
#include <region_map/client.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Counter;
	struct Greedy;
	struct Leaver;
	struct Main;
}


/**
 * Reports numbers one after the other
 */
struct Test::Counter
{
	static constexpr unsigned LAST = 10;

	unsigned const _phase;

	Expanding_reporter _reporter;

	Timer::Connection _timer;

	unsigned _count = 0;

	void _handle_timer()
	{
		if (_count == LAST)
			return;

		_count++;
		_reporter.generate([&] (Generator &g) {
			g.attribute("phase", _phase);
			g.attribute("count", _count); });
	}

	Signal_handler<Counter> _timer_handler;

	Counter(Env &env, unsigned phase)
	:
		_phase(phase), _reporter(env, "count"), _timer(env),
		_timer_handler(env.ep(), *this, &Counter::_handle_timer)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_periodic(20*1000);
	}
};


/**
 * Opens sessions until it is told that there are no more
 */
struct Test::Greedy
{
	static constexpr unsigned MAX = 64, NUM_REGIONS = 400;

	Env &_env;

	Parent::Client _clients[MAX] { };

	Constructible<Id_space<Parent::Client>::Element> _ids[MAX] { };

	unsigned _open(char const *service, char const *args)
	{
		unsigned count = 0;
		bool     more  = true;

		while (more && count < MAX) {
			_ids[count].construct(_clients[count], _env.id_space());
			more = _env.try_session(service, _ids[count]->id(), args, Affinity()).ok();
			if (more)
				count++;
			else
				_ids[count].destruct();
		}
		return count;
	}

	void _close(unsigned count)
	{
		for (unsigned i = 0; i < count; i++) {
			_env.close(_ids[i]->id());
			_ids[i].destruct();
		}
	}

	/**
	 * Tell how many sessions there are at a time, twice
	 *
	 * \param least  RAM that core wants for each
	 */
	void _try(char const *service, size_t least, char const *args)
	{
		size_t const before = _env.pd().avail_ram().value;

		unsigned const count = _open(service, args);

		if (before - _env.pd().avail_ram().value < count*least)
			error("mistake: ", service, " sessions are not paid for");

		_close(count);

		unsigned const again = _open(service, args);
		_close(again);

		log(service, ": ", count, " sessions, then ", again);
	}

	/**
	 * Free memory while another PD, which has this one as its account, has it many times
	 *
	 * The other PD pays for its regions, and gets back what it has paid while this one is served.
	 */
	void _share(Session_capability cap)
	{
		Pd_session_client pd { static_cap_cast<Pd_session>(cap) };

		(void)pd.ref_account(_env.pd_session_cap());
		(void)_env.pd().transfer_quota(pd.rpc_cap(), Ram_quota { 256*1024 });

		Region_map_client address_space { pd.address_space() };

		unsigned count = 0;

		_env.pd().alloc_ram(4096, CACHED).with_result(
			[&] (Ram_dataspace_capability ds) {
				while (count < NUM_REGIONS && _attach(address_space, ds, 0).ok())
					count++;

				_env.pd().free_ram(ds); },
			[&] (Alloc_error) { });

		log(count == NUM_REGIONS ? "memory of another PD was freed"
		                         : "mistake: memory is not attached to another PD");
	}

	static Region_map::Attach_result _attach(Region_map &map, Dataspace_capability ds, addr_t at)
	{
		return map.attach(ds, { .size       = 4096,  .offset    = 0,
		                        .use_at     = !!at,  .at        = at,
		                        .executable = false, .writeable = true });
	}

	/**
	 * Close a PD session while it has memory of this one, and this one has memory of it
	 */
	void _close_shared(Session_capability cap)
	{
		Pd_session_client pd { static_cap_cast<Pd_session>(cap) };

		Region_map_client here  { _env.pd().address_space() },
		                  there { pd.address_space() };

		auto ram_of = [] (Pd_session &session)
		{
			return session.alloc_ram(4096, CACHED).convert<Ram_dataspace_capability>(
				[&] (Ram_dataspace_capability ds) { return ds; },
				[&] (Alloc_error) { return Ram_dataspace_capability(); });
		};

		Ram_dataspace_capability const own = ram_of(_env.pd());

		addr_t at = 0;
		_attach(here, ram_of(pd), 0).with_result(
			[&] (Region_map::Range range) { at = range.start; }, [&] (Region_map::Attach_error) { });

		bool const attached = at && _attach(there, own, 0).ok();
		if (attached)
			*(unsigned volatile *)at = 1;

		_close(1);

		/* the address becomes free when it is detached, and has other memory then */
		here.detach(at);

		if (attached && _attach(here, own, at).ok() && *(unsigned volatile *)at == 0)
			log("memory of a closed PD is gone");
		else
			error("mistake: memory of a closed PD cannot be replaced");

		here.detach(at);
		_env.pd().free_ram(own);
	}

	void _share()
	{
		_ids[0].construct(_clients[0], _env.id_space());

		_env.try_session("PD", _ids[0]->id(), "label=\"x\", ram_quota=1M, cap_quota=60", Affinity())
			.with_result([&] (Session_capability cap) { _share(cap); _close_shared(cap); },
			             [&] (Session_error)          { error("mistake: no PD session"); });
	}

	Greedy(Env &env) : _env(env)
	{
		auto available = [&] {
			return _env.pd().avail_ram().value + _env.pd().avail_caps().value; };

		size_t const pd = Pd_session::RAM_QUOTA, cpu = Cpu_session::RAM_QUOTA;

		_try("PD",  pd,  "label=\"x\", ram_quota=256K, cap_quota=20");

		_share();

		size_t const before = available();

		_try("PD",  pd,  "label=\"x\", ram_quota=256K, cap_quota=20");
		_try("PD",  pd,  "label=\"x\", ram_quota=1M, cap_quota=20");
		_try("CPU", cpu, "label=\"x\", ram_quota=64K, cap_quota=10");

		/* the monitor takes what a session costs, whatever is donated */
		_try("PD",  pd,  "label=\"x\"");
		_try("CPU", cpu, "label=\"x\"");

		_share();

		log(available() == before ? "all that was donated is back" : "mistake: donations are lost");
	}
};


/**
 * Exits after some time
 */
struct Test::Leaver
{
	Env &_env;

	int const _value;

	Timer::Connection _timer { _env };

	void _handle_timer() { _env.parent().exit(_value); }

	Signal_handler<Leaver> _timer_handler { _env.ep(), *this, &Leaver::_handle_timer };

	Leaver(Env &env, int value, unsigned ms) : _env(env), _value(value)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*ms);
	}
};


struct Test::Main
{
	using Role = String<16>;

	Attached_rom_dataspace _config;

	Constructible<Counter> _counter { };
	Constructible<Greedy>  _greedy  { };
	Constructible<Leaver>  _leaver  { };

	Main(Env &env) : _config(env, "config")
	{
		Node const config = _config.node();

		Role     const role  = config.attribute_value("role",  Role());
		unsigned const phase = config.attribute_value("phase", 0U);

		if (role == "counter")
			_counter.construct(env, phase);

		if (role == "leaver")
			_leaver.construct(env, int(phase), config.attribute_value("after_ms", 100U));

		if (role == "faulter") {
			log("phase ", phase, ": about to access what is not there");
			unsigned volatile * volatile nowhere = nullptr;
			*nowhere = phase;
		}

		if (role == "greedy") {
			_greedy.construct(env);
			env.parent().exit(0);
		}
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
