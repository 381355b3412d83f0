/*
 * \brief  Component that obtains and drops capabilities all the time
 * \date   2026-11-22
 *
 * The monitor detects the end by observing that the capability table does not
 * change for a while.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/sleep.h>
#include <cap_map_test/release.h>

/* local includes */
#include <source.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	Env &_env;

	unsigned const _pairs = Config(_env).value("pairs", 0U);

	/* the monitor provides it in the place of the native PD interface */
	Capability<Source> _source { reinterpret_cap_cast<Source>(_env.pd().native_pd()) };

	/**
	 * Obtain capabilities that are not known to the component otherwise
	 *
	 * Their reception inserts them into the table, dropping them removes them.
	 *
	 * \return  number of capabilities missing
	 */
	unsigned _obtain_and_drop()
	{
		static constexpr unsigned N = Source::CAPS_PER_CALL;

		Native_capability caps[N];

		caps[0] = _source.call<Source::Rpc_obtain>(caps[1], caps[2], caps[3]);

		unsigned missing = 0;

		for (unsigned i = 0; i < N; i++) {
			bool present = caps[i].valid();

			for (unsigned j = 0; j < i; j++)
				present &= !(caps[i] == caps[j]);

			missing += !present;
		}
		return missing;
	}

	Main(Env &env) : _env(env)
	{
		/* the first message may open the LOG session */
		log("ready");

		/* the table does not change meanwhile, as it would when using a timer */
		while (!_source.call<Source::Rpc_ready>());

		unsigned missing = 0, obtained = 0;

		while (obtained < _pairs) {
			missing  += _obtain_and_drop();
			obtained += Source::CAPS_PER_CALL;

			if (obtained % 100000 == 0)
				log(obtained, " pairs");
		}

		log("obtained and dropped ", obtained, " capabilities, ", missing, " missing");

		/* leaving the construction would change the table once more */
		sleep_forever();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
