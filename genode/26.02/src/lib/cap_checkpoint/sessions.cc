/*
 * \brief  Sessions of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/sessions.h>

using namespace Cap_checkpoint;


void Log_service_session::write(Log_session::String const &text)
{
	if (!text.valid_string())
		return;

	auto ends_line = [] (char c) { return c == '\n' || c == '\r'; };

	/* empty lines are left out, unless there is nothing else */
	bool any = false;

	for (char const *start = text.string(), *s = start; ; s++) {

		if (*s && !ends_line(*s))
			continue;

		if (s > start) {
			log("[", _label, "] ", Cstring(start, size_t(s - start)));
			any = true;
		}
		if (!*s)
			break;

		start = s + 1;
	}
	if (!any)
		log("[", _label, "]");
}


/***********
 ** Timer **
 ***********/

/* longer periods are as good as none */
static constexpr uint64_t MAX_US = 1ULL << 40;


uint64_t Timer_service_session::elapsed_us() const
{
	return _timer.curr_time().trunc_to_plain_us().value + _offset;
}


void Timer_service_session::_arm()
{
	if (!_deadline) {
		_timeout.discard();
		return;
	}
	uint64_t const now = elapsed_us();

	_timeout.schedule(Microseconds { _deadline > now ? _deadline - now : 1 });
}


void Timer_service_session::_handle(Duration)
{
	uint64_t const now = elapsed_us();

	if (_deadline && now < _deadline)
		_arm();

	if (!_deadline || now < _deadline)
		return;

	/* whole periods were missed if the component was frozen */
	_deadline = _period ? _deadline + (1 + (now - _deadline)/_period)*_period : 0;

	if (_sigh.valid())
		_pd.submit(_sigh, 1);

	/* a time-out that is being handled must not be discarded */
	if (_deadline)
		_arm();
}


void Timer_service_session::trigger_once(uint64_t us)
{
	_period   = 0;
	_deadline = max(1ULL, elapsed_us() + min(us, MAX_US));
	_arm();
}


void Timer_service_session::trigger_periodic(uint64_t us)
{
	_period   = min(us, MAX_US);
	_deadline = us ? elapsed_us() + _period : 0;
	_arm();
}


void Timer_service_session::state(State const &state)
{
	_offset   = state.elapsed - _timer.curr_time().trunc_to_plain_us().value;
	_deadline = state.deadline;
	_period   = state.period;
	_arm();
}
