/*
 * \brief  Images that are read ahead of an offer
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <image_store.h>

using namespace Checkpoint;


/**
 * Read an image of the other system that it may offer soon
 */
bool Image_store::_load_base(Job const &job)
{
	Loaded_image &base = *job.base;

	Image_file file { *_root, job.place.file(job.slot), Image_file::Mode::READ };

	if (!file.opened() || job.num_bytes > base.size()
	 || file.read(job.place.start(job.slot), base.start(), job.num_bytes) != job.num_bytes)
		return _fail("image cannot be read ahead");

	base.chain.construct(base.start(), job.num_bytes, &_pace);

	return _result.ok = base.chain->valid();
}


/**
 * Read what was written behind an image since it was read
 */
bool Image_store::_load_more(Job const &job)
{
	Loaded_image &base = *job.base;

	uint64_t const next  = base.chain->next(),
	               at    = job.place.start(job.slot) + next,
	               limit = min(job.num_bytes ? uint64_t(job.num_bytes) : job.place.capacity(),
	                           uint64_t(base.size()));

	unsigned const length = base.chain->length();

	Image_file file { *_root, job.place.file(job.slot), Image_file::Mode::READ };

	if (!file.opened() || next >= limit)
		return _fail("increment cannot be read");

	size_t const size = size_t(_size_of_chain(file, at, limit - next));

	if (file.read(at, base.start() + next, size) != size)
		return _fail("increment cannot be read");

	base.chain->extend(size_t(next) + size);

	return _result.ok = base.chain->length() > length;
}
