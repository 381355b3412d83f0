/*
 * \brief  Integer types of Genode, for host programs
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BASE__STDINT_H_
#define _BASE__STDINT_H_

namespace Genode {

	using uint8_t  = __UINT8_TYPE__;
	using uint32_t = __UINT32_TYPE__;
	using uint64_t = __UINT64_TYPE__;
	using size_t   = __SIZE_TYPE__;
}

#endif /* _BASE__STDINT_H_ */
