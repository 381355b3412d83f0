/*
 * \brief  All that the target needs to be restored
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "target_image.hpp"

using namespace Testbed;


Image::Image(uint32_t seed) : _seed(seed) { Platform::cap_space(_cap_space); }


uint64_t Image::_new_name()
{
	/* one to one (SplitMix64, Steele and others, 2014), hence unique */
	uint64_t x = uint64_t(_seed) << 32 | ++_created;
	x = (x ^ x >> 30)*0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27)*0x94d049bb133111eb;
	return x ^ x >> 31;
}


Image::Place *Image::_alloc_place()
{
	if (_free_place) {
		Place &place = _places[_free_place - 1];
		_free_place  = place.next_free;
		return &place;
	}
	return _fresh_places < OBJECTS_MAX ? &_places[_fresh_places++] : nullptr;
}


void Image::_free(Place &place)
{
	place.next_free = _free_place;
	_free_place     = uint32_t(&place - _places) + 1;
}


bool Image::construct_application(Native_capability const &pd)
{
	_pd.cap(pd);

	Rpc_object * const service[TARGET_ENTRYPOINTS] { &_factory, &_probe };

	for (uint32_t i = 0; i < TARGET_ENTRYPOINTS; i++)
		if (!_entrypoints[i].init(_pd, service[i]))
			return false;

	return true;
}


Session *Image::create_session()
{
	Place * const place = _alloc_place();
	if (!place)
		return nullptr;

	uint64_t   const name       = _new_name();
	Entrypoint      &entrypoint = _entrypoints[name % TARGET_ENTRYPOINTS];

	Native_capability const cap = _pd.alloc_rpc_cap(entrypoint, name);
	if (!cap.valid()) {
		_free(*place);
		return nullptr;
	}

	Session &session = *new (place->memory) Session(name, *this, entrypoint);
	session.cap(cap);
	entrypoint.pool().insert(&session);
	return &session;
}


void Image::destroy(Session &session)
{
	session.entrypoint().pool().remove(&session);
	_pd.free_rpc_cap(session.cap());

	/* waits for those who still use the object */
	session.~Session();
	_free(*reinterpret_cast<Place *>(&session));
}
