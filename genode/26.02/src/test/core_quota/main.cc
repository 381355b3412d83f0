/*
 * \brief  What core does when a component has used up its quotas
 * \date   2026-11-28
 *
 * The test uses up its quota of capabilities, and then of RAM, through each
 * function of its PD session that allocates something. Core must deny the
 * allocation with an error that tells which quota is at its limit. A denied
 * allocation must cost nothing, and must work once something was freed. The
 * quota must not grow by freeing what is not one's own.
 *
 * A component that has a small part of the RAM shows this, and one that has all
 * that there is: whatever core takes for itself, it finds then.
 *
 * All calls go to the PD session directly. The environment of the component
 * would ask the parent for more instead of returning an error.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <pd_session/client.h>
#include <region_map/client.h>

namespace Test {

	using namespace Genode;

	struct Dummy : Interface
	{
		GENODE_RPC(Rpc_dummy, void, dummy);
		GENODE_RPC_INTERFACE(Rpc_dummy);
	};

	struct Object : Rpc_object<Dummy, Object> { void dummy() { } };

	struct Spent_ram;
	struct Main;

	static constexpr unsigned MAX = 2000, REPETITIONS = 100;
}


/**
 * The RAM quota of the component, turned into dataspaces
 */
struct Test::Spent_ram : Noncopyable
{
	Pd_session &_pd;

	Ram_dataspace_capability _ds[MAX] { };

	unsigned _count = 0;

	Spent_ram(Pd_session &pd) : _pd(pd)
	{
		/* core sets aside room for the meta data of a dataspace, so end small */
		size_t const sizes[] { 1024*1024, 64*1024, 4096 };

		for (size_t const size : sizes)
			while (_count < MAX && _pd.alloc_ram(size).convert<bool>(
				[&] (Ram_dataspace_capability ds) { _ds[_count++] = ds; return true; },
				[&] (Alloc_error) { return false; }));
	}

	~Spent_ram()
	{
		while (_count)
			_pd.free_ram(_ds[--_count]);
	}
};


struct Test::Main
{
	using Result = Attempt<Ok, Alloc_error>;

	Env &_env;

	Object _object { };

	/* core creates gates for the thread behind the capability */
	Native_capability const _ref { _env.ep().manage(_object) };

	Pd_session_client _pd { _env.pd_session_cap() };

	Capability<Signal_source> const _source = _pd.signal_source().convert<Capability<Signal_source>>(
		[&] (Capability<Signal_source> cap) { return cap; },
		[&] (auto) { return Capability<Signal_source>(); });

	Region_map_client _rm { _pd.address_space() };

	Ram_dataspace_capability _page { };

	unsigned _errors = 0;

	void _fail(auto &&... args) { _errors++; error(args...); }

	/* what was allocated in the current stage */
	Native_capability _caps[MAX]  { };
	addr_t            _addrs[MAX] { };

	unsigned _count = 0;

	size_t _avail_caps() { return _pd.avail_caps().value; }


	/*
	 * Kinds of allocations, each with the reverse operation
	 */

	struct Rpc_cap
	{
		static constexpr char const *name = "RPC capabilities";

		static Result alloc(Main &m, unsigned i)
		{
			return m._pd.alloc_rpc_cap(m._ref).convert<Result>(
				[&] (Native_capability cap) { m._caps[i] = cap; return Ok(); },
				[&] (Alloc_error e) { return e; });
		}

		static void free(Main &m, unsigned i) { m._pd.free_rpc_cap(m._caps[i]); }
	};

	struct Context
	{
		static constexpr char const *name = "signal contexts";

		static Result alloc(Main &m, unsigned i)
		{
			return m._pd.alloc_context(m._source, { i }).convert<Result>(
				[&] (Native_capability cap) { m._caps[i] = cap; return Ok(); },
				[&] (Alloc_error e) { return e; });
		}

		static void free(Main &m, unsigned i)
		{
			m._pd.free_context(reinterpret_cap_cast<Signal_context>(m._caps[i]));
		}
	};

	struct Dataspace
	{
		static constexpr char const *name = "dataspaces";

		static Result alloc(Main &m, unsigned i)
		{
			return m._pd.alloc_ram(4096).convert<Result>(
				[&] (Ram_dataspace_capability ds) { m._caps[i] = ds; return Ok(); },
				[&] (Alloc_error e) { return e; });
		}

		static void free(Main &m, unsigned i)
		{
			m._pd.free_ram(reinterpret_cap_cast<Ram_dataspace>(m._caps[i]));
		}
	};

	struct Attachment
	{
		static constexpr char const *name = "attachments";

