/*
 * \brief  Dataspaces of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__DATASPACES_H_
#define _INCLUDE__CAP_CHECKPOINT__DATASPACES_H_

/* Genode includes */
#include <base/allocator.h>
#include <base/id_space.h>
#include <cap_checkpoint/image.h>
#include <dataspace/capability.h>
#include <util/list.h>

namespace Cap_checkpoint {

	using namespace Genode;

	struct Account;
	struct Region;
	struct Dataspace;
	class  Dataspace_index;
	class  Dataspaces;
	class  Shadow;
	class  Virtual_region_map;

	using Image::NONE;
}


/**
 * Where a component pays for what the monitor remembers of it
 */
struct Cap_checkpoint::Account : Interface
{
	using Result = Attempt<Ok, Alloc_error>;

	/**
	 * Let component pay for an object of the monitor
	 */
	virtual Result charge(size_t num_bytes) = 0;

	virtual void refund(size_t num_bytes) = 0;
};


/**
 * Memory known to the monitor, with its meaning
 */
struct Cap_checkpoint::Dataspace : Noncopyable
{
	using Kind    = Image::Dataspace::Kind;
	using Element = Id_space<Dataspace>::Element;

	Kind                 const kind;
	Cache                const cache;
	size_t               const size;  /* bytes, a multiple of the page size */
	Dataspace_capability const cap;

	List<Region> regions { };  /* where it is attached */

	/* region map of the component whose content it is, if any */
	Virtual_region_map *area = nullptr;

	unsigned users = 1;  /* ROM sessions that hand it out */

	/* copy of the monitor, if there is one, see 'Precopy' */
	Shadow *shadow = nullptr;

	/* written without core being able to tell which pages */
	bool changed = true;

	/* RAM of the monitor, and attached by a client of the component */
	bool of_monitor = false, shared = false;

	/* used while an image is made */
	uint32_t number = NONE, slot = NONE;

	Element _element, _in_index;

	Dataspace(Id_space<Dataspace> &space, Id_space<Dataspace> &index, Kind kind, size_t size,
	          Cache cache, Dataspace_capability cap)
	:
		kind(kind), cache(cache), size(size), cap(cap),
		_element (*this, space, { unsigned(cap.local_name()) }),
		_in_index(*this, index, { unsigned(cap.local_name()) })
	{ }

	/**
	 * Return true if its record in an image is behind those of memory and region maps of sessions,
	 * and in front of ROM modules
	 */
	bool of_no_session() const
	{
		return kind != Kind::ROM && kind != Kind::SESSION && kind != Kind::REGION_MAP;
	}

	/**
	 * Take note that core forgets which pages were written
	 */
	void forgotten(size_t offset, size_t num_bytes);

	private:

		/*
		 * Noncopyable
		 */
		Dataspace(Dataspace const &);
		Dataspace &operator = (Dataspace const &);
};


/**
 * Dataspaces of a component and of its children, to be found by their badges
 *
 * The region maps of one PD may have dataspaces of another one.
 */
class Cap_checkpoint::Dataspace_index : Noncopyable
{
	private:

		friend class Dataspaces;

		Id_space<Dataspace> _space { };

		unsigned _visit = 0;

	public:

		/**
		 * Call 'fn' with the 'Dataspace &' of a capability, if there is one
		 */
		void with_dataspace(Native_capability cap, auto const &fn, auto const &missing_fn)
		{
			if (cap.valid())
				_space.apply<Dataspace>({ unsigned(cap.local_name()) },
				                        [&] (Dataspace &ds) { fn(ds); },
				                        [&] { missing_fn(); });
			else
				missing_fn();
		}

		/**
		 * Take note that core forgets which pages were written of all that is within region maps
		 * other than the address space
		 */
		void forget_within_maps();

		/**
		 * Return number that no region map was visited with
		 */
		unsigned next_visit() { return ++_visit; }
};


/**
 * Dataspaces of one PD session
 */
class Cap_checkpoint::Dataspaces : Noncopyable
{
	private:

		Allocator       &_alloc;
		Account         &_account;
		Dataspace_index &_index;

		Id_space<Dataspace> _space { };

	public:

		using Result = Attempt<Dataspace *, Alloc_error>;

		Dataspaces(Allocator &alloc, Account &account, Dataspace_index &index)
		: _alloc(alloc), _account(account), _index(index) { }

		~Dataspaces();

		/**
		 * Keep record of a dataspace
		 *
		 * A server may hand out the same ROM dataspace to several sessions.
		 */
		Result add(Dataspace::Kind, size_t size, Cache, Dataspace_capability);

		/**
		 * Forget dataspace along with its regions, once nobody hands it out
		 */
		void remove(Dataspace &);

		/**
		 * Call 'fn' with the 'Dataspace &' of a capability, if there is one
		 */
		void with_dataspace(Native_capability cap, auto const &fn, auto const &missing_fn)
		{
			if (cap.valid())
				_space.apply<Dataspace>({ unsigned(cap.local_name()) },
				                        [&] (Dataspace &ds) { fn(ds); },
				                        [&] { missing_fn(); });
			else
				missing_fn();
		}

		/**
		 * Call 'fn' with each 'Dataspace &'
		 */
		void for_each(auto const &fn) { _space.for_each<Dataspace>(fn); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__DATASPACES_H_ */
