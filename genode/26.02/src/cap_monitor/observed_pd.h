/*
 * \brief  Counts of the capabilities of a monitored child
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _OBSERVED_PD_H_
#define _OBSERVED_PD_H_

/* Genode includes */
#include <cap_space_monitor/sandbox.h>

namespace Cap_monitor {

	using namespace Cap_space_monitor;

	struct Counts;
	class  Holders;
	struct Observed_pd;
	class  Observed_pds;
}


/**
 * What a child holds and what it made
 */
struct Cap_monitor::Counts
{
	unsigned used;      /* slots with a capability */
	unsigned detached;  /* slots of objects that are gone */
	unsigned gates;     /* made by the child */
	unsigned unheld;    /* of these, in no child's table */

	/**
	 * Call 'fn' with the name of each count and its value now and at a mark
	 */
	void for_each(Counts const &mark, auto const &fn) const
	{
		fn("slots in use",                     mark.used,     used);
		fn("slots of dead objects",            mark.detached, detached);
		fn("gates made",                       mark.gates,    gates);
		fn("gates made, in no child's table",  mark.unheld,   unheld);
	}
};


/**
 * Number of slots that hold each gate of the children
 *
 * The gates of all children that a monitor accepts fill the table by less than
 * two thirds.
 */
class Cap_monitor::Holders
{
	private:

		static constexpr unsigned NUM = NUM_SLOTS;

		struct Entry { unsigned badge, count; } _entries[NUM] { };

		/* core hands out each fourth number as badge, and never zero */
		Entry *_entry(unsigned badge)
		{
			for (unsigned i = 0; i < NUM; i++) {
				Entry &e = _entries[((badge >> 2) + i) % NUM];
				if (e.badge == badge || !e.badge)
					return &e;
			}
			return nullptr;
		}

	public:

		void clear() { for (Entry &e : _entries) e = { }; }

		void add(unsigned badge)
		{
			Entry *entry = _entry(badge);
			if (entry)
				*entry = { .badge = badge, .count = entry->count + 1 };
		}

		unsigned count(unsigned badge)
		{
			Entry const * const entry = _entry(badge);
			return entry ? entry->count : 0;
		}
};


struct Cap_monitor::Observed_pd : Monitored_pd
{
	using Monitored_pd::Monitored_pd;

	Counts counts { };

	/* stays zero for a child that is started after the mark */
	Counts mark { };
};


/**
 * Children as of one report
 *
 * A sandbox cannot enumerate its children while it does so already.
 */
class Cap_monitor::Observed_pds
{
	private:

		/* more than a sandbox accepts */
		static constexpr unsigned MAX = 32;

		Observed_pd *_pds[MAX] { };
		unsigned     _num = 0;

		/*
		 * Noncopyable
		 */
		Observed_pds(Observed_pds const &);
		Observed_pds &operator = (Observed_pds const &);

	public:

		Observed_pds() { }

		void clear() { _num = 0; }

		void add(Observed_pd &pd)
		{
			if (_num < MAX)
				_pds[_num++] = &pd;
		}

		void for_each(auto const &fn)
		{
			for (unsigned i = 0; i < _num; i++)
				fn(*_pds[i]);
		}
};

#endif /* _OBSERVED_PD_H_ */
