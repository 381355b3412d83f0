/*
 * \brief  RAM that the component can spare
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SPARE_RAM_H_
#define _SPARE_RAM_H_

/* local includes */
#include <types.h>

namespace Checkpoint { class Spare_ram; }


/**
 * RAM that file systems and copies of memory can take
 *
 * It runs out before nothing is left for the component. In contrast, the allocator of
 * the component's environment would ask the parent for RAM until it gets some.
 */
class Checkpoint::Spare_ram : public Ram_allocator
{
	private:

		Ram_allocator &_ram;
		Pd_session    &_pd;

		void _free(Allocation &a) override { _ram.free(a.cap, a.num_bytes); }

	public:

		Spare_ram(Ram_allocator &ram, Pd_session &pd) : _ram(ram), _pd(pd) { }

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

#endif /* _SPARE_RAM_H_ */
