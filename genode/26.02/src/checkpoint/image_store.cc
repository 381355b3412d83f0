/*
 * \brief  Images on media
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <image_store.h>

using namespace Checkpoint;


static uint64_t file_size(Root_directory const &root, Checkpoint::Path const &path)
{
	try { return root.file_size(path); } catch (...) { return 0; }
}


bool Image_store::_provide_buffer(unsigned slot, size_t num_bytes)
{
	Constructible<Buffer> &buffer = _buffers[slot];

	if (buffer.constructed() && buffer->size() >= num_bytes)
		return true;

	buffer.destruct();

	if (!available(_pd, { num_bytes + BLOCK_SIZE }, { 4 }))
		return false;

	buffer.construct(_ram, _local_rm, num_bytes);
	if (!buffer->valid())
		buffer.destruct();

	return buffer.constructed();
}


void Image_store::_submit(Job const &job)
{
	{
		Mutex::Guard guard(_mutex);
		_job      = job;
		_state    = State::BUSY;
		_progress = 0;
	}
	Signal_transmitter(_job_handler).submit();
}


void Image_store::release()
{
	for (unsigned slot = 0; slot < Place::NUM_SLOTS; slot++) {
		_readers[slot].destruct();
		_buffers[slot].destruct();
	}
	_result = { };

	Mutex::Guard guard(_mutex);
	if (_state == State::DONE)
		_state = State::IDLE;
}


/*************************
 ** Thread of the store **
 *************************/

void Image_store::_start_vfs()
{
	try { _root.construct(_io_env, _heap, _vfs_config); }
	catch (...) { error("file systems for images are not available"); }

	Mutex::Guard guard(_mutex);
	_state = _root.constructed() ? State::IDLE : State::FAILED;
}


/**
 * Read the image at one of the two places
 */
void Image_store::_look_at(Place const &place, unsigned i)
{
	Slot       &slot = _result.slots[i];
	Path const  path = place.file(i);

	if (!_root->file_exists(path)) {
		if (place.range())
			slot.refusal = { "file ", path, " does not exist" };
		return;
	}

	Image_file file { *_root, path, Image_file::Mode::READ };

	if (!file.opened()) {
		slot.refusal = { "file ", path, " cannot be opened" };
		return;
	}

	char head[Image::HEADER_SIZE] { };
	bool const read = file.read(place.start(i), head, sizeof(head)) == sizeof(head);

	auto refuse = [&] (auto &&... args) {
		slot.refusal = Message("image ", path, " at ", place.start(i), ": ", args...); };

	/* a device does not know where an image ends */
	uint64_t const said = read ? Image::Container::size(head, sizeof(head)) : 0,
	               size = place.range() ? said : file_size(*_root, path);

	slot.present = place.range() ? read && !memcmp(head, Image::MAGIC, 8) : size != 0;

	if (!slot.present)
		return;

	if (place.range() && !said) {
		refuse("header is damaged");
		return;
	}
	if (size > min(place.capacity(), uint64_t(MAX_IMAGE_SIZE))) {
		refuse("size of ", size, " bytes exceeds the limit");
		return;
	}
	if (!_provide_buffer(i, size_t(size))) {
		refuse("not enough RAM for ", size, " bytes");
		return;
	}

	size_t const num_bytes = file.read(place.start(i), _buffers[i]->start(), size_t(size));

	_readers[i].construct(_buffers[i]->start(), num_bytes);
	Image::Reader const &reader = *_readers[i];

	if (reader.valid()) {
		slot.valid     = true;
		slot.number    = reader.system().checkpoint;
		slot.num_bytes = num_bytes;
		return;
	}
	refuse(reader.refusal());
	_readers[i].destruct();
	_buffers[i].destruct();
}


