/*
 * \brief  Memory for an image
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BUFFER_H_
#define _BUFFER_H_

/* local includes */
#include <types.h>

namespace Checkpoint { class Buffer; }


/**
 * Attached RAM dataspace
 *
 * In contrast to an 'Attached_ram_dataspace', nothing is asked from the parent. If
 * there is not enough memory, the buffer is not valid.
 */
class Checkpoint::Buffer : Noncopyable
{
	private:

		using Local_rm = Env::Local_rm;

		Ram_allocator &_ram;
		Local_rm      &_local_rm;
		size_t   const _size;

		Ram_dataspace_capability _ds    { };
		char                    *_start = nullptr;

		/*
		 * Noncopyable
		 */
		Buffer(Buffer const &);
		Buffer &operator = (Buffer const &);

		void _attach()
		{
			Local_rm::Attach_attr attr { };
			attr.writeable = true;

			_local_rm.attach(_ds, attr).with_result(
				[&] (Local_rm::Attachment &a) {
					a.deallocate = false;
					_start = (char *)a.ptr; },
				[&] (auto) { });
		}

	public:

		Buffer(Ram_allocator &ram, Local_rm &local_rm, size_t size)
		:
			_ram(ram), _local_rm(local_rm), _size(align_addr(size, AT_PAGE))
		{
			_ram.try_alloc(_size).with_result(
				[&] (Ram::Allocation &a) {
					a.deallocate = false;
					_ds = a.cap; },
				[&] (Alloc_error) { });

			if (_ds.valid())
				_attach();
		}

		~Buffer()
		{
			if (_start)
				_local_rm.detach(addr_t(_start));

			if (_ds.valid())
				_ram.free(_ds, _size);
		}

		bool   valid() const { return _start != nullptr; }
		char  *start() const { return _start; }
		size_t size () const { return _start ? _size : 0; }

		Dataspace_capability ds() const { return _ds; }
};

#endif /* _BUFFER_H_ */
