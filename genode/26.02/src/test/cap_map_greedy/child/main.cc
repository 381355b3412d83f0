/*
 * \brief  Component that allocates IPC gates from its monitor
 * \date   2026-11-28
 *
 * The configuration tells the role. A greedy child allocates gates until it is
 * denied, an honest one keeps using a few, a short-lived one allocates some,
 * starts threads, and waits for its end.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Number;
	struct Number_component;
	struct Idle;
	struct Main;
}


struct Test::Number : Interface
{
	GENODE_RPC(Rpc_value, unsigned, value);
	GENODE_RPC_INTERFACE(Rpc_value);
};


struct Test::Number_component : Rpc_object<Number, Number_component>
{
	unsigned const _value;

	Number_component(unsigned value) : _value(value) { }

	unsigned value() { return _value; }
};


struct Test::Idle : Worker
{
	Idle(Env &env) : Worker(env, "idle") { }

	void entry() override { }
};


struct Test::Main
{
	/*
	 * The records of the gates that are kept fill more than two pages of the
	 * monitor, which gives all but one of its empty pages back.
	 */
	static constexpr unsigned MANY = 8000, KEPT = 150, INSISTENCE = 1000, FEW = 40;

	using Role = String<16>;

	Env &_env;

	Server _server { _env };

	Number_component _number { 42 };

	/* core creates gates for the thread behind the capability */
	Native_capability const _thread { _server.manage(_number) };

	Native_capability _kept[KEPT] { };

	enum class Outcome { OK, INVALID, OUT_OF_RAM, OUT_OF_CAPS, DENIED };

	Outcome _alloc(Native_capability &result)
	{
		return _env.pd().alloc_rpc_cap(_thread).convert<Outcome>(
			[&] (Native_capability cap) {
				result = cap;
				return cap.valid() ? Outcome::OK : Outcome::INVALID; },
			[&] (Alloc_error e) {
				switch (e) {
				case Alloc_error::OUT_OF_RAM:  return Outcome::OUT_OF_RAM;
				case Alloc_error::OUT_OF_CAPS: return Outcome::OUT_OF_CAPS;
				case Alloc_error::DENIED:      break;
				}
				return Outcome::DENIED; });
	}

	static char const *_name(Outcome outcome)
	{
		switch (outcome) {
		case Outcome::OK:          return "ok";
		case Outcome::INVALID:     return "success with an invalid capability";
		case Outcome::OUT_OF_RAM:  return "out of RAM";
		case Outcome::OUT_OF_CAPS: return "out of capabilities";
		case Outcome::DENIED:      break;
		}
		return "denied";
	}

	/**
	 * Allocate gates until the first failure
	 *
	 * The child drops its own references except for the last ones.
	 */
	unsigned _allocate_many(Outcome &outcome)
	{
		outcome = Outcome::OK;

		for (unsigned i = 0; i < MANY; i++) {

			Native_capability cap { };

			outcome = _alloc(cap);
			if (outcome != Outcome::OK)
				return i;

			_kept[i % KEPT] = cap;
		}
		return MANY;
	}

	void _be_greedy()
	{
		Outcome outcome { };

		unsigned const count = _allocate_many(outcome);

		log("greedy: ", count, " gates, then ", _name(outcome));

		size_t const ram  = _env.pd().ram_quota().value,
		             caps = _env.pd().cap_quota().value;

		for (Native_capability &cap : _kept) {
			_env.pd().free_rpc_cap(cap);
			cap = { };
		}

		log("greedy: ", unsigned(KEPT), " gates freed, ",
		    _env.pd().ram_quota().value - ram,  " bytes and ",
		    _env.pd().cap_quota().value - caps, " caps came back");

		unsigned const again = _allocate_many(outcome);

		log("greedy: ", again, " gates again, then ", _name(outcome), ", ",
		    ram  - _env.pd().ram_quota().value, " bytes and ",
		    caps - _env.pd().cap_quota().value, " caps more than before");

		unsigned denied = 0;

		for (unsigned i = 0; i < INSISTENCE; i++) {
			Native_capability cap { };
			denied += (_alloc(cap) == Outcome::DENIED);
		}

		log("greedy: ", denied, " of ", unsigned(INSISTENCE), " attempts denied");
	}

	void _be_honest()
	{
		static Number_component numbers[] { 0, 1, 2, 3, 4, 5, 6, 7 };

		for (unsigned round = 1; ; round++) {

			for (Number_component &number : numbers)
				_server.manage(number);

			for (Number_component &number : numbers) {
				unsigned const value = number.cap().call<Number::Rpc_value>();
				if (value != number._value)
					error("honest: ", value, " in place of ", number._value);
			}

			for (Number_component &number : numbers)
				_server.dissolve(number);
		}
	}

	void _live_shortly()
	{
		static Idle idle[] { { _env }, { _env }, { _env } };

		for (Idle &thread : idle)
			thread.start();

		Outcome outcome = Outcome::OK;

		for (unsigned i = 0; i < FEW && outcome == Outcome::OK; i++)
			outcome = _alloc(_kept[i]);

		if (outcome != Outcome::OK)
			error("short-lived: ", _name(outcome));
	}

	Main(Env &env) : _env(env)
	{
		Role const role = Config(env).value("role", Role());

		if      (role == "greedy") _be_greedy();
		else if (role == "honest") _be_honest();
		else                       _live_shortly();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
