/*
 * \brief  Environment whose session requests do not wait for each other
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SESSION_ENV_H_
#define _SESSION_ENV_H_

/* Genode includes */
#include <base/signal.h>
#include <util/arg_string.h>

/* local includes */
#include <types.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Checkpoint { class Session_env; }


/**
 * Environment of the component, to be used by several threads
 *
 * The component's environment has one request after the other answered. So a server that
 * never answers would keep everybody from opening and closing sessions. Here, each thread
 * waits for the answer to its own request only. As the parent's signal does not
 * tell which request was answered, no thread may use the component's environment for sessions.
 *
 * A session that is denied is an exception, whereas the component's environment would
 * never return.
 */
class Checkpoint::Session_env : public Env, Noncopyable
{
	private:

		static constexpr unsigned MAX_ATTEMPTS = 8;

		Env &_env;

		/* told by the parent when a request was answered */
		Mutex           _mutex   { };
		Signal_receiver _rec     { };
		Signal_context  _context { };
		unsigned        _answers = 0;

		unsigned _num_answers()
		{
			Mutex::Guard guard(_mutex);

			if (_rec.pending_signal().valid())
				_answers++;

			return _answers;
		}

		/**
		 * Wait until the number of answers differs from 'seen', and update it
		 */
		void _wait_for_answer(unsigned &seen)
		{
			using namespace Foc;

			unsigned const before = seen;

			while ((seen = _num_answers()) == before)
				l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
		}

	public:

		Session_env(Env &env) : _env(env)
		{
			env.parent().session_sigh(_rec.manage(_context));
		}

		~Session_env()
		{
			_env.parent().session_sigh(Signal_context_capability());
			_rec.dissolve(_context);
		}

		Parent        &parent()  override { return _env.parent(); }
		Cpu_session   &cpu()     override { return _env.cpu(); }
		Local_rm      &rm()      override { return _env.rm(); }
		Pd_session    &pd()      override { return _env.pd(); }
		Ram_allocator &ram()     override { return _env.ram(); }
		Entrypoint    &ep()      override { return _env.ep(); }
		Runtime       &runtime() override { return _env.runtime(); }

		Cpu_session_capability cpu_session_cap() override { return _env.cpu_session_cap(); }
		Pd_session_capability  pd_session_cap()  override { return _env.pd_session_cap(); }

		Id_space<Parent::Client> &id_space() override { return _env.id_space(); }

		Session_result try_session(Parent::Service_name const &name, Parent::Client::Id id,
		                           Parent::Session_args const &args,
		                           Affinity const &affinity) override
		{
			if (!args.valid_string())
				return Session_error::DENIED;

			unsigned seen = _num_answers();

			Session_result result = parent().session(id, name, args, affinity);

			auto pending = [&] {
				return result.convert<bool>(
					[&] (Session_capability cap) { return !cap.valid(); },
					[&] (Session_error)          { return false; }); };

			while (pending()) {

				_wait_for_answer(seen);

				parent().session_cap(id).with_result(
					[&] (Session_capability cap)         { result = cap; },
					[&] (Parent::Session_cap_error const e) {
						using Error = Parent::Session_cap_error;
						result = e == Error::INSUFFICIENT_RAM  ? Session_error::INSUFFICIENT_RAM
						       : e == Error::INSUFFICIENT_CAPS ? Session_error::INSUFFICIENT_CAPS
						       :                                 Session_error::DENIED; });
			}
			return result;
		}

		Session_capability session(Parent::Service_name const &name, Parent::Client::Id id,
		                           Parent::Session_args const &args,
		                           Affinity const &affinity) override
		{
			/* as the component's environment does it, but with an end */
			Ram_quota ram  = ram_quota_from_args(args.string());
			Cap_quota caps = cap_quota_from_args(args.string());

			char buffer[Parent::Session_args::MAX_SIZE];
			copy_cstring(buffer, args.string(), sizeof(buffer));

			Session_capability result { };

			for (unsigned i = 0; i < MAX_ATTEMPTS && !result.valid(); i++) {

				Arg_string::set_arg(buffer, sizeof(buffer), "ram_quota",
				                    String<32>(ram).string());
				Arg_string::set_arg(buffer, sizeof(buffer), "cap_quota",
				                    String<32>(caps).string());

				try_session(name, id, buffer, affinity).with_result(
					[&] (Session_capability cap) { result = cap; },
					[&] (Session_error e) {
						if (e == Session_error::INSUFFICIENT_RAM)
							ram.value += 4096;
						else if (e == Session_error::INSUFFICIENT_CAPS)
							caps.value += 4;
						else
							i = MAX_ATTEMPTS; });
			}

			if (!result.valid()) {
				error("no ", Cstring(name.string()), " session: ", Cstring(buffer));
				throw Service_denied();
			}
			return result;
		}

		void upgrade(Parent::Client::Id id, Parent::Upgrade_args const &args) override
		{
			unsigned seen = _num_answers();

			/* if another request was answered first, the server lacks quota for a while */
			if (parent().upgrade(id, args) == Parent::Upgrade_result::PENDING)
				_wait_for_answer(seen);
		}

		void close(Parent::Client::Id id) override
		{
			unsigned seen = _num_answers();

			/* to close once more what is being closed changes nothing */
			while (parent().close(id) == Parent::Close_result::PENDING)
				_wait_for_answer(seen);
		}

		void exec_static_constructors() override { _env.exec_static_constructors(); }
};

#endif /* _SESSION_ENV_H_ */
