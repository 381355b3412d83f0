/*
 * \brief  Bring the threads of a restored component to life
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/rm_session.h>
#include <cpu_thread/client.h>

/* base-foc */
#include <base/internal/cap_space.h>

using namespace Cap_checkpoint;


/**
 * Create threads of a member such that each one gets the UTCB that it had
 *
 * Core takes the first one that is free. So dummies fill the holes.
 */
bool Restore::_create_threads_of(uint32_t const member)
{
	struct Dummy { Virtual_cpu *cpu; Thread_capability cap; } fill[Image::MAX_THREADS] { };

	unsigned next = 0;

	auto create = [&] (Virtual_cpu &cpu, char const *name, Affinity::Location location)
	{
		Thread_capability result { };
		cpu.create_thread(_members[member]->cap(), name, location, 0).with_result(
			[&] (Thread_capability cap) { result = cap; next++; },
			[&] (Cpu_session::Create_thread_error) { });
		return result;
	};

	/* any CPU session will do that has room for all of its own threads besides */
	auto create_dummy = [&] (uint32_t first)
	{
		Dummy &dummy = fill[next];

		auto try_session = [&] (uint32_t session)
		{
			Virtual_cpu &cpu = _cpu_of(session);

			unsigned count = 0;
			for (Dummy const &other : fill)
				count += (other.cpu == &cpu);

			_image.for_each<Image::Thread>([&] (size_t, Image::Thread const &thread) {
				count += (thread.session == session); });

			if (!dummy.cap.valid() && count < Virtual_cpu::MAX_THREADS)
				dummy = { &cpu, create(cpu, "dummy", { }) };
		};

		try_session(first);
		for (uint32_t i = 0; i < _sessions.count() && !dummy.cap.valid(); i++)
			if (_sessions[i]->request.service == "CPU")
				try_session(i);

		return dummy.cap.valid();
	};

	bool all = true;

	_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {

		if (!all || thread.member != member)
			return;

		Virtual_cpu &cpu = _cpu_of(thread.session);

		while (next < thread.index)
			if (!create_dummy(thread.session)) {
				all = _refuse(Refused::Reason::THREAD, _named(member), "place ", next);
				return;
			}

		Affinity::Location const location { int(thread.affinity[0]), int(thread.affinity[1]),
		                                    thread.affinity[2], thread.affinity[3] };

		_threads[i] = create(cpu, thread.name, location);

		if (!_threads[i].valid()) {
			all = _refuse(Refused::Reason::THREAD, _named(member), Cstring(thread.name));
			return;
		}

		Foc_thread_state const state = cpu.native_state(_threads[i]);

		_badges [i] = state.id;
		_natives[i] = cpu.native_cap(_threads[i]);

		if (!_natives[i].valid())
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, _named(member), "native capability of "
			              "thread ", Cstring(thread.name));

		if (state.utcb != thread.utcb)
			all = _refuse(Refused::Reason::THREAD, _named(member), Cstring(thread.name),
			              " has another UTCB: ", Hex(state.utcb), " instead of ",
			              Hex(thread.utcb)); });

	for (Dummy const &dummy : fill)
		if (dummy.cap.valid())
			dummy.cpu->kill_thread(dummy.cap);

	return all;
}


bool Restore::_create_threads()
{
	for (uint32_t member = 0; member < _image.num_members(); member++)
		if (!_create_threads_of(member))
			return false;

	_child.parent.main_thread(_threads[_image.system().main_thread]);
	_child.pd.assign_parent(reinterpret_cap_cast<Parent>(Native_capability(_child.parent.cap())));
	return true;
}


