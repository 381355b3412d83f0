/*
 * \brief  Region map of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__REGION_MAP_H_
#define _INCLUDE__CAP_CHECKPOINT__REGION_MAP_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/rpc_server.h>
#include <cap_checkpoint/dataspaces.h>
#include <cap_checkpoint/faults.h>
#include <region_map/client.h>

namespace Cap_checkpoint { class Virtual_region_map; }


/**
 * Part of a region map that refers to a dataspace
 */
struct Cap_checkpoint::Region : List<Region>::Element
{
	Virtual_region_map &map;
	Dataspace          *ds;     /* nullptr if the dataspace is not known */
	Region_map::Range   range;
	addr_t              offset;
	bool                writeable, executable;

	Id_space<Region>::Element _element;

	Region(Virtual_region_map &map, Id_space<Region> &space, Dataspace *ds,
	       Region_map::Range range, Region_map::Attr const &attr)
	:
		map(map), ds(ds), range(range), offset(attr.offset),
		writeable(attr.writeable), executable(attr.executable),
		_element(*this, space, { range.start })
	{
		if (ds) ds->regions.insert(this);
	}

	~Region() { if (ds) ds->regions.remove(this); }

	private:

		/*
		 * Noncopyable
		 */
		Region(Region const &);
		Region &operator = (Region const &);
};


/**
 * Region map that forwards to the one of core and knows what is attached
 */
class Cap_checkpoint::Virtual_region_map : public Rpc_object<Region_map>
{
	private:

		Entrypoint        &_ep;
		Region_map_client  _real;
		Allocator         &_alloc;
		Account           &_account;
		Dataspace_index   &_dataspaces;
		Faults            &_faults;
		Id_space<Region>   _regions { };

		/*
		 * Noncopyable
		 */
		Virtual_region_map(Virtual_region_map const &);
		Virtual_region_map &operator = (Virtual_region_map const &);

		/* used while a map is to be attached to another one */
		unsigned _visit = 0, _levels = 0;

		unsigned _levels_above(unsigned visit);
		unsigned _levels_below(unsigned visit);

		bool _may_contain(Virtual_region_map &);

	public:

		/*
		 * Maps within each other. Core follows no more than five when it resolves a page
		 * fault, and holds the mutex of each. So none must be within itself.
		 */
		static constexpr unsigned MAX_LEVELS = 8;

		Signal_context_capability sigh { };

		/* dataspace whose content is that of the map, if there is one */
		Dataspace *managed = nullptr;

		/* used while an image is made */
		uint32_t number = NONE, slot = NONE;

		/* used while looking for what the component has written */
		bool seen = false;

		Virtual_region_map(Entrypoint &ep, Capability<Region_map> real, Allocator &alloc,
		                   Account &account, Dataspace_index &dataspaces, Faults &faults)
		:
			_ep(ep), _real(real), _alloc(alloc), _account(account),
			_dataspaces(dataspaces), _faults(faults)
		{
			_ep.manage(*this);
		}

		~Virtual_region_map();

		/**
		 * Let threads leave the kernel that wait for the resolution of a fault
		 *
		 * They must be paused, and do not execute anything. If they go on, the fault occurs again.
		 *
		 * \param ds  dataspace that is attached for a moment
		 * \return    false if something is attached where the fault has occurred
		 */
		bool release_faulters(Fault const &, Dataspace_capability ds);

		/**
		 * Return fault that core knows of
		 */
		Fault fault_at_core() { return _real.fault(); }

		/**
		 * Call 'fn' with each 'Region &' in the order of addresses
		 */
		void for_each_region(auto const &fn) { _regions.for_each<Region>(fn); }

		/**
		 * Take note that core forgets which pages of all that is attached were written
		 */
		void forgotten();

		/**
		 * Forget region, whose dataspace vanishes
		 */
		void forget(Region &);


		/**************************
		 ** Region_map interface **
		 **************************/

		Attach_result attach(Dataspace_capability, Attr const &) override;

		void detach(addr_t) override;

		void fault_handler(Signal_context_capability cap) override
		{
			sigh = cap;
			_real.fault_handler(cap);
		}

		Fault fault() override
		{
			Fault const fault = _faults.first(*this);

			return fault.type == Fault::Type::NONE ? _real.fault() : fault;
		}

		Dataspace_capability dataspace() override { return _real.dataspace(); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__REGION_MAP_H_ */
