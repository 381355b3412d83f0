/*
 * \brief  Pause threads at chosen points of a system call
 * \date   2026-11-29
 *
 * Each case brings a thread to a point at which core or kernel of the release
 * make a mistake whenever it is reached. A test that pauses threads at random
 * hardly ever reaches it.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/thread.h>
#include <cpu_session/connection.h>
#include <cpu_thread/client.h>
#include <region_map/client.h>
#include <rm_session/connection.h>
#include <util/volatile_object.h>

/* Fiasco includes */
namespace Fiasco {
#include <l4/sys/ipc.h>
}

namespace Test {

	using namespace Genode;

	struct Paused;
	struct Faulter;
	struct Waiter;
	struct Sleeper;
	struct Server;
	struct Late;
	struct Main;

	static void sleep_ms(unsigned ms)
	{
		using namespace Fiasco;

		/* the mantissa of a timeout has 10 bits */
		unsigned mantissa = ms*1000, exponent = 0;
		for (; mantissa > 1023; exponent++)
			mantissa /= 2;

		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER,
		                        l4_timeout_rel(mantissa, exponent)));
	}

	/**
	 * Return false if the condition is not met within a second
	 */
	template <typename FN>
	static bool eventually(FN const &fn)
	{
		for (unsigned i = 0; i < 500 && !fn(); i++)
			sleep_ms(2);

		return fn();
	}
}


struct Test::Paused : Thread
{
	unsigned volatile steps = 0;

	Paused(Env &env, Cpu_session &cpu, char const *name)
	: Thread(env, name, 4*1024*sizeof(long), Location(), Weight(), cpu) { }

	void pause()  { Cpu_thread_client(cap()).pause(); }
	void resume() { Cpu_thread_client(cap()).resume(); }

	/* selector of the thread's own gate */
	Fiasco::l4_cap_idx_t gate() { return Cpu_thread_client(cap()).state().kcap; }

	/**
	 * Send an empty message to the thread
	 */
	bool notify()
	{
		using namespace Fiasco;

		return !l4_msgtag_has_error(l4_ipc_send(gate(), l4_utcb(), l4_msgtag(0, 0, 0, 0),
		                                        L4_IPC_BOTH_TIMEOUT_0));
	}
};


/**
 * Thread with a message in its UTCB that takes a page fault
 */
struct Test::Faulter : Paused
{
	enum { NUM_WORDS = 60 };

	char volatile * const _at;

	unsigned volatile overwritten = 0;

	void entry() override
	{
		unsigned long volatile * const words = Fiasco::l4_utcb_mr()->mr;

		for (unsigned i = 0; i < NUM_WORDS; i++)
			words[i] = 1000 + i;

		*_at = 1;

		for (unsigned i = 0; i < NUM_WORDS; i++)
			if (words[i] != 1000 + i)
				overwritten = overwritten + 1;

		steps = 1;
	}

	Faulter(Env &env, char *at) : Paused(env, env.cpu(), "faulter"), _at(at) { }
};


/**
 * Thread that waits for a message from anybody
 */
struct Test::Waiter : Paused
{
	void entry() override
	{
		using namespace Fiasco;

		for (;;) {
			l4_umword_t label;
			l4_ipc_wait(l4_utcb(), &label, L4_IPC_NEVER);
			steps = steps + 1;
		}
	}

	Waiter(Env &env) : Paused(env, env.cpu(), "waiter") { }
};


/**
 * Thread that returns from a system call at known times
 */
struct Test::Sleeper : Paused
{
	void entry() override
	{
		for (;;) {
			sleep_ms(100);
			steps = steps + 1;
		}
	}

	Sleeper(Env &env) : Paused(env, env.cpu(), "sleeper") { }
};


/**
 * Server with a lower priority than its client
 */
struct Test::Server : Paused
{
	void entry() override
	{
		using namespace Fiasco;

		l4_umword_t label;
		l4_ipc_wait(l4_utcb(), &label, L4_IPC_NEVER);
		for (;;) {
			steps = steps + 1;
			l4_ipc_reply_and_wait(l4_utcb(), l4_msgtag(0, 0, 0, 0), &label,
			                      L4_IPC_SEND_TIMEOUT_0);
		}
	}

	Server(Env &env, Cpu_session &cpu) : Paused(env, cpu, "server") { }
};


struct Test::Late : Paused
{
	void entry() override { steps = 1; }

	Late(Env &env) : Paused(env, env.cpu(), "late") { }
};


struct Test::Main
{
	Env &_env;