bool Restore::_create_sources()
{
	bool all = true;

	_image.for_each<Image::Source>([&] (size_t i, Image::Source const &source) {

		_members[source.member]->signals.source().with_result(
			[&] (Virtual_source *s) { _sources[i] = s; }, [&] (Alloc_error) { });

		if (!_sources[i] || !_sources[i]->semaphore.valid()) {
			all = _refuse(Refused::Reason::CAPABILITY, _named(source.member), "signal source ", i);
			return;
		}

		if (source.thread == NONE)
			return;

		/* the component has done so once, and will not do it again */
		using namespace Foc;
		_sources[i]->thread = _natives[source.thread];
		if (l4_error(l4_rcv_ep_bind_thread(Cap_index(_sources[i]->semaphore).kcap(),
		                                   Cap_index(_natives[source.thread]).kcap(), 0)))
			all = _refuse(Refused::Reason::CAPABILITY, "semaphore of source ", i); });

	return all;
}


bool Restore::_create_contexts()
{
	bool all = true;

	_image.for_each<Image::Context>([&] (size_t i, Image::Context const &context) {

		uint32_t const member = _image.get<Image::Source>(context.source).member;

		_members[member]->signals.create_context(addr_t(context.imprint))
			.with_result([&] (Context *c) { _contexts[i] = c; },
			             [&] (Alloc_error) {
				all = _refuse(Refused::Reason::CAPABILITY, _named(member), "signal context ", i); }); });

	return all;
}


/**
 * Return thread that is to refuse requests in the place of one that is gone
 *
 * This is the main thread, unless the member does not execute.
 */
uint32_t Restore::_main_thread_of(uint32_t const member) const
{
	uint32_t result = _image.system().main_thread;

	_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {
		if (thread.member == member && thread.state != Image::Thread::NOT_STARTED
		 && _image.get<Image::Thread>(result).member != member)
			result = uint32_t(i); });

	return result;
}


/**
 * Create the gates of each member, who alone can free them
 */
bool Restore::_create_gates()
{
	size_t gate = 0;

	for (uint32_t member = 0; member < _image.num_members(); member++)
		for (uint32_t i = 0; i < _image.member(member).num_gates; i++, gate++) {

			uint32_t const served_by = _image.get<Image::Gate>(gate).thread,
			               thread    = served_by == NONE ? _main_thread_of(member) : served_by;

			_members[member]->alloc_rpc_cap(_natives[thread]).with_result(
				[&] (Native_capability cap) { _gates[gate] = cap; }, [&] (Alloc_error) { });

			if (!_gates[gate].valid())
				return _refuse(Refused::Reason::CAPABILITY, _named(member), "gate ", gate);
		}

	return true;
}


bool Restore::_register_handler(Image::Handler const &handler)
{
	Signal_context_capability const sigh = _contexts[handler.context]->cap;

	if (handler.session == NONE) {
		_child.parent.sighs[handler.part] = sigh;
		return true;
	}

	Open_session &session = *_sessions[handler.session];

	bool known = false;

	if (session.request.service == "PD")
		_pd_of(handler.session).for_each_map([&] (uint32_t number, Virtual_region_map &map) {
			if (number == handler.part) {
				map.fault_handler(sigh);
				known = true;
			} });
	else if (session.request.service == "CPU") {
		_cpu_of(handler.session).exception_sigh(sigh);
		known = true;
	} else {
		session.handler(handler.part, sigh);
		known = (session.handler(handler.part) == sigh);
	}

	session.with_rm([&] (Rm_service_session &rm) {
		rm.with_map(handler.part, [&] (Virtual_region_map &map) {
			map.fault_handler(sigh);
			known = true; }); });

	return known || _refuse(Refused::Reason::SESSION, "handler ", handler.part, " of session ",
	                        session.request.id.value, " is unknown");
}


bool Restore::_register_handlers()
{
	bool all = true;

	_image.for_each<Image::Handler>([&] (size_t, Image::Handler const &handler) {
		all = all && _register_handler(handler); });

	return all;
}


void Restore::_set_timers()
{
	_image.for_each<Image::Timer>([&] (size_t, Image::Timer const &t) {
		_sessions[t.session]->with_timer([&] (Timer_service_session &timer) {
			timer.state({ .elapsed = t.elapsed, .deadline = t.deadline,
			              .period  = t.period }); }); });
}


