/*
 * \brief  Images on media
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _IMAGE_STORE_H_
#define _IMAGE_STORE_H_

/* Genode includes */
#include <cap_checkpoint/image_reader.h>

/* local includes */
#include <announcement.h>
#include <image_file.h>
#include <io_env.h>
#include <loaded_image.h>
#include <owner_record.h>
#include <pace.h>
#include <place.h>

namespace Checkpoint { class Image_store; }


/**
 * Loads and writes images, one at a time, by a thread of its own
 *
 * A medium may be slow, or never answer. So nobody else waits for it. The memory of
 * the images belongs to the thread of the store while this is busy, and to the user
 * otherwise.
 */
class Checkpoint::Image_store : Noncopyable
{
	public:

		enum class State {
			STARTING, /* the VFS is not there yet */
			IDLE,
			RESERVED, /* an image is being made in the memory */
			BUSY,
			DONE,     /* the result is there */
			FAILED    /* there is no VFS */
		};

		enum class Operation { NONE, LOAD, BASE, ROUND, MORE, SAVE, WRITE, LOOK, RECORD, ANNOUNCE };

		/* instead of a slot: both images are read */
		static constexpr unsigned ALL_SLOTS = ~0U;

		/**
		 * What is found at one of the two places
		 */
		struct Slot
		{
			enum class State {
				ABSENT,   /* nothing was written, or not to its end */
				REFUSED,  /* no image that could be used */
				UNKNOWN,  /* could not be read */
				VALID
			};

			State    state;
			uint64_t number;   /* of the checkpoint */
			uint32_t crc;      /* of the header of the image */
			Message  refusal;
		};

		struct Result
		{
			bool    ok;
			Message message;              /* what went wrong */
			bool    short_of_ram;         /* for an image that is to be loaded */
			Slot    slots[Place::NUM_SLOTS];
			int     newest;               /* slot, or -1 */

			/* who has the child */
			Registers registers;
			Message   reasons[Registers::NUM_SIDES];

			/* what they say besides, which may be anything */
			Announcement announcements[Registers::NUM_SIDES];
		};

	private:

		/* unit of a comparison */
		static constexpr size_t CHUNK_SIZE = 64*1024;

		/*
		 * Noncopyable
		 */
		Image_store(Image_store const &);
		Image_store &operator = (Image_store const &);

		Ram_allocator &_ram;
		Env::Local_rm &_local_rm;
		Pd_session    &_pd;

		Spare_ram _spare_ram { _ram, _pd };
		Heap      _heap      { _spare_ram, _local_rm };
		Io_env    _io_env;

		Buffered_node const _vfs_config;

		Signal_context_capability const _done_sigh;

		/* used by the thread of the store only */
		Constructible<Root_directory> _root { };

		/* protected by the mutex, like '_state' */
		struct Job
		{
			Operation operation = Operation::NONE;
			Place     place     { };
			unsigned  slot      = 0;

			/* image or increment to be written, and where the one before it ends in the slot */
			size_t    num_bytes = 0;
			uint64_t  behind    = 0;
			bool      paced     = false;
			bool      compared  = true;

			/* where an image goes that is read ahead of an offer */
			Loaded_image *base = nullptr;

			/* record to be written */
			unsigned     sector = 0;
			Owner_record record       { };
			Announcement announcement { };

		} _job { };

		Mutex mutable _mutex    { };
		State         _state    { State::STARTING };
		size_t        _progress { 0 };

		/* belong to the thread of the store while this is busy */
		Result       _result { };
		Loaded_image _images[Place::NUM_SLOTS] { };

		char              _blocks[Place::RECORDS_SIZE] { };
		Owner_record::All _records { };

		Pace _pace { };

		void _proceed(size_t done)
		{
			Mutex::Guard guard(_mutex);
			_progress = done;
		}

		bool _fail(auto &&... message)
		{
			_result.ok      = false;
			_result.message = Message(message...);
			return false;
		}

		/* zeros behind an image, up to the end of the block behind it */
		static constexpr size_t TAIL = 2*BLOCK_SIZE;

		bool _provide_buffer(unsigned, size_t);

		void _start_vfs();
		uint64_t _size_of_chain(Image_file &, uint64_t at, uint64_t limit);
		void _look_at(Place const &, unsigned);
		void _load(Place const &, unsigned);
		bool _load_base(Job const &);
		bool _load_more(Job const &);
		bool _look(Place const &);
		bool _write_block(Path const &, uint64_t, void const *, size_t);
		bool _write_record(Job const &);
		bool _write_announcement(Job const &);
		bool _compare(Path const &, uint64_t, char const *, size_t);
		bool _write(Job const &, bool &);
		void _write_or_clean_up(Job const &);
		void _handle_job();

		Signal_handler<Image_store> _job_handler { _io_env.ep(), *this, &Image_store::_handle_job };

