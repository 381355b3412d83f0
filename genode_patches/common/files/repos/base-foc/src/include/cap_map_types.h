/*
 * \brief  Integer types used by the C interface of the flat capability table
 * \date   2026-11-22
 *
 * The types of the compiler's own headers are not always those of Genode. In
 * the global name space, they would clash with the latter wherever the Genode
 * name space is in use.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3 or, in Genode 16.08, of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_MAP_TYPES_H_
#define _INCLUDE__CAP_MAP_TYPES_H_

#include <base/stdint.h>

using Genode::size_t;
using Genode::uint8_t;
using Genode::uint32_t;
using Genode::uint64_t;

#endif /* _INCLUDE__CAP_MAP_TYPES_H_ */
