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
		bool _find_signal_threads();

		void _put_system();
		bool _put_table();
		void _put_objects();
		void _put_sessions();
		void _put_parts();
		void _put_handlers();
		void _put_dataspaces();
		bool _put_roms();
		bool _put_regions();
		void _put_threads();
		void _put_signals();
		void _put_timers();
		bool _put_pages();

		bool _put();

	public:

		/**
		 * Constructor
		 *
		 * \param snapshot  memory for a copy of the capability table
		 */
		Save(Child &child, Image::Sink &sink, Snapshot &snapshot)
		:
			_child(child), _alloc(child.monitor().heap), _writer(sink), _snapshot(snapshot)
		{ }

		/**
		 * Make the image, to be called once
		 */
		Save_result save();
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SAVE_H_ */
