/*
 * \brief  Save a component, along with its children, to an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SAVE_H_
#define _INCLUDE__CAP_CHECKPOINT__SAVE_H_

/* Genode includes */
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/image_writer.h>
#include <cap_checkpoint/meaning.h>
#include <cap_checkpoint/precopy.h>
#include <cap_checkpoint/rm_session.h>

namespace Cap_checkpoint {

	class Save;

	using Save_result = Attempt<Ok, Refused>;
}


/**
 * Makes an image of a frozen component, or of one that has children along with them
 *
 * The children must not become more or less from construction to the end of 'save_state'.
 */
class Cap_checkpoint::Save : Noncopyable
{
	private:

		using Snapshot = Cap_space_monitor::Snapshot_with_memory<>;

		static constexpr unsigned MAX_MEMBERS = Image::MAX_MEMBERS;

		static_assert(MAX_MEMBERS == 1 + Virtual_parent::MAX_CHILDREN);

		struct Gate_info { uint32_t thread = NONE, slot = NONE; };

		/**
		 * Slots of a table
		 */
		struct Slots
		{
			static constexpr unsigned BITS = 64;

			uint64_t words[Cap_space_monitor::NUM_SLOTS/BITS] { };

			void add(unsigned slot) { words[slot/BITS] |= 1ULL << slot % BITS; }

			bool contains(unsigned slot) const
			{
				return slot < Cap_space_monitor::NUM_SLOTS && (words[slot/BITS] >> slot % BITS & 1);
			}
		};

		/**
		 * The component itself, or one of its children
		 */
		struct Member
		{
			Virtual_pd    *pd      = nullptr;
			Open_session  *session = nullptr;

			bool       table     = true;   /* there is one */
			bool       started   = false;  /* there are threads that execute */
			uint32_t   num_gates = 0;
			uint32_t   parent    = NONE;   /* number of the gate */
			Dataspace *parent_ds = nullptr;
			size_t     parent_offset = 0;

			Slots dead { };  /* slots whose badges are not those of their capabilities */
		};

		/* badge that each component has for its main thread */
		static constexpr uint32_t PSEUDO_BADGE = 1;

		struct Cpu { Virtual_cpu *cpu = nullptr; uint32_t session = NONE; };

		Child               &_child;
		Allocator           &_alloc;
		bool           const _unit     { _child.parent.children().pds > 0 };
		bool           const _increment;
		Image::Contents const _contents { _unit ? _increment ? Image::UNIT_INCREMENT : Image::UNIT
		                                        : _increment ? Image::INCREMENT : Image::COMPLETE };
		Image::Writer        _writer;
		Snapshot            &_snapshot;
		Precopy       *_precopy;   /* nullptr if the pages are saved as they are */

		Constructible<Image::Base> _base { };  /* what an increment continues */

		Meanings       _meanings { _alloc };

		Array<Thread_info> _threads { _alloc };
		Array<Gate_info>   _gates   { _alloc };

		Member   _members[MAX_MEMBERS] { };
		uint32_t _num_members = 0;

		Cpu      _cpus[MAX_MEMBERS] { };
		unsigned _num_cpus = 0;

		uint32_t _num_dataspaces = 0, _num_sessions = 0, _main_thread = NONE;

		/* slots with a badge so far, of one member after another */
		uint32_t _num_objects = 0;

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

		Member_name _named(uint32_t member) const
		{
			return { member && member < _num_members ? _members[member].session : nullptr };
		}

		/**
		 * Call 'fn' with the 'Virtual_pd &' of a PD session, be it that of the environment
		 */
		void _with_pd(Open_session &session, auto const &fn)
		{
			Virtual_pd *pd = &_child.pd;
			session.with_pd([&] (Pd_service_session &child) { pd = &child.pd; });

			if (session.request.service == "PD")
				fn(*pd);
		}

		void _with_cpu(Open_session &session, auto const &fn)
		{
			Virtual_cpu *cpu = &_child.cpu;
			session.with_cpu([&] (Cpu_service_session &other) { cpu = &other.cpu; });

			if (session.request.service == "CPU")
				fn(*cpu);
		}

