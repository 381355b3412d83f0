//! Our table and pool as subjects: the C ABI as it is, plus memory.

use std::alloc::{Layout, alloc_zeroed, dealloc};

use cap_map_ffi::*;

use crate::ops::{MapOps, PoolOps};

/// The environment's part of the C ABI.
#[unsafe(no_mangle)]
extern "C" fn cap_map_relax() {
    std::thread::yield_now();
}

/// The table before a monitor may see it.
pub(crate) static PRIVATE: MapOps = ops(create_private);

/// The published table, with the whole protocol.
pub(crate) static PUBLISHED: MapOps = ops(create_published);

type Create = unsafe extern "C" fn(u32, u32) -> *mut cap_map_owner;

const fn ops(create: Create) -> MapOps {
    MapOps {
        find: cap_map_badge_find,
        insert: cap_map_badge_insert,
        insert_at: cap_map_badge_insert_at,
        insert_map: cap_map_badge_insert_map,
        remove: cap_map_slot_remove,
        alloc: cap_map_slot_alloc,
        free: cap_map_slot_free,
        acquire: cap_map_ref_acquire,
        release: cap_map_ref_release,
        create,
        destroy,
    }
}

/// Our object pool.
pub(crate) static POOL: PoolOps = PoolOps {
    insert: pool_insert,
    remove: cap_map_pool_remove,
    acquire: cap_map_pool_acquire,
    release: cap_map_node_release,
    create: pool_create,
    destroy: pool_destroy,
};

/// Page size: where the private memory and the region start.
const PAGE: usize = 4096;

/// In front of the owner: what is needed to give its memory back.
struct Memory {
    layout: Layout,
    region: usize,
    region_size: usize,
}

fn memory_of(owner: *const cap_map_owner) -> *mut Memory {
    owner.cast_mut().wrapping_byte_sub(PAGE).cast()
}

/// The region of one of our owners: base and size.
pub(crate) fn region_of(owner: *const cap_map_owner) -> (*mut u8, usize) {
    // SAFETY: `create` put it there.
    let memory = unsafe { &*memory_of(owner) };
    (owner.cast_mut().wrapping_byte_add(memory.region).cast(), memory.region_size)
}

fn create(capacity: u32, first_user: u32) -> *mut cap_map_owner {
    let private = cap_map_owner_size(capacity);
    let region = private.next_multiple_of(PAGE);
    let region_size = cap_map_region_size(capacity);
    let Ok(layout) = Layout::from_size_align(PAGE + region + region_size, PAGE) else {
        return core::ptr::null_mut();
    };
    // SAFETY: the layout is not empty.
    let block = unsafe { alloc_zeroed(layout) };
    assert!(!block.is_null(), "out of memory");
    // SAFETY: the first page of the block is for this.
    unsafe { block.cast::<Memory>().write(Memory { layout, region, region_size }) };
    let base = block.wrapping_add(PAGE);
    let config = cap_map_config {
        max_slots: capacity,
        first_user,
        shift: 12,
        badge_bits: 28,
        wait_budget: 64,
        core: 0,
    };
    let mut owner = core::ptr::null_mut();
    // SAFETY: both parts lie in the block, and nobody else uses them.
    let status = unsafe {
        cap_map_owner_create(
            base.cast(),
            private,
            base.wrapping_add(region).cast(),
            region_size,
            &config,
            &mut owner,
        )
    };
    assert!(status == Status::Ok, "table not created: {status}");
    owner
}

extern "C" fn create_private(capacity: u32, first_user: u32) -> *mut cap_map_owner {
    create(capacity, first_user)
}

extern "C" fn create_published(capacity: u32, first_user: u32) -> *mut cap_map_owner {
    let owner = create(capacity, first_user);
    let identity = cap_map_identity { label: [0; 64], boot: 0, instance: 0, pd: 0, parent: 0 };
    // SAFETY: just created; the identity is valid.
    let status = unsafe { cap_map_owner_publish(owner, &identity) };
    assert!(status == Status::Ok, "table not published: {status}");
    owner
}

unsafe extern "C" fn destroy(owner: *mut cap_map_owner) {
    let memory = memory_of(owner);
    // SAFETY: `create` put it there.
    let layout = unsafe { (*memory).layout };
    // SAFETY: allocated with this layout; nobody uses it any more.
    unsafe { dealloc(memory.cast(), layout) }
}

unsafe extern "C" fn pool_insert(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    node: *mut cap_map_node,
    slot: u32,
) -> Status {
    // SAFETY: the caller's node is valid and not a member yet.
    let status = unsafe { cap_map_node_init(node) };
    assert!(status == Status::Ok, "node not initialised: {status}");
    // SAFETY: the caller's duties are the same.
    unsafe { cap_map_pool_insert(pool, owner, node, slot) }
}

extern "C" fn pool_create() -> *mut cap_map_pool {
    let pool = Box::into_raw(Box::new(cap_map_pool { opaque: [0; 4] }));
    // SAFETY: valid memory without members.
    let status = unsafe { cap_map_pool_init(pool) };
    assert!(status == Status::Ok, "pool not initialised: {status}");
    pool
}

unsafe extern "C" fn pool_destroy(pool: *mut cap_map_pool) {
    // SAFETY: came from `pool_create`, has no members any more.
    drop(unsafe { Box::from_raw(pool) });
}
