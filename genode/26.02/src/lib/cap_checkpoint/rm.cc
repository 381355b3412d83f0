/*
 * \brief  RM session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/rm_session.h>

using namespace Cap_checkpoint;


Rm_service_session::Rm_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd, Allocator &alloc,
                                       Costs const &kept, Id_space<Open_session> &space,
                                       Request const &request)
:
	Open_session(space, request), _ep(ep), _pd(pd), _alloc(alloc),
	_server(env, Rm_session::service_name(), request.label(),
	        { { request.donated.ram.value  - kept.ram.value  },
	          { request.donated.caps.value - kept.caps.value } })
{
	_ep.manage(*this);
}


Rm_service_session::~Rm_service_session()
{
	_ep.dissolve(*this);

	while (_maps.apply_any<Map>([&] (Map &map) { _destroy(map); }));
}


bool Rm_service_session::_used(uint32_t part)
{
	bool result = false;
	with_map(part, [&] (Map &) { result = true; });
	return result;
}


Rm_service_session::Map_result Rm_service_session::create(size_t size, uint32_t part)
{
	if (!size || size > MAX_SIZE || _used(part) || _pd.num_maps >= MAX_MAPS)
		return Alloc_error::DENIED;

	Account &account = _pd.account();

	auto create_at_core = [&] (Memory::Allocation &memory) -> Map_result
	{
		return _client().create(size).convert<Map_result>(

			[&] (Capability<Region_map> real) -> Map_result {

				/* our capability space is exhausted */
				if (!real.valid())
					return Alloc_error::DENIED;

				Map &map = *construct_at<Map>(memory.ptr, _ep, real, _alloc, _pd, _maps, part);
				memory.deallocate = false;

				Alloc_error error = Alloc_error::DENIED;

				Dataspace_capability const content = map.dataspace();

				if (map.cap().valid() && content.valid())
					_pd.dataspaces.add(Dataspace::Kind::REGION_MAP, align_addr(size, AT_PAGE),
					                   CACHED, content)
						.with_result(
							[&] (Dataspace *ds) {
								ds->area    = &map;
								map.managed = ds; },
							[&] (Alloc_error e) { error = e; });

				if (map.managed) {
					_pd.num_maps++;
					return &map;
				}

				_client().destroy(real);
				map.~Map();
				memory.deallocate = true;
				return error; },

			[&] (Alloc_error e) -> Map_result { return e; });
	};

	return _pd.pay(MAP_COSTS).convert<Map_result>([&] (Ok) -> Map_result {

		Map_result const paid = account.charge(sizeof(Map)).convert<Map_result>([&] (Ok) -> Map_result {

			Map_result const map = _alloc.try_alloc(sizeof(Map)).convert<Map_result>(
				[&] (Memory::Allocation &a) -> Map_result { return create_at_core(a); },
				[&] (Alloc_error)           -> Map_result { return Alloc_error::DENIED; });

			if (map.failed())
				account.refund(sizeof(Map));
			return map;

		}, [&] (Alloc_error e) -> Map_result { return e; });

		if (paid.failed())
			_pd.repay(MAP_COSTS);
		return paid;

	}, [&] (Alloc_error e) -> Map_result { return e; });
}


void Rm_service_session::_destroy(Map &map)
{
	/* core unmaps the memory everywhere, and with it, what it has noted of writes */
	map.forgotten();

	_pd.dataspaces.remove(*map.managed);
	map.managed = nullptr;

	_client().destroy(map.real);

	Genode::destroy(_alloc, &map);

	_pd.num_maps--;
	_pd.account().refund(sizeof(Map));
	_pd.repay(MAP_COSTS);
}


Rm_session::Create_result Rm_service_session::create(size_t size)
{
	for (uint32_t part = 0; part < MAX_MAPS; part++)
		if (!_used(part))
			return create(size, part).convert<Create_result>(
				[&] (Map *map)      -> Create_result { return map->cap(); },
				[&] (Alloc_error e) -> Create_result { return e; });

	return Alloc_error::DENIED;
}


void Rm_service_session::destroy(Capability<Region_map> cap)
{
	Map *named = nullptr;
	for_each_map([&] (uint32_t, Map &map) {
		if (map.cap() == cap)
			named = &map; });

	if (named)
		_destroy(*named);
}