		/**
		 * Call 'fn' with each part of a session, in the order of their records
		 */
		void _for_each_part(auto const &fn)
		{
			using Part = Image::Part;

			_child.parent.for_each_session([&] (Open_session &s) {

				_with_pd(s, [&] (Virtual_pd &pd) {
					pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) {
						fn(s.number, number, map.cap(), map.slot, true); });
					fn(s.number, Part::NATIVE_PD, pd.native_pd(), pd.native_slot, false); });

				_with_cpu(s, [&] (Virtual_cpu &cpu) {
					fn(s.number, Part::NATIVE_CPU, cpu.native_cpu(), cpu.native_slot, false); });

				s.for_each_part([&] (uint32_t part, Native_capability cap, uint32_t &slot) {
					fn(s.number, part, cap, slot, true); });

				s.with_rm([&] (Rm_service_session &rm) {
					rm.for_each_map([&] (uint32_t part, Virtual_region_map &map) {
						fn(s.number, part, map.cap(), map.slot, true); }); }); });
		}

		/**
		 * Call 'fn' with each dataspace of no session, in the order of their records
		 *
		 * \param fn  called with the member, the 'Dataspace &', and its owner
		 */
		void _for_each_own_dataspace(auto const &fn)
		{
			using Kind = Dataspace::Kind;

			for (uint32_t i = 0; i < _num_members; i++)
				_members[i].pd->dataspaces.for_each([&] (Dataspace &ds) {

					/* what does not exist is no part of the image */
					bool const missing = ds.kind == Kind::CAP_SPACE && !_members[i].table;

					if (ds.of_no_session() && !missing && !(_unit && ds.kind == Kind::TRACE))
						fn(i, ds, 0U); });

			for (unsigned i = 0; i < _num_cpus && _unit; i++)
				if (Dataspace * const trace = _cpus[i].cpu->trace)
					fn(0U, *trace, _cpus[i].session);
		}

		void _for_each_map(auto const &fn)
		{
			for (uint32_t i = 0; i < _num_members; i++)
				_members[i].pd->for_each_map([&] (uint32_t, Virtual_region_map &map) { fn(map); });

			_child.parent.for_each_session([&] (Open_session &session) {
				session.with_rm([&] (Rm_service_session &rm) {
					rm.for_each_map([&] (uint32_t, Virtual_region_map &map) { fn(map); }); }); });
		}

		uint32_t _thread_by_badge(uint32_t) const;

		/**
		 * Return slot of the system call that a thread is blocked in
		 */
		static unsigned _slot_of_call(Thread_info const &t)
		{
			return unsigned(t.argument >> Foc::L4_CAP_SHIFT);
		}

		/**
		 * Return meaning of a slot of a member, whose table was copied last, or nullptr
		 */
		Meanings::Meaning const *_meaning_of(uint32_t member, unsigned slot) const
		{
			Cap_space_monitor::Snapshot::Entry const entry = _snapshot.entry(slot);

			return entry.state == CAP_MAP_STATE_USED && !_members[member].dead.contains(slot)
			     ? _meanings.find(entry.badge) : nullptr;
		}

		bool _find_members();
		void _number_objects();
		bool _look_at_threads();
		bool _explain_objects();
		bool _explain_members();
		bool _explain_slots(uint32_t member);
		bool _find_calls(uint32_t member);
		bool _find_calls_of_clients();
		void _find_signal_threads(uint32_t member);
		bool _choose_signal_threads();
		bool _find_parents();
		bool _find_parent_memory(uint32_t member, addr_t at);
		bool _holds_parent(Member const &, Dataspace const &, size_t offset);

		void _put_system();
		void _put_members();
		bool _put_tables();
		bool _put_objects();
		void _put_objects_of(uint32_t member);
		void _put_sessions();
		void _put_parts();
		void _put_handlers();
		void _put_dataspaces();
		void _forget_moved();
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
			_child(child), _alloc(child.monitor().heap), _increment(false),
			_writer(sink, _contents), _snapshot(snapshot), _precopy(precopy)
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
			_child(child), _alloc(child.monitor().heap), _increment(true),
			_writer(sink, _contents), _snapshot(snapshot), _precopy(&precopy)
		{
			_base.construct(base);
		}

		~Save() { if (_pinned) _precopy->unpin(false); }

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
