/*
 * \brief  Test that servers survive hostile requests
 * \date   2026-11-29
 *
 * A request contains the badge of the invoked object as ordinary message word
 * in addition to the label that the kernel delivers. The test invokes the
 * parent with another badge than the right one, by the kernel's interface. The
 * parent may answer with an empty message. It must not answer with what it
 * replied to a former caller, and it must keep serving others.
 *
 * Furthermore, a client calls a server and is gone when the answer comes. The
 * server must not try to deliver the answer forever.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <foc/capability_space.h>
#include <foc/native_capability.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/ipc.h>
}

namespace Test {

	using namespace Genode;

	struct Slow;
	struct Slow_component;
	struct Main;
}


struct Test::Slow
{
	GENODE_RPC(Rpc_work, void, work);
	GENODE_RPC_INTERFACE(Rpc_work);
};


struct Test::Slow_component : Rpc_object<Slow, Slow_component>
{
	/* takes 90 ms */
	void work()
	{
		using namespace Fiasco;

		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(703, 7)));
	}
};


struct Test::Main
{
	enum { ROUNDS = 10, STACK_SIZE = 4*1024*sizeof(long) };

	enum Answer { NONE, EMPTY, CONTENT };

	unsigned _errors = 0;

	/**
	 * Call object by the kernel's interface, with its first RPC function
	 */
	Answer _call(addr_t kcap, unsigned long badge, Fiasco::l4_timeout_s patience)
	{
		using namespace Fiasco;

		l4_utcb_mr()->mr[0] = badge;
		l4_utcb_mr()->mr[1] = 0;       /* number of capabilities */
		l4_utcb_mr()->mr[2] = 0;       /* RPC opcode */

		l4_msgtag_t const tag = l4_ipc_call(kcap, l4_utcb(), l4_msgtag(0, 3, 0, 0),
		                                    l4_timeout(patience, patience));

		if (l4_ipc_error(tag, l4_utcb()))
			return NONE;

		/* an empty message consists of exception code and number of capabilities */
		return l4_msgtag_words(tag) > 2 || l4_msgtag_items(tag) ? CONTENT : EMPTY;
	}

	template <typename... ARGS>
	void _fail(ARGS &&... args) { _errors++; error(args...); }

	void _forge_badges(Env &env)
	{
		unsigned answers = 0;

		for (unsigned i = 0; i < ROUNDS; i++)
			if (_call(Fiasco::PARENT_CAP, 0xfabeUL*4 + i*4,
			          Fiasco::l4_timeout_rel(703, 7)) == CONTENT)
				answers++;

		/* creating a session, the parent has to serve a proper request */
		Attached_rom_dataspace const config(env, "config");
		if (config.is_valid())
			log("parent serves proper requests");

		if (answers)
			_fail(answers, " of ", (unsigned)ROUNDS, " requests with a forged badge "
			      "obtained the reply to another one");
	}

	void _leave_server()
	{
		Rpc_entrypoint ep(env()->pd_session(), STACK_SIZE, "slow");
		Slow_component object;

		Capability<Slow> const cap = ep.manage(&object);

		/* 9 ms */
		if (_call(Capability_space::kcap(cap), cap.local_name(),
		          Fiasco::l4_timeout_rel(563, 4)) != NONE)
			_fail("server is not slow");

		/* never returns if the server is lost */
		cap.call<Slow::Rpc_work>();

		log("server serves others after a client has left");

		ep.dissolve(&object);
	}

	Main(Env &env)
	{
		log("--- forged badge test ---");

		_forge_badges(env);
		_leave_server();
		log("--- forged badge test ", _errors ? "failed" : "succeeded", " ---");
	}
};


Genode::size_t Component::stack_size() { return 8*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
