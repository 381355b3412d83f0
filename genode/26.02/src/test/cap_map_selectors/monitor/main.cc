/*
 * \brief  Request and install capabilities at all selectors of a child
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <base/heap.h>
#include <base/rpc_server.h>
#include <cap_space_monitor/sandbox.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Private_interface;
	struct Private;
	struct Main;

	using Native_pd = Pd_session::Native_pd;

	static constexpr unsigned NO_BADGE = Native_pd::NO_BADGE;

	static constexpr unsigned USER_BASE = Foc::USER_BASE_CAP >> Foc::L4_CAP_SHIFT;
	static constexpr unsigned MAIN_GATE = Foc::MAIN_THREAD_CAP >> Foc::L4_CAP_SHIFT;

	/* badges are issued in steps of four */
	static constexpr unsigned BADGE_STEP = 4;
}


struct Test::Private_interface : Interface { GENODE_RPC_INTERFACE(); };


/**
 * Object of the monitor, not known to the child
 */
struct Test::Private : Rpc_object<Private_interface, Private> { };


struct Test::Main : Sandbox::State_handler
{
	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Private _secret { }, _gift { }, _other_gift { };

	Monitored_sandbox _sandbox { _env, *this };

	Snapshot_with_memory<> _snapshot { };

	void handle_sandbox_state() override { }

	unsigned _failures = 0;

	void _check(bool condition, auto &&... message)
	{
		if (condition)
			return;

		error(message...);
		_failures++;
	}

	static unsigned _badge(Private const &object)
	{
		return unsigned(object.cap().local_name());
	}

