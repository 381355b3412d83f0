/*
 * \brief  Component that keeps more capabilities than a table has at first
 * \date   2026-11-29
 *
 * The configuration tells how many capabilities the component obtains, and
 * whether it is poor: then it lacks the RAM for a larger table, runs out of
 * slots, and goes on when some of them are free again.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <pd_session/client.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

namespace Test {

	using namespace Genode;

	struct Main;
}


struct Test::Main
{
	static constexpr unsigned MAX_CAPS = 20*1000;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	/* does not ask the parent for resources */
	Pd_session_client _pd { _env.pd_session_cap() };

	Capability<Signal_source> _source {
		_pd.signal_source().convert<Capability<Signal_source> >(
			[&] (Capability<Signal_source> cap) { return cap; },
			[&] (Alloc_error) { return Capability<Signal_source>(); }) };

	Capability<Signal_context> _caps[MAX_CAPS] { };

	unsigned _count = 0;

	enum class Outcome { OK, LOST, DENIED };

	/**
	 * Obtain one more capability
	 *
	 * It gets lost if there is no slot for it.
	 */
	Outcome _obtain()
	{
		return _pd.alloc_context(_source, { _count }).convert<Outcome>(
			[&] (Capability<Signal_context> cap) {
				if (!cap.valid())
					return Outcome::LOST;

				_caps[_count++] = cap;
				return Outcome::OK;
			},
			[&] (Alloc_error e) {
				error("core denies a capability: ", e);
				return Outcome::DENIED; });
	}

	/**
	 * Obtain capabilities until there are so many
	 *
	 * \return false if one gets lost before
	 */
	bool _obtain_up_to(unsigned count)
	{
		while (_count < count)
			if (_obtain() != Outcome::OK)
				return false;

		return true;
	}

	/**
	 * Return true if each capability is another one, at a slot of its own
	 */
	bool _distinct() const
	{
		for (unsigned i = 1; i < _count; i++)
			if (!_caps[i].valid() || _caps[i] == _caps[i - 1]
			 || _caps[i].local_name() == _caps[i - 1].local_name())
				return false;

		return true;
	}

	static unsigned _capacity() { return unsigned(cap_idx_alloc().max_caps()); }

	void _be_rich(unsigned count)
	{
		(void)_obtain_up_to(count);

		log(_count, " capabilities, ", _distinct() ? "all distinct" : "not distinct",
		    ", table of ", _capacity(), " slots");
	}

	void _be_poor()
	{
		/* take slots without calling anybody, until few are left */
		static constexpr unsigned LEFT = 40;

		/* let core have memory for the records of what is obtained below */
		(void)_obtain_up_to(2*LEFT);
		while (_count) {
			_pd.free_context(_caps[--_count]);
			_caps[_count] = { };
		}

		Cap_index const taken =
			cap_idx_alloc().alloc_range(_capacity() - Foc_cap_platform::FIRST_SLOT
			                            - LEFT - _used_at_start());
		if (!taken)
			error("unable to take slots");

		/* too little for a larger table, enough for what core needs */
		static constexpr size_t KEPT = 44*1024;

		size_t const avail = _pd.avail_ram().value;
		if (avail > KEPT)
			(void)_pd.alloc_ram((avail - KEPT) & ~0xfffUL);

		bool const obtained = _obtain_up_to(_count + 2*LEFT);

		log(obtained ? "never out of slots" : "out of slots",
		    ", table of ", _capacity(), " slots");

		unsigned const before = _count;

		(void)cap_idx_alloc().free(taken, 16);

		(void)_obtain_up_to(before + 4);

		log(_count - before, " more capabilities after 16 slots got free");
	}

	/**
	 * Return an upper bound of the slots in use when the component starts
	 */
	static unsigned _used_at_start()
	{
		/* allocation begins with the first free slot */
		Cap_index const first = cap_idx_alloc().alloc_range(256);
		unsigned const result = first.slot() - Foc_cap_platform::FIRST_SLOT;
		(void)cap_idx_alloc().free(first, 256);
		return result;
	}

	Main(Env &env) : _env(env)
	{
		unsigned const count = _config.node().attribute_value("count", 0U);

		if (_config.node().attribute_value("poor", false))
			_be_poor();
		else
			_be_rich(min(count, MAX_CAPS));

		log("growth child finished");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
