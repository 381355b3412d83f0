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


/***************
 ** Pd_client **
 ***************/

inline bool Testbed::Pd_client::create_entrypoint(uint32_t index)
{
	Rpc rpc { OP_ENTRYPOINT };
	rpc.msg.word[0] = index;

	return call(_cap, rpc) == ANSWER_OK
	    && Kernel::put(rpc.take_kernel_fd(), Entrypoint::epoll_fd(index));
}


inline Testbed::Native_capability
Testbed::Pd_client::alloc_rpc_cap(Entrypoint const &entrypoint, uint64_t name)
{
	int const server = Kernel::alloc_server();
	if (server < 0)
		return Native_capability();

	Rpc rpc { OP_ALLOC_GATE };
	rpc.msg.word[0] = entrypoint.index();
	rpc.msg.word[1] = uint32_t(server);
	rpc.msg.word[2] = name;

	bool const created =
		call(_cap, rpc) == ANSWER_OK
		&& Kernel::put(rpc.take_kernel_fd(), Kernel::server_fd(uint32_t(server)));

	if (!created) {
		Kernel::free_server(uint32_t(server));
		return Native_capability();
	}

	if (!rpc.cap[0].valid()) {

		/* no room for the capability: the entrypoint closes the server end */
		uint32_t const badge = rpc.msg.badge[0];
		rpc.clear();
		rpc.msg.opcode  = OP_FREE_GATE;
		rpc.msg.word[0] = badge;
		(void)call(_cap, rpc);
		return Native_capability();
	}
	return rpc.cap[0];
}


inline void Testbed::Pd_client::free_rpc_cap(Native_capability const &cap)
{
	Rpc rpc { OP_FREE_GATE };
	rpc.msg.word[0] = uint64_t(cap.local_name());
	(void)call(_cap, rpc);
}


/*************
 ** Objects **
 *************/

inline Testbed::Answer Testbed::Component::identify(Native_capability const &cap, uint64_t &name)
{
	bool own = false;
	with_own_object(cap, [&] (Rpc_object *object) {
		own = (object != nullptr);
		if (own)
			name = object->name();
	});

	if (own)
		return ANSWER_OK;

	Rpc rpc { OP_IDENTIFY };
	Answer const answer = call(cap, rpc);
	name = rpc.msg.word[0];
	return answer;
}


inline Testbed::Answer Testbed::Session::_rpc(Rpc &request, Rpc &answer)
{
	uint64_t const cell = request.msg.word[0];

	answer.msg.word[0] = name();

	if (request.msg.opcode == OP_CALL) {
		answer.msg.word[1] = ++_count;
		return ANSWER_OK;
	}

	if (cell >= CELLS)
		return ANSWER_INVALID;

	switch (request.msg.opcode) {

	case OP_GIVE:
		if (!request.cap[0].valid())
			return ANSWER_INVALID;

		_cell[cell] = request.cap[0];
		return ANSWER_OK;

	case OP_DROP:
		_cell[cell] = Native_capability();
		return ANSWER_OK;

	case OP_TAKE:
		answer.append(_cell[cell]);
		return answer.msg.caps ? ANSWER_OK : ANSWER_EMPTY;

	case OP_CALL_HELD:
		if (!_cell[cell].data())
			return ANSWER_EMPTY;

		/* looking up oneself would wait for oneself */
		if (_cell[cell] == cap())
			return ANSWER_OK;

		return _component.identify(_cell[cell], answer.msg.word[0]);
	}
	return ANSWER_INVALID;
}


inline Testbed::Answer Testbed::Internal_object::_rpc(Rpc &request, Rpc &answer)
{
	if (request.msg.opcode != OP_CALL)
		return ANSWER_INVALID;

	answer.msg.word[0] = name();
	answer.msg.word[1] = ++_count;
	return ANSWER_OK;
}


inline Testbed::Answer Testbed::Factory::_rpc(Rpc &request, Rpc &answer)
{
	switch (request.msg.opcode) {

	case OP_CREATE:
		{
			Session * const session = _component.create_session();
			if (!session)
				return ANSWER_NO_SLOT;

			answer.append(session->cap());
			answer.msg.word[0] = session->name();
			return ANSWER_OK;
		}

	case OP_DESTROY:
		{
			/* objects of other types do not belong to clients */
			Session *found = nullptr;
			_component.with_own_object(request.cap[0], [&] (Rpc_object *object) {
				found = dynamic_cast<Session *>(object); });

			if (!found)
				return ANSWER_INVALID;

			request.clear();
			_component.destroy(*found);
			return ANSWER_OK;
		}
	}
	return ANSWER_INVALID;
}


inline Testbed::Answer Testbed::Probe::_rpc(Rpc &request, Rpc &answer)
{
	if (request.msg.opcode != OP_PROBE || request.msg.word[0] >= TARGET_MAX_SLOTS)
		return ANSWER_INVALID;

	uint32_t const slot = uint32_t(request.msg.word[0]);

	Cap_index const index = cap_idx_alloc().kcap_to_idx(size_t(slot) << CAP_SHIFT);
	if (!index || !index.used())
		return ANSWER_EMPTY;

	Native_capability const cap(index);

	answer.msg.word[1] = uint64_t(cap.local_name());

	if (cap == this->cap()) {
		answer.msg.word[0] = name();
		return ANSWER_OK;
	}
	return _component.identify(cap, answer.msg.word[0]);
}

#endif /* TESTBED_TARGET_OBJECTS_HPP */
