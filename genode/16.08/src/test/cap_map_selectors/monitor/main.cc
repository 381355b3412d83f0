/*
 * \brief  Request and install capabilities at all selectors of a child
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_server.h>
#include <base/snprintf.h>
#include <cap_space_monitor/child.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_space_monitor;

	struct Private_interface;
	struct Private;
	struct Main;

	enum {
		USER_BASE = Fiasco::USER_BASE_CAP   >> Fiasco::L4_CAP_SHIFT,
		MAIN_GATE = Fiasco::MAIN_THREAD_CAP >> Fiasco::L4_CAP_SHIFT,

		/* badges are issued in steps of four */
		BADGE_STEP = 4
	};
}


struct Test::Private_interface { GENODE_RPC_INTERFACE(); };


/**
 * Object of the monitor, not known to the child
 */
struct Test::Private : Rpc_object<Private_interface, Private> { };


struct Test::Main
{
	Env &_env;

	Timer::Connection _timer { _env };

	Private _secret, _gift, _other_gift;

	Snapshot_with_memory<> _snapshot;

	bool _visited[NUM_SLOTS];

	unsigned _failures = 0;

	template <typename... MESSAGE>
	void _check(bool condition, MESSAGE... message)
	{
		if (condition)
			return;

		error(message...);
		_failures++;
	}

	static unsigned _badge(Private const &object)
	{
		return object.cap().local_name();
	}

	/**
	 * Return true if slot refers to the object that constructed the component
	 *
	 * The startup code of the child keeps the capability, but has dissolved the
	 * object. So there is neither a gate nor anything at the selector.
	 */
	bool _constructor_of_child(Monitored_pd &pd, unsigned slot, unsigned badge)
	{
		bool gate_exists = false;
		pd.for_each_gate([&] (Monitored_pd::Gate const &gate) {
			gate_exists |= (gate.badge() == badge); });

		Slot_info info;
		(void)pd.cap_space.request(slot, badge, info);

		return !gate_exists && info.state == Slot_info::EMPTY;
	}

	/**
	 * Iterate over all selectors that refer to kernel objects
	 */
	void _test_iteration(Monitored_pd &pd)
	{
		unsigned calls = 0, occupied = 0, confirmed = 0, used = 0;

		for (addr_t sel = 0; sel != Foc_native_pd::NO_SELECTOR; calls++) {

			unsigned const slot = sel >> Fiasco::L4_CAP_SHIFT;

			Slot_info info;
			Native_capability const cap =
				pd.cap_space.request(slot, _snapshot.entry(slot).badge, info);

			_check(info.state != Slot_info::OUT_OF_RANGE, "slot ", slot, " refused");
			_check(info.next > sel, "no progress at slot ", slot);
			_check(cap.valid() == (info.state == Slot_info::CONFIRMED),
			       "result of slot ", slot, " is inconsistent");

			_visited[slot] = (info.state != Slot_info::EMPTY);

			occupied  += _visited[slot];
			confirmed += (info.state == Slot_info::CONFIRMED);
			sel = info.next;
		}

		unsigned dead = 0;

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {

			if (_constructor_of_child(pd, slot, badge)) {
				dead++;
				return;
			}

			used++;
			_check(_visited[slot], "slot ", slot, " was skipped, badge ", badge);
			_check(slot == MAIN_GATE || pd.cap_space.confirmed(slot, badge),
			       "slot ", slot, " is not confirmed"); });

		/* the main thread knows its own gate by a pseudo badge */
		_check(confirmed == used - 1, "wrong number of confirmed capabilities");
		_check(dead <= 1, "more than one dead capability");

		log("iteration: ", calls, " calls, ", occupied, " selectors occupied, ",
		    used, " in table, ", confirmed, " confirmed, ", dead, " dead");
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

