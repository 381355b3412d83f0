/*
 * \brief  Image in memory, with its increments
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _LOADED_IMAGE_H_
#define _LOADED_IMAGE_H_

/* Genode includes */
#include <cap_checkpoint/image_chain.h>

/* local includes */
#include <buffer.h>

namespace Checkpoint {

	namespace Image = Cap_checkpoint::Image;

	struct Loaded_image;
}


struct Checkpoint::Loaded_image : Noncopyable
{
	Constructible<Buffer>       buffer { };
	Constructible<Image::Chain> chain  { };

	Loaded_image() = default;

	void destruct()
	{
		chain.destruct();
		buffer.destruct();
	}

	/**
	 * Provide memory, in place of a smaller one that there may be
	 */
	bool provide(Ram_allocator &ram, Env::Local_rm &local_rm, Pd_session &pd, size_t num_bytes)
	{
		if (buffer.constructed() && buffer->size() >= num_bytes)
			return true;

		destruct();

		if (!available(pd, { num_bytes + BLOCK_SIZE }, { 4 }))
			return false;

		buffer.construct(ram, local_rm, num_bytes);
		if (!buffer->valid())
			buffer.destruct();

		return buffer.constructed();
	}

	char  *start() { return buffer->start(); }
	size_t size () { return buffer->size(); }
};

#endif /* _LOADED_IMAGE_H_ */
