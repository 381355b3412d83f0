/*
 * \brief  Component that corrupts its own capability table
 * \date   2026-11-22
 *
 * Depending on the configuration, the component writes random values to the
 * table, or behaves well and keeps creating and destroying RPC objects.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <base/thread.h>
#include <cap_map_test/release.h>
#include <util/interface.h>

namespace Test {

	using namespace Genode;

	struct Vandal;
	struct Dummy_interface;
	struct Dummy;
	struct Main;
}


/**
 * Thread that knows nothing but the memory of the table
 *
 * It performs no kernel operation. So it is not affected by the damage.
 */
struct Test::Vandal : Worker
{
	uint64_t * const _words;
	size_t     const _num_words;

	uint64_t _random = 0x9e3779b97f4a7c15;

	/*
	 * Noncopyable
	 */
	Vandal(Vandal const &);
	Vandal &operator = (Vandal const &);

	Vandal(Env &env, uint64_t *words, size_t num_words)
	:
		Worker(env, "vandal"), _words(words), _num_words(num_words)
	{ }

	uint64_t _next()
	{
		_random ^= _random << 13;
		_random ^= _random >> 7;
		_random ^= _random << 17;
		return _random;
	}

	void _write(size_t word, uint64_t value)
	{
		__atomic_store_n(&_words[word % _num_words], value, __ATOMIC_RELAXED);
	}

	void entry() override
	{
		/* batch word, and words that only the owner writes otherwise */
		size_t const BATCH = 0x80/8, OWNER = 0xc0/8, HEADER_WORDS = 0x200/8;

		for (;;) {
			uint64_t const kind = _next() % 8;

			if (kind == 0)
				_write(_next() % HEADER_WORDS, _next());
			else if (kind == 1)
				_write(BATCH, _next());
			else if (kind == 2)
				/* retired, claimed, and undisturbed, at a few generations */
				_write(BATCH, _next() % 8 + ((_next() % 64) << 19));
			else if (kind == 3)
				_write(OWNER + _next() % 4, _next() % 4096);
			else
				_write(_next(), _next());
		}
	}
};


struct Test::Dummy_interface : Interface { GENODE_RPC_INTERFACE(); };


struct Test::Dummy : Rpc_object<Dummy_interface, Dummy> { };


struct Test::Main
{
	Env &_env;

	void _behave_well()
	{
		static Dummy dummies[10];

		for (;;) {
			for (Dummy &dummy : dummies) _env.ep().manage(dummy);
			for (Dummy &dummy : dummies) _env.ep().dissolve(dummy);
		}
	}

	Main(Env &env) : _env(env)
	{
		if (!Config(env).value("hostile", false))
			_behave_well();

		static Attached_dataspace table(env.rm(), env.pd().cap_space_info());
		static Vandal vandal(env, table.local_addr<uint64_t>(), table.size()/8);

		log("start to corrupt capability table");
		vandal.start();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
