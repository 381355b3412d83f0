/*
 * \brief  RM session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__RM_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__RM_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/server_session.h>
#include <rm_session/client.h>

namespace Cap_checkpoint { class Rm_service_session; }


/**
 * RM session
 *
 * A session of the monitor at core stands behind it, and has the quota that the component
 * donates. So core says when this does not suffice.
 */
class Cap_checkpoint::Rm_service_session : public Open_session, public Rpc_object<Rm_session>
{
	public:

		/**
		 * Region map with the number that tells it from the others of the session
		 */
		struct Map : Virtual_region_map
		{
			Capability<Region_map> const real;

			Id_space<Map>::Element _element;

			Map(Entrypoint &ep, Capability<Region_map> real, Allocator &alloc, Virtual_pd &pd,
			    Id_space<Map> &space, uint32_t part)
			:
				Virtual_region_map(ep, real, alloc, pd.account(), pd.unit.dataspaces,
				                   pd.faults),
				real(real), _element(*this, space, { part })
			{ }
		};

		/* region maps of one component, each of which a freeze may have to ask core for */
		static constexpr uint32_t MAX_MAPS = 128;

		/* bytes of a region map, more than any address space has */
		static constexpr size_t MAX_SIZE = ~size_t(0)/2 + 1 - Image::PAGE_SIZE;

	private:

		Entrypoint    &_ep;
		Virtual_pd    &_pd;
		Allocator     &_alloc;
		Server_session _server;
		Id_space<Map>  _maps { };

		Rm_session_client _client() const
		{
			return Rm_session_client(static_cap_cast<Rm_session>(_server.cap()));
		}

		/* the gate of the region map */
		static constexpr Costs MAP_COSTS { { 0 }, { 1 } };

		bool _used(uint32_t part);

		void _destroy(Map &);

	public:

		using Map_result = Attempt<Map *, Alloc_error>;

		/**
		 * Return quota that core wants for a session without region maps
		 */
		static Costs server_costs() { return { { 16*1024 }, { 4 } }; }

		/**
		 * Constructor
		 *
		 * \param kept  share of the donated quota that is not for core
		 */
		Rm_service_session(Env &, Entrypoint &, Virtual_pd &, Allocator &, Costs const &kept,
		                   Id_space<Open_session> &, Request const &);

		~Rm_service_session();

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return _server.cap().valid(); }

		/**
		 * Create region map with a number that is not used
		 */
		Map_result create(size_t size, uint32_t part);

		/**
		 * Call 'fn' with number and 'Map &' of each region map, ascending
		 */
		void for_each_map(auto const &fn)
		{
			_maps.for_each<Map>([&] (Map &map) { fn(uint32_t(map._element.id().value), map); });
		}

		/**
		 * Call 'fn' with the 'Map &' that has the number, if there is one
		 */
		void with_map(uint32_t part, auto const &fn)
		{
			_maps.apply<Map>({ part }, [&] (Map &map) { fn(map); }, [&] { });
		}


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _server.surcharge; }

		void upgrade(Costs const &costs) override { _server.upgrade(costs); }

		Rm_service_session *rm_session() override { return this; }


		/**************************
		 ** Rm_session interface **
		 **************************/

		Create_result create(size_t) override;

		void destroy(Capability<Region_map>) override;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__RM_SESSION_H_ */
