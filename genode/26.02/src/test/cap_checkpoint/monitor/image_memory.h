/*
 * \brief  Memory for the image of a component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _IMAGE_MEMORY_H_
#define _IMAGE_MEMORY_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <cap_checkpoint/save.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Image_memory;
}


struct Test::Image_memory
{
	Env       &_env;
	Allocator &_alloc;

	Cap_space_monitor::Snapshot_with_memory<> _snapshot { };

	Constructible<Attached_ram_dataspace> _ds { };

	size_t num_bytes = 0;

	Image_memory(Env &env, Allocator &alloc) : _env(env), _alloc(alloc) { }

	char  *start() { return _ds.constructed() ? _ds->local_addr<char>() : nullptr; }
	size_t _size() { return _ds.constructed() ? _ds->size() : 0; }

	/**
	 * Make an image of the frozen component, whether it fits the memory or not
	 */
	Save_result _make(Child &child)
	{
		Image::Memory_sink sink { start(), _size() };

		Save &save = *new (_alloc) Save(child, sink, _snapshot);

		Save_result const result = save.save();

		destroy(_alloc, &save);
		num_bytes = size_t(sink.needed());
		return result;
	}

	Save_result save(Child &child)
	{
		Save_result const result = _make(child);

		if (result.failed() || num_bytes <= _size())
			return result;

		/* leave room for a component that grows */
		_ds.construct(_env.ram(), _env.rm(), num_bytes + 512*1024);
		return _make(child);
	}

	void free() { _ds.destruct(); }
};

#endif /* _IMAGE_MEMORY_H_ */
