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


bool Image_store::_provide_buffer(unsigned slot, size_t num_bytes)
{
	return _images[slot].provide(_ram, _local_rm, _pd, num_bytes);
}


void Image_store::_submit(Job const &job)
{
	_result = { };
	{
		Mutex::Guard guard(_mutex);
		_job      = job;
		_state    = State::BUSY;
		_progress = 0;
	}
	Signal_transmitter(_job_handler).submit();
}


void Image_store::release(bool keep)
{
	for (unsigned slot = 0; slot < Place::NUM_SLOTS; slot++) {
		_images[slot].chain.destruct();
		if (slot || !keep)
			_images[slot].destruct();
	}
	_result = { };

	Mutex::Guard guard(_mutex);
	if (_state == State::DONE || _state == State::RESERVED)
		_state = State::IDLE;
}


bool Image_store::trim()
{
	bool const kept = idle() && _images[0].buffer.constructed();

	if (kept)
		_images[0].destruct();

	return kept;
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
 * Return checksum by which the header tells one image from another
 */
static uint32_t header_crc(char const *image)
{
	uint32_t crc;
	memcpy(&crc, image + Image::HEADER_SIZE - sizeof(crc), sizeof(crc));
	return crc;
}


/**
 * Return size of an image with what seems to be its increments, 0 if there is none
 */
uint64_t Image_store::_size_of_chain(Image_file &file, uint64_t at, uint64_t limit)
{
	uint64_t size = 0;

	for (uint64_t next = 0; next + Image::HEADER_SIZE <= limit; ) {

		char head[Image::HEADER_SIZE] { };
		(void)file.read(at + next, head, sizeof(head));

		uint64_t const said = Image::Container::size(head, sizeof(head));
		bool     const fits = said >= sizeof(head) && said <= limit - next;

		/* a reader tells what is wrong with an increment */
		if (fits || (next && Image::Container::begins(head, sizeof(head))))
			size = next + (fits ? said : sizeof(head));
		if (!fits)
			break;
		next = align_addr(size, AT_PAGE);
	}
	return size;
}


/**
 * Read the image at one of the two places
 *
 * What cannot be read may be the newest image. So this differs from a place where
 * nothing is.
 */
void Image_store::_look_at(Place const &place, unsigned i)
{
	using State = Slot::State;

	Slot          &slot = _result.slots[i];
	Path     const path = place.file(i);
	uint64_t const at   = place.start(i);

	auto refuse = [&] (State state, auto &&... args)
	{
		slot.state   = state;
		slot.refusal = Message("image ", path, " at ", at, ": ", args...);
		_images[i].destruct();
	};

	if (!_root->file_exists(path))
		return;

	uint64_t file_size = 0;
	try { file_size = _root->file_size(path); }
	catch (...) { return refuse(State::UNKNOWN, "size of the file cannot be obtained"); }

	if (file_size <= at)
		return;

	Image_file file { *_root, path, Image_file::Mode::READ };

	if (!file.opened())
		return refuse(State::UNKNOWN, "file cannot be opened");

	char head[Image::HEADER_SIZE] { };
	size_t const head_size = size_t(min(file_size - at, uint64_t(sizeof(head))));

	if (file.read(at, head, head_size) != head_size)
		return refuse(State::UNKNOWN, "header cannot be read");

	/* the header is cleared while an image is being written */
	char any = 0;
	for (char c : head)
		any = char(any | c);
	if (!any)
		return;

	/* a device does not know where an image ends */
	uint64_t const said = Image::Container::size(head, sizeof(head)),
	               size = !place.range()           ? file_size
	                    : said > place.capacity()  ? said
	                    : _size_of_chain(file, at, min(place.capacity(), file_size - at));

	if (place.range() && !said)
		return refuse(State::REFUSED, memcmp(head, Image::MAGIC, 8) ? "is not a checkpoint file"
		                                                            : "header is damaged");
	if (size > place.capacity())
		return refuse(State::UNKNOWN, "size of ", size, " bytes exceeds the limit");

	if (!_provide_buffer(i, size_t(size))) {
		_result.short_of_ram = true;
		return refuse(State::UNKNOWN, "not enough RAM for ", size, " bytes");
	}

	size_t const num_bytes = file.read(at, _images[i].start(), size_t(size));

	if (num_bytes != size)
		return refuse(State::UNKNOWN, num_bytes, " of ", size, " bytes could be read");

	_images[i].chain.construct(_images[i].start(), num_bytes);
	Image::Chain const &chain = *_images[i].chain;

	if (!chain.valid())
		return refuse(State::REFUSED, chain.refusal());

	if (chain.last().system().checkpoint > MAX_NUMBER)
		return refuse(State::REFUSED, "no further checkpoint could have a higher number");

	slot.state  = State::VALID;
	slot.number = chain.last().system().checkpoint;
	slot.crc    = chain.last().header_crc();

	/* the image is used, although not with all of its increments */
	if (chain.rest() == Image::Chain::Rest::DAMAGED)
		slot.refusal = Message("image ", path, " at ", at, ": ", chain.refusal());
}


void Image_store::_load(Place const &place, unsigned only)
{
	_result.ok     = true;
	_result.newest = -1;

	for (unsigned i = 0; i < Place::NUM_SLOTS; i++) {

		if (only != ALL_SLOTS && only != i)
			continue;

		Slot const &slot = _result.slots[i];

		_look_at(place, i);

		if (slot.state == Slot::State::UNKNOWN)
			_fail(slot.refusal);

		if (slot.state == Slot::State::VALID
		 && (_result.newest < 0 || _result.slots[_result.newest].number < slot.number))
			_result.newest = int(i);
	}
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
		             read = file.read(at + done, _images[1].start(), size);

		if (read != size || memcmp(_images[1].start(), bytes + done, size))
			return _fail("file ", path, " has lost what was written to it at ", at + done,
			             ", it may be full");
		done += size;
		_pace.passed(size);
	}
	return true;
}


