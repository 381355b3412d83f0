/*
 * \brief  Report server that answers each report
 * \date   2026-11-30
 *
 * The answer to a report is its text behind "answer ". A session that got no report has
 * none.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <report_session/report_session.h>
#include <root/component.h>

namespace Test {

	using namespace Genode;

	struct Responder;
	struct Root;
	struct Main;
}


struct Test::Responder : Rpc_object<Report::Session>
{
	static constexpr size_t BUFFER_SIZE = 4096;

	using Text = String<64>;

	Attached_ram_dataspace _buffer;

	Text _answer { };

	Signal_context_capability _sigh { };

	Responder(Env &env) : _buffer(env.ram(), env.rm(), BUFFER_SIZE) { }

	Dataspace_capability dataspace() override { return _buffer.cap(); }

	void submit(size_t length) override
	{
		_answer = { "answer ", Cstring(_buffer.local_addr<char>(), min(length, BUFFER_SIZE)) };

		if (_sigh.valid())
			Signal_transmitter(_sigh).submit();
	}

	void response_sigh(Signal_context_capability cap) override { _sigh = cap; }

	size_t obtain_response() override
	{
		copy_cstring(_buffer.local_addr<char>(), _answer.string(), BUFFER_SIZE);

		return _answer.length();
	}
};


struct Test::Root : Root_component<Responder>
{
	Env &_env;

	Create_result _create_session(char const *) override
	{
		return *new (md_alloc()) Responder(_env);
	}

	Root(Env &env, Allocator &alloc)
	: Root_component<Responder>(env.ep(), alloc), _env(env) { }
};


struct Test::Main
{
	Sliced_heap _heap;
	Root        _root;

	Main(Env &env) : _heap(env.ram(), env.rm()), _root(env, _heap)
	{
		env.parent().announce(env.ep().manage(_root));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
