/*
 * \brief  Stack size of the initial entrypoint
 * \date   2026-11-29
 *
 * The default of later releases is large enough.
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#include <base/component.h>

Genode::size_t Component::stack_size() { return 8*1024*sizeof(long); }
