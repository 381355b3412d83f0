/*
 * \brief  Later name of the lazily constructed object
 * \date   2026-11-29
 *
 * Sources that are shared with later releases of Genode include this header.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__UTIL__RECONSTRUCTIBLE_H_
#define _INCLUDE__UTIL__RECONSTRUCTIBLE_H_

#include <util/volatile_object.h>

namespace Genode {

	template <typename T>
	using Constructible = Lazy_volatile_object<T>;
}

#endif /* _INCLUDE__UTIL__RECONSTRUCTIBLE_H_ */
