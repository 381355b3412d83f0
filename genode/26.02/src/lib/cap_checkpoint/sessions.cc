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
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/sessions.h>
#include <rom_session/client.h>

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


/*********
 ** ROM **
 *********/

Rom_source::Rom_source(Env &env, Session_policy::Rom const &rom) : _env(env)
{
	if (rom.content.valid())
		ds = static_cap_cast<Rom_dataspace>(rom.content);
	else
		_open(rom.label);
}


Rom_source::~Rom_source()
{
	if (_session.valid())
		_env.close(_element.id());
}


void Rom_source::_open(Session_label const &label)
{
	size_t ram = Rom_session::RAM_QUOTA, caps = Rom_session::CAP_QUOTA;

	bool again = true;

	for (unsigned i = 0; again && i < MAX_ATTEMPTS; i++) {

		/* the first argument of a name counts */
		String<Parent::Session_args::MAX_SIZE> const
			args("ram_quota=", ram, ", cap_quota=", caps, ", label=\"", label, "\"");

		again = false;

		_env.try_session(Rom_session::service_name(), _element.id(), args.string(), { })
			.with_result(
				[&] (Session_capability cap) {
					_session = static_cap_cast<Rom_session>(cap); },
				[&] (Session_error e) {
					if (e == Session_error::INSUFFICIENT_RAM)  { ram  += 4096; again = true; }
					if (e == Session_error::INSUFFICIENT_CAPS) { caps += 4;    again = true; }
				});
	}

	if (!_session.valid())
		return;

	surcharge = { { ram - Rom_session::RAM_QUOTA }, { caps - Rom_session::CAP_QUOTA } };

	ds = Rom_session_client(_session).dataspace();
}


Rom_service_session::Rom_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                         Session_policy::Rom const &source, Name const &name,
                                         Id_space<Open_session> &space,
                                         Request const &request)
:
	Open_session(space, request), _ep(ep), _local_rm(env.rm()),
	_dataspaces(pd.dataspaces), _source(env, source), name(name)
{
	_ep.manage(*this);

	if (ds_cap.valid())
		_dataspaces.add(Dataspace::Kind::ROM, Dataspace_client(ds_cap).size(), CACHED, ds_cap)
			.with_result([&] (Dataspace *result) { ds = result; }, [&] (Alloc_error) { });
}


Rom_service_session::~Rom_service_session()
{
	_ep.dissolve(*this);

	if (ds)
		_dataspaces.remove(*ds);
}


bool Rom_service_session::_compute_hash()
{
	return with_attached(_local_rm, ds_cap, Access::READ, [&] (char *start, size_t size) {

		Sha256 hash { };
		hash.append(start, size);
		_hash = hash.digest(); });
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