	/**
	 * Iterate over all selectors that refer to kernel objects
	 */
	void _test_iteration(Monitored_pd &pd)
	{
		unsigned calls = 0, occupied = 0, confirmed = 0, used = 0;

		bool visited[NUM_SLOTS] { };

		/* the table of the child ends before the last selector */
		for (addr_t sel = 0; sel < selector(NUM_SLOTS); calls++) {

			unsigned const slot = unsigned(sel >> Foc::L4_CAP_SHIFT);

			Slot_info info { };
			Native_capability const cap =
				pd.cap_space.request(slot, _snapshot.entry(slot).badge, info);

			_check(info.state != Slot_info::OUT_OF_RANGE, "slot ", slot, " refused");
			_check(info.next > sel, "no progress at slot ", slot);
			_check(cap.valid() == (info.state == Slot_info::CONFIRMED),
			       "result of slot ", slot, " is inconsistent");

			visited[slot] = (info.state != Slot_info::EMPTY);

			occupied  += visited[slot];
			confirmed += info.state == Slot_info::CONFIRMED;
			sel = info.next;
		}

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			used++;
			_check(visited[slot], "slot ", slot, " was skipped");
			_check(slot == MAIN_GATE || pd.cap_space.confirmed(slot, badge),
			       "slot ", slot, " is not confirmed"); });

		/* the main thread knows its own gate by a pseudo badge */
		_check(confirmed == used - 1, "wrong number of confirmed capabilities");

		log("iteration: ", calls, " calls, ", occupied, " selectors occupied, ",
		    used, " in table, ", confirmed, " confirmed");
	}

	/**
	 * Try badges of all objects for each selector
	 *
	 * Each selector must match with one badge at most.
	 */
	void _test_hints(Monitored_pd &pd)
	{
		unsigned limit = 0;
		_snapshot.for_each([&] (unsigned, unsigned badge) {
			limit = max(limit, badge); });

		limit += 100*BADGE_STEP;

		unsigned tried = 0, matches = 0;

		for (unsigned slot = 0; slot < NUM_SLOTS; slot++) {

			Slot_info info { };
			(void)pd.cap_space.request(slot, 0, info);

			_check(info.state != Slot_info::CONFIRMED, "slot ", slot, " has badge 0");

			if (info.state == Slot_info::EMPTY)
				continue;

			Snapshot::Entry const entry = _snapshot.entry(slot);

			unsigned found = 0;

			for (unsigned badge = BADGE_STEP; badge < limit; badge += BADGE_STEP) {

				Native_capability const cap = pd.cap_space.request(slot, badge, info);

				tried++;

				if (!cap.valid())
					continue;

				found++;
				_check(unsigned(cap.local_name()) == badge, "wrong badge ", badge);
				_check(slot == MAIN_GATE || entry.state != CAP_MAP_STATE_USED
				    || entry.badge == badge, "slot ", slot, " confirmed as ", badge);
			}

			_check(found <= 1, "slot ", slot, " matches ", found, " badges");

			/* badge of an object that belongs to the monitor */
			_check(!pd.cap_space.confirmed(slot, _badge(_secret)),
			       "slot ", slot, " taken for a foreign object");

			matches += found;
		}

		static constexpr unsigned never_issued[] {
			1u, 2u, 3u, ~0u, ~0u - 1, 1u << 28, 1u << 31 };

		for (unsigned badge : never_issued)
			_check(!pd.cap_space.confirmed(MAIN_GATE, badge), "badge ", badge, " accepted");

		log("hints: ", tried, " tried, ", matches, " matches");
	}

	void _test_refusals(Monitored_pd &pd)
	{
		Foc_native_pd_client native_pd { pd.real().native_pd() };

		Native_capability const gift = _gift.cap();

		unsigned refused = 0;

		auto expect_out_of_range = [&] (addr_t sel)
		{
			refused++;
			_check(native_pd.install(gift, sel, NO_BADGE) ==
			       Install_result::OUT_OF_RANGE, "install not refused at ", Hex(sel));
		};

		for (unsigned slot = 0; slot < USER_BASE; slot++)
			expect_out_of_range(selector(slot));

		addr_t const beyond[] { selector(MAX_SLOTS), selector(MAX_SLOTS + 1),
		                        ~0UL, ~0UL << Foc::L4_CAP_SHIFT, ~(~0UL >> 1),
		                        addr_t(Foc::L4_INVALID_CAP) };

		for (addr_t sel : beyond) {

			expect_out_of_range(sel);

			Slot_info info { };
			_check(!native_pd.request(sel, _badge(_gift), info).valid()
			    && info.state == Slot_info::OUT_OF_RANGE
			    && info.next  == Native_pd::NO_SELECTOR, "request at ", Hex(sel));
		}

		static constexpr addr_t misaligned[] { 1, 0x10, 0x800, 0xfff };

		for (addr_t offset : misaligned)
			expect_out_of_range(selector(USER_BASE) + offset);

		_check(native_pd.install(Native_capability(), selector(USER_BASE),
		                         NO_BADGE) == Install_result::INVALID_CAP, "invalid capability accepted");

		log("refusals: ", refused, " selectors refused");
	}

	/**
	 * Install a capability at each selector that is not in use by the child
	 */
	void _test_install(Monitored_pd &pd)
	{
		unsigned installed = 0, in_use = 0, replaced = 0;

		unsigned const badge       = _badge(_gift),
		               other_badge = _badge(_other_gift);

		for (unsigned slot = USER_BASE; slot < NUM_SLOTS; slot++) {

			Slot_info info { };
			(void)pd.cap_space.request(slot, 0, info);

			bool const empty = (info.state == Slot_info::EMPTY);

			Install_result const result =
				pd.cap_space.install(_gift.cap(), slot, NO_BADGE);

			_check(result == (empty ? Install_result::OK : Install_result::IN_USE),
			       "unexpected result at slot ", slot);

			if (!empty) {
				in_use++;
				continue;
			}

			_check(pd.cap_space.confirmed(slot, badge), "slot ", slot, " without effect");

			auto replace = [&] (unsigned present) {
				return pd.cap_space.install(_other_gift.cap(), slot, present); };

			unsigned const others[] { NO_BADGE, other_badge, _badge(_secret), 1u, ~0u };

			for (unsigned present : others)
				_check(replace(present) == Install_result::IN_USE,
				       "slot ", slot, " taken for badge ", present);

			_check(pd.cap_space.confirmed(slot, badge), "slot ", slot, " replaced");
			installed++;

			if (slot % 2)
				continue;

			_check(replace(badge) == Install_result::OK, "slot ", slot, " not replaced");
			_check(pd.cap_space.confirmed(slot, other_badge) &&
			      !pd.cap_space.confirmed(slot, badge), "slot ", slot, " not replaced");
			replaced++;
		}

		_check(installed + in_use == NUM_SLOTS - USER_BASE, "slots left out");

		log("install: ", installed, " selectors, ", replaced, " of them replaced, ",
		    in_use, " were in use");
	}

	void _handle_timer()
	{
		_sandbox.for_each_pd([&] (Monitored_pd &pd) {

			Status const status = pd.cap_space.take(_snapshot);
			if (!Cap_map::ok(status)) {
				error("no snapshot: ", Cap_map::message(status));
				_failures++;
				return;
			}

			_test_iteration(pd);
			_test_hints(pd);
			_test_refusals(pd);
			_test_install(pd);
		});

		if (_failures)
			log("selector test failed");
		else
			log("selector test succeeded");
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	static void _gen_service(Generator &g, char const *name, auto const &fn)
	{
		g.node("service", [&] { g.attribute("name", name); fn(); });
	}

	void _start_child()
	{
		Generated_node(_heap, 4*1024, "config", [&] (Generator &g) {

			g.node("parent-provides", [&] {
				_gen_service(g, "LOG", [&] { });
				_gen_service(g, "PD",  [&] { });
				_gen_service(g, "CPU", [&] { });
				_gen_service(g, "ROM", [&] { }); });

			g.node("start", [&] {
				g.attribute("name", "test-cap_map_selectors-child");
				g.attribute("caps", 200);
				g.attribute("ram", "4M");

				g.node("config", [&] {
					g.attribute("foreign_badge", _badge(_secret)); });

				g.node("route", [&] {
					_gen_service(g, "PD",  [&] { g.node("local"); });
					_gen_service(g, "CPU", [&] { g.node("local"); });
					g.node("any-service", [&] { g.node("parent"); }); }); });

		}).node.with_result(
			[&] (Node const &config) { _sandbox.apply_config(config); },
			[&] (Buffer_error)       { error("config exceeds buffer"); });
	}

	Main(Env &env) : _env(env)
	{
		_env.ep().manage(_secret);
		_env.ep().manage(_gift);
		_env.ep().manage(_other_gift);

		_start_child();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(5*1000*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
