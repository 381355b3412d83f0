/*
 * \brief  Quota of a component and its children, as core tells it
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BOOKS_H_
#define _BOOKS_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/child.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Books;
}


/**
 * What each PD session has, and what of it is in use
 */
struct Test::Books
{
	struct Entry
	{
		Session::Label name;
		size_t         ram, used_ram, caps, used_caps;

		bool operator == (Entry const &) const = default;

		/**
		 * Return true if the later entry has the same quota, and uses no more of it
		 */
		bool covers(Entry const &later) const
		{
			return name == later.name && ram == later.ram && caps == later.caps
			    && used_ram >= later.used_ram && used_caps >= later.used_caps;
		}

		void print(Output &out) const
		{
			Genode::print(out, name, ": RAM ", used_ram, " of ", ram,
			              ", capabilities ", used_caps, " of ", caps);
		}
	};

	static constexpr unsigned MAX = 1 + Virtual_parent::MAX_CHILDREN;

	Entry    _entries[MAX] { };
	unsigned _count = 0;

	Books(Child &child)
	{
		child.for_each_pd([&] (Virtual_pd &pd) {
			Virtual_pd::Costs const received = pd.received();

			_entries[_count++] = { pd.name, received.ram.value,  pd.used_ram().value,
			                       received.caps.value, pd.used_caps().value }; });
	}

	unsigned num_pds() const { return _count; }

	/**
	 * Tell what differs, and return true if nothing does
	 */
	bool _compare(Books const &later, auto const &same_fn) const
	{
		bool result = (_count == later._count);

		for (unsigned i = 0; i < min(_count, later._count); i++)
			if (!same_fn(_entries[i], later._entries[i])) {
				result = false;
				log(_entries[i], " before");
				log(later._entries[i], " after");
			}

		return result;
	}

	bool same(Books const &later) const
	{
		return _compare(later, [] (Entry const &a, Entry const &b) { return a == b; });
	}

	/**
	 * Compare books of components whose children come and go
	 *
	 * Core keeps blocks of memory for as many objects as there were at most, and a new PD
	 * session has those only that are in use.
	 */
	bool cover(Books const &later) const
	{
		return _compare(later, [] (Entry const &a, Entry const &b) { return a.covers(b); });
	}
};

#endif /* _BOOKS_H_ */
