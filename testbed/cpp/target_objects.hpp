/*
 * \brief  Objects that the target serves
 *
 * All of them live in the target's memory image and come back with it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_TARGET_OBJECTS_HPP
#define TESTBED_TARGET_OBJECTS_HPP

#include "entrypoint.hpp"

namespace Testbed {

	class Pd_client;
	class Component;
	class Session;
	class Internal_object;
	class Factory;
	class Probe;
}


/**
 * The target's access to its protection domain
 */
class Testbed::Pd_client
{
	private:

		Native_capability _cap { };

	public:

		void cap(Native_capability const &cap) { _cap = cap; }

		/**
		 * Let core create the epoll object of an entrypoint
		 */
		bool create_entrypoint(uint32_t index);

		/**
		 * Return capability for an object, invalid if there is no room
		 */
		Native_capability alloc_rpc_cap(Entrypoint const &, uint64_t name);

		void free_rpc_cap(Native_capability const &);
};


/**
 * What the objects need of the component they are part of
 */
class Testbed::Component
{
	public:

		/**
		 * Return new object, nullptr if there is no room
		 */
		virtual Session *create_session() = 0;

		virtual void destroy(Session &) = 0;

		/**
		 * Apply 'fn' to the object of this component behind a capability
		 *
		 * The object is nullptr if the capability leads elsewhere. The badge
		 * of a past object may become that of another one at any time.
		 */
		template <typename FN>
		void with_own_object(Native_capability const &cap, FN const &fn)
		{
			for (uint32_t i = 0; i < TARGET_ENTRYPOINTS; i++) {
				bool const found =
					_entrypoint(i).pool().apply(cap, [&] (Rpc_object *object) {
						bool const same = object && object->cap() == cap;
						if (same)
							fn(object);
						return same; });
				if (found)
					return;
			}
			fn(nullptr);
		}

		/**
		 * Ask the object behind a capability for its name
		 */
		Answer identify(Native_capability const &, uint64_t &name);

	protected:

		~Component() { }

		virtual Entrypoint &_entrypoint(uint32_t index) = 0;
};


/**
 * Object for clients: counts calls, and keeps capabilities that it is given
 *
 * Clients must not make objects of the target call each other in a circle, as
 * an object is locked while it is called.
 */
class Testbed::Session : public Rpc_object
{
	private:

		Component        &_component;
		Entrypoint       &_entrypoint;
		uint64_t          _count = 0;
		Native_capability _cell[CELLS] { };

		Answer _rpc(Rpc &, Rpc &) override;

		uint64_t _calls() const override { return _count; }

	public:

		Session(uint64_t name, Component &component, Entrypoint &entrypoint)
		: Rpc_object(name), _component(component), _entrypoint(entrypoint) { }

		Entrypoint &entrypoint() { return _entrypoint; }
};


/**
 * Object that an entrypoint makes for itself: exit handler, signal proxy
 */
class Testbed::Internal_object : public Rpc_object
{
	private:

		uint64_t _count = 0;

		Answer _rpc(Rpc &, Rpc &) override;

		uint64_t _calls() const override { return _count; }

	public:

		using Rpc_object::Rpc_object;
};


/**
 * Object that creates and destroys sessions
 */
class Testbed::Factory : public Rpc_object
{
	private:

		Component &_component;

		Answer _rpc(Rpc &, Rpc &) override;

	public:

		explicit Factory(Component &component)
		: Rpc_object(NAME_FACTORY), _component(component) { }
};


/**
 * Object that tells where the capabilities of the target lead to
 */
class Testbed::Probe : public Rpc_object
{
	private:

		Component &_component;

		Answer _rpc(Rpc &, Rpc &) override;

	public:

		explicit Probe(Component &component)
		: Rpc_object(NAME_PROBE), _component(component) { }
};

#endif /* TESTBED_TARGET_OBJECTS_HPP */
