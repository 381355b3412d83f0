//! A plain hash map as a yardstick: neither shared nor concurrent, and its
//! memory grows as it likes. Free slots are a stack.

use std::collections::HashMap;

use cap_map_ffi::{Status, cap_map_kernel, cap_map_node, cap_map_owner, cap_map_pool};
use rustc_hash::FxBuildHasher;

use crate::ops::{MapOps, PoolOps, answer, ask_kernel};

struct Hashed {
    slots: HashMap<u32, u32, FxBuildHasher>,
    entries: Vec<(u32, u32)>,
    free: Vec<u32>,
}

type Objects = HashMap<u32, *mut cap_map_node, FxBuildHasher>;

pub(crate) static OPS: MapOps = MapOps {
    find,
    insert,
    insert_at,
    insert_map,
    remove,
    alloc,
    free,
    acquire,
    release,
    create,
    destroy,
};

/// The pool is filed by badge, which a rewrite would not reach.
pub(crate) static POOL: PoolOps = PoolOps {
    insert: pool_insert,
    remove: pool_remove,
    acquire: pool_acquire,
    release: node_release,
    create: pool_create,
    destroy: pool_destroy,
};

#[allow(clippy::mut_from_ref)]
unsafe fn map<'a>(owner: *const cap_map_owner) -> &'a mut Hashed {
    // SAFETY: the benchmark uses a map of this kind from one thread only.
    unsafe { &mut *owner.cast_mut().cast() }
}

impl Hashed {
    fn insert(&mut self, badge: u32) -> Option<u32> {
        let free = self.free.pop()?;
        self.slots.insert(badge, free);
        self.entries[free as usize] = (badge, 0);
        Some(free)
    }
}

unsafe extern "C" fn find(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    // SAFETY: the owner came from `create`.
    let found = unsafe { map(owner) }.slots.get(&badge).copied();
    // SAFETY: the caller's `slot` is valid.
    unsafe { answer(found.ok_or(Status::NotFound), slot) }
}

unsafe extern "C" fn insert(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    // SAFETY: the owner came from `create`.
    let taken = unsafe { map(owner) }.insert(badge);
    // SAFETY: the caller's `slot` is valid.
    unsafe { answer(taken.ok_or(Status::OutOfSlots), slot) }
}

unsafe extern "C" fn insert_at(owner: *const cap_map_owner, badge: u32, slot: u32) -> Status {
    // SAFETY: the owner came from `create`.
    let map = unsafe { map(owner) };
    if let Some(at) = map.free.iter().rposition(|free| *free == slot) {
        map.free.remove(at);
    }
    map.slots.insert(badge, slot);
    map.entries[slot as usize] = (badge, 0);
    Status::Ok
}

unsafe extern "C" fn insert_map(
    owner: *const cap_map_owner,
    badge: u32,
    selector: usize,
    kernel: *const cap_map_kernel,
    slot: *mut u32,
) -> Status {
    // SAFETY: the owner came from `create`.
    let map = unsafe { map(owner) };
    let known = map.slots.get(&badge).copied();
    // SAFETY: the caller's `kernel` is valid.
    let entered = unsafe { ask_kernel(kernel, selector, known, || map.insert(badge)) };
    let entered = entered.inspect(|slot| map.entries[*slot as usize].1 += 1);
    // SAFETY: the caller's `slot` is valid.
    unsafe { answer(entered, slot) }
}

unsafe extern "C" fn remove(owner: *const cap_map_owner, slot: u32) -> Status {
    // SAFETY: the owner came from `create`.
    let map = unsafe { map(owner) };
    let (badge, _) = core::mem::take(&mut map.entries[slot as usize]);
    map.slots.remove(&badge);
    map.free.push(slot);
    Status::Ok
}

unsafe extern "C" fn alloc(_: *const cap_map_owner, _: u32, _: *mut u32) -> Status {
    Status::OutOfSlots
}

unsafe extern "C" fn free(owner: *const cap_map_owner, first: u32, _: u32) -> Status {
    // SAFETY: the owner came from `create`.
    unsafe { map(owner) }.free.push(first);
    Status::Ok
}

unsafe extern "C" fn acquire(owner: *const cap_map_owner, slot: u32) -> Status {
    // SAFETY: the owner came from `create`.
    unsafe { map(owner) }.entries[slot as usize].1 += 1;
    Status::Ok
}

unsafe extern "C" fn release(
    owner: *const cap_map_owner,
    slot: u32,
    last: *mut bool,
    badge: *mut u32,
) -> Status {
    // SAFETY: the owner came from `create`.
    let map = unsafe { map(owner) };
    let entry = &mut map.entries[slot as usize];
    entry.1 -= 1;
    if entry.1 == 0 {
        map.slots.remove(&entry.0);
        // SAFETY: the caller's `badge` is valid.
        unsafe { badge.write(entry.0) };
    }
    // SAFETY: the caller's `last` is valid.
    unsafe { last.write(entry.1 == 0) };
    Status::Ok
}

extern "C" fn create(capacity: u32, first_user: u32) -> *mut cap_map_owner {
    let map = Hashed {
        slots: HashMap::default(),
        entries: vec![(0, 0); capacity as usize],
        free: (first_user..capacity).rev().collect(),
    };
    Box::into_raw(Box::new(map)).cast()
}

unsafe extern "C" fn destroy(owner: *mut cap_map_owner) {
    // SAFETY: came from `create`.
    drop(unsafe { Box::from_raw(owner.cast::<Hashed>()) });
}

#[allow(clippy::mut_from_ref)]
unsafe fn objects<'a>(pool: *const cap_map_pool) -> &'a mut Objects {
    // SAFETY: the benchmark uses a pool of this kind from one thread only.
    unsafe { &mut *pool.cast_mut().cast() }
}

unsafe extern "C" fn pool_insert(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    node: *mut cap_map_node,
    slot: u32,
) -> Status {
    // SAFETY: the owner came from `create`.
    let (badge, _) = unsafe { map(owner) }.entries[slot as usize];
    // SAFETY: the pool came from `pool_create`.
    unsafe { objects(pool) }.insert(badge, node);
    Status::Ok
}

unsafe extern "C" fn pool_remove(
    pool: *const cap_map_pool,
    _: *const cap_map_owner,
    node: *const cap_map_node,
) -> Status {
    // SAFETY: the pool came from `pool_create`.
    unsafe { objects(pool) }.retain(|_, object| !core::ptr::eq(*object, node));
    Status::Ok
}

unsafe extern "C" fn pool_acquire(
    pool: *const cap_map_pool,
    _: *const cap_map_owner,
    badge: u32,
) -> *mut cap_map_node {
    // SAFETY: the pool came from `pool_create`.
    unsafe { objects(pool) }.get(&badge).copied().unwrap_or(core::ptr::null_mut())
}

unsafe extern "C" fn node_release(_: *const cap_map_node) -> Status {
    Status::Ok
}

extern "C" fn pool_create() -> *mut cap_map_pool {
    Box::into_raw(Box::new(Objects::default())).cast()
}

unsafe extern "C" fn pool_destroy(pool: *mut cap_map_pool) {
    // SAFETY: came from `pool_create`.
    drop(unsafe { Box::from_raw(pool.cast::<Objects>()) });
}
