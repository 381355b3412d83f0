/*
 * \brief  Base class of abstract interfaces
 * \date   2026-11-29
 *
 * Sources that are shared with later releases of Genode include this header.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__UTIL__INTERFACE_H_
#define _INCLUDE__UTIL__INTERFACE_H_

namespace Genode { struct Interface { virtual ~Interface() { } }; }

#endif /* _INCLUDE__UTIL__INTERFACE_H_ */
