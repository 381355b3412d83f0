/*
 * Checks for test programs in C and C++: each prints what failed and where,
 * and the program goes on. `return done("name");` ends it.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

#include "cap_map.h"

#define CHECK(condition) \
	check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQ(is, should) \
	check_equal((uint64_t)(is), (uint64_t)(should), #is, __FILE__, __LINE__)
#define CHECK_STATUS(is, should) \
	check_status((uint32_t)(is), (uint32_t)CAP_MAP_STATUS_##should, #is, __FILE__, __LINE__)

#define ALIGNED(bytes) __attribute__((aligned(bytes)))

static unsigned long check_count, check_failures;

static inline int check_that(int good, const char *what, const char *file, int line)
{
	__atomic_fetch_add(&check_count, 1, __ATOMIC_RELAXED);
	if (!good) {
		__atomic_fetch_add(&check_failures, 1, __ATOMIC_RELAXED);
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	}
	return good;
}

static inline int check_equal(uint64_t is, uint64_t should, const char *what,
                              const char *file, int line)
{
	int const good = check_that(is == should, what, file, line);
	if (!good)
		fprintf(stderr, "\tis 0x%llx, should be 0x%llx\n",
		        (unsigned long long)is, (unsigned long long)should);
	return good;
}

static inline int check_status(uint32_t is, uint32_t should, const char *what,
                               const char *file, int line)
{
	int const good = check_that(is == should, what, file, line);
	if (!good)
		fprintf(stderr, "\tis \"%s\", should be \"%s\"\n",
		        cap_map_status_message(is), cap_map_status_message(should));
	return good;
}

static inline int done(const char *name)
{
	if (check_failures)
		fprintf(stderr, "%s: %lu of %lu checks failed\n", name, check_failures, check_count);
	else
		printf("%s: %lu checks\n", name, check_count);
	return check_failures || !check_count;
}

#endif /* CHECK_H */
