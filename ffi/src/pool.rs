//! Object pools. Callbacks into C++ do not exist here: C++ asks for an object,
//! runs what it wants with it, and gives it back.

use core::ptr::NonNull;

use cap_map_rs::Status;
use cap_map_rs::pool::{Node, Pool};
use static_assertions::const_assert;

use crate::Environment;
use crate::owner::{cap_map_owner, owner, status_of};

type Members = Pool<Environment>;

/// Memory of a pool; initialise it before use, do not move it afterwards.
#[repr(C)]
pub struct cap_map_pool {
    /// Not to be touched.
    pub opaque: [u64; 4],
}

/// The part of an object that makes it a member of a pool; initialise it
/// before use, do not move it while it is a member.
#[repr(C)]
pub struct cap_map_node {
    /// Not to be touched.
    pub opaque: [u64; 5],
}

const_assert!(size_of::<Members>() <= size_of::<cap_map_pool>());
const_assert!(align_of::<Members>() <= align_of::<cap_map_pool>());
const_assert!(size_of::<Node>() <= size_of::<cap_map_node>());
const_assert!(align_of::<Node>() <= align_of::<cap_map_node>());

macro_rules! pool {
    ($pointer:expr) => {
        // SAFETY: the caller passes null or a pool that was initialised.
        match unsafe { $pointer.cast::<Members>().as_ref() } {
            Some(pool) => pool,
            None => return Status::BadArgument,
        }
    };
}

/// Initialises a pool.
///
/// # Safety
/// 1. `pool` is null or valid for a write, and has no members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_init(pool: *mut cap_map_pool) -> Status {
    let Some(pool) = NonNull::new(pool) else { return Status::BadArgument };
    // SAFETY: duty 1; size and alignment fit as asserted above.
    unsafe { pool.cast::<Members>().write(Members::new()) };
    Status::Ok
}

/// Initialises a node.
///
/// # Safety
/// 1. `node` is null or valid for a write, and is not a member of a pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_node_init(node: *mut cap_map_node) -> Status {
    let Some(node) = NonNull::new(node) else { return Status::BadArgument };
    // SAFETY: duty 1; size and alignment fit as asserted above.
    unsafe { node.cast::<Node>().write(Node::new()) };
    Status::Ok
}

/// Makes the object of `node` the one for the capability at `slot`.
///
/// # Safety
/// 1. The pointers are null or what they are called, initialised.
/// 2. Node and pool stay where they are while the node is a member.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_insert(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    node: *mut cap_map_node,
    slot: u32,
) -> Status {
    let (pool, owner) = (pool!(pool), owner!(owner));
    let Some(node) = NonNull::new(node) else { return Status::BadArgument };
    // SAFETY: duty 2.
    status_of(unsafe { pool.insert(owner, node.cast(), slot) })
}

/// Takes a node out of the pool. Users of its object are not waited for.
///
/// # Safety
/// 1. The pointers are null or what they are called, initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_remove(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    node: *const cap_map_node,
) -> Status {
    let (pool, owner) = (pool!(pool), owner!(owner));
    // SAFETY: duty 1.
    let Some(node) = (unsafe { node.cast::<Node>().as_ref() }) else {
        return Status::BadArgument;
    };
    status_of(pool.remove(owner, node))
}

/// The node of the object for `badge`, pinned until cap_map_node_release; null
/// for a badge that leads to no object of this pool.
///
/// # Safety
/// 1. The pointers are null or what they are called, initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_acquire(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    badge: u32,
) -> *mut cap_map_node {
    // SAFETY: duty 1.
    let pool = unsafe { pool.cast::<Members>().as_ref() };
    // SAFETY: duty 1.
    let owner = unsafe { owner.as_ref() };
    let found = pool.zip(owner).and_then(|(pool, owner)| pool.acquire(&owner.0, badge));
    found.map_or(core::ptr::null_mut(), |node| node.as_ptr().cast())
}

/// Some member, pinned until cap_map_node_release; null if there is none.
///
/// # Safety
/// 1. `pool` is null or a pool that was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_first(pool: *const cap_map_pool) -> *mut cap_map_node {
    // SAFETY: duty 1.
    let pool = unsafe { pool.cast::<Members>().as_ref() };
    let found = pool.and_then(Pool::first);
    found.map_or(core::ptr::null_mut(), |node| node.as_ptr().cast())
}

/// Gives up the use of the object that cap_map_pool_acquire granted.
///
/// # Safety
/// 1. `node` is null or was acquired, once for each call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_node_release(node: *const cap_map_node) -> Status {
    // SAFETY: duty 1.
    let Some(node) = (unsafe { node.cast::<Node>().as_ref() }) else {
        return Status::BadArgument;
    };
    node.release();
    Status::Ok
}

/// Waits until nobody uses the object any more; it has left its pool before.
///
/// # Safety
/// 1. `node` is null or was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_node_drain(node: *const cap_map_node) -> Status {
    // SAFETY: duty 1.
    let Some(node) = (unsafe { node.cast::<Node>().as_ref() }) else {
        return Status::BadArgument;
    };
    node.drain::<Environment>();
    Status::Ok
}
