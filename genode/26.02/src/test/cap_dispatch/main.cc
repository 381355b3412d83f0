/*
 * \brief  Test for the dispatch of requests while RPC objects come and go
 * \date   2026-11-22
 *
 * Clients keep calling an object while another thread than the entrypoint
 * dissolves and destroys it, and creates a successor that obtains the same
 * capability slot. If core reuses badges at once, it obtains the same badge
 * as well. The calls of the clients hit each step between the reception of a
 * badge and the use of the object.
 *
 * The clients use selectors of their own, beyond those that Genode manages. So
 * no client keeps the slot of the object occupied. They limit the time of each
 * call because a request to an object that vanishes is never answered.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, with Genode 16.08, of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/heap.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <cap_map_test/release.h>
#include <foc_native_pd/foc_native_pd.h>
#include <timer_session/connection.h>
#include <util/interface.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Counter : Interface
	{
		GENODE_RPC(Rpc_value, unsigned, value);
		GENODE_RPC_INTERFACE(Rpc_value);
	};

	struct Object;
	struct Target;
	struct Client;
	struct Main;

	static constexpr unsigned ROUNDS = 300, CLIENTS = 3;
}


struct Test::Object : Rpc_object<Counter, Object>
{
	static constexpr unsigned ALIVE = 0x0b1ec7;

	unsigned volatile state = ALIVE;

	unsigned const number;

	Object(unsigned number) : number(number) { }

	~Object() { state = 0; }

	unsigned value()
	{
		if (state != ALIVE)
			error("request arrived at a destroyed object");

		return number;
	}
};


/**
 * What a client needs to know for calling the object of a round
 */
struct Test::Target
{
	unsigned badge;

	/* there is one selector per round, so none is ever reused */
	static Foc::l4_cap_idx_t selector(unsigned round)
	{
		static constexpr unsigned FIRST_UNMANAGED = Foc_native_pd::NUM_SLOTS;

		return Foc::l4_cap_idx_t(FIRST_UNMANAGED + round) << Foc::L4_CAP_SHIFT;
	}

	bool init(unsigned round, Native_capability const &cap)
	{
		using namespace Foc;

		badge = unsigned(cap.local_name());

		addr_t const kcap = Base_foc::Cap_index<Foc_cap_platform>(cap).kcap();

		return !l4_error(l4_task_map(L4_BASE_TASK_CAP, L4_BASE_TASK_CAP,
		                             l4_obj_fpage(kcap, 0, L4_FPAGE_RWX),
		                             selector(round) | L4_ITEM_MAP));
	}
};


struct Test::Client : Worker
{
	struct Shared
	{
		Target targets[ROUNDS] { };

		/* round plus one, or zero while there is nothing to do */
		unsigned volatile round = 0;

		bool volatile done = false;
	};

	Shared const &_shared;

	/* results, indexed by round */
	unsigned served[ROUNDS] { }, foreign[ROUNDS] { }, lost[ROUNDS] { };

	Client(Env &env, Shared const &shared)
	: Worker(env, "client"), _shared(shared) { }

