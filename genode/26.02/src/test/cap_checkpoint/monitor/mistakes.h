/*
 * \brief  Mistakes that a monitor must not make
 * \date   2026-11-30
 *
 * The component under test has to notice each of them.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MISTAKES_H_
#define _MISTAKES_H_

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/rm_session.h>

/* local includes */
#include <frames.h>
#include <in_flight.h>

/* base-foc */
#include <base/internal/cap_space.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Loss;
}


/**
 * Restore that loses one of the capabilities of 'test-cap_checkpoint-entrypoints', or
 * what sessions of 'test-cap_checkpoint-services' keep
 *
 * A gate that is gone before the image is made is restored as gone.
 */
struct Test::Loss
{
	using Name        = String<32>;
	using Thread      = Cap_space_monitor::Monitored_cpu::Thread;
	using Thread_name = Cpu_session::Name;

	Child &_child;

	Thread_name _main_thread_name() const { return _child.pd.name; }

	void _with_thread(Thread_name const &name, auto const &fn)
	{
		_child.cpu.for_each_thread(_child.pd, [&] (Thread &thread) {
			if (thread.name == name)
				fn(thread); });
	}

	/**
	 * Free one of the gates that a thread serves, in the order of their creation
	 */
	bool _lose_gate(Thread_name const &server, unsigned number)
	{
		Native_capability lost { };

		_with_thread(server, [&] (Thread &thread) {

			unsigned const badge  = _child.cpu.native_state(thread).id,
			               native = unsigned(_child.cpu.native_cap(thread).local_name());

			unsigned count = 0;
			_child.pd.for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
				unsigned const served_by = unsigned(gate.thread.local_name());
				if ((served_by == badge || served_by == native) && count++ == number)
					lost = gate.cap; }); });

		_child.pd.free_rpc_cap(lost);
		return lost.valid();
	}

	/**
	 * Free the gate that a thread is calling
	 */
	bool _lose_called_gate(Thread_name const &client)
	{
		Native_capability lost { };

		_with_thread(client, [&] (Thread &thread) {

			Foc_thread_state const state = _child.cpu.native_state(thread);

			if (_child.pd.records.state(state) != Base_foc::Restart::CALL)
				return;

			Cap_space_monitor::Snapshot::Entry entry { };
			(void)_child.pd.cap_space.entry(
				unsigned(_child.pd.records.argument(state) >> Foc::L4_CAP_SHIFT), entry);

			_child.pd.for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
				if (unsigned(gate.cap.local_name()) == entry.badge)
					lost = gate.cap; }); });

		_child.pd.free_rpc_cap(lost);
		return lost.valid();
	}

	/**
	 * Forget the handlers that the component has registered at a service
	 */
	bool _lose_handlers(Open_session::Service const &service)
	{
		bool lost = false;

		_child.parent.for_each_session([&] (Open_session &session) {
			if (session.request.service == service)
				for (uint32_t part = 0; part < Open_session::MAX_HANDLERS; part++)
					if (session.handler(part).valid()) {
						session.handler(part, { });
						lost = true;
					} });

		return lost;
	}

	/**
	 * Let memory of the sessions of a service be zero
	 */
	bool _lose_memory(Open_session::Service const &service, uint32_t part)
	{
		bool lost = false;

		_child.parent.for_each_session([&] (Open_session &session) {
			Cap_checkpoint::Dataspace * const ds = session.memory(part);

			session.before_save();

			if (session.request.service == service && ds)
				lost |= with_attached(_child.monitor().local_rm, ds->cap, Access::WRITE,
					[&] (char *start, size_t size) { bzero(start, size); }); });

		return lost;
	}

	/**
	 * Call 'fn' with each region map of RM sessions
	 */
	void _for_each_map(auto const &fn)
	{
		_child.parent.for_each_session([&] (Open_session &session) {
			session.with_rm([&] (Rm_service_session &rm) {
				rm.for_each_map([&] (uint32_t, Virtual_region_map &map) { fn(map); }); }); });
	}

	/**
	 * Detach the first region map that is within another one
	 */
	void _lose_nested_map()
	{
		Virtual_region_map *outer = nullptr;
		addr_t              at    = 0;

		_for_each_map([&] (Virtual_region_map &map) {
			map.for_each_region([&] (Region &region) {
				if (!outer && region.ds && region.ds->area) {
					outer = &map;
					at    = region.range.start;
				} }); });

		if (outer)
			outer->detach(at);
	}

	/**
	 * Forget the page faults that threads wait for, which go on or not
	 */
	void _lose_faults(bool resume)
	{
		Thread_capability threads[Image::MAX_THREADS] { };
		unsigned          count = 0;

		_child.pd.faults.for_each([&] (Faults::Pending const &pending) {
			threads[count++] = pending.thread; });

		for (unsigned i = 0; i < count; i++) {
			_child.pd.faults.forget(threads[i]);
			if (resume)
				Cpu_thread_client(threads[i]).resume();
		}
	}

	Loss(Child &child) : _child(child) { }

	/**
	 * To be called while the component is frozen
	 *
	 * \return  true if the capability exists, it must not be lost twice
	 */
	bool before_save(Name const &what)
	{
		return (what == "exit handler"     && _lose_gate("side", 0))
		    || (what == "signal proxy"     && _lose_gate("side", 1))
		    || (what == "constructor gate" && _lose_called_gate(_main_thread_name()))
		    || (what == "ROM handler"      && _lose_handlers("ROM"))
		    || (what == "last report"      && _lose_memory("Report",   1))
		    || (what == "pending input"    && _lose_memory("Terminal", 1))
		    || (what == "packets"          && In_flight(_child).lose())
		    || (what == "execution"        && In_flight(_child).pretend())
		    || (what == "count"            && In_flight(_child).repeat())
		    || (what == "frame slots"      && Frames(_child).lose_slots())
		    || (what == "frames"           && Frames(_child).lose())
		    || (what == "frame sent"       && Frames(_child).acknowledge_again())
		    || (what == "frame received"   && Frames(_child).receive_again())
		    || (what == "MAC"              && Frames(_child).change_mac());
	}

	void after_restore(Name const &what)
	{
		/* nobody is woken up by signals any more */
		if (what == "blocking semaphore")
			_child.pd.signals.for_each_source([&] (Virtual_source &source) {
				Foc::l4_irq_detach(Cap_index(source.semaphore).kcap()); });

		if (what == "nested map")
			_lose_nested_map();
		if (what == "fault" || what == "known fault")
			_lose_faults(what == "known fault");
	}
};

#endif /* _MISTAKES_H_ */
