/*
 * \brief  Check of what executes, and of what wakes it up
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"

using namespace Cap_checkpoint::Image;


/* sums of two such times do not overflow */
static constexpr uint64_t TIME_LIMIT = 1ULL << 62;


/**
 * Return true if the thread waits, by way of others, for itself
 */
bool Reader::_circle(size_t const thread) const
{
	size_t at = thread;

	for (uint32_t i = 0; i < _num_members*MAX_THREADS; i++) {

		at = get<Thread>(at).called;

		if (at == thread)        return true;
		if (at >= num<Thread>()) return false;
	}
	return false;
}


bool Reader::_check_threads()
{
	uint64_t const limit = address_limit(system());

	Thread last { };

	return _check_each<Thread>([&] (auto const &item) {

		Thread const &t = item.r;

		if (!item.member())
			return false;
		if (t.index >= MAX_THREADS)
			return item.refuse(t.index, TOO_LARGE);
		if (item.number && (t.member < last.member
		                || (t.member == last.member && t.index <= last.index)))
			return item.refuse(t.index, OUT_OF_ORDER);

		if (t.state != Thread::NOT_STARTED && (t.state < Thread::CALL || t.state > Thread::PARKED))
			return item.refuse(t.state, "unknown state of a thread");
		if (t.state != Thread::NOT_STARTED && !_tables[t.member].size)
			return item.refuse(t.state, "member has no table");

		if (!_service(t.session, "CPU"))
			return item.refuse(t.session, NO_CPU_SESSION);

		if (!item.names_or_none(t.called, num<Thread>(), NO_THREAD))
			return false;
		if (t.called != NONE) {
			if (t.state != Thread::CALL)
				return item.refuse(t.called, "thread does not call");
			if (get<Thread>(t.called).serves != item.number)
				return item.refuse(t.called, "other thread does not serve this one");
			if (_circle(item.number))
				return item.refuse(t.called, "threads wait for each other");
		}

		if (!item.names_or_none(t.serves, num<Thread>(), NO_THREAD))
			return false;
		if (t.serves != NONE) {
			if (t.state == Thread::NOT_STARTED)
				return item.refuse(t.serves, "thread is not started");
			if (get<Thread>(t.serves).called != item.number)
				return item.refuse(t.serves, "other thread does not call this one");
		}

		if (!item.names_or_none(t.handler, num<Context>(), NO_CONTEXT)
		 || !item.slot(t.slot,        Object::THREAD)
		 || !item.slot(t.native_slot, Object::NATIVE_THREAD)
		 || !item.slot(t.gate_slot,   Object::THREAD_GATE))
			return false;

		if (t.utcb >= limit) return item.refuse(t.utcb, TOO_LARGE);
		if (t.ip   >= limit) return item.refuse(t.ip,   TOO_LARGE);

		if (!t.ip != (t.state == Thread::NOT_STARTED))
			return item.refuse(t.ip, "does not fit the state of the thread");

		if (t.sp   >= limit) return item.refuse(t.sp,   TOO_LARGE);

		last = t;
		return item.text(t.name);
	});
}


bool Reader::_check_faults()
{
	uint32_t thread = 0;

	return _check_each<Fault>([&] (auto const &item) {

		Fault const &f = item.r;

		if (!item.names(f.thread, num<Thread>(), NO_THREAD))
			return false;
		if (item.number && f.thread <= thread)
			return item.refuse(f.thread, OUT_OF_ORDER);
		if (get<Thread>(f.thread).state != Thread::PARKED)
			return item.refuse(f.thread, "thread is not parked");

		if (!_is_map(f.map))
			return item.refuse(f.map, NO_MAP);

		if (f.address >= _map_size(f.map))
			return item.refuse(f.address, TOO_LARGE);

		if (f.type < Fault::READ || f.type > Fault::EXECUTE)
			return item.refuse(f.type, "unknown type of a fault");

		thread = f.thread;
		return item.zero(f.zero);
	});
}


bool Reader::_check_gates()
{
	return _check_each<Gate>([&] (auto const &item) {

		return item.names_or_none(item.r.thread, num<Thread>(), NO_THREAD)
		    && item.slot(item.r.slot, Object::GATE);
	});
}


bool Reader::_check_sources()
{
	return _check_each<Source>([&] (auto const &item) {

		Source const &s = item.r;

		return item.member()
		    && item.names_or_none(s.thread, num<Thread>(), NO_THREAD)
		    && item.slot(s.slot,           Object::SOURCE)
		    && item.slot(s.semaphore_slot, Object::SEMAPHORE);
	});
}


bool Reader::_check_contexts()
{
	return _check_each<Context>([&] (auto const &item) {

		Context const &c = item.r;

		if (!item.names(c.source, num<Source>(), "no such signal source")
		 || !item.slot(c.slot, Object::CONTEXT))
			return false;
		if (!c.imprint)
			return item.refuse(c.imprint, "imprint is zero");

		return item.zero(c.zero);
	});
}


bool Reader::_check_timers()
{
	uint32_t session = 0;

	return _check_each<Timer>([&] (auto const &item) {

		Timer const &t = item.r;

		if (!_service(t.session, "Timer"))
			return item.refuse(t.session, "is not a Timer session");
		if (item.number && t.session <= session)
			return item.refuse(t.session, OUT_OF_ORDER);
		if (!item.zero(t.zero))
			return false;

		if (t.elapsed  >= TIME_LIMIT) return item.refuse(t.elapsed,  TOO_LARGE);
		if (t.deadline >= TIME_LIMIT) return item.refuse(t.deadline, TOO_LARGE);
		if (t.period   >= TIME_LIMIT) return item.refuse(t.period,   TOO_LARGE);
		if (t.period && !t.deadline)
			return item.refuse(t.period, "period without a deadline");

		session = t.session;
		return true;
	});
}
