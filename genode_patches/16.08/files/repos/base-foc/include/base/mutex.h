/*
 * \brief  Lock with the names of a mutex
 * \date   2026-11-29
 *
 * Genode 16.08 has no mutex. By this class, code that is written for later
 * releases works there, too.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__BASE__MUTEX_H_
#define _INCLUDE__BASE__MUTEX_H_

#include <base/lock.h>

namespace Genode { struct Mutex; }


struct Genode::Mutex : Lock
{
	void acquire() { lock(); }
	void release() { unlock(); }
};

#endif /* _INCLUDE__BASE__MUTEX_H_ */
