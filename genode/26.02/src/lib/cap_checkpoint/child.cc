/*
 * \brief  Component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/rm_session.h>
#include <cpu_thread/client.h>

/* base-internal includes */
#include <base/internal/elf.h>

using namespace Cap_checkpoint;

using Cap_space_monitor::Monitored_cpu;
using Cap_space_monitor::Monitored_pd;


Child::Child(Monitor &monitor, Label const &label, Quota const &quota,
             Virtual_parent::Exit_handler &exit_handler, long priority, Session_policy &policy)
:
	_monitor(monitor),
	_real_pd (monitor.env, label),
	_real_cpu(monitor.env, label, priority),
	_priority(priority),
	pd    (monitor.env.ep(), _real_pd.cap(), label, monitor.ram, monitor.local_rm, monitor.heap,
	       unit),
	cpu   (monitor.env.ep(), _real_cpu.cap(), pd),
	parent(monitor.env, monitor.timer, monitor.ram, monitor.local_rm, monitor.heap, pd, cpu,
	       *this, exit_handler, policy),
	quota(quota),
	_has_quota(_obtain_quota())
{
	if (Offer * const offer = parent.offer())
		offer->attach(pd);
}


Child::~Child()
{
	/* the kernel forgets who waits for threads that are killed */
	if (Offer * const offer = parent.offer())
		offer->detach(pd);

	/* nobody is left to miss the program when the sessions are closed */
	cpu.for_each_thread([&] (Virtual_cpu::Thread &thread) {
		Thread_capability const cap = thread.cap;
		cpu.kill_thread(cap); });
}


/**
 * Let the component have its quota
 *
 * What core has left over of the donation for the PD session is part of it. A component that
 * had more than its quota could use more, and its image would be refused.
 */
bool Child::_obtain_quota()
{
	using Result = Genode::Pd_account::Transfer_result;

	if (pd.ref_account(_monitor.ref_pd.cap()) != Pd_session::Ref_account_result::OK)
		return false;

	Ram_quota const missing { quota.ram.value - min(quota.ram.value, _real_pd.avail_ram().value) };

	return _monitor.own_pd.transfer_quota(_real_pd.cap(), missing)    == Result::OK
	    && _monitor.own_pd.transfer_quota(_real_pd.cap(), quota.caps) == Result::OK;
}


/**
 * Let the region maps refer to the segments of the dynamic linker
 */
Child::Start_result Child::_load(Rom_service_session &linker, addr_t &entry)
{
	Start_result result = Start_result::OK;

	auto load_segment = [&] (Elf_segment &segment, char const *elf)
	{
		bool const writeable = segment.flags().w;

		Dataspace *ds = linker.ds;

		if (writeable) {
			ds = nullptr;
			pd.alloc(segment.mem_size(), CACHED).with_result(
				[&] (Dataspace *ram) { ds = ram; }, [&] (Alloc_error) { });
		}

		bool const filled = ds && (!writeable
			|| with_attached(_monitor.local_rm, ds->cap, Access::WRITE, [&] (char *start, size_t) {

				memcpy(start, elf + segment.file_offset(), segment.file_size());

				/* the first word of the first writeable segment */
				if (!parent_ds) {
					parent_ds = ds;
					*(Untyped_capability::Raw *)start = Native_capability(parent.cap()).raw();
				} }));

		Region_map::Attr const attr {
			.size       = segment.mem_size(),
			.offset     = writeable ? 0 : segment.file_offset(),
			.use_at     = true,
			.at         = addr_t(segment.start()),
			.executable = segment.flags().x,
			.writeable  = writeable };

		if (!filled || pd.space.attach(ds->cap, attr).failed())
			result = Start_result::NO_MEMORY;
	};

	bool const attached = with_attached(_monitor.local_rm, linker.ds->cap, Access::READ,
		[&] (char *start, size_t) {

			Elf_binary elf { addr_t(start) };
			Elf_segment segment { };

			for (unsigned n = 0; (segment = elf.get_segment(n)).valid(); n++)
				if (!segment.flags().skip && segment.mem_size())
					load_segment(segment, start);

			entry = elf.entry(); });

	return attached ? result : Start_result::NO_MEMORY;
}


Child::Start_result Child::start(Rom_service_session::Name const &binary)
{
	using Id = Parent::Client::Id;

	/* whoever was a client of the former component is none of this one */
	if (Offer * const offer = parent.offer())
		offer->start(pd);

	Rom_service_session *linker = nullptr;

	auto open = [&] (Id id, char const *service, auto const &name)
	{
		return parent.open({ .id = id, .service = service,
		                     .args = { "label=\"", name, "\"" },
		                     .affinity = { }, .donated = { { 0 }, { 0 } } })
			.template convert<bool>(
				[&] (Open_session *session) {
					linker = nullptr;
					session->with_rom([&] (Rom_service_session &rom) { linker = &rom; });
					return linker || strcmp(service, "ROM"); },
				[&] (Session_error) { return false; });
	};

	if (!open(Parent::Env::pd(),     "PD",  pd.name)
	 || !open(Parent::Env::cpu(),    "CPU", pd.name)
	 || !open(Parent::Env::log(),    "LOG", pd.name)
	 || !open(Parent::Env::binary(), "ROM", binary)
	 || !open(Parent::Env::linker(), "ROM", "ld.lib.so"))
		return Start_result::NO_ROM;

	addr_t entry = 0;
	Start_result const loaded = _load(*linker, entry);
	if (loaded != Start_result::OK)
		return loaded;

	return cpu.create_thread(pd.cap(), pd.name, { }, 0).convert<Start_result>(
		[&] (Thread_capability thread) {

			parent.main_thread(thread);
			pd.assign_parent(reinterpret_cap_cast<Parent>(Native_capability(parent.cap())));
			Cpu_thread_client(thread).start(entry, 0);
			return Start_result::OK; },

		[&] (Cpu_session::Create_thread_error) { return Start_result::NO_THREAD; });
}


