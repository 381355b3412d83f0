/*
 * \brief  Environment of the thread that accesses the VFS
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _IO_ENV_H_
#define _IO_ENV_H_

/* local includes */
#include <spare_ram.h>

namespace Checkpoint { class Io_env; }


/**
 * Environment with an entrypoint of its own
 *
 * The VFS handles I/O by the entrypoint of its environment, and blocks there. The environment
 * that this one builds upon must be one that several threads may use.
 */
class Checkpoint::Io_env : public Env
{
	private:

		static constexpr size_t STACK_SIZE = 128*1024;

		Env           &_env;
		Ram_allocator &_ram;
		Local_rm      &_local_rm;

		Entrypoint _ep { _env, STACK_SIZE, "io", Affinity::Location() };

	public:

		Io_env(Env &env, Ram_allocator &ram, Local_rm &local_rm)
		: _env(env), _ram(ram), _local_rm(local_rm) { }

		Parent        &parent()  override { return _env.parent(); }
		Cpu_session   &cpu()     override { return _env.cpu(); }
		Local_rm      &rm()      override { return _local_rm; }
		Pd_session    &pd()      override { return _env.pd(); }
		Ram_allocator &ram()     override { return _ram; }
		Entrypoint    &ep()      override { return _ep; }
		Runtime       &runtime() override { return _env.runtime(); }

		Cpu_session_capability cpu_session_cap() override { return _env.cpu_session_cap(); }
		Pd_session_capability  pd_session_cap()  override { return _env.pd_session_cap(); }

		Id_space<Parent::Client> &id_space() override { return _env.id_space(); }

		Session_capability session(Parent::Service_name const &name, Parent::Client::Id id,
		                           Parent::Session_args const &args,
		                           Affinity const &affinity) override
		{
			return _env.session(name, id, args, affinity);
		}

		Session_result try_session(Parent::Service_name const &name, Parent::Client::Id id,
		                           Parent::Session_args const &args,
		                           Affinity const &affinity) override
		{
			return _env.try_session(name, id, args, affinity);
		}

		void upgrade(Parent::Client::Id id, Parent::Upgrade_args const &args) override
		{
			_env.upgrade(id, args);
		}

		void close(Parent::Client::Id id) override { _env.close(id); }

		void exec_static_constructors() override { _env.exec_static_constructors(); }
};

#endif /* _IO_ENV_H_ */