			Slot_info info;
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
				_check((unsigned)cap.local_name() == badge, "wrong badge ", badge);
				_check(slot == MAIN_GATE || entry.state != CAP_MAP_STATE_USED
				    || entry.badge == badge, "slot ", slot, " confirmed as ", badge);
			}

			_check(found <= 1, "slot ", slot, " matches ", found, " badges");

			/* badge of an object that belongs to the monitor */
			_check(!pd.cap_space.confirmed(slot, _badge(_secret)),
			       "slot ", slot, " taken for a foreign object");

			matches += found;
		}

		unsigned const never_issued[] {
			1u, 2u, 3u, ~0u, ~0u - 1, 1u << 28, 1u << 31 };

		for (unsigned badge : never_issued)
			_check(!pd.cap_space.confirmed(MAIN_GATE, badge), "badge ", badge, " accepted");

		log("hints: ", tried, " tried, ", matches, " matches");
	}

	void _test_refusals(Monitored_pd &pd)
	{
		Foc_native_pd_client native_pd(pd.real().native_pd());

		Native_capability const gift = _gift.cap();

		unsigned refused = 0;

		auto expect_out_of_range = [&] (addr_t sel)
		{
			refused++;
			_check(native_pd.install(gift, sel, Foc_native_pd::NO_BADGE) ==
			       Foc_native_pd::INSTALL_OUT_OF_RANGE,
			       "install not refused at ", Hex(sel));
		};

		for (unsigned slot = 0; slot < USER_BASE; slot++)
			expect_out_of_range(selector(slot));

		addr_t const beyond[] { selector(NUM_SLOTS), selector(NUM_SLOTS + 1),
		                        ~0UL, ~0UL << Fiasco::L4_CAP_SHIFT, ~(~0UL >> 1),
		                        addr_t(Fiasco::L4_INVALID_CAP) };

		for (addr_t sel : beyond) {

			expect_out_of_range(sel);

			Slot_info info;
			_check(!native_pd.request(sel, _badge(_gift), info).valid()
			    && info.state == Slot_info::OUT_OF_RANGE
			    && info.next  == Foc_native_pd::NO_SELECTOR, "request at ", Hex(sel));
		}

		addr_t const misaligned[] { 1, 0x10, 0x800, 0xfff };

		for (addr_t offset : misaligned)
			expect_out_of_range(selector(USER_BASE) + offset);

		_check(native_pd.install(Native_capability(), selector(USER_BASE),
		                         Foc_native_pd::NO_BADGE)
		       == Foc_native_pd::INSTALL_INVALID_CAP, "invalid capability accepted");

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

			Slot_info info;
			(void)pd.cap_space.request(slot, 0, info);

			bool const empty = (info.state == Slot_info::EMPTY);

			Install_result const result =
				pd.cap_space.install(_gift.cap(), slot, Foc_native_pd::NO_BADGE);

			_check(result == (empty ? Foc_native_pd::INSTALL_OK
			                        : Foc_native_pd::INSTALL_IN_USE),
			       "unexpected result at slot ", slot);

			if (!empty) {
				in_use++;
				continue;
			}

			_check(pd.cap_space.confirmed(slot, badge), "slot ", slot, " without effect");

			auto replace = [&] (unsigned present) {
				return pd.cap_space.install(_other_gift.cap(), slot, present); };

			unsigned const others[] { Foc_native_pd::NO_BADGE, other_badge,
			                          _badge(_secret), 1u, ~0u };

			for (unsigned present : others)
				_check(replace(present) == Foc_native_pd::INSTALL_IN_USE,
				       "slot ", slot, " taken for badge ", present);

			_check(pd.cap_space.confirmed(slot, badge), "slot ", slot, " replaced");
			installed++;

			if (slot % 2)
				continue;

			_check(replace(badge) == Foc_native_pd::INSTALL_OK,
			       "slot ", slot, " not replaced");
			_check(pd.cap_space.confirmed(slot, other_badge) &&
			      !pd.cap_space.confirmed(slot, badge), "slot ", slot, " not replaced");
			replaced++;
		}

		_check(installed + in_use == NUM_SLOTS - USER_BASE, "slots left out");

		log("install: ", installed, " selectors, ", replaced, " of them replaced, ",
		    in_use, " were in use");
	}

	Main(Env &env) : _env(env)
	{
		_env.ep().manage(_secret);
		_env.ep().manage(_gift);
		_env.ep().manage(_other_gift);

		char config[64];
		snprintf(config, sizeof(config), "<config foreign_badge=\"%u\"/>",
		         _badge(_secret));

		Monitored_child::Attr attr;
		attr.label  = "test-cap_map_selectors-child";
		attr.binary = "test-cap_map_selectors-child";
		attr.config = config;
		attr.ram    = 4*1024*1024;

		Monitored_child child(attr);

		_timer.msleep(5*1000);

		Status const status = child.pd.cap_space.take(_snapshot);

		_check(Cap_map::ok(status), "no snapshot: ", Cap_map::message(status));

		_test_iteration(child.pd);
		_test_hints(child.pd);
		_test_refusals(child.pd);
		_test_install(child.pd);

		log("selector test ", _failures ? "failed" : "succeeded");
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Test::Main main(env); }
