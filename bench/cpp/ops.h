/*
 * \brief  Functions of a map or an object pool, with the signatures of cap_map.h
 *
 * The benchmark calls every subject through such a table, ours included.
 * The same structures are declared in src/ops.rs.
 */

/*
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _OPS_H_
#define _OPS_H_

#include "cap_map.h"

struct bench_map_ops
{
	cap_map_status (*find)      (cap_map_owner const *, uint32_t badge, uint32_t *slot);
	cap_map_status (*insert)    (cap_map_owner const *, uint32_t badge, uint32_t *slot);
	cap_map_status (*insert_at) (cap_map_owner const *, uint32_t badge, uint32_t slot);
	cap_map_status (*insert_map)(cap_map_owner const *, uint32_t badge, size_t selector,
	                             cap_map_kernel const *, uint32_t *slot);
	cap_map_status (*remove)    (cap_map_owner const *, uint32_t slot);
	cap_map_status (*alloc)     (cap_map_owner const *, uint32_t count, uint32_t *first);
	cap_map_status (*free)      (cap_map_owner const *, uint32_t first, uint32_t count);
	cap_map_status (*acquire)   (cap_map_owner const *, uint32_t slot);
	cap_map_status (*release)   (cap_map_owner const *, uint32_t slot, bool *last,
	                             uint32_t *badge);
	cap_map_owner *(*create)    (uint32_t capacity, uint32_t first_user);
	void           (*destroy)   (cap_map_owner *);
};

struct bench_pool_ops
{
	cap_map_status (*insert)   (cap_map_pool const *, cap_map_owner const *,
	                            cap_map_node *, uint32_t slot);
	cap_map_status (*remove)   (cap_map_pool const *, cap_map_owner const *,
	                            cap_map_node const *);
	cap_map_node  *(*acquire)  (cap_map_pool const *, cap_map_owner const *, uint32_t badge);
	cap_map_status (*release)  (cap_map_node const *);
	cap_map_pool  *(*create)   ();
	void           (*destroy)  (cap_map_pool *);
};

#endif /* _OPS_H_ */
