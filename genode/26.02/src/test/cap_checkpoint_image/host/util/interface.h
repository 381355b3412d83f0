/*
 * \brief  Base class of interfaces of Genode, for host programs
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _UTIL__INTERFACE_H_
#define _UTIL__INTERFACE_H_

namespace Genode { struct Interface { virtual ~Interface() { } }; }

#endif /* _UTIL__INTERFACE_H_ */
