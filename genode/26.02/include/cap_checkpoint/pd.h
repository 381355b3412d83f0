/*
 * \brief  PD session of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PD_H_
#define _INCLUDE__CAP_CHECKPOINT__PD_H_

/* Genode includes */
#include <cap_checkpoint/region_map.h>
#include <cap_checkpoint/signals.h>
#include <cap_space_monitor/pd.h>
#include <foc_native_pd/client.h>

namespace Cap_checkpoint {

	class  Quota_account;
	struct Unit;
	class  Virtual_pd;
}


/**
 * Account that moves RAM quota from the component to the monitor in whole pages
 */
class Cap_checkpoint::Quota_account : public Account
{
	private:

		static constexpr size_t UNIT = 16*1024;

		/* what the allocator needs in addition */
		static constexpr size_t OVERHEAD = 64;

		Cap_space_monitor::Monitored_pd &_pd;

		/* the records of the areas and the table come with the session */
		static constexpr size_t PREPAID = 3*(sizeof(Dataspace) + OVERHEAD);

		size_t _used = 0, _paid = PREPAID;

		void _repay_unit()
		{
			_pd.repay({ { UNIT }, { 0 } });
			_paid -= UNIT;
		}

	public:

		Quota_account(Cap_space_monitor::Monitored_pd &pd) : _pd(pd) { }

		/**
		 * Destructor
		 *
		 * What was paid and is not in use goes back to the account above along with the session.
		 */
		~Quota_account()
		{
			while (_paid > PREPAID)
				_repay_unit();
		}

		Result charge(size_t num_bytes) override
		{
			num_bytes += OVERHEAD;

			if (_used + num_bytes > _paid) {
				Result const result = _pd.pay({ { UNIT }, { 0 } });
				if (result.failed())
					return result;
				_paid += UNIT;
			}
			_used += num_bytes;
			return Ok();
		}

		void refund(size_t num_bytes) override
		{
			_used -= min(num_bytes + OVERHEAD, _used);

			if (_paid >= _used + 2*UNIT)
				_repay_unit();
		}
};


/**
 * What the PD sessions of a component and of its children have in common
 */
struct Cap_checkpoint::Unit
{
	Dataspace_index dataspaces { };
	Faults          faults     { };

	/* core is to tell which pages were written */
	bool tracks_dirty_pages = false;
};


/**
 * PD session with RAM, region maps, and signals known to the monitor
 */
class Cap_checkpoint::Virtual_pd : public Cap_space_monitor::Monitored_pd
{
	private:

		Quota_account _account { *this };

		Dataspaces::Result _alloc_of_monitor(Pd_session &, size_t, Cache);

		/*
		 * Noncopyable
		 */
		Virtual_pd(Virtual_pd const &);
		Virtual_pd &operator = (Virtual_pd const &);

	public:

		Unit              &unit;
		Faults            &faults = unit.faults;
		Dataspaces         dataspaces;
		Signals            signals;
		uint32_t           num_maps = 0;  /* of RM sessions */
		Virtual_region_map space, stack, linker;

		Foc_native_pd_client native { real().native_pd() };

		/* core tells which pages were written, from now on */
		bool dirty_pages_tracked = false;

		bool track_dirty_pages()
		{
			dirty_pages_tracked = native.track_dirty_pages() == Foc_native_pd::Dirty_pages::OK;
			return dirty_pages_tracked;
		}

		/* as told by whoever has created the component, see 'assign_parent' */
		Native_capability parent { };

		/* used while an image is made */
		uint32_t native_slot = NONE;

		/**
		 * What clients of the component have to do with it
		 */
		struct Outside : Interface
		{
			/**
			 * Submit signal to a context of a client, for which one of the component stands
			 */
			virtual void submit(addr_t imprint, unsigned count) = 0;

			/**
			 * Return PD session that RAM of the component comes from
			 *
			 * It must not vanish along with the component if clients have attached it.
			 */
			virtual Pd_session &ram_pd() = 0;

			/**
			 * Keep a dataspace that is shared, and whose component is gone
			 */
			virtual void keep(Dataspace const &) = 0;

			/**
			 * Respond to the end of a dataspace that is shared
			 */
			virtual void forget(Dataspace const &) = 0;
		};

		Outside *outside = nullptr;

		/**
		 * Constructor
		 *
		 * \throw Out_of_ram
		 * \throw Out_of_caps
		 */
		Virtual_pd(Entrypoint &, Pd_session_capability real, Name const &,
		           Ram_allocator &, Env::Local_rm &, Allocator &, Unit &);

		~Virtual_pd();

		using Ram_result = Dataspaces::Result;

		/**
		 * Allocate RAM on behalf of the component
		 */
		Ram_result alloc(size_t, Cache, Dataspace::Kind = Dataspace::Kind::RAM);

		void free(Dataspace &);

		/**
		 * Let the component have RAM of the monitor, be it new or one that clients share
		 */
		Ram_result adopt(size_t, Cache, Ram_dataspace_capability);

		/**
		 * Return where the component pays for objects of the monitor
		 */
		Account &account() { return _account; }

		/**
		 * Call 'fn' with number and 'Virtual_region_map &' of each region map of the session
		 */
		void for_each_map(auto const &fn)
		{
			fn(Image::Region::ADDRESS_SPACE, space);
			fn(Image::Region::STACK_AREA,    stack);
			fn(Image::Region::LINKER_AREA,   linker);
		}


		/**************************
		 ** Pd_session interface **
		 **************************/

		Alloc_ram_result alloc_ram(size_t, Cache) override;
		void             free_ram(Ram_dataspace_capability) override;
		size_t           ram_size(Ram_dataspace_capability) override;

		Signal_source_result signal_source() override;

		/* contexts need it as long as the session exists */
		void free_signal_source(Capability<Signal_source>) override { }

		Alloc_context_result alloc_context(Capability<Signal_source>, Imprint) override;
		void free_context(Capability<Signal_context>) override;
		void submit(Capability<Signal_context>, unsigned) override;

		void assign_parent(Capability<Parent> cap) override
		{
			/* like core, which ignores a second one */
			if (!parent.valid())
				parent = cap;
			Monitored_pd::assign_parent(cap);
		}

		Capability<Region_map> address_space() override { return space.cap(); }
		Capability<Region_map> stack_area()    override { return stack.cap(); }
		Capability<Region_map> linker_area()   override { return linker.cap(); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PD_H_ */
