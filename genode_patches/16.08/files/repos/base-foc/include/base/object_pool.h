/*
 * \brief  Object pool, maps capabilities to objects
 * \date   2026-11-22
 *
 * This version of the header replaces the generic one on Fiasco.OC, where an
 * object is found by the slot of its capability in the capability space. It has
 * the same interface.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__BASE_FOC__OBJECT_POOL_H_
#define _INCLUDE__BASE_FOC__OBJECT_POOL_H_

#include <util/avl_tree.h>
#include <util/meta.h>
#include <util/noncopyable.h>
#include <base/capability.h>
#include <base/object_pool_base.h>
#include <base/weak_ptr.h>

namespace Genode {

	template <typename> class Object_pool;
}


/**
 * Set of objects that are found by their capability or its local name
 *
 * \param OBJ_TYPE  object type, inherited from 'Object_pool::Entry'
 */
template <typename OBJ_TYPE>
class Genode::Object_pool : Object_pool_base
{
	private:

		template <typename FUNC>
		using Functor = Trait::Functor<decltype(&FUNC::operator ())>;

		template <typename FUNC>
		using Result = typename Functor<FUNC>::Return_type;

	public:

		struct Entry : Object_pool_base::Entry
		{
			Entry() { }
			Entry(Untyped_capability cap) : Object_pool_base::Entry(cap) { }
		};

	protected:

		bool empty() { return _no_entries(); }

	public:

		void insert(OBJ_TYPE *obj) { _insert_entry(*obj); }

		void remove(OBJ_TYPE *obj) { _remove_entry(*obj); }

		/**
		 * Call functor with the object of the given local name, or a nullptr
		 *
		 * The object is locked meanwhile, also if the functor throws.
		 */
		template <typename FUNC>
		Result<FUNC> apply(unsigned long local_name, FUNC func)
		{
			using Pointer = typename Functor<FUNC>::template Argument<0>::Type;

			Locked_entry const locked(*this, local_name);

			/* yields a nullptr if there is no such entry */
			return func(dynamic_cast<Pointer>(static_cast<Entry *>(locked.ptr())));
		}

		template <typename FUNC>
		Result<FUNC> apply(Untyped_capability cap, FUNC func)
		{
			unsigned long const local_name = cap.local_name();

			return apply(local_name, func);
		}

		/**
		 * Remove all objects, and call functor for each one
		 *
		 * The functor is called without any lock held, when nobody uses the
		 * object any more. It may destroy the object.
		 */
		template <typename FUNC>
		void remove_all(FUNC func)
		{
			while (Object_pool_base::Entry * const entry = _pop_entry())
				func((OBJ_TYPE *)static_cast<Entry *>(entry));
		}
};

#endif /* _INCLUDE__BASE_FOC__OBJECT_POOL_H_ */
