/*
 * \brief  What the tests of single cases count
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _VERDICT_H_
#define _VERDICT_H_

#include <cstdio>

static unsigned long checks = 0, failed = 0;


static inline void check(bool ok, char const *what)
{
	checks++;
	if (ok)
		return;
	failed++;
	printf("ownership: failed: %s\n", what);
}

#endif /* _VERDICT_H_ */