		static Result alloc(Main &m, unsigned i)
		{
			return m._rm.attach(m._page, { }).convert<Result>(
				[&] (Region_map::Range r) -> Result { m._addrs[i] = r.start; return Ok(); },
				[&] (Region_map::Attach_error e) -> Result {
					switch (e) {
					case Region_map::Attach_error::OUT_OF_RAM:  return Alloc_error::OUT_OF_RAM;
					case Region_map::Attach_error::OUT_OF_CAPS: return Alloc_error::OUT_OF_CAPS;
					default: return Alloc_error::DENIED;
					}
				});
		}

		static void free(Main &m, unsigned i) { m._rm.detach(m._addrs[i]); }
	};

	template <typename KIND>
	void _free_latest()
	{
		KIND::free(*this, --_count);
		_caps[_count] = { };
	}

	template <typename KIND>
	void _exhaust(Alloc_error const expected)
	{
		Result result = Ok();

		for (; _count < MAX; _count++)
			if ((result = KIND::alloc(*this, _count)).failed())
				break;

		unsigned const limit = _count;

		result.with_result(
			[&] (Ok) { _fail(limit, " ", KIND::name, " and no end"); },
			[&] (Alloc_error e) {
				log(limit, " ", KIND::name, ", then ", e);
				if (e != expected)
					_fail(KIND::name, " denied by ", e, " instead of ", expected);
			});

		/* a denied allocation costs nothing */
		size_t const avail = _avail_caps();

		for (unsigned i = 0; i < REPETITIONS && _count < MAX; i++)
			if (KIND::alloc(*this, _count).ok())
				_fail(KIND::name, " available without anything freed");

		if (_avail_caps() != avail)
			_fail(KIND::name, ": denied ", REPETITIONS, " times, available "
			      "capabilities changed from ", avail, " to ", _avail_caps());

		/* as soon as something was freed, it works again */
		if (_count) {
			_free_latest<KIND>();
			if (KIND::alloc(*this, _count).ok())
				_count++;
			else
				_fail(KIND::name, " still denied after one was freed");
		}
	}

	template <typename KIND>
	void _free_all()
	{
		while (_count)
			_free_latest<KIND>();
	}

	template <typename KIND>
	void _exhaust_caps()
	{
		_exhaust<KIND>(Alloc_error::OUT_OF_CAPS);
		_free_all<KIND>();
	}

	template <typename KIND>
	void _exhaust_ram()
	{
		{
			Spent_ram spent { _pd };
			_exhaust<KIND>(Alloc_error::OUT_OF_RAM);
		}

		/* with RAM given back, the next one is for free */
		if (_count < MAX && KIND::alloc(*this, _count).ok())
			_count++;
		else
			_fail(KIND::name, " still denied after RAM was freed");

		_free_all<KIND>();
	}

	void _free_what_is_not_ours()
	{
		size_t const avail = _avail_caps();

		auto check = [&] (char const *what)
		{
			if (_avail_caps() != avail)
				_fail(_avail_caps() - avail, " capabilities gained by ", what);
			else
				log("nothing gained by ", what);
		};

		for (unsigned i = 0; i < REPETITIONS; i++)
			_pd.free_rpc_cap({ });

		check("freeing an invalid RPC capability");

		for (unsigned i = 0; i < REPETITIONS; i++)
			_pd.free_rpc_cap(_pd.rpc_cap());

		check("freeing a foreign RPC capability");

		if (Rpc_cap::alloc(*this, 0).ok())
			for (unsigned i = 0; i < REPETITIONS; i++)
				_pd.free_rpc_cap(_caps[0]);

		check("freeing an RPC capability more than once");

		/* core warns about each */
		for (unsigned i = 0; i < 10; i++)
			_pd.free_context({ });

		check("freeing an invalid signal context");

		for (unsigned i = 0; i < REPETITIONS; i++)
			_pd.free_signal_source(reinterpret_cap_cast<Signal_source>(_pd.rpc_cap()));

		check("freeing what is no signal source");
	}

	Main(Env &env) : _env(env)
	{
		log("--- core quota test ---");

		if (Dataspace::alloc(*this, 0).ok())
			_page = reinterpret_cap_cast<Ram_dataspace>(_caps[0]);

		_free_what_is_not_ours();

		_exhaust_caps<Rpc_cap>();
		_exhaust_caps<Context>();
		_exhaust_caps<Dataspace>();

		_exhaust_ram<Rpc_cap>();
		_exhaust_ram<Context>();
		_exhaust_ram<Attachment>();

		/* everything is as before */
		_exhaust_caps<Rpc_cap>();

		if (_errors)
			error("--- core quota test failed, ", _errors, " errors ---");
		else
			log("--- core quota test succeeded ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
