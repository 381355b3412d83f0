/*
 * \brief  Kernel bindings under the names of later releases
 * \date   2026-11-29
 *
 * Genode 16.08 includes each kernel header where it is needed, in a name space
 * of another name. By this header, code that is written for later releases
 * works there, too.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__FOC__SYSCALL_H_
#define _INCLUDE__FOC__SYSCALL_H_

namespace Fiasco {
#include <l4/sys/consts.h>
#include <l4/sys/ipc.h>
#include <l4/sys/irq.h>
#include <l4/sys/task.h>
#include <l4/sys/thread.h>
#include <l4/sys/types.h>
#include <l4/sys/utcb.h>
}

namespace Foc = Fiasco;

#endif /* _INCLUDE__FOC__SYSCALL_H_ */