		void _submit(Job const &);

	public:

		/**
		 * Constructor
		 *
		 * \param ram        fails if there is none left
		 * \param config     node with the file systems of the VFS
		 * \param done_sigh  receives a signal whenever the state changes
		 */
		Image_store(Env &env, Ram_allocator &ram, Env::Local_rm &local_rm, Node const &config,
		            Signal_context_capability done_sigh)
		:
			_ram(ram), _local_rm(local_rm), _pd(env.pd()), _io_env(env, _spare_ram, local_rm),
			_vfs_config(_heap, config), _done_sigh(done_sigh)
		{
			Signal_transmitter(_job_handler).submit();
		}

		State state() const
		{
			Mutex::Guard guard(_mutex);
			return _state;
		}

		bool idle() const { return state() == State::IDLE; }

		/**
		 * Return number of bytes of the image that are written so far
		 */
		size_t progress() const
		{
			Mutex::Guard guard(_mutex);
			return _progress;
		}

		/**
		 * Look at one image or both of them, and read those that are valid
		 */
		void load(Place const &place, unsigned slot)
		{
			_submit({ .operation = Operation::LOAD, .place = place, .slot = slot });
		}

		/**
		 * Read an image ahead of an offer
		 *
		 * \param base  has the memory for it
		 */
		void load_base(Place const &place, unsigned slot, size_t num_bytes, Loaded_image &base)
		{
			_submit({ .operation = Operation::BASE, .place = place, .slot = slot,
			          .num_bytes = num_bytes, .paced = true, .base = &base });
		}

		/**
		 * Read increments behind an image that was read ahead, up to 'num_bytes' of the chain
		 */
		void load_round(Place const &place, unsigned slot, size_t num_bytes, Loaded_image &base)
		{
			_submit({ .operation = Operation::ROUND, .place = place, .slot = slot,
			          .num_bytes = num_bytes, .paced = true, .base = &base });
		}

		/**
		 * Read what is behind an image that was read ahead
		 */
		void load_more(Place const &place, unsigned slot, Loaded_image &base)
		{
			_submit({ .operation = Operation::MORE, .place = place, .slot = slot,
			          .base = &base });
		}

		/**
		 * Read the records of who has the child
		 */
		void look(Place const &place)
		{
			_submit({ .operation = Operation::LOOK, .place = place });
		}

		/**
		 * Write a record, and read all of them
		 */
		void write_record(Place const &place, unsigned sector, Owner_record const &record)
		{
			_submit({ .operation = Operation::RECORD, .place = place, .sector = sector,
			          .record = record });
		}

		/**
		 * Write an announcement, and read the records
		 */
		void announce(Place const &place, Announcement const &announcement)
		{
			_submit({ .operation = Operation::ANNOUNCE, .place = place,
			          .announcement = announcement });
		}

		/**
		 * Call 'fn' with the 'Image::Chain const &' of an image that was loaded
		 */
		void with_image(unsigned slot, auto const &fn) const
		{
			if (_images[slot].chain.constructed())
				fn(*_images[slot].chain);
		}

		/**
		 * Return memory for an image, or nullptr
		 *
		 * It keeps its content and address until the store is released, unless it
		 * is asked for more.
		 */
		char *memory(size_t num_bytes)
		{
			return _provide_buffer(0, num_bytes + TAIL) ? _images[0].start() : nullptr;
		}

		size_t memory_size() const
		{
			Constructible<Buffer> const &buffer = _images[0].buffer;

			return buffer.constructed() ? buffer->size() - TAIL : 0;
		}

		/**
		 * Accept nothing but the image that will be in the memory, until it is written
		 */
		void reserve()
		{
			Mutex::Guard guard(_mutex);
			_state = State::RESERVED;
		}

		/**
		 * Write the image that is in the memory
		 *
		 * \param behind  where the image ends that an increment follows, 0 for a complete image
		 * \param paced     let others go on meanwhile
		 * \param compared  read what was written, and check sums that were known at the time,
		 *                  unless somebody else will do so before it counts
		 */
		void write(Place const &place, unsigned slot, uint64_t behind, size_t num_bytes, bool paced,
		           bool compared)
		{
			_submit({ .operation = Operation::WRITE, .place = place, .slot = slot,
			          .num_bytes = num_bytes, .behind = behind, .paced = paced,
			          .compared = compared });
		}

		/**
		 * Try the job once more that has failed
		 */
		void repeat() { _submit(Job(_job)); }

		/**
		 * Return result in the state 'DONE'
		 */
		Result const &result() const { return _result; }

		/**
		 * Accept other images
		 *
		 * \param keep  do not free the memory, as core takes its time to provide it
		 */
		void release(bool keep = false);

		/**
		 * Free the memory that was kept
		 *
		 * \return  true if RAM became free
		 */
		bool trim();
};

#endif /* _IMAGE_STORE_H_ */
