/*
 * \brief  Records and announcements on media
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <image_store.h>

using namespace Checkpoint;


/**
 * Read the records of who has the child
 *
 * A file that ends before has none.
 */
bool Image_store::_look(Place const &place)
{
	bzero(_blocks, sizeof(_blocks));

	if (_root->file_exists(place.path)) {

		uint64_t file_size = 0;
		try { file_size = _root->file_size(place.path); }
		catch (...) { return _fail("size of ", place.path, " cannot be obtained"); }

		size_t const size = file_size <= place.offset
		                  ? 0 : size_t(min(file_size - place.offset, uint64_t(sizeof(_blocks))));

		Image_file file { *_root, place.path, Image_file::Mode::READ };

		if (!file.opened() || file.read(place.offset, _blocks, size) != size)
			return _fail("records of ", place.path, " cannot be read");
	}

	for (unsigned side = 0; side < Registers::NUM_SIDES; side++) {
		for (unsigned i = 0; i < Registers::NUM_SECTORS; i++) {

			Owner_record &record = _records[side][i];

			memcpy(&record, _blocks + (side*Registers::NUM_SECTORS + i)*BLOCK_SIZE,
			       sizeof(record));

			/* the images of the other system would be elsewhere */
			if (record.valid(side) && record.range != place.size)
				return _fail("records of ", place.path, " are of a range of ", record.range,
				             " bytes instead of ", place.size);
		}
	}

	_result.registers = Owner_record::evaluate(_records);

	for (unsigned side = 0; side < Registers::NUM_SIDES; side++) {

		Announcement &announcement = _result.announcements[side];

		_result.reasons[side] = Owner_record::reason_of(_records[side],
		                                                _result.registers.sides[side]);

		memcpy(&announcement, _blocks + (Place::NUM_RECORDS + side)*BLOCK_SIZE,
		       sizeof(announcement));
	}
	return _result.ok = true;
}


/**
 * Write bytes to the begin of a block that is zero behind them
 */
bool Image_store::_write_block(Path const &path, uint64_t at, void const *bytes, size_t num_bytes)
{
	Image_file file { *_root, path, Image_file::Mode::WRITE };

	if (!file.opened())
		return _fail("file ", path, " cannot be opened");

	bzero(_blocks, BLOCK_SIZE);
	memcpy(_blocks, bytes, num_bytes);

	return (file.write(at, _blocks, BLOCK_SIZE, [] (size_t) { }) && file.sync())
	    || _fail("file ", path, " does not take a record");
}


bool Image_store::_write_record(Job const &job)
{
	if (!_look(job.place))
		return false;

	Owner_record record = job.record;
	record.follow(_records, job.sector);

	/* what counts is what can be read, by this side and the other one */
	return _write_block(job.place.path, job.place.record_at(record.side, job.sector), &record,
	                    sizeof(record))
	    && _look(job.place);
}


bool Image_store::_write_announcement(Job const &job)
{
	Announcement const &announcement = job.announcement;

	return _write_block(job.place.path, job.place.announcement_at(announcement.side),
	                    &announcement, sizeof(announcement))
	    && _look(job.place);
}
