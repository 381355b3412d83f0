/*
 * \brief  Integer types used by the C interface of the flat capability table
 *
 * An environment without the headers below brings its own file of this name,
 * which defines 'size_t', 'uint8_t', 'uint32_t', 'uint64_t', and in C 'bool'.
 * Its folder comes first in the search path.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef CAP_MAP_TYPES_H
#define CAP_MAP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#endif /* CAP_MAP_TYPES_H */
