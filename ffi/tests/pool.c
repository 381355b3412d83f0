/*
 * Pools and nodes of the C ABI, and each status that they return.
 */
#include "fixture.h"

/* an address that no node can have; nobody may look there */
static cap_map_node *odd_node(cap_map_node *node, uint64_t offset)
{
	return (cap_map_node *)((size_t)node + (size_t)offset);
}

static void pool(void)
{
	cap_map_owner *owner = fresh();
	cap_map_pool pool, second;
	cap_map_node node[3];
	uint32_t slot[3] = { 0, 0, 0 }, i;

	CHECK_STATUS(cap_map_pool_init(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_node_init(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_init(&pool), OK);
	CHECK_STATUS(cap_map_pool_init(&second), OK);
	for (i = 0; i < 3; i++) {
		CHECK_STATUS(cap_map_node_init(&node[i]), OK);
		CHECK_STATUS(cap_map_badge_insert(owner, 4 + 4 * i, &slot[i]), OK);
	}

	CHECK_STATUS(cap_map_pool_insert(NULL, owner, &node[0], slot[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, NULL, slot[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[0], SLOTS), BAD_SLOT);
	CHECK_STATUS(cap_map_pool_remove(NULL, owner, &node[0]), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[0]), NOT_FOUND);
	CHECK(cap_map_pool_acquire(NULL, owner, 4) == NULL);
	CHECK(cap_map_pool_acquire_slot(NULL, owner, slot[0]) == NULL);
	CHECK_STATUS(cap_map_pool_recover(NULL, owner), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, odd_node(node, 1), slot[0]), MISALIGNED);
	if (sizeof(size_t) > 4)
		CHECK_STATUS(cap_map_pool_insert(&pool, owner, odd_node(NULL, (uint64_t)1 << 48),
		                                 slot[0]), BAD_ARGUMENT);
	CHECK(cap_map_pool_first(NULL) == NULL);
	CHECK(cap_map_pool_first(&pool) == NULL);
	CHECK_STATUS(cap_map_node_release(NULL), BAD_ARGUMENT);
	CHECK_STATUS(cap_map_node_drain(NULL), BAD_ARGUMENT);

	for (i = 0; i < 3; i++)
		CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[i], slot[i]), OK);
	CHECK_STATUS(cap_map_pool_insert(&pool, owner, &node[0], slot[0]), IN_USE);
	CHECK_STATUS(cap_map_pool_insert(&second, owner, &node[0], slot[0]), IN_USE);
	CHECK_STATUS(cap_map_pool_remove(&second, owner, &node[0]), NOT_FOUND);

	for (i = 0; i < 3; i++) {
		CHECK(cap_map_pool_acquire(&pool, owner, 4 + 4 * i) == &node[i]);
		CHECK_STATUS(cap_map_node_release(&node[i]), OK);
	}
	for (i = 0; i < 3; i++) {
		CHECK(cap_map_pool_acquire_slot(&pool, owner, slot[i]) == &node[i]);
		CHECK_STATUS(cap_map_node_release(&node[i]), OK);
	}
	CHECK(cap_map_pool_acquire_slot(&second, owner, slot[0]) == NULL);
	CHECK(cap_map_pool_acquire_slot(&pool, owner, SLOTS) == NULL);
	CHECK(cap_map_pool_acquire_slot(&pool, owner, UINT32_MAX) == NULL);
	CHECK(cap_map_pool_acquire(&second, owner, 4) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, 16) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, 0) == NULL);
	CHECK(cap_map_pool_acquire(&pool, owner, UINT32_MAX) == NULL);
	CHECK(cap_map_pool_first(&pool) == &node[0]);
	CHECK_STATUS(cap_map_node_release(&node[0]), OK);

	/* removal does not wait for users, and an object can come back */
	CHECK(cap_map_pool_acquire(&pool, owner, 8) == &node[1]);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[1]), OK);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[1]), NOT_FOUND);
	CHECK(cap_map_pool_acquire(&pool, owner, 8) == NULL);
	CHECK_STATUS(cap_map_node_release(&node[1]), OK);
	CHECK_STATUS(cap_map_node_drain(&node[1]), OK);
	CHECK_STATUS(cap_map_pool_insert(&second, owner, &node[1], slot[1]), OK);
	CHECK(cap_map_pool_acquire(&second, owner, 8) == &node[1]);
	CHECK_STATUS(cap_map_node_release(&node[1]), OK);

	/* members stay when the memory was restored, and so do their users */
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == &node[0]);
	CHECK_STATUS(cap_map_owner_recover(owner), OK);
	CHECK_STATUS(cap_map_pool_recover(&pool, owner), OK);
	CHECK_STATUS(cap_map_pool_recover(&second, owner), OK);
	CHECK_STATUS(cap_map_node_release(&node[0]), OK);
	CHECK(cap_map_pool_acquire(&second, owner, 8) == &node[1]);
	CHECK_STATUS(cap_map_node_release(&node[1]), OK);

	/* the key follows the table: badge moved to another slot, badge gone */
	CHECK_STATUS(cap_map_badge_insert_at(owner, 4, slot[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == &node[2]);
	CHECK_STATUS(cap_map_node_release(&node[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 12) == NULL);
	CHECK_STATUS(cap_map_slot_remove(owner, slot[2]), OK);
	CHECK(cap_map_pool_acquire(&pool, owner, 4) == NULL);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[2]), OK);
	CHECK_STATUS(cap_map_pool_remove(&pool, owner, &node[0]), OK);
	CHECK(cap_map_pool_first(&pool) == NULL);
	CHECK_STATUS(cap_map_pool_remove(&second, owner, &node[1]), OK);
}

int main(void)
{
	pool();
	return done("pool");
}
