/*
 * \brief  Image that is being made
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MAKING_H_
#define _MAKING_H_

/* Genode includes */
#include <cap_checkpoint/save.h>

/* local includes */
#include <image_store.h>

namespace Checkpoint {

	using Cap_checkpoint::Refused;

	class Making;
}


/**
 * Image that goes to the memory of the store
 *
 * The memory may be too small, to find out how much is needed.
 */
class Checkpoint::Making : Noncopyable
{
	private:

		using Child    = Cap_checkpoint::Child;
		using Precopy  = Cap_checkpoint::Precopy;
		using Save     = Cap_checkpoint::Save;
		using Snapshot = Cap_space_monitor::Snapshot_with_memory<>;

		Allocator         &_alloc;
		Image::Memory_sink _sink;
		uint64_t const     _room;
		Save              &_save;

		/*
		 * Noncopyable
		 */
		Making(Making const &);
		Making &operator = (Making const &);

	public:

		/* how much is done by one step, about a millisecond */
		static constexpr size_t PAGES_PER_STEP = 64, ALL_PAGES = ~0UL;

		enum class Step { REFUSED, MORE, COMPLETE, TOO_LARGE };

		/**
		 * Constructor
		 *
		 * \param precopy  copies of the memory of the child, or nullptr
		 * \param base     what an increment has to continue, or nullptr for a whole image
		 * \param room     bytes that there are on the medium
		 *
		 * \throw  Out_of_ram, Out_of_caps
		 */
		Making(Child &child, Image_store &store, Snapshot &snapshot, Precopy *precopy,
		       Image::Base const *base, uint64_t room)
		:
			_alloc(child.monitor().heap),
			_sink { store.memory(1), store.memory_size() }, _room(room),
			_save(precopy && base ? *new (_alloc) Save(child, _sink, snapshot, *precopy, *base)
			                      : *new (_alloc) Save(child, _sink, snapshot, precopy))
		{ }

		~Making() { destroy(_alloc, &_save); }

		/**
		 * Save the frozen child, except for pages that there are copies of
		 */
		Cap_checkpoint::Save_result state() { return _save.save_state(); }

		/**
		 * Return true if pages will come from copies, which the child does not wait for
		 */
		bool pages_left() const { return _save.pages_left(); }

		/**
		 * Append pages
		 *
		 * \param fn  called with the 'Refused const &' if there is no image
		 */
		Step step(size_t num_pages, auto const &fn)
		{
			return _save.save_pages(num_pages).convert<Step>(
				[&] (bool complete) {
					return !complete                                ? Step::MORE
					     : _sink.complete() && num_bytes() <= _room ? Step::COMPLETE
					                                                : Step::TOO_LARGE; },
				[&] (Refused const &refused) {
					fn(refused);
					return Step::REFUSED; });
		}

		/**
		 * Return size of the image so far
		 */
		size_t num_bytes() const { return size_t(_sink.needed()); }

		Precopy::Round last_round() const { return _save.last_round; }

		/**
		 * Return true if the copies tell what will be written after this image
		 */
		bool from_copies() const { return _save.from_copies(); }

		/**
		 * Return what an increment has to continue
		 */
		Image::Base next_base() const { return _save.next_base(); }
};

#endif /* _MAKING_H_ */
