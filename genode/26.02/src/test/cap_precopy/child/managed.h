/*
 * \brief  Thread that writes to memory by way of region maps
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MANAGED_H_
#define _MANAGED_H_

/* Genode includes */
#include <base/log.h>
#include <region_map/client.h>
#include <rm_session/connection.h>

/* local includes */
#include <work.h>

namespace Test { struct Managed; }


/**
 * Write to memory that is within region maps, and nowhere else
 *
 * The inner map is within the outer one, which is at one address. Both are at a second place for a while.
 */
struct Test::Managed : Work
{
	static constexpr size_t PAGES = 4, SIZE = PAGES*PAGE;

	/* in the outer map, and the two places in the inner one */
	static constexpr addr_t OWN_AT = PAGE, INNER_AT = 2*SIZE, AT[2] { 0, SIZE };

	Env &_env;

	Rm_connection _rm { _env };

	Region_map_client _outer { _rm.create(4*SIZE) }, _inner { _rm.create(2*SIZE) };

	Ram_dataspace_capability const _of_outer { _env.ram().alloc(SIZE) },
	                               _of_inner { _env.ram().alloc(SIZE) };

	void _attach(Region_map &map, Dataspace_capability ds, addr_t at)
	{
		Region_map::Attr attr { };
		attr.use_at    = true;
		attr.at        = at;
		attr.writeable = true;

		if (map.attach(ds, attr).failed())
			error("region map is not filled");
	}

	/**
	 * Call 'fn' with an address of the outer map, of which the first page is not shown
	 */
	void _with_outer(auto const &fn)
	{
		Env::Local_rm::Attach_attr attr { };
		attr.offset    = PAGE;
		attr.writeable = true;

		_env.rm().attach(_outer.dataspace(), attr).with_result(
			[&] (Env::Local_rm::Attachment &a) { fn(addr_t(a.ptr) - PAGE); },
			[&] (Env::Local_rm::Error)         { error("region map is not attached"); });
	}

	void _write(addr_t at)
	{
		*(uint32_t volatile *)(at + 4*random(SIZE/4)) = random(~0u);
	}

	void _write_both(addr_t outer)
	{
		_write(outer + OWN_AT);
		_write(outer + INNER_AT + AT[0]);
	}

	Managed(Env &env) : Work(env, "managed", 37), _env(env)
	{
		_rm.upgrade_ram(64*1024);
		_rm.upgrade_caps(10);

		_attach(_outer, _of_outer, OWN_AT);
		_attach(_inner, _of_inner, AT[0]);
		_attach(_outer, _inner.dataspace(), INNER_AT);

		start();
	}

	void entry() override
	{
		for (;;)
			_with_outer([&] (addr_t at) {

				for (unsigned i = random(200*1000); i; i--)
					_write_both(at);

				/* the inner map shows the same twice */
				_attach(_inner, _of_inner, AT[1]);
				for (unsigned i = random(10*1000); i; i--)
					_write(at + INNER_AT + AT[1]);
				_inner.detach(AT[1]);

				/* the outer map is at two addresses */
				_with_outer([&] (addr_t other) {
					for (unsigned i = random(100*1000); i; i--)
						_write_both(other); });

				/* the inner map is nowhere for a moment */
				_outer.detach(INNER_AT);
				_attach(_outer, _inner.dataspace(), INNER_AT);
			});
	}
};

#endif /* _MANAGED_H_ */
