/*
 * \brief  Test that a request with a forged badge obtains nothing
 * \date   2026-11-28
 *
 * A request contains the badge of the invoked object as ordinary message word
 * in addition to the label that the kernel delivers. The test invokes the
 * parent with another badge than the right one, by the kernel's interface. The
 * parent may answer with an empty message. It must not answer with what it
 * replied to a former caller, and it must keep serving others.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <foc/native_capability.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Main;

	static constexpr unsigned ROUNDS = 10;
}


struct Test::Main
{
	Env &_env;

	/**
	 * Return true if the answer has a content
	 */
	bool _call_with_forged_badge(unsigned long badge)
	{
		using namespace Foc;

		/* 90 ms for each of sending and receiving */
		l4_timeout_t const timeout = l4_timeout(l4_timeout_rel(703, 7),
		                                        l4_timeout_rel(703, 7));

		l4_utcb_mr()->mr[0] = badge;
		l4_utcb_mr()->mr[1] = 0;       /* number of capabilities */
		l4_utcb_mr()->mr[2] = 0;       /* RPC opcode */

		l4_msgtag_t const tag = l4_ipc_call(PARENT_CAP, l4_utcb(),
		                                    l4_msgtag(0, 3, 0, 0), timeout);

		if (l4_ipc_error(tag, l4_utcb()))
			return false;

		/* an empty message consists of exception code and number of capabilities */
		return l4_msgtag_words(tag) > 2 || l4_msgtag_items(tag);
	}

	Main(Env &env) : _env(env)
	{
		log("--- forged badge test ---");

		unsigned answers = 0;

		for (unsigned i = 0; i < ROUNDS; i++)
			if (_call_with_forged_badge(0xfabe000UL + i*4))
				answers++;

		/* creating a session, the parent has to serve a proper request */
		Attached_rom_dataspace const config { _env, "config" };
		if (config.valid())
			log("parent serves proper requests");

		if (answers)
			error(answers, " of ", ROUNDS, " requests with a forged badge obtained "
			      "the reply to another one");

		log("--- forged badge test ", answers ? "failed" : "succeeded", " ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