/*************
 ** Threads **
 *************/

static constexpr uint64_t MAX_WAIT_US = 5*1000*1000;


/**
 * Let the threads of each member wait that is started anew
 *
 * One that has not executed anything has no records, and no thread that is started.
 */
bool Restore::_adopt_records()
{
	bool all = true;

	for (uint32_t member = 0; member < _image.num_members(); member++)
		if (!_members[member]->records.adopt())
			_image.for_each<Image::Thread>([&] (size_t, Image::Thread const &thread) {
				if (thread.member == member && thread.state != Image::Thread::NOT_STARTED)
					all = _refuse(Refused::Reason::NO_RESTART, _named(member),
					              "no restart records"); });

	return all;
}


/**
 * Wait until threads of each member have been started anew
 *
 * Each number is memory of a member, which answers for itself.
 *
 * \param count  number of them by member
 */
bool Restore::_wait_for(unsigned const (&count)[Image::MAX_MEMBERS])
{
	using namespace Foc;

	/* a sleep may take much longer than asked for */
	auto now_us = [&] {
		return _child.monitor().timer.curr_time().trunc_to_plain_us().value; };

	uint64_t const start_us = now_us();

	for (uint32_t member = 0; member < _image.num_members(); member++)
		while (_members[member]->records.restarted() < count[member]) {

			if (now_us() - start_us > MAX_WAIT_US)
				return _refuse(Refused::Reason::NO_RESTART, _named(member),
				               _members[member]->records.restarted(), " of ", count[member],
				               " threads");

			l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
		}

	return true;
}


/**
 * Start all threads
 *
 * A server that owes a reply receives the request of its client again, and takes whoever comes first
 * for the client. So nobody goes on before all such requests are received,
 * except for the clients that repeat them. These come behind the servers, as a call to a thread that
 * was never started fails. All other threads are started when these requests are received, so
 * that it does not depend on them, which might be those of other members, whether they wait.
 */
bool Restore::_start_threads()
{
	if (!_adopt_records())
		return false;

	Offer * const offer = _child.parent.offer();

	enum Turn { SERVING, CALLING, OTHERS };

	unsigned count[Image::MAX_MEMBERS] { };

	auto start = [&] (Turn turn)
	{
		_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {

			bool const serving = thread.serves != NONE || (offer && offer->served_by(uint32_t(i))),
			           calling = thread.called != NONE;

			if (thread.state == Image::Thread::NOT_STARTED
			 || turn != (serving ? SERVING : calling ? CALLING : OTHERS))
				return;

			_members[thread.member]->records.start_anew(_threads[i],
				_cpu_of(thread.session).native_state(_threads[i]), serving, !calling);
			count[thread.member]++; });
	};

	start(SERVING);

	if (offer)
		offer->repeat_calls();

	start(CALLING);

	if (!_wait_for(count))
		return false;

	start(OTHERS);

	if (!_wait_for(count))
		return false;

	/* the requests that were repeated are received, and those that follow are not known yet */
	if (offer)
		offer->hold();

	_hold_faulters();
	for (uint32_t member = 0; member < _image.num_members(); member++)
		_members[member]->records.hold(false);

	if (offer)
		offer->release();

	return true;
}


void Restore::_submit_signals()
{
	/* a client that has left since they were created has taken some of them along */
	_image.for_each<Image::Context>([&] (size_t, Image::Context const &context) {
		uint32_t const member = _image.get<Image::Source>(context.source).member;
		_members[member]->signals.with_imprint(addr_t(context.imprint), [&] (Context &c) {
			c.pending = context.pending; }); });

	_child.parent.for_each_session([&] (Open_session &session) { session.after_restore(); });

	_child.for_each_pd([&] (Virtual_pd &pd) { pd.signals.resubmit(); });
}
