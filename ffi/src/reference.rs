//! References to slots of an owner

use cap_map_rs::{Released, Status};

use crate::owner::{cap_map_owner, owner};
use crate::status::{give, status_of};

/// "Too many to count". The slot stays for ever.
pub const CAP_MAP_REF_MANY: u32 = 65535;

/// Takes a reference to a slot. The caller holds one, or the slot is its own.
///
/// # Errors
/// BAD_SLOT, NOT_ALLOCATED.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_acquire(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).acquire(slot))
}

/// Gives a reference back. If it was the last one, `last` becomes true and the
/// slot, which has lost its badge, stays reserved until the caller frees it.
///
/// # Errors
/// NOT_ALLOCATED if there is none to give back.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_release(
    owner: *const cap_map_owner,
    slot: u32,
    last: *mut bool,
    badge: *mut u32,
) -> Status {
    if owner!(owner).release_shared(slot) {
        // SAFETY: duty 1.
        unsafe { give(last, false) };
        // SAFETY: duty 1.
        unsafe { give(badge, 0) };
        return Status::Ok;
    }
    // A jump, so that the frequent case needs no frame.
    // SAFETY: as the caller's.
    unsafe { release_far(owner, slot, last, badge) }
}

/// # Safety
/// As for [`cap_map_ref_release`].
#[inline(never)]
unsafe extern "C" fn release_far(
    owner: *const cap_map_owner,
    slot: u32,
    last: *mut bool,
    badge: *mut u32,
) -> Status {
    let (was_last, of_badge) = match owner!(owner).release(slot) {
        Ok(Released::Kept) => (false, 0),
        Ok(Released::Last(badge)) => (true, badge),
        Err(status) => return status,
    };
    // SAFETY: duty 1.
    unsafe { give(last, was_last) };
    // SAFETY: duty 1.
    unsafe { give(badge, of_badge) };
    Status::Ok
}

/// The number of references to a slot; CAP_MAP_REF_MANY for too many to count.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_count(owner: *const cap_map_owner, slot: u32) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| u32::from(owner.0.references(slot)))
}
