/*
 * \brief  Copies of the memory of a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _COPIES_H_
#define _COPIES_H_

/* Genode includes */
#include <cap_checkpoint/precopy.h>

/* local includes */
#include <spare_ram.h>

namespace Checkpoint { class Copies; }


/**
 * Copies that are made while the child is running, as long as there is RAM for them
 *
 * All else that needs RAM comes first. If it falls short, the copies go, and checkpoints
 * are made without them for some time.
 */
class Checkpoint::Copies : Noncopyable
{
	private:

		using Precopy = Cap_checkpoint::Precopy;

		/* checkpoints without copies until they are tried again */
		static constexpr unsigned PAUSE = 10;

		Spare_ram _ram;
		Precopy   _precopy;

		/* rounds since the last checkpoint */
		Precopy::Result _ahead { };

		unsigned    _pause  = 0;
		char const *_reason = nullptr;

		/*
		 * Noncopyable
		 */
		Copies(Copies const &);
		Copies &operator = (Copies const &);

	public:

		/**
		 * Constructor
		 *
		 * \param limit  what the copies may take
		 *
		 * To be called after the child is created, and before it is started or
		 * restored. The object must not outlive the child.
		 */
		Copies(Cap_checkpoint::Child &child, Precopy::Limit const &limit)
		:
			_ram(child.monitor().ram, child.monitor().own_pd),
			_precopy(child, limit, _ram)
		{
			if (!_precopy.available())
				_reason = "the processor does not tell which pages are written";
		}

		bool usable() const { return _precopy.available() && !_pause; }

		/**
		 * Return copies to be used for an image, or nullptr
		 */
		Precopy *precopy() { return usable() ? &_precopy : nullptr; }

		/**
		 * Do without copies for some time
		 *
		 * To be called while no image is being made.
		 *
		 * \return  true if RAM became free
		 */
		bool drop(char const *reason)
		{
			bool const used = _precopy.used();

			if (usable()) {
				_precopy.release();
				_ahead  = { };
				_pause  = PAUSE;
				_reason = reason;
			}
			return used;
		}

		/**
		 * Copy what was written since the last round
		 *
		 * \return  true if a further round is not worth it
		 */
		bool round()
		{
			_ahead.add(_precopy.round());

			if (!_precopy.complete()) {
				(void)drop("not enough RAM or capabilities for copies");
				return true;
			}
			return _ahead.enough({ });
		}

		/**
		 * Return what was done in front of an attempt to save the child
		 */
		Precopy::Result attempted()
		{
			Precopy::Result const result = _ahead;
			_ahead = { };
			return result;
		}

		/**
		 * Take note of an image
		 */
		void image_made()
		{
			if (_pause)
				_pause--;

			/* dataspaces that were allocated at last may have had no room */
			else if (_precopy.available() && !_precopy.complete())
				(void)drop("not enough RAM or capabilities for copies");
		}

		size_t ram_used() const { return _precopy.used(); }

		/**
		 * Return number of bytes that the pages of an image take at least
		 */
		size_t pages_size() const
		{
			return _precopy.pages_in_use()*sizeof(Cap_checkpoint::Image::Page);
		}

		/**
		 * Return number of pages that were written since the last image, or more
		 *
		 * To be called after a round, which is when this is known.
		 */
		size_t pages_written() const { return _precopy.pages_written(); }

		/**
		 * Return why there are no copies, or nullptr
		 */
		char const *obstacle() const { return usable() ? nullptr : _reason; }
};

#endif /* _COPIES_H_ */