/**
 * Write an image, the header at last
 *
 * \param cleared  set once the file is not what it was before
 */
bool Image_store::_write(Job const &job, bool &cleared)
{
	Place const &place = job.place;
	Path  const  path  = place.file(job.slot);
	char * const start = _images[0].start();
	size_t       size  = job.num_bytes;

	bool     const increment = job.behind;
	uint64_t const offset    = align_addr(job.behind, AT_PAGE),
	               capacity  = place.capacity() - min(offset, place.capacity());

	if (size < BLOCK_SIZE || size > capacity)
		return _fail("image of ", size, " bytes, there is room for ", capacity);

	/* what a component says of itself may yield an image that nobody can use */
	{
		using Sums = Image::Container::Sums;

		Image::Reader const reader { start, size,
		                             increment ? Image::INCREMENT : Image::COMPLETE, &_pace,
		                             job.compared ? Sums::CHECKED : Sums::KNOWN };
		if (!reader.valid())
			return _fail("image ", reader.refusal());
	}

	/*
	 * Devices take whole blocks
	 *
	 * The block behind the image is where an increment would be looked for.
	 */
	if (place.range()) {
		size = align_addr(size, AT_PAGE);
		size = size_t(min(uint64_t(size + BLOCK_SIZE), capacity & ~uint64_t(BLOCK_SIZE - 1)));
		bzero(start + job.num_bytes, size - job.num_bytes);
	}

	Image_file file { *_root, path, Image_file::Mode::WRITE };

	if (!file.opened())
		return _fail("file ", path, " cannot be opened");

	if (!place.range() && !increment && !file.truncate(0))
		return _fail("file ", path, " cannot be cleared");

	cleared = true;

	static constexpr char ZEROS[2*BLOCK_SIZE] { };

	uint64_t const at = place.start(job.slot) + offset;

	auto write = [&] (uint64_t at, char const *bytes, size_t num_bytes)
	{
		size_t const before = progress();
		size_t       behind = 0;
		bool   const ok     = file.write(at, bytes, num_bytes, [&] (size_t done) {
			_proceed(before + done);
			_pace.passed(done - behind);
			behind = done; });

		if (!ok || !file.sync())
			return _fail("file ", path, " takes ", progress() - before, " of ", num_bytes,
			             " bytes at ", at);

		return !job.compared || _compare(path, at, bytes, num_bytes);
	};

	/*
	 * No header is in front of what is not complete
	 *
	 * In a range, the block of an increment was cleared along with what it follows.
	 */
	if ((!increment || !place.range())
	 && !write(at - (offset - job.behind), ZEROS, size_t(offset - job.behind) + BLOCK_SIZE))
		return false;

	_proceed(0);

	_result.slots[job.slot].crc = header_crc(start);

	return write(at + BLOCK_SIZE, start + BLOCK_SIZE, size - BLOCK_SIZE)
	    && write(at, start, BLOCK_SIZE);
}


void Image_store::_write_or_clean_up(Job const &job)
{
	_result.ok = true;

	bool cleared = false;

	if (_write(job, cleared) || !cleared || job.place.range())
		return;

	/* give back the room that half of an image takes */
	Path const path = job.place.file(job.slot);

	if (!job.behind) {
		_root->unlink(path);
		return;
	}
	Image_file file { *_root, path, Image_file::Mode::WRITE };
	if (file.opened())
		(void)file.truncate(job.behind);
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

		_pace.enabled = job.paced;

		try {
			switch (job.operation) {
			case Operation::LOAD:   _load(job.place, job.slot); break;
			case Operation::WRITE:  _write_or_clean_up(job);    break;
			case Operation::BASE:   (void)_load_base(job);      break;
			case Operation::ROUND:
			case Operation::MORE:   (void)_load_more(job);      break;
			case Operation::LOOK:   (void)_look(job.place);     break;
			case Operation::RECORD: (void)_write_record(job);   break;
			case Operation::ANNOUNCE: (void)_write_announcement(job); break;
			case Operation::SAVE:
			case Operation::NONE:   break;
			}
		}
		catch (...) { _fail("out of memory or capabilities"); }

		Mutex::Guard guard(_mutex);
		_state = State::DONE;
	}
	Signal_transmitter(_done_sigh).submit();
}
