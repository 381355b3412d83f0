/*
 * \brief  Copy the memory of a component while it is running
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PRECOPY_H_
#define _INCLUDE__CAP_CHECKPOINT__PRECOPY_H_

/* Genode includes */
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/shadow.h>
#include <foc_native_pd/client.h>

namespace Cap_checkpoint { class Precopy; }


/**
 * Copies of the dataspaces of a child and its children, brought up to date in rounds
 *
 * All rounds but the last one take place while the child is running. The last
 * one, which 'Save' calls for, copies what the child has written since then. The
 * copies stay valid from one checkpoint to the next, whatever becomes of it.
 *
 * The object must be created after the child, and before it is started or
 * restored, and be used and destroyed by the same entrypoint as the child.
 */
class Cap_checkpoint::Precopy : private Shadow::Owner, Noncopyable
{
	public:

		/**
		 * What the copies may take
		 */
		struct Limit
		{
			size_t ram;          /* bytes */
			size_t caps = ~0UL;  /* one for each dataspace */
		};

		struct Round
		{
			size_t   pages  = 0;  /* that were copied */
			unsigned calls  = 0;  /* questions to core */

			uint64_t copy_us = 0;  /* time to copy them */
		};

		/**
		 * Questions to core that all rounds may ask, whatever the child has attached where
		 *
		 * Pages that would take more count as written.
		 */
		static constexpr unsigned MIN_CALLS = 256, PAGES_PER_CALL = 64;

		size_t max_calls() const { return MIN_CALLS + _used/Shadow::PAGE/PAGES_PER_CALL; }

		/**
		 * Limits of the effort before a freeze
		 */
		struct Bound
		{
			unsigned rounds = 8;
			size_t   enough = 16;  /* pages left, which are not worth a round */
		};

	private:

		using Dirty_pages = Foc_native_pd::Dirty_pages;

		Child                &_child;
		Ram_allocator        &_ram;
		Limit           const _limit;

		List<Shadow> _shadows  { };
		size_t       _used     = 0, _count = 0;
		bool         _complete = false, _pinned = false;

		bool const _available { _track_dirty_pages() };

		bool _track_dirty_pages()
		{
			/* as do children from the start */
			_child.unit.tracks_dirty_pages = _child.pd.track_dirty_pages();

			return _child.unit.tracks_dirty_pages;
		}

		/* what core said last of one PD, valid during one round */
		struct Answer { addr_t at; size_t count; Dirty_pages pages; };

		Answer _answer { };

		/*
		 * Noncopyable
		 */
		Precopy(Precopy const &);
		Precopy &operator = (Precopy const &);

		void discard(Shadow &) override;

		void _destroy(Shadow &);

		bool _provide(Dataspace &);
		bool _provide_all();
		bool _ask(Virtual_pd &, addr_t at, Round &);
		void _look_at(Virtual_pd &, Region const &, addr_t at, size_t skip, size_t count, Round &);
		void _look_at_area(Virtual_pd &, Region const &, addr_t at, addr_t begin, addr_t end, Round &);
		void _look_at_others();
		void _look_at_pd(Virtual_pd &, Round &);
		void _look_at_all(Round &);

	public:

		/**
		 * Constructor
		 *
		 * \param ram  where they take their RAM from
		 */
		Precopy(Child &child, Limit const &limit, Ram_allocator &ram)
		: _child(child), _ram(ram), _limit(limit) { }

		/**
		 * Constructor for copies that take RAM of the monitor
		 */
		Precopy(Child &child, Limit const &limit)
		: Precopy(child, limit, child.monitor().ram) { }

		~Precopy() { release(); }

		/**
		 * Return false if the processor does not tell which pages were written
		 */
		bool available() const { return _available; }

		/**
		 * Return true if there was a copy of each dataspace in the last round
		 *
		 * If the processor does not tell which pages were written, or the limit
		 * does not allow for the copies, the memory is saved as a whole.
		 */
		bool complete() const { return _complete; }

		/**
		 * Copy what was written since the round before
		 */
		Round round();

		/**
		 * Rounds in front of a freeze
		 */
		struct Result
		{
			unsigned rounds = 0;
			size_t   pages  = 0;  /* of all rounds */
			size_t   before = 0;  /* pages of the round before the last one */
			Round    last   { };

			void add(Round const &round)
			{
				before = last.pages;
				last   = round;
				pages += round.pages;
				rounds++;
			}

			/**
			 * Return true if a further round is not worth it
			 *
			 * This is so if what remains has not become less by a quarter at least.
			 */
			bool enough(Bound const &bound) const
			{
				return rounds >= bound.rounds || last.pages <= bound.enough
				    || (rounds > 1 && last.pages*4 > before*3);
			}
		};

		/**
		 * Prepare for a freeze
		 */
		Result rounds(Bound const &);

		Result rounds() { return rounds(Bound { }); }

		/**
		 * Keep the copies as they are until 'unpin', for an image
		 *
		 * No round takes place meanwhile. The numbers of the dataspaces are kept,
		 * too, and the copy of one that vanishes.
		 *
		 * \param written  the image is complete, and what the next increment refers to
		 */
		void pin();
		void unpin(bool written);

		/**
		 * Return the copy that was pinned with the lowest number, starting at 'number'
		 */
		Shadow const *pinned(uint32_t number) const;

		/**
		 * Return RAM in bytes that the copies take
		 */
		size_t used() const { return _used; }

		/**
		 * Return number of copies, each of which takes a capability
		 */
		size_t count() const { return _count; }

		/**
		 * Return number of pages of the copies that are not zero
		 */
		size_t pages_in_use() const;

		/**
		 * Return number of pages of the copies that may differ from the last image
		 */
		size_t pages_written() const;

		/**
		 * Free the copies, which must not be pinned
		 */
		void release();

		/**
		 * Call 'fn' with each 'Shadow const &'
		 */
		void for_each_shadow(auto const &fn) const
		{
			for (Shadow const *s = _shadows.first(); s; s = s->next())
				fn(*s);
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PRECOPY_H_ */
