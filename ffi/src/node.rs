//! Node: what makes an object a member of a pool

use core::ptr::NonNull;

use cap_map_rs::Status;
use cap_map_rs::pool::Node;
use static_assertions::const_assert;

use crate::Environment;

const_assert!(size_of::<Node>() <= size_of::<cap_map_node>());
const_assert!(align_of::<Node>() <= align_of::<cap_map_node>());

/// The part of an object that makes it a member of a pool; initialise it
/// before use, do not move it while it is a member.
#[repr(C)]
pub struct cap_map_node {
    /// Not to be touched.
    pub opaque: [u64; 6],
}

/// Initialises a node.
///
/// # Safety
/// 1. As for all functions; `node` is not a member of a pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_node_init(node: *mut cap_map_node) -> Status {
    let Some(node) = NonNull::new(node) else { return Status::BadArgument };
    // SAFETY: duty 1; size and alignment fit as asserted above.
    unsafe { node.cast::<Node>().write(Node::new()) };
    Status::Ok
}

/// Gives up the use of the object that cap_map_pool_acquire granted.
///
/// # Safety
/// 1. As for all functions; `node` was acquired, once for each call.
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
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_node_drain(node: *const cap_map_node) -> Status {
    // SAFETY: duty 1.
    let Some(node) = (unsafe { node.cast::<Node>().as_ref() }) else {
        return Status::BadArgument;
    };
    node.drain::<Environment>();
    Status::Ok
}
