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
#include <types.h>

namespace Checkpoint {

	class Io_ram;
	class Io_env;
}


/**
 * RAM that file systems can take
 *
 * It runs out before nothing is left for the component. In contrast, the allocator of
 * the component's environment would ask the parent for RAM until it gets some.
 */
class Checkpoint::Io_ram : public Ram_allocator
{
	private:

		Ram_allocator &_ram;
		Pd_session    &_pd;

		void _free(Allocation &a) override { _ram.free(a.cap, a.num_bytes); }

	public:

		Io_ram(Ram_allocator &ram, Pd_session &pd) : _ram(ram), _pd(pd) { }

		Result try_alloc(size_t size, Cache cache) override
		{
			if (!available(_pd, { size + BLOCK_SIZE }, { 1 }))
				return Alloc_error::OUT_OF_RAM;

			return _ram.try_alloc(size, cache).convert<Result>(
				[&] (Allocation &a) -> Result {
					a.deallocate = false;
					return { *this, { a.cap, a.num_bytes } }; },
				[&] (Alloc_error e) -> Result { return e; });
		}
};


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
