//! Pool: objects that are found by the badge of their capability

// C++ is not called back from here. It asks for an object, runs what it wants
// with it, and gives it back.

use core::ptr::NonNull;

use cap_map_rs::Status;
use cap_map_rs::pool::{Node, Pool};
use static_assertions::const_assert;

use crate::Environment;
use crate::node::cap_map_node;
use crate::owner::{cap_map_owner, owner};
use crate::status::status_of;

type Members = Pool<Environment>;

const_assert!(size_of::<Members>() <= size_of::<cap_map_pool>());
const_assert!(align_of::<Members>() <= align_of::<cap_map_pool>());

/// Memory of a pool; initialise it before use, do not move it afterwards.
#[repr(C)]
pub struct cap_map_pool {
    /// Not to be touched.
    pub opaque: [u64; 4],
}

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
/// 1. As for all functions; `pool` has no members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_init(pool: *mut cap_map_pool) -> Status {
    let Some(pool) = NonNull::new(pool) else { return Status::BadArgument };
    // SAFETY: duty 1; size and alignment fit as asserted above.
    unsafe { pool.cast::<Members>().write(Members::new()) };
    Status::Ok
}

/// Makes the object of `node` the one for the capability at `slot`.
///
/// # Errors
/// BAD_SLOT; MISALIGNED or BAD_ARGUMENT for an address that no node can have; IN_USE if
/// the node is a member already.
///
/// # Safety
/// 1. As for all functions.
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
/// # Errors
/// NOT_FOUND if it is no member of this pool.
///
/// # Safety
/// 1. As for all functions.
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
/// 1. As for all functions.
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

/// The same for a slot: the caller holds a reference to it.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_acquire_slot(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
    slot: u32,
) -> *mut cap_map_node {
    // SAFETY: duty 1.
    let pool = unsafe { pool.cast::<Members>().as_ref() };
    // SAFETY: duty 1.
    let owner = unsafe { owner.as_ref() };
    let found = pool.zip(owner).and_then(|(pool, owner)| pool.acquire_slot(&owner.0, slot));
    found.map_or(core::ptr::null_mut(), |node| node.as_ptr().cast())
}

/// Some member, pinned until cap_map_node_release; null if there is none.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_first(pool: *const cap_map_pool) -> *mut cap_map_node {
    // SAFETY: duty 1.
    let pool = unsafe { pool.cast::<Members>().as_ref() };
    let found = pool.and_then(Pool::first);
    found.map_or(core::ptr::null_mut(), |node| node.as_ptr().cast())
}

/// Takes up a pool whose memory was restored from a checkpoint, after
/// cap_map_owner_recover. A node that was being inserted or removed is a member or not.
/// A thread lost inside an acquire or a release may remain a user of its object.
///
/// # Safety
/// 1. As for all functions.
/// 2. No thread is inside this library with `pool`, nor will one resume there. Nor with
///    `owner`, or another pool of that, but for threads that entered it after
///    cap_map_owner_recover, and after the recovery of that pool.
/// 3. `owner` was not reset since a member was inserted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_pool_recover(
    pool: *const cap_map_pool,
    owner: *const cap_map_owner,
) -> Status {
    let (pool, owner) = (pool!(pool), owner!(owner));
    // SAFETY: duties 2 and 3.
    unsafe { pool.recover(owner) };
    Status::Ok
}
