/*
 * \brief  Component that uses up its quotas before and after a restore
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <pd_session/client.h>

/* local includes */
#include <cap_checkpoint_test/clock.h>

namespace Test {

	struct Remaining;
	struct Main;
}


struct Test::Remaining
{
	size_t ram, caps;

	bool operator == (Remaining const &) const = default;

	/* what core and the monitor keep for new objects when old ones go */
	static constexpr size_t SPARE_PAGES = 5;

	bool about(Remaining const &other) const
	{
		return max(ram,  other.ram)  - min(ram,  other.ram)  <= SPARE_PAGES*4096
		    && max(caps, other.caps) - min(caps, other.caps) <= SPARE_PAGES;
	}

	void print(Output &out) const { Genode::print(out, ram, " bytes and ", caps, " caps"); }
};


struct Test::Main
{
	static constexpr unsigned MAX = 1000;

	Env &_env;

	Clock _clock { _env };

	/* unlike the one of the environment, this one does not ask for more */
	Pd_session_client _pd { _env.pd_session_cap() };

	Ram_dataspace_capability _ds[MAX] { };

	unsigned _mistakes = 0;

	Remaining _remaining()
	{
		return { _pd.avail_ram().value, _pd.avail_caps().value };
	}

	void _expect(char const *when, Remaining const &expected, bool exactly = false)
	{
		Remaining const remaining = _remaining();

		if (remaining == expected || (!exactly && remaining.about(expected)))
			return;

		error(when, ": ", remaining, " remain instead of ", expected);
		_mistakes++;
	}

	/**
	 * Allocate until a quota is exceeded
	 *
	 * \return  number of dataspaces
	 */
	unsigned _use_up(size_t size, Alloc_error expected)
	{
		unsigned count = 0;
		bool     done  = false;

		while (count < MAX && !done)
			_pd.alloc_ram(size).with_result(
				[&] (Ram_dataspace_capability ds) { _ds[count++] = ds; },
				[&] (Alloc_error e) {
					done = true;
					if (e != expected) {
						error("another quota is exceeded: ", e);
						_mistakes++;
					} });

		return count;
	}

	void _free(unsigned count)
	{
		for (unsigned i = 0; i < count; i++)
			_pd.free_ram(_ds[i]);
	}

	void _test(char const *quota, size_t size, Alloc_error exceeded)
	{
		Remaining const before = _remaining();

		_clock.wait_for_restore();
		_expect("restored", before);

		unsigned const count = _use_up(size, exceeded);

		Remaining const used_up = _remaining();
		log(quota, " exceeded after ", count, " dataspaces, ", used_up, " remain of ", before);

		_clock.wait_for_restore();
		_expect("restored with nothing left", used_up, true);

		_free(count);
		_expect("all is free again", before);

		unsigned const again = _use_up(size, exceeded);
		if (again != count) {
			error(again, " dataspaces instead of ", count);
			_mistakes++;
		}
		_free(again);
		_expect("all is free once more", before);
	}

	Main(Env &env) : _env(env)
	{
		_test("RAM quota", 64*1024, Alloc_error::OUT_OF_RAM);
		_test("cap quota",  4*1024, Alloc_error::OUT_OF_CAPS);

		_env.parent().exit(int(_mistakes));
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
