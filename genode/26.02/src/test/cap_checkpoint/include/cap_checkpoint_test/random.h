/*
 * \brief  Numbers that are the same in each run
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__RANDOM_H_
#define _CAP_CHECKPOINT_TEST__RANDOM_H_

/* Genode includes */
#include <base/stdint.h>

namespace Test { struct Random; }


struct Test::Random
{
	Genode::uint32_t _value = 815;

	/**
	 * Return number below the limit
	 */
	unsigned any(unsigned limit)
	{
		_value = _value*1103515245 + 12345;
		return (_value >> 8) % limit;
	}
};

#endif /* _CAP_CHECKPOINT_TEST__RANDOM_H_ */
