/*
 * \brief  Exposure of the component's capability space to a monitor
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__BASE__INTERNAL__CAP_SPACE_INFO_H_
#define _INCLUDE__BASE__INTERNAL__CAP_SPACE_INFO_H_

namespace Genode {

	struct Pd_session;

	/**
	 * Keep the capability table in the memory of a monitor, if there is one
	 */
	void expose_cap_space(Pd_session &);
}

#endif /* _INCLUDE__BASE__INTERNAL__CAP_SPACE_INFO_H_ */
