/*
 * \brief  Freezers that do not do what the monitor does
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FREEZERS_H_
#define _FREEZERS_H_

/* Genode includes */
#include <cap_checkpoint/child.h>

/* local includes */
#include <options.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Careless_freezer;
	struct Signalling_freezer;
	struct Guessing_freezer;
	struct Keeping_freezer;
	struct Freezers;
}


/**
 * Freezer that parks threads wherever they are
 *
 * Such threads go on with badges that are stale after a restore.
 */
struct Test::Careless_freezer : Cap_space_monitor::Freezer
{
	bool _critical(addr_t, addr_t) const override { return false; }
};


/**
 * Freezer during which a signal arrives while a thread is let out of a page fault
 *
 * So two threads move at a time, only one of which has a fault. The other one is that which waits for signals.
 */
struct Test::Signalling_freezer : Child_freezer
{
	Child &_child;

	/* heartbeats that were submitted */
	unsigned submitted = 0;

	/**
	 * Threads of the component, which are looked at before and after one is let out
	 */
	struct Looked_at : Threads
	{
		Threads            &_threads;
		Signalling_freezer &_freezer;
		unsigned            _looks = 0;

		Looked_at(Threads &threads, Signalling_freezer &freezer)
		: _threads(threads), _freezer(freezer) { }

		void _for_each_pd(With_pd::Ft const &fn) override { _threads._for_each_pd(fn); }

		void _for_each(With_thread::Ft const &fn) override
		{
			if (++_looks == 2)
				_freezer._submit();
			_threads._for_each(fn);
		}
	};

	void _submit()
	{
		Signal_context_capability const (&sighs)[Image::Handler::NUM_PARENT] = _child.parent.sighs;

		/*
		 * The base library has a handler for heartbeats, which the component replaces before it wants
		 * to know of yields. Further signals would keep the component from coming to rest.
		 */
		if (submitted || !sighs[Image::Handler::YIELD].valid())
			return;

		_child.monitor().own_pd.submit(sighs[Image::Handler::HEARTBEAT], 1);
		submitted++;
	}

	void _release_faulters(Threads &threads) override
	{
		Looked_at looked_at { threads, *this };

		Child_freezer::_release_faulters(looked_at);
	}

	Signalling_freezer(Child &child) : Child_freezer(child.pd, child.parent), _child(child) { }
};


/**
 * Freezer that takes any thread that moves while one is let out for one with a fault
 *
 * The component waits for ever if it is the thread that waits for signals.
 */
struct Test::Guessing_freezer : Signalling_freezer
{
	using Signalling_freezer::Signalling_freezer;

	void _release_faulters(Threads &threads) override
	{
		threads.for_each([&] (Cap_space_monitor::Monitored_cpu &, Cap_space_monitor::Monitored_pd &,
		                      Thread &thread) {
			thread.freeze.blocked = true; });

		Signalling_freezer::_release_faulters(threads);
	}
};


/**
 * Freezer that does not forget the faults of threads that the component has let go on
 */
struct Test::Keeping_freezer : Child_freezer
{
	using Child_freezer::Child_freezer;

	void _begin(Threads &) override { }
};


/**
 * Freezer that the options ask for
 */
struct Test::Freezers
{
	Child &_child;

	Careless_freezer   _careless   { };
	Signalling_freezer _signalling { _child };
	Guessing_freezer   _guessing   { _child };
	Keeping_freezer    _keeping    { _child.pd, _child.parent };

	Cap_space_monitor::Freezer &_freezer;

	static Cap_space_monitor::Freezer &_choose(Freezers &freezers, Options const &options)
	{
		if (options.ignore_windows) return freezers._careless;
		if (options.guess_faults)   return freezers._guessing;
		if (options.keep_faults)    return freezers._keeping;
		if (options.signal_faults)  return freezers._signalling;

		return freezers._child.freezer;
	}

	Freezers(Child &child, Options const &options)
	: _child(child), _freezer(_choose(*this, options)) { }

	Cap_space_monitor::Freezer::Result freeze()
	{
		Child::Threads threads { _child };

		return _freezer.freeze(threads, { });
	}

	/**
	 * Return number of heartbeats that the component got meanwhile
	 */
	unsigned submitted() const { return _signalling.submitted + _guessing.submitted; }
};

#endif /* _FREEZERS_H_ */
