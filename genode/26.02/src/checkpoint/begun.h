/*
 * \brief  Child that is restored in rounds, ahead of an offer
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BEGUN_H_
#define _BEGUN_H_

/* Genode includes */
#include <cap_checkpoint/restore.h>

/* local includes */
#include <types.h>

namespace Checkpoint { class Begun; }


/**
 * Sessions and memory of the child as its last round says
 */
class Checkpoint::Begun : Noncopyable
{
	private:

		using Child   = Cap_checkpoint::Child;
		using Chain   = Cap_checkpoint::Image::Chain;
		using Restore = Cap_checkpoint::Restore;

		/* each takes over what the one before has provided */
		Constructible<Restore> _stages[2] { };
		unsigned               _latest = 0;

	public:

		bool constructed() const { return _stages[_latest].constructed(); }

		void destruct()
		{
			for (Constructible<Restore> &stage : _stages)
				stage.destruct();
		}

		/**
		 * Return what the restore of the child is to go on with
		 */
		Restore &latest() { return *_stages[_latest]; }

		/**
		 * Provide what the chain says, which has become longer since the last call
		 *
		 * \return  false if the child is of no further use
		 */
		bool proceed(Child &child, Chain const &chain)
		{
			Restore * const before = constructed() ? &latest() : nullptr;

			if (before)
				_latest = !_latest;

			_stages[_latest].construct(child, chain, before);

			bool ok = false;
			try { ok = _stages[_latest]->begin(); }
			catch (...) { }

			_stages[!_latest].destruct();
			return ok;
		}
};

#endif /* _BEGUN_H_ */
