/*
 * \brief  Detach managed dataspaces beside the child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _NEIGHBOUR_H_
#define _NEIGHBOUR_H_

/* Genode includes */
#include <base/env.h>
#include <region_map/client.h>

namespace Test {

	using namespace Genode;

	struct Neighbour;
}


/**
 * What any component may do without having to do with the child
 *
 * It attaches a large managed dataspace, in which there is one page, and detaches it.
 * Core must not unmap more than this page, in particular none of the child's, whose writes
 * would be forgotten.
 */
struct Test::Neighbour
{
	static constexpr size_t PAGE = 4096, SIZE = 128*1024*1024,
	                        AT   = Pd_session::LINKER_AREA_SIZE - SIZE;

	Env &_env;

	Region_map_client _area { _env.pd().linker_area() };

	unsigned count = 0;

	Neighbour(Env &env) : _env(env) { }

	/**
	 * Detach the managed dataspace with a page that was not used before
	 */
	void disturb()
	{
		Region_map::Attr attr { };
		attr.use_at = true;
		attr.at     = AT;

		/* the pages are kept, so that each one is elsewhere, also beside later ones of the child */
		_env.ram().try_alloc(PAGE).with_result([&] (Ram::Allocation &page) {

			page.deallocate = false;
			if (_area.attach(page.cap, attr).failed())
				return;

			Env::Local_rm::Attach_attr outer { };
			outer.offset = AT;

			_env.rm().attach(_area.dataspace(), outer).with_result(
				[&] (Env::Local_rm::Attachment &) { count++; },
				[&] (Env::Local_rm::Error) { });

			_area.detach(AT);

		}, [&] (Alloc_error) { });
	}
};

#endif /* _NEIGHBOUR_H_ */