	void _call(unsigned round)
	{
		using namespace Foc;

		/* 20 milliseconds: mantissa 625, exponent 5 */
		l4_timeout_t const timeout = l4_timeout(l4_timeout_rel(625, 5),
		                                        l4_timeout_rel(625, 5));

		/* badge, number of capabilities, and opcode of the only RPC function */
		l4_msg_regs_t &mr = *l4_utcb_mr();
		mr.mr[0] = _shared.targets[round].badge;
		mr.mr[1] = 0;
		mr.mr[2] = 0;

		l4_msgtag_t const tag = l4_ipc_call(Target::selector(round), l4_utcb(),
		                                    l4_msgtag(0, 3, 0, 0), timeout);

		/* either the gate is gone, or the object while the request was on its way */
		if (l4_ipc_error(tag, l4_utcb())
		 || l4_mword_t(l4_utcb_mr()->mr[0]) != Rpc_exception_code::SUCCESS) {

			lost[round]++;

			/* do not busily invoke a selector without object, pause 1 ms */
			l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));

		} else if (unsigned(l4_utcb_mr()->mr[2]) == round)
			served[round]++;
		else
			foreign[round]++;
	}

	void entry() override
	{
		while (!_shared.done) {
			unsigned const round = _shared.round;

			if (round)
				_call(round - 1);
			else
				Foc::l4_thread_yield();
		}
	}
};


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	Heap _heap { _env.ram(), _env.rm() };

	/* served by a thread of its own, the objects belong to the main thread */
	Server _ep { _env };

	Object _barrier { ~0u };

	Client::Shared _shared { };

	unsigned _same_slot = 0, _same_badge = 0;

	/* rounds where the successor has another badge */
	bool _distinct[ROUNDS] { };

	bool _failed = false;

	template <typename... MESSAGE>
	void _fail(MESSAGE const &... message)
	{
		error(message...);
		_failed = true;
	}

	/**
	 * Let the entrypoint finish the request that it dispatches currently
	 */
	void _synchronize(Capability<Counter> barrier)
	{
		if (barrier.call<Counter::Rpc_value>() != ~0u)
			_fail("request arrived at wrong object");
	}

	void _round(unsigned round, Capability<Counter> barrier)
	{
		Object &object = *new (_heap) Object(round);

		Target &target = _shared.targets[round];

		/* a handle without reference, merely used as a number */
		Native_capability::Data const *slot = nullptr;
		{
			Capability<Counter> const cap = _ep.manage(object);

			slot = cap.data();

			if (!target.init(round, cap))
				_fail("unable to map capability for clients");
		}

		_shared.round = round + 1;

		_timer.usleep(500 + 700*(round % 8));

		/* no reference to the slot remains after this */
		_ep.dissolve(object);

		Object successor { round + ROUNDS };
		{
			Capability<Counter> const cap = _ep.manage(successor);

			bool const same_badge = (unsigned(cap.local_name()) == target.badge);

			_same_slot  += (cap.data() == slot);
			_same_badge += (cap.data() == slot) && same_badge;

			_distinct[round] = !same_badge;
		}

		_synchronize(barrier);

		destroy(_heap, &object);

		_timer.usleep(500);
		_shared.round = 0;

		_ep.dissolve(successor);
		_synchronize(barrier);
	}

	Main(Env &env) : _env(env)
	{
		log("--- capability dispatch test ---");

		Capability<Counter> const barrier = _ep.manage(_barrier);

		Client *clients[CLIENTS] { };
		for (Client * &client : clients) {
			client = new (_heap) Client(_env, _shared);
			client->start();
		}

		for (unsigned i = 0; i < ROUNDS && !_failed; i++) {
			_round(i, barrier);

			if (i % 50 == 49)
				log("round ", i + 1);
		}

		_shared.done = true;

		unsigned served = 0, foreign = 0, misdirected = 0, lost = 0;

		for (Client *client : clients) {
			client->join();

			for (unsigned i = 0; i < ROUNDS; i++) {
				served      += client->served[i];
				foreign     += client->foreign[i];
				lost        += client->lost[i];
				misdirected += _distinct[i] ? client->foreign[i] : 0;
			}
			destroy(_heap, client);
		}

		log("slot reused in ", _same_slot, " of ", ROUNDS, " rounds, in ",
		    _same_badge, " of them together with the badge");

		log(served, " requests served, ", foreign, " by a successor, ",
		    lost, " not answered");

		/* a stale request may reach the successor by means of the same badge only */
		if (misdirected)
			_fail(misdirected, " requests served by an object of another badge");

		if (_same_slot < ROUNDS/2)
			_fail("slot rarely reused");

		if (served < ROUNDS)
			_fail("too few requests served");

		_ep.dissolve(_barrier);

		log("--- ", _failed ? "capability dispatch test failed"
		                    : "finished capability dispatch test", " ---");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
