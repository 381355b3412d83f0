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
 * Create threads such that each one gets the UTCB that it had
 *
 * Core takes the first one that is free. So dummies fill the holes.
 */
bool Restore::_create_threads()
{
	Thread_capability fill[Image::MAX_THREADS] { };

	unsigned next = 0;

	auto create = [&] (char const *name, Affinity::Location location, Thread_capability &cap)
	{
		_child.cpu.create_thread(_child.pd.cap(), name, location, 0).with_result(
			[&] (Thread_capability c) { cap = c; }, [&] (Cpu_session::Create_thread_error) { });
		next++;
		return cap.valid();
	};

	bool all = true;

	_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {

		while (all && next < thread.index) {
			Thread_capability &dummy = fill[next];
			if (!create("dummy", { }, dummy))
				all = _refuse(Refused::Reason::THREAD, "place ", next);
		}
		Affinity::Location const location { int(thread.affinity[0]), int(thread.affinity[1]),
		                                    thread.affinity[2], thread.affinity[3] };

		if (!all || !create(thread.name, location, _threads[i])) {
			all = _refuse(Refused::Reason::THREAD, Cstring(thread.name));
			return;
		}

		Foc_thread_state const state = _child.cpu.native_state(_threads[i]);

		_badges [i] = state.id;
		_natives[i] = _child.cpu.native_cap(_threads[i]);

		if (!_natives[i].valid())
			all = _refuse(Refused::Reason::OUT_OF_MEMORY, "native capability of thread ",
			              Cstring(thread.name));

		if (state.utcb != thread.utcb)
			all = _refuse(Refused::Reason::THREAD, Cstring(thread.name), " has another UTCB: ",
			              Hex(state.utcb), " instead of ", Hex(thread.utcb)); });

	for (Thread_capability const &dummy : fill)
		if (dummy.valid())
			_child.cpu.kill_thread(dummy);

	if (!all)
		return false;

	_child.parent.main_thread(_threads[_image.system().main_thread]);
	_child.pd.assign_parent(reinterpret_cap_cast<Parent>(Native_capability(_child.parent.cap())));
	return true;
}


