/*
 * \brief  Core: hands out badges and gates, and keeps the records
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <unistd.h>

#include <memory>
#include <vector>

#include "entrypoint.hpp"
#include "gates.hpp"

namespace Testbed {

	class Service;
	class Pd;
	class Tools;
	class Core;
}

using namespace Testbed;


/**
 * Service of core that components hold capabilities of
 */
class Testbed::Service : public Rpc_object
{
	private:

		Answer _rpc(Rpc &, Rpc &) override
		{
			return ANSWER_INVALID;
		}

	public:

		using Rpc_object::Rpc_object;
};


/**
 * Protection domain: a component's source of gates
 */
class Testbed::Pd : public Rpc_object
{
	private:

		Gates         &_gates;
		uint32_t const _component;

		Answer _rpc(Rpc &request, Rpc &answer) override
		{
			uint64_t const * const word = request.msg.word;

			switch (request.msg.opcode) {

			case OP_ENTRYPOINT:
				answer.kernel_fd = _gates.create_entrypoint(_component, uint32_t(word[0]));
				return answer.kernel_fd < 0 ? ANSWER_INVALID : ANSWER_OK;

			case OP_ALLOC_GATE:
				return _gates.create(_component, uint32_t(word[0]), uint32_t(word[1]),
				                     word[2], answer);

			case OP_FREE_GATE:
				return _gates.destroy(_component, uint32_t(word[0])) ? ANSWER_OK
				                                                      : ANSWER_INVALID;
			case OP_THREAD_GATE:
				answer.kernel_fd = _gates.thread_gate();
				return answer.kernel_fd < 0 ? ANSWER_FAILED : ANSWER_OK;
			}
			return ANSWER_INVALID;
		}

	public:

		Pd(uint64_t name, Gates &gates, uint32_t component)
		: Rpc_object(name), _gates(gates), _component(component) { }
};


/**
 * All objects of core
 */
class Testbed::Core
{
	private:

		Gates      _gates;
		Entrypoint _entrypoint { 0 };

		std::vector<std::unique_ptr<Rpc_object>> _objects { };

		struct No_rest : Rest { void pass() override { } } _rest { };

	public:

		Core(uint32_t start, int32_t step) : _gates(start, step) { }

		/**
		 * Provide a gate for an object of core
		 */
		Native_capability manage(std::unique_ptr<Rpc_object> object);

		Native_capability pd(uint32_t component);

		[[noreturn]] void run();
};


/**
 * What monitor and test driver need to know from core
 */
class Testbed::Tools : public Rpc_object
{
	private:

		Core  &_core;
		Gates &_gates;

		Answer _describe(Gates::Record const *record, Rpc &answer)
		{
			if (!record)
				return ANSWER_EMPTY;

			answer.append(record->cap);
			answer.msg.word[0] = record->creator;
			answer.msg.word[1] = record->name;
			answer.msg.word[2] = record->entrypoint;
			return ANSWER_OK;
		}

		Answer _rpc(Rpc &request, Rpc &answer) override
		{
			uint64_t const * const word = request.msg.word;

			switch (request.msg.opcode) {

			case OP_PD:
				answer.append(_core.pd(uint32_t(word[0])));
				return answer.msg.caps ? ANSWER_OK : ANSWER_NO_SLOT;

			case OP_LOOKUP:
				return _describe(_gates.by_name(uint32_t(word[0]), word[1]), answer);

			case OP_RESOLVE:
				return _describe(_gates.by_inode(word[0]), answer);
			}
			return ANSWER_INVALID;
		}

	public:

		Tools(Core &core, Gates &gates)
		: Rpc_object(NAME_TOOLS), _core(core), _gates(gates) { }
};


Native_capability Core::manage(std::unique_ptr<Rpc_object> object)
{
	int const server = Kernel::alloc_server();
	if (server < 0)
		return Native_capability();

	Rpc rpc { };
	if (_gates.create(COMPONENT_CORE, _entrypoint.index(), uint32_t(server),
	                  object->name(), rpc) != ANSWER_OK
	 || !Kernel::put(rpc.take_kernel_fd(), Kernel::server_fd(uint32_t(server))))
		return Native_capability();

	object->cap(rpc.cap[0]);
	_entrypoint.pool().insert(object.get());
	_objects.push_back(std::move(object));
	return rpc.cap[0];
}


Native_capability Core::pd(uint32_t component)
{
	Gates::Record const *record =
		_gates.by_name(COMPONENT_CORE, NAME_PD + component);

	if (record)
		return record->cap;

	return manage(std::unique_ptr<Rpc_object>(
		new Pd(NAME_PD + component, _gates, component)));
}


void Core::run()
{
	int const epoll = _gates.create_entrypoint(COMPONENT_CORE, _entrypoint.index());
	if (!Kernel::put(epoll, Entrypoint::epoll_fd(_entrypoint.index())))
		_exit(1);

	Native_capability const tools =
		manage(std::unique_ptr<Rpc_object>(new Tools(*this, _gates)));

	manage(std::unique_ptr<Rpc_object>(new Service(NAME_PARENT)));
	for (uint64_t i = 0; i < SERVICES; i++)
		manage(std::unique_ptr<Rpc_object>(new Service(NAME_SERVICE + i)));

	Rpc ready { ANSWER_OK };
	ready.append(tools);
	reply(CONTROL_FD, ready);

	_entrypoint.serve(_rest);
}


/**
 * Entry of the process 'core'
 *
 * Badges are 'start', 'start + step', and so on.
 */
extern "C" void testbed_core(uint32_t start, int32_t step)
{
	Kernel::init(CORE_SLOTS);
	Platform::CORE = true;

	static Base_foc::Cap_space_with_memory<Platform, CORE_SLOTS> cap_space { };
	Platform::cap_space(cap_space);

	static Core core { start, step };
	core.run();
}