	Cpu_connection _lower { _env, "lower", Cpu_session::PRIORITY_LIMIT/2 };

	unsigned _errors = 0;

	template <typename... ARGS>
	void _check(bool condition, ARGS &&... args)
	{
		if (condition)
			return;

		error(args...);
		_errors++;
	}

	void _test_page_fault()
	{
		log("answer to a page fault");

		Rm_connection     rm { _env };
		Region_map_client map { rm.create(4096) };
		char * const      at = _env.rm().attach(map.dataspace());

		Attached_ram_dataspace memory { _env.ram(), _env.rm(), 4096 };

		static Faulter faulter { _env, at };
		faulter.start();
		sleep_ms(200);
		_check(!faulter.steps, "no page fault");

		map.attach_at(memory.cap(), 0);
		_check(eventually([&] () { return faulter.steps; }), "page fault not answered");
		_check(!faulter.overwritten, "answer to a page fault overwrites ",
		       (unsigned)faulter.overwritten, " words of a message");

		_env.rm().detach(at);
	}

	void _test_wait()
	{
		log("resume while waiting for a message");

		static Waiter waiter { _env };
		waiter.start();
		sleep_ms(50);

		waiter.pause();
		waiter.resume();
		sleep_ms(50);
		_check(!waiter.steps, "resume is taken for a message");

		unsigned const steps = waiter.steps;
		_check(waiter.notify(), "thread does not wait any more");
		_check(eventually([&] () { return waiter.steps == steps + 1; }), "message lost");
	}

	/**
	 * Memory must not get the content of other memory that was there before
	 *
	 * \return  number written to the memory that was there before, or 0
	 */
	unsigned long _late_exception(Sleeper &sleeper, unsigned long number)
	{
		/* unused part of the address space */
		addr_t const at = 0x60000000;

		Ram_dataspace_capability const before = _env.ram().alloc(4096),
		                               after  = _env.ram().alloc(4096);

		unsigned const steps = sleeper.steps;
		_check(eventually([&] () { return sleeper.steps > steps; }), "sleeper hangs");

		sleeper.pause();
		sleeper.resume();

		/* the last page fault that core has answered when the exception comes */
		_env.rm().attach_at(before, at);
		*(unsigned long volatile *)at = number;
		_env.rm().detach(at);
		_env.rm().attach_at(after, at);

		/* the thread returns from its system call, and takes the exception */
		_check(eventually([&] () { return sleeper.steps > steps + 1; }), "sleeper hangs");

		unsigned long const result = *(unsigned long volatile *)at;

		_env.rm().detach(at);
		_env.ram().free(before);
		_env.ram().free(after);

		return result;
	}

	void _test_late_exception()
	{
		log("exception after resume");

		static Sleeper sleeper { _env };
		sleeper.start();

		enum { TRIALS = 20 };

		unsigned foreign = 0;
		for (unsigned long i = 1; i <= TRIALS; i++)
			if (_late_exception(sleeper, i))
				foreign++;

		_check(!foreign, foreign, " of ", (unsigned)TRIALS, " exceptions were answered "
		       "by memory that another thread had used");
	}

	void _test_start()
	{
		log("pause before start");

		static Late late { _env };
		late.pause();
		sleep_ms(20);
		late.resume();
		sleep_ms(20);
		late.start();
		_check(eventually([&] () { return late.steps; }), "thread does not start");
	}

	/**
	 * Pause a thread that is ready, but about to wait
	 *
	 * The server has sent its answer, by which the client with its higher
	 * priority takes over. As soon as the server gets its turn, it waits for
	 * the next request.
	 */
	void _test_server()
	{
		log("pause between answer and next request");

		static Server server { _env, _lower };
		server.start();
		sleep_ms(50);

		Fiasco::l4_cap_idx_t const gate = server.gate();

		auto call = [&] ()
		{
			using namespace Fiasco;

			l4_ipc_call(gate, l4_utcb(), l4_msgtag(0, 0, 0, 0), L4_IPC_NEVER);
		};

		enum { ROUNDS = 10 };

		for (unsigned i = 0; i < ROUNDS; i++) {
			call();
			server.pause();
			server.resume();
		}
		call();
		_check(server.steps == ROUNDS + 1, (unsigned)server.steps, " requests served");
	}

	Main(Env &env) : _env(env)
	{
		log("--- pause-cases test ---");

		_test_page_fault();
		_test_wait();
		_test_start();
		_test_late_exception();

		/* core stands still if it waits for the server */
		_test_server();

		log("--- pause-cases test ", _errors ? "failed" : "succeeded", " ---");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