void Image_store::_load(Place const &place)
{
	_result.newest = -1;

	for (unsigned i = 0; i < Place::NUM_SLOTS; i++) {

		_look_at(place, i);

		if (!_result.slots[i].valid)
			continue;

		if (_result.newest < 0
		 || _result.slots[_result.newest].number < _result.slots[i].number)
			_result.newest = int(i);
	}
	_result.ok = true;
}


/**
 * Read what was written
 *
 * File systems that are accessed by a session accept more than they can take, and
 * do not tell.
 */
bool Image_store::_compare(Path const &path, uint64_t at, char const *bytes, size_t num_bytes)
{
	if (!_provide_buffer(1, CHUNK_SIZE))
		return _fail("not enough RAM to compare what was written");

	Image_file file { *_root, path, Image_file::Mode::READ };

	if (!file.opened())
		return _fail("file ", path, " cannot be opened");

	for (size_t done = 0; done < num_bytes; ) {

		size_t const size = min(num_bytes - done, CHUNK_SIZE),
		             read = file.read(at + done, _buffers[1]->start(), size);

		if (read != size || memcmp(_buffers[1]->start(), bytes + done, size))
			return _fail("file ", path, " has lost what was written to it at ", at + done,
			             ", it may be full");
		done += size;
	}
	return true;
}


/**
 * Write an image, the header at last
 */
bool Image_store::_write(Job const &job)
{
	Place const &place = job.place;
	Path  const  path  = place.file(job.slot);
	char * const start = _buffers[0]->start();
	size_t       size  = job.num_bytes;

	if (size < BLOCK_SIZE || size > place.capacity())
		return _fail("image of ", size, " bytes, there is room for ", place.capacity());

	/* what a component says of itself may yield an image that nobody can use */
	{
		Image::Reader const reader { start, size };
		if (!reader.valid())
			return _fail("image ", reader.refusal());
	}

	/* devices take whole blocks, the buffer consists of pages that were zero */
	if (place.range())
		size = align_addr(size, AT_PAGE);

	Image_file file { *_root, path, Image_file::Mode::WRITE };

	if (!file.opened())
		return _fail("file ", path, " cannot be opened");

	if (!place.range() && !file.clear())
		return _fail("file ", path, " cannot be cleared");

	static constexpr char ZEROS[BLOCK_SIZE] { };

	uint64_t const at = place.start(job.slot);

	auto write = [&] (uint64_t offset, char const *bytes, size_t num_bytes)
	{
		size_t const before = progress();
		bool   const ok     = file.write(at + offset, bytes, num_bytes, [&] (size_t done) {
			_proceed(before + done); });

		if (!ok || !file.sync())
			return _fail("file ", path, " takes ", progress() - before, " of ", num_bytes,
			             " bytes at ", at + offset);

		return _compare(path, at + offset, bytes, num_bytes);
	};

	if (!write(0, ZEROS, BLOCK_SIZE))
		return false;

	_proceed(0);

	return write(BLOCK_SIZE, start + BLOCK_SIZE, size - BLOCK_SIZE)
	    && write(0, start, BLOCK_SIZE);
}


void Image_store::_write_or_clean_up(Job const &job)
{
	_result.ok = true;

	/* give back the room that half of an image takes */
	if (!_write(job) && !job.place.range() && _root->file_exists(job.place.file(job.slot)))
		_root->unlink(job.place.file(job.slot));
}


void Image_store::_handle_job()
{
	if (!_root.constructed()) {
		_start_vfs();
	} else {
		Job job { };
		{
			Mutex::Guard guard(_mutex);
			if (_state == State::BUSY)
				job = _job;
		}

		if (job.operation == Operation::NONE)
			return;

		try {
			if (job.operation == Operation::LOAD)
				_load(job.place);
			else
				_write_or_clean_up(job);
		}
		catch (...) { _fail("out of memory or capabilities"); }

		Mutex::Guard guard(_mutex);
		_state = State::DONE;
	}
	Signal_transmitter(_done_sigh).submit();
}
