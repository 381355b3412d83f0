/*
 * \brief  Restore a component from an image
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__RESTORE_H_
#define _INCLUDE__CAP_CHECKPOINT__RESTORE_H_

/* Genode includes */
#include <cap_checkpoint/child_sessions.h>
#include <cap_checkpoint/image_chain.h>
#include <cap_checkpoint/meaning.h>

namespace Cap_checkpoint {

	class Restore;

	struct Restored { unsigned installed, rewritten, unchanged, dead; };

	using Restore_result = Attempt<Restored, Refused>;
}


/**
 * Brings a component back to life, along with its children
 *
 * The child must have been created with the quota that the image tells. If the
 * component is not restored, the child is of no further use.
 */
class Cap_checkpoint::Restore : Noncopyable
{
	private:

		Child               &_child;
		Allocator           &_alloc;
		Image::Chain  const &_chain;
		Image::Reader const &_image { _chain.last() };

		/* what was provided when the chain was shorter */
		Restore *_ahead;

		/* number of containers whose pages are in the dataspaces that were provided */
		unsigned _filled = 0;

		/* objects by their numbers */
		Virtual_pd              *_members[Image::MAX_MEMBERS] { };
		Array<Open_session *>    _sessions   { _alloc };
		Array<Dataspace *>       _dataspaces { _alloc };
		Array<bool>              _taken      { _alloc };  /* dataspaces that were provided ahead */
		Array<bool>              _kept       { _alloc };  /* dataspaces with their content */
		Array<Virtual_region_map *> _maps    { _alloc };  /* of RM sessions */
		Array<Thread_capability> _threads    { _alloc };
		Array<Native_capability> _natives    { _alloc };
		Array<uint32_t>          _badges     { _alloc };  /* of the threads' own gates */
		Array<Virtual_source *>  _sources    { _alloc };
		Array<Context *>         _contexts   { _alloc };
		Array<Native_capability> _gates      { _alloc };

		/*
		 * What members have in any case, as it came along with their sessions
		 */
		struct Least { Virtual_pd const *pd; Virtual_pd::Costs costs; };

		Least _least[Image::MAX_MEMBERS] { };

		/* what the image tells of clients, if anything */
		Array<Offer_state> _clients { _alloc };

		Restored _restored { };

		Constructible<Refused> _refused { };

		bool _refuse(Refused::Reason reason, auto &&... what)
		{
			if (!_refused.constructed())
				_refused.construct(reason, String<160>(what...));
			return false;
		}

		/*
		 * Noncopyable
		 */
		Restore(Restore const &);
		Restore &operator = (Restore const &);

		/* another increment will follow */
		bool _begins = false;

		Member_name _named(uint32_t member) const
		{
			return { member ? _sessions[_image.member(member).session] : nullptr };
		}

		/**
		 * Return PD session by its number, which is the one of a member
		 */
		Virtual_pd &_pd_of(uint32_t session) const
		{
			Virtual_pd *result = &_child.pd;
			_sessions[session]->with_pd([&] (Pd_service_session &s) { result = &s.pd; });
			return *result;
		}

		/**
		 * Return CPU session by its number
		 */
		Virtual_cpu &_cpu_of(uint32_t session) const
		{
			Virtual_cpu *result = &_child.cpu;
			_sessions[session]->with_cpu([&] (Cpu_service_session &s) { result = &s.cpu; });
			return *result;
		}

		/**
		 * Return CPU session that a trace control belongs to
		 *
		 * The image of a single component tells of the one of the environment only.
		 */
		Virtual_cpu &_cpu_of_trace(Image::Dataspace const &ds) const
		{
			return Image::is_unit(_image.contents()) ? _cpu_of(ds.owner) : _child.cpu;
		}

		bool _is_of_this_system();
		bool _has_environment();
		bool _gates_of_root(Offer_state const &) const;
		bool _read_clients();
		bool _take_donations();
		bool _reserve();
		bool _same(Image::Session const &, Open_session const &) const;
		void _forget_memory(Open_session &);
		bool _close_other_sessions();
		bool _wanted(size_t session) const;
		bool _open_sessions();
		void _find_members();
		bool _provide_roms();
		bool _take_dataspaces();
		uint32_t _level(uint32_t member) const;
		bool _refer_to_account(uint32_t member);
		void _note_least(uint32_t member, bool fresh);
		bool _move_quota(uint32_t member, bool down, uint64_t ram, uint64_t caps);
		bool _provide_quota();
		bool _take_shared_memory();
		bool _create_maps();
		void _with_map(uint32_t number, auto const &);
		bool _memory_is_complete();
		bool _provide_dataspaces();
		bool _fill_pages();
		bool _provide();
		bool _servers_fit();
		bool _fill_parent_cap(Dataspace &, uint64_t offset, Native_capability);
		bool _fill_parent_cap();
		bool _fill_tables();
		bool _attach_regions();
		bool _faults_are_open();
		bool _create_threads_of(uint32_t member);
		bool _create_threads();
		bool _create_sources();
		bool _create_contexts();
		uint32_t _main_thread_of(uint32_t member) const;
		bool _create_gates();
		bool _assign_parents();
		void _resume_clients();
		bool _register_handlers();
		bool _register_handler(Image::Handler const &);

		Native_capability _cap_of(Image::Part   const &) const;
		Native_capability _cap_of(Image::Object const &) const;

		bool _install_cap(Image::Object const &, uint32_t &badge);
		bool _install_caps_of(uint32_t member, Array<Cap_space_monitor::Rewrite> &);
		bool _install_caps();
		void _set_timers();
		bool _adopt_records();
		bool _wait_for(unsigned const (&)[Image::MAX_MEMBERS]);
		void _hold_faulters();
		bool _start_threads();
		void _submit_signals();

	public:

		/**
		 * Constructor
		 *
		 * \param chain  image of the component, which is valid
		 */
		Restore(Child &child, Image::Chain const &chain)
		: Restore(child, chain, nullptr) { }

		/**
		 * Constructor for a component that was begun ahead
		 *
		 * \param ahead  used by 'begin' when the chain had less increments, and
		 *               not to be used any more except to be destroyed later
		 */
		Restore(Child &child, Image::Chain const &chain, Restore *ahead)
		: _child(child), _alloc(child.monitor().heap), _chain(chain), _ahead(ahead) { }

		/**
		 * Provide sessions and memory ahead of an increment, to be called once in place of 'prepare'
		 *
		 * \return  false if this is not possible, for a reason that 'start' tells
		 */
		bool begin();

		/**
		 * Do all but start the threads, to be called once
		 *
		 * \return  false if the component is not restored, for a reason that 'start' tells
		 */
		bool prepare();

		/**
		 * Start the threads of a component that is prepared
		 */
		Restore_result start();

		/**
		 * Restore the component, to be called once
		 */
		Restore_result restore()
		{
			(void)prepare();
			return start();
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__RESTORE_H_ */
