/*
 * \brief  Component with packets that are rare, or make no sense
 * \date   2026-12-01
 *
 * It exits with 0 after some rounds, or with a number that tells a mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/heap.h>

/* local includes */
#include <block_cases.h>
#include <nic_cases.h>
#include <stream_cases.h>

namespace Test { struct Main; }


struct Test::Main
{
	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Attached_rom_dataspace _config { _env, "config" };

	String<16> const _cases { _config.node().attribute_value("cases", String<16>()) };

	bool const _restored = !_config.node().attribute_value("thaw", false);

	unsigned const _rounds = _config.node().attribute_value("case_rounds", 50u);

	void _execute(auto &cases)
	{
		for (unsigned round = 0; round < _rounds; round++)
			cases.execute(round);

		cases.damage(_timer);
	}

	void _execute()
	{
		if (_cases == "blocks") {
			Block_cases cases { _env, _heap };
			_execute(cases);
		} else if (_cases == "files") {
			File_cases cases { _env, _heap, _restored };
			_execute(cases);
		} else if (_cases == "nics") {
			Nic_cases cases { _env, _heap };
			_execute(cases);
		} else {
			Stream_cases cases { _env, _heap, _restored, _config.node().attribute_value("pipe", false) };
			_execute(cases);
		}
	}

	Main(Env &env) : _env(env)
	{
		int value = 0;

		try { _execute(); } catch (...) { value = -1; }

		log(_cases, ": ", _rounds, " rounds");
		_env.parent().exit(value);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