bool Restore::_create_sources()
{
	bool all = true;

	_image.for_each<Image::Source>([&] (size_t i, Image::Source const &source) {

		_child.pd.signals.source().with_result(
			[&] (Virtual_source *s) { _sources[i] = s; }, [&] (Alloc_error) { });

		if (!_sources[i] || !_sources[i]->semaphore.valid()) {
			all = _refuse(Refused::Reason::CAPABILITY, "signal source ", i);
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

		_child.pd.signals.create_context(addr_t(context.imprint))
			.with_result([&] (Context *c) { _contexts[i] = c; },
			             [&] (Alloc_error) {
				all = _refuse(Refused::Reason::CAPABILITY, "signal context ", i); }); });

	return all;
}


bool Restore::_create_gates()
{
	bool all = true;

	_image.for_each<Image::Gate>([&] (size_t i, Image::Gate const &gate) {

		/* nobody but the main thread is left to refuse requests */
		uint32_t const thread = gate.thread == NONE ? _image.system().main_thread : gate.thread;

		_child.pd.alloc_rpc_cap(_natives[thread]).with_result(
			[&] (Native_capability cap) { _gates[i] = cap; },
			[&] (Alloc_error) { all = _refuse(Refused::Reason::CAPABILITY, "gate ", i); }); });

	return all;
}


/******************
 ** Capabilities **
 ******************/

Native_capability Restore::_cap_of(Image::Part const &part) const
{
	Open_session &session = *_sessions[part.session];

	Open_session::Service const &service = session.request.service;

	if (service == "CPU")
		return _child.cpu.native_cpu();

	if (service == "PD")
		switch (Image::Part::Pd(part.part)) {
		case Image::Part::ADDRESS_SPACE: return _child.pd.space.cap();
		case Image::Part::STACK_AREA:    return _child.pd.stack.cap();
		case Image::Part::LINKER_AREA:   return _child.pd.linker.cap();
		case Image::Part::NATIVE_PD:     return _child.pd.native_pd();
		case Image::Part::NUM_PD:        break;
		}

	Native_capability cap = session.part(part.part);

	session.with_rm([&] (Rm_service_session &rm) {
		rm.with_map(part.part, [&] (Virtual_region_map &map) { cap = map.cap(); }); });

	return cap;
}


Native_capability Restore::_cap_of(Image::Object const &object) const
{
	using Object = Image::Object;

	switch (Object::Kind(object.kind)) {
	case Object::PARENT:        return _child.parent.cap();
	case Object::SESSION:       return _sessions[object.number]->session_cap();
	case Object::DATASPACE:     return _dataspaces[object.number]->cap;
	case Object::THREAD:        return _threads[object.number];
	case Object::NATIVE_THREAD: return _natives[object.number];
	case Object::GATE:          return _gates[object.number];
	case Object::SOURCE:        return _sources[object.number]->source_cap();
	case Object::SEMAPHORE:     return _sources[object.number]->semaphore;
	case Object::CONTEXT:       return _contexts[object.number]->cap;

	case Object::PART:
		return _cap_of(_image.get<Image::Part>(object.number));

	case Object::THREAD_GATE:
	case Object::PSEUDO:
	case Object::DEAD: break;
	}
	return { };
}


/* no badge that core hands out has this bit */
static constexpr uint32_t DEAD_BADGE = 2;


/**
 * Let each slot refer to the object that it referred to, and know its badge
 */
bool Restore::_install_caps()
{
	using namespace Cap_space_monitor;
	using Object = Image::Object;

	Array<Rewrite> batch { _alloc };

	if (!batch.reserve(_image.num<Object>()))
		return _refuse(Refused::Reason::OUT_OF_MEMORY, "badges");

	unsigned count = 0;
	bool     all   = true;

	_image.for_each<Object>([&] (size_t, Object const &object) {

		if (!all || object.kind == Object::PSEUDO)
			return;

		uint32_t badge = 0;

		if (object.kind == Object::DEAD) {
			_restored.dead++;
			badge = object.badge | DEAD_BADGE;
		} else if (object.kind == Object::THREAD_GATE) {
			badge = _badges[object.number];
		} else {
			Native_capability const cap = _cap_of(object);

			if (cap.valid())
				badge = uint32_t(cap.local_name());

			/* core has put the parent capability to where it belongs */
			if (badge && object.kind != Object::PARENT) {
				if (_child.pd.cap_space.install(cap, object.slot, Foc_native_pd::NO_BADGE)
				    != Install_result::OK)
					badge = 0;
				_restored.installed++;
			}
		}

		if (!badge) {
			all = _refuse(Refused::Reason::CAPABILITY, "slot ", Hex(object.slot), " kind ",
			              object.kind);
			return;
		}

		/* a ROM service may hand out one dataspace to all sessions */
		bool const rom = object.kind == Object::DATASPACE
		              && _image.get<Image::Dataspace>(object.number).kind
		                 == Image::Dataspace::ROM;

		_restored.unchanged += (badge == object.badge && !rom);
		batch[count++] = { .slot = object.slot, .expected = object.badge,
		                    .replacement = badge, .left_out = 0, .head = 0, .next = 0 }; });

	if (!all)
		return false;

	unsigned slot = 0;
	Cap_map::Status const status = _child.pd.cap_space.rewrite(&batch[0], count, slot);

	_restored.rewritten = count;

	if (Cap_map::ok(status))
		return true;

	_image.with_object(slot, [&] (Object const &object) {
		(void)_refuse(Refused::Reason::CAPABILITY, "badge at slot ", Hex(slot), ", kind ",
		              object.kind, ": ", Cap_map::message(status)); });

	return _refuse(Refused::Reason::CAPABILITY, "badges: ", Cap_map::message(status));
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
		_child.pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) {
			if (number == handler.part) {
				map.fault_handler(sigh);
				known = true;
			} });
	else if (session.request.service == "CPU") {
		_child.cpu.exception_sigh(sigh);
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
 * Wait until a number of threads has been started anew
 */
bool Restore::_wait_for(unsigned count)
{
	using namespace Foc;

	/* a sleep may take much longer than asked for */
	auto now_us = [&] {
		return _child.monitor().timer.curr_time().trunc_to_plain_us().value; };

	for (uint64_t const start_us = now_us(); now_us() - start_us < MAX_WAIT_US; ) {
		if (_child.pd.records.restarted() >= count)
			return true;
		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
	}
	return _refuse(Refused::Reason::NO_RESTART, _child.pd.records.restarted(), " of ", count,
	               " threads");
}


/**
 * Start all threads
 *
 * A server that owes a reply receives the request of its client again. No other
 * client must be first, so nobody goes on before all such requests are received,
 * except for the clients that repeat them. These come last, as a call to a thread that
 * was never started fails.
 */
bool Restore::_start_threads()
{
	if (!_child.pd.records.adopt())
		return _refuse(Refused::Reason::NO_RESTART, "no restart records");

	Offer * const offer = _child.parent.offer();

	unsigned count = 0;

	auto start = [&] (bool repeats_call)
	{
		_image.for_each<Image::Thread>([&] (size_t i, Image::Thread const &thread) {

			bool const serving = thread.serves != NONE || (offer && offer->served_by(uint32_t(i))),
			           calling = thread.called != NONE;

			if (thread.state == Image::Thread::NOT_STARTED
			 || (calling && !serving) != repeats_call)
				return;

			_child.pd.records.start_anew(_threads[i], _child.cpu.native_state(_threads[i]),
			                          serving, !calling);
			count++; });
	};

	start(false);

	if (offer)
		offer->repeat_calls();

	start(true);

	if (!_wait_for(count))
		return false;

	/* the requests that were repeated are received, and those that follow are not known yet */
	if (offer)
		offer->hold();

	_hold_faulters();
	_child.pd.records.hold(false);

	if (offer)
		offer->release();

	return true;
}


void Restore::_submit_signals()
{
	/* a client that has left since they were created has taken some of them along */
	_image.for_each<Image::Context>([&] (size_t, Image::Context const &context) {
		_child.pd.signals.with_imprint(addr_t(context.imprint), [&] (Context &c) {
			c.pending = context.pending; }); });

	_child.parent.for_each_session([&] (Open_session &session) { session.after_restore(); });

	_child.pd.signals.resubmit();
}
