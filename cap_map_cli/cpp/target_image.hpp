/*
 * \brief  All that the target needs to be restored
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_TARGET_IMAGE_HPP
#define TESTBED_TARGET_IMAGE_HPP

#include <new>

#include "target_objects.hpp"

namespace Testbed {

	class Internal_entrypoint;
	class Image;

	/**
	 * Private memory for all growths of a table of 'slots' slots
	 */
	constexpr size_t all_growth_bytes(uint32_t slots)
	{
		return slots < TARGET_MAX_SLOTS
		     ? Cap_map::growth_bytes(slots, 2*slots) + all_growth_bytes(2*slots) : 0;
	}
}


/**
 * Entrypoint with the two objects that it makes for itself
 *
 * They get their capabilities straight from core, and nobody outside of the
 * component ever sees them.
 */
class Testbed::Internal_entrypoint : public Entrypoint
{
	private:

		Internal_object _exit_handler;
		Internal_object _signal_proxy;

		bool _manage(Pd_client &pd, Rpc_object &object)
		{
			Native_capability const cap = pd.alloc_rpc_cap(*this, object.name());
			object.cap(cap);
			pool().insert(&object);
			return cap.valid();
		}

	public:

		explicit Internal_entrypoint(uint32_t index)
		:
			Entrypoint(index),
			_exit_handler(NAME_EXIT_HANDLER + index),
			_signal_proxy(NAME_SIGNAL_PROXY + index)
		{ }

		bool init(Pd_client &pd, Rpc_object *service)
		{
			return pd.create_entrypoint(index())
			    && _manage(pd, _exit_handler)
			    && _manage(pd, _signal_proxy)
			    && (!service || _manage(pd, *service));
		}
};


/**
 * State of the target, at a fixed address
 *
 * Capability space with its private and bootstrap memory, entrypoints with
 * their object pools, objects with what they count and hold: everything but
 * threads, stacks and descriptors.
 */
class Testbed::Image : public Component
{
	private:

		Base_foc::Cap_space_with_memory<Platform, TARGET_SLOTS, TARGET_BOOTSTRAP_SLOTS>
			_cap_space { };

		/* private memory that the capability space gets when it grows, part by part */
		alignas(Cap_map::OWNER_ALIGN) uint8_t _growth[all_growth_bytes(TARGET_SLOTS)] { };

		size_t   _growth_used = 0;
		uint32_t _slots       = TARGET_SLOTS;

		Pd_client _pd { };

		Internal_entrypoint _entrypoints[TARGET_ENTRYPOINTS] {
			Internal_entrypoint(0), Internal_entrypoint(1), Internal_entrypoint(2) };

		Factory _factory { *this };
		Probe   _probe   { *this };

		uint32_t const _seed;
		uint32_t       _created = 0;

		/* memory of the sessions, free places are chained by index plus one */
		uint32_t _free_place = 0;
		uint32_t _fresh_places = 0;

		union Place
		{
			uint32_t next_free;
			alignas(Session) unsigned char memory[sizeof(Session)];
		};

		Place _places[OBJECTS_MAX];

		Entrypoint &_entrypoint(uint32_t index) override { return _entrypoints[index]; }

		/**
		 * Return name that no other session ever has
		 */
		uint64_t _new_name();

		Place *_alloc_place();
		void   _free(Place &);

	public:

		explicit Image(uint32_t seed);

		Cap_space &cap_space() { return _cap_space; }

		/**
		 * Start the application: entrypoints and their first objects
		 */
		bool construct_application(Native_capability const &pd);

		/**
		 * Get private memory for a table of 'slots' slots
		 */
		bool grow(uint32_t slots);

		Entrypoint &entrypoint(uint32_t index) { return _entrypoints[index]; }

		Session *create_session() override;
		void destroy(Session &) override;
};


inline Testbed::Image::Image(uint32_t seed) : _seed(seed) { Platform::cap_space(_cap_space); }


inline bool Testbed::Image::grow(uint32_t slots)
{
	Cap_map::Owner owner = cap_space().owner();
	size_t const   bytes = Cap_map::growth_bytes(_slots, slots);

	if (!bytes || bytes > sizeof(_growth) - _growth_used
	 || owner.grow(_growth + _growth_used, bytes, slots) != CAP_MAP_STATUS_OK)
		return false;

	_growth_used += bytes;
	_slots        = slots;
	return true;
}


inline uint64_t Testbed::Image::_new_name()
{
	/* one to one (SplitMix64, Steele and others, 2014), hence unique */
	uint64_t x = uint64_t(_seed) << 32 | ++_created;
	x = (x ^ x >> 30)*0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27)*0x94d049bb133111eb;
	return x ^ x >> 31;
}


inline Testbed::Image::Place *Testbed::Image::_alloc_place()
{
	if (_free_place) {
		Place &place = _places[_free_place - 1];
		_free_place  = place.next_free;
		return &place;
	}
	return _fresh_places < OBJECTS_MAX ? &_places[_fresh_places++] : nullptr;
}


inline void Testbed::Image::_free(Place &place)
{
	place.next_free = _free_place;
	_free_place     = uint32_t(&place - _places) + 1;
}


inline bool Testbed::Image::construct_application(Native_capability const &pd)
{
	_pd.cap(pd);

	Rpc_object * const service[TARGET_ENTRYPOINTS] { &_factory, &_probe };

	for (uint32_t i = 0; i < TARGET_ENTRYPOINTS; i++)
		if (!_entrypoints[i].init(_pd, service[i]))
			return false;

	return true;
}


inline Testbed::Session *Testbed::Image::create_session()
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


inline void Testbed::Image::destroy(Session &session)
{
	session.entrypoint().pool().remove(&session);
	_pd.free_rpc_cap(session.cap());

	/* waits for those who still use the object */
	session.~Session();
	_free(*reinterpret_cast<Place *>(&session));
}

#endif /* TESTBED_TARGET_IMAGE_HPP */
