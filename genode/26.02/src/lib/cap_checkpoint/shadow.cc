/*
 * \brief  Copy of a dataspace that follows the changes of the component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/shadow.h>

using namespace Cap_checkpoint;


char *Shadow::_attach(Dataspace_capability cap, bool writeable)
{
	Env::Local_rm::Attach_attr attr { };
	attr.writeable = writeable;

	return _local_rm.attach(cap, attr).convert<char *>(
		[&] (Env::Local_rm::Attachment &a) {
			a.deallocate = false;
			return (char *)a.ptr; },
		[&] (Env::Local_rm::Error) { return (char *)nullptr; });
}


Shadow::Shadow(Owner &owner, Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc,
               Dataspace &ds)
:
	_owner(owner), _ram(ram), _local_rm(local_rm), _alloc(alloc),
	ds(&ds), num_pages(ds.size/PAGE)
{
	_ram.try_alloc(ds.size).with_result(
		[&] (Ram::Allocation &a) {
			a.deallocate = false;
			_copy_ds = a.cap; },
		[&] (Alloc_error) { });

	if (_copy_ds.valid())
		_copy = _attach(_copy_ds, true);

	if (_copy)
		_origin = _attach(ds.cap, false);

	if (_origin)
		_alloc.try_alloc(_bitmaps_size()).with_result(
			[&] (Memory::Allocation &a) {
				a.deallocate = false;
				_marks = (Word *)a.ptr;
				_news  = _marks + _num_words();
				for (size_t i = 0; i < _num_words(); i++)
					_marks[i] = _news[i] = 0; },
			[&] (Alloc_error) { });

	/* a dataspace whose pages nobody has written is zero, as the copy is */
	if (valid() && ds.changed)
		mark(0, num_pages);
}


Shadow::~Shadow()
{
	if (_marks)  _alloc.free(_marks, _bitmaps_size());
	if (_copy)   Env::Local_rm::Attachment { _local_rm, { _copy, size() } };

	if (_copy_ds.valid())
		Ram::Allocation { _ram, { _copy_ds, size() } };

	release_origin();
}


void Shadow::release_origin()
{
	if (_origin)
		Env::Local_rm::Attachment { _local_rm, { _origin, size() } };

	_origin = nullptr;

	/* with the attachment, core forgets what it has not told */
	if (ds) {
		ds->shadow  = nullptr;
		ds->changed = true;
		ds          = nullptr;
	}
}


size_t Shadow::update()
{
	size_t count = 0;

	if (!_origin)
		return count;

	for (size_t w = 0; w < _num_words(); w++) {

		_news[w] |= _marks[w];

		for (; _marks[w]; count++) {

			size_t const bit = size_t(__builtin_ctzll(_marks[w])), at = (w*BITS + bit)*PAGE;

			_marks[w] &= _marks[w] - 1;
			copy_page(_copy + at, _origin + at);
		}
	}
	return count;
}
