/*
 * \brief  Memory of a session of a component
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SESSION_MEMORY_H_
#define _INCLUDE__CAP_CHECKPOINT__SESSION_MEMORY_H_

/* Genode includes */
#include <cap_checkpoint/sessions.h>

namespace Cap_checkpoint { class Session_memory; }


/**
 * Memory that belongs to a session, and that the component pays for
 *
 * Whatever a server shares stays with the monitor. So the component has no memory
 * of somebody else.
 */
class Cap_checkpoint::Session_memory : Noncopyable
{
	private:

		Virtual_pd    &_pd;
		Env::Local_rm &_local_rm;

		Dataspace *_ds    = nullptr;
		char      *_start = nullptr;

		/*
		 * Noncopyable
		 */
		Session_memory(Session_memory const &);
		Session_memory &operator = (Session_memory const &);

	public:

		/**
		 * Constructor
		 *
		 * The memory is zero.
		 */
		Session_memory(Virtual_pd &, Env::Local_rm &, size_t size);

		~Session_memory();

		/**
		 * Return false if the quota of the component does not suffice
		 */
		bool valid() const { return _start; }

		Dataspace *ds() const { return _ds; }

		char   *start() const { return _start; }
		size_t  size()  const { return valid() ? _ds->size : 0; }

		/**
		 * Replace the content, what remains is zero
		 */
		void fill(char const *bytes, size_t num_bytes)
		{
			num_bytes = min(num_bytes, size());
			memcpy(_start, bytes, num_bytes);
			bzero(_start + num_bytes, size() - num_bytes);
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SESSION_MEMORY_H_ */