/**
 * Call 'fn' with each blocked thread that has left the kernel since it was looked at before
 */
void Child_freezer::_for_each_left(Threads &threads, auto const &fn)
{
	using State = Foc_thread_state;

	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &, Thread &thread) {

		if (!thread.freeze.blocked)
			return;

		State const state = cpu.native_state(thread);
		_questions++;

		if (!state.in_exception && !(state.kernel_state & (State::READY | State::IN_EXCEPTION)))
			return;

		thread.freeze.blocked = false;
		fn(thread);
	});
}


/**
 * Let threads out of the kernel that wait for the resolution of one fault of the map
 *
 * \return  false if there is none
 */
bool Child_freezer::_release(Threads &threads, Virtual_region_map &map)
{
	_questions++;

	Region_map::Fault const fault = map.fault_at_core();

	if (fault.type == Region_map::Fault::Type::NONE)
		return false;

	/* some may have left by themselves, or late because of the release before */
	_for_each_left(threads, [&] (Thread &) { });

	if (!map.release_faulters(fault, _pd.cap_space.ds()))
		return false;

	/* those that move because of the release had the fault */
	_for_each_left(threads, [&] (Thread &thread) { _pd.faults.add(thread.cap, map, fault); });

	return true;
}


/**
 * Forget faults of threads that the component itself has let go on
 */
void Child_freezer::_begin(Threads &threads)
{
	threads.for_each([&] (Monitored_cpu &cpu, Monitored_pd &, Thread &thread) {
		if (_waits(thread) && !cpu.native_state(thread).paused)
			_pd.faults.forget(thread.cap); });
}


void Child_freezer::_release_faulters(Threads &threads)
{
	_questions = 0;

	auto release = [&] (Virtual_region_map &map)
	{
		/* without a handler, core knows of no fault to be resolved */
		if (!map.sigh.valid())
			return;

		/* what is left over is for the next round */
		while (_questions < MAX_QUESTIONS && _release(threads, map));
	};

	auto release_all = [&] (Virtual_pd &pd)
	{
		pd.for_each_map([&] (uint32_t, Virtual_region_map &map) { release(map); });
	};

	release_all(_pd);

	_parent.for_each_session([&] (Open_session &session) {
		session.with_pd([&] (Pd_service_session &member) { release_all(member.pd); });
		session.with_rm([&] (Rm_service_session &rm) {
			rm.for_each_map([&] (uint32_t, Virtual_region_map &map) { release(map); }); }); });
}


Child::Threads::Threads(Child &child)
{
	_pds [_num_pds++]  = &child.pd;
	_cpus[_num_cpus++] = &child.cpu;

	child.parent.for_each_session([&] (Open_session &session) {
		session.with_pd ([&] (Pd_service_session  &s) { _pds [_num_pds++]  = &s.pd;  });
		session.with_cpu([&] (Cpu_service_session &s) { _cpus[_num_cpus++] = &s.cpu; }); });
}


void Child::Threads::_for_each(With_thread::Ft const &fn)
{
	for (unsigned i = 0; i < _num_pds; i++)
		for (unsigned j = 0; j < _num_cpus; j++)
			_cpus[j]->for_each_thread(*_pds[i], [&] (Monitored_cpu::Thread &thread) {
				fn(*_cpus[j], *_pds[i], thread); });
}


Cap_space_monitor::Freezer::Result Child::freeze()
{
	using Stuck = Cap_space_monitor::Freezer::Stuck;

	Threads threads { *this };

	Offer * const offer = parent.offer();

	if (offer)
		offer->hold();

	bool const settled = !offer || offer->settled();

	Stuck const served { .reason = Stuck::Reason::BUSY, .pd = pd.name, .thread = "client",
	                     .ip = 0, .slot = 0 };

	Cap_space_monitor::Freezer::Result result = served;

	if (settled)
		result = freezer.freeze(threads, { });

	/* requests may have been received or answered meanwhile */
	if (result.ok() && offer && !offer->settled()) {
		freezer.thaw(threads);
		result = served;
	}

	if (result.ok())
		for_each_pd([&] (Virtual_pd &pd) { pd.signals.drain(); });
	else if (offer)
		offer->release();

	return result;
}


void Child::_for_each_pd(With_pd::Ft const &fn)
{
	fn(pd);

	parent.for_each_session([&] (Open_session &session) {
		session.with_pd([&] (Pd_service_session &member) { fn(member.pd); }); });
}


bool Child::drained()
{
	bool result = true;

	parent.for_each_session([&] (Open_session &session) { result &= session.drained(); });

	return result;
}


void Child::leave()
{
	parent.for_each_session([&] (Open_session &session) { session.leave(); });
}


void Child::thaw()
{
	Threads threads { *this };

	parent.for_each_session([&] (Open_session &session) { session.thawed(); });

	for_each_pd([&] (Virtual_pd &pd) { pd.signals.resubmit(); });
	freezer.thaw(threads);

	if (Offer * const offer = parent.offer())
		offer->release();
}
