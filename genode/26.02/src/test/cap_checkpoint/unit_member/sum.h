/*
 * \brief  Sum that depends on each number and on their order
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SUM_H_
#define _SUM_H_

/* Genode includes */
#include <base/stdint.h>

namespace Test { struct Sum; }


struct Test::Sum
{
	Genode::uint64_t value = 0;

	void add(Genode::uint64_t number) { value = value*6364136223846793005ull + number + 1; }
};

#endif /* _SUM_H_ */
