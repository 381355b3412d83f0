/*
 * \brief  Component that continues another one, and what of it is provided ahead
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _LIFE_H_
#define _LIFE_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/save.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Life;
}


struct Test::Life : Noncopyable
{
	static constexpr size_t   RAM      = 32*1024*1024;
	static constexpr unsigned CAPS     = 2500;
	static constexpr long     PRIORITY = 32*1024;  /* lower than that of the monitor */

	Child child;

	/* core takes notes from the first page of each member on */
	Precopy copies { child, { .ram = RAM, .caps = CAPS } };

	Constructible<Restore> _stages[2] { };
	unsigned               _latest = 0;

	Life(Monitor &monitor, Virtual_parent::Exit_handler &exit, Session_policy &policy)
	:
		child(monitor, "unit", Child::Quota { { RAM }, { CAPS } }, exit, PRIORITY, policy)
	{ }

	bool begun() const { return _stages[_latest].constructed(); }

	/**
	 * Provide what a chain says that has become longer
	 */
	bool begin(Image::Chain const &chain)
	{
		Restore * const before = begun() ? &*_stages[_latest] : nullptr;

		if (before)
			_latest = !_latest;

		_stages[_latest].construct(child, chain, before);

		bool const ok = _stages[_latest]->begin();

		if (!ok)
			(void)_started(*_stages[_latest], "begun");

		_stages[!_latest].destruct();
		return ok;
	}

	/**
	 * Start the threads, or tell why the component cannot be restored
	 */
	bool _started(Restore &restore, char const *what)
	{
		return restore.start().convert<bool>(
			[&] (Restored const &)        { return true; },
			[&] (Refused const &refused) {
				log("not ", what, ", ", refused);
				return false; });
	}

	/**
	 * Restore the component from a complete chain
	 */
	bool finish(Image::Chain const &chain)
	{
		Restore restore { child, chain, begun() ? &*_stages[_latest] : nullptr };

		(void)restore.prepare();
		return _started(restore, "restored");
	}
};

#endif /* _LIFE_H_ */
