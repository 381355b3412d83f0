/*
 * \brief  Save a component to an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SAVE_H_
#define _INCLUDE__CAP_CHECKPOINT__SAVE_H_

/* Genode includes */
#include <cap_checkpoint/image_writer.h>
#include <cap_checkpoint/meaning.h>
#include <cap_checkpoint/precopy.h>

namespace Cap_checkpoint {

	class Save;

	using Save_result = Attempt<Ok, Refused>;
}


/**
 * Makes an image of a frozen component
 */
class Cap_checkpoint::Save : Noncopyable
{
	private:

		using Snapshot = Cap_space_monitor::Snapshot_with_memory<>;

		struct Gate_info { uint32_t thread = NONE, slot = NONE; };

		Child         &_child;
		Allocator     &_alloc;
		Image::Writer  _writer;
		Snapshot      &_snapshot;
		Precopy       *_precopy;   /* nullptr if the pages are saved as they are */

		Constructible<Image::Base> _base { };  /* what an increment continues */

		Meanings       _meanings { _alloc };

		Thread_info _threads[Image::MAX_THREADS] { };
		unsigned    _num_threads = 0;

		Array<Gate_info> _gates { _alloc };

		uint32_t _num_dataspaces = 0, _num_sessions = 0, _main_thread = NONE,
		         _pd_session = NONE, _cpu_session = NONE;

		Constructible<Refused> _refused { };

		/*
		 * Noncopyable
		 */
		Save(Save const &);
		Save &operator = (Save const &);

		bool _refuse(Refused::Reason reason, auto &&... what)
		{
			if (!_refused.constructed())
				_refused.construct(reason, String<160>(what...));
			return false;
		}

		uint32_t _thread_by_badge(uint32_t) const;

		void _number_objects();
		bool _look_at_threads();
		bool _explain_objects();
		bool _explain_slots();
		bool _find_calls();
		bool _find_calls_of_clients();
		bool _find_signal_threads();

		void _put_system();
		bool _put_table();
		void _put_objects();
		void _put_sessions();
		void _put_parts();
		void _put_handlers();
		void _put_dataspaces();
		void _put_base();
		bool _put_roms();
		bool _put_regions();
		void _put_threads();
		void _put_faults();
		void _put_signals();
		void _put_timers();
		bool _put_session_pages();
		bool _put_pages();

		/* where to go on in the copies */
		uint32_t _next_number = 0;
		size_t   _next_page   = 0;

		bool _put_copies(size_t max_pages);

		bool     _pinned = false, _from_copies = false;
		uint64_t _number = 0;  /* of the checkpoint */

		bool _put_state();

		Save_result _result(bool ok);

	public:

		/* what the last round had to copy */
		Precopy::Round last_round { };

		/**
		 * Constructor
		 *
		 * \param snapshot  memory for a copy of the capability table
		 * \param precopy   copies of the child's memory, or nullptr
		 */
		Save(Child &child, Image::Sink &sink, Snapshot &snapshot, Precopy *precopy = nullptr)
		:
			_child(child), _alloc(child.monitor().heap), _writer(sink), _snapshot(snapshot),
			_precopy(precopy)
		{ }

		/**
		 * Constructor for an increment
		 *
		 * \param base  record of the last image that was made by way of the copies
		 *
		 * It is refused unless there is a copy of each dataspace.
		 */
		Save(Child &child, Image::Sink &sink, Snapshot &snapshot, Precopy &precopy,
		     Image::Base const &base)
		:
			_child(child), _alloc(child.monitor().heap), _writer(sink, Image::INCREMENT),
			_snapshot(snapshot), _precopy(&precopy)
		{
			_base.construct(base);
		}

		~Save() { if (_pinned) _precopy->unpin(false); }

		/**
		 * Refuse a component that cannot be saved by now, whether it is frozen or not
		 */
		static Save_result possible(Child &);

		/**
		 * Save all but the pages that there are copies of, to be called once
		 */
		Save_result save_state();

		/**
		 * Write pages to the image, and complete it by the last one
		 *
		 * \param max_pages  limit of what is read of the copies
		 * \return           true if the image is complete
		 *
		 * The component may go on, and be served, before and between the calls.
		 */
		using Pages_result = Attempt<bool, Refused>;

		/**
		 * Return true if pages are left to be saved from the copies
		 */
		bool pages_left() const { return _pinned; }

		/**
		 * Return true if the pages are those of the copies
		 */
		bool from_copies() const { return _from_copies; }

		/**
		 * Return what an increment of the image has to continue, once this is complete
		 */
		Image::Base next_base() const
		{
			return { .checkpoint = _number,
			         .crc        = _writer.header_crc(),
			         .position   = _base.constructed() ? _base->position + 1 : 1 };
		}

		Pages_result save_pages(size_t max_pages);

		/**
		 * Make the image, to be called once
		 */
		Save_result save()
		{
			Save_result const state = save_state();

			return state.ok() ? save_pages(~0UL).convert<Save_result>(
			                    	[&] (bool)             { return Ok(); },
			                    	[&] (Refused const &r) { return r; })
			                  : state;
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SAVE_H_ */
