//! Slots of an owner

use cap_map_rs::{Slot, Status};

use crate::owner::{cap_map_owner, owner};
use crate::status::{answer, give, status_of};

/// State of a slot.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum cap_map_state {
    /// Nothing here.
    Free = 0,
    /// Allocated without a badge.
    Reserved = 1,
    /// Carries a badge and is found by it.
    Used = 2,
    /// Carried its badge until the object died; not found by it.
    Detached = 3,
    /// A state that no correct writer produces.
    Corrupt = 7,
}

pub(crate) fn state_and_badge(slot: Slot) -> (cap_map_state, u32) {
    match slot {
        Slot::Free => (cap_map_state::Free, 0),
        Slot::Reserved => (cap_map_state::Reserved, 0),
        Slot::Used(badge) => (cap_map_state::Used, badge),
        Slot::Detached(badge) => (cap_map_state::Detached, badge),
        Slot::Corrupt => (cap_map_state::Corrupt, 0),
    }
}

/// Turns what a slot holds into a status.
///
/// # Safety
/// 1. `state` and `badge` are null or valid for a write.
pub(crate) unsafe fn answer_entry(
    entry: Result<Slot, Status>,
    state: *mut cap_map_state,
    badge: *mut u32,
) -> Status {
    let (of_state, of_badge) = match entry {
        Ok(entry) => state_and_badge(entry),
        Err(status) => return status,
    };
    // SAFETY: duty 1.
    unsafe { give(state, of_state) };
    // SAFETY: duty 1.
    unsafe { give(badge, of_badge) };
    Status::Ok
}

/// Allocates `count` consecutive slots.
///
/// # Errors
/// OUT_OF_SLOTS; BAD_ARGUMENT for no slots.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_alloc(
    owner: *const cap_map_owner,
    count: u32,
    first: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    unsafe { answer(owner.alloc(count), first) }
}

/// Allocates the given slot.
///
/// # Errors
/// BAD_SLOT, IN_USE.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_alloc_at(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).alloc_at(slot))
}

/// Frees `count` slots from `first` on; all of them or none.
///
/// # Errors
/// BAD_SLOT, NOT_ALLOCATED; IN_USE if one is referenced.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_free(
    owner: *const cap_map_owner,
    first: u32,
    count: u32,
) -> Status {
    status_of(owner!(owner).free(first, count))
}

/// State and badge (0 if none) of a slot.
///
/// # Errors
/// BAD_SLOT.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_entry(
    owner: *const cap_map_owner,
    slot: u32,
    state: *mut cap_map_state,
    badge: *mut u32,
) -> Status {
    let entry = owner!(owner).entry(slot);
    // SAFETY: duty 1.
    unsafe { answer_entry(entry, state, badge) }
}

/// The badge of a slot, also of a detached one; 0 if there is none.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_badge(owner: *const cap_map_owner, slot: u32) -> u32 {
    // SAFETY: duty 1.
    let Some(found) = (unsafe { owner.as_ref() }) else { return 0 };
    match found.0.badge_fast(slot) {
        Some(badge) => badge,
        // A jump, so that the frequent case needs no frame.
        // SAFETY: as the caller's.
        None => unsafe { badge_slow(owner, slot) },
    }
}

/// # Safety
/// As for [`cap_map_slot_badge`].
#[inline(never)]
unsafe extern "C" fn badge_slow(owner: *const cap_map_owner, slot: u32) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| owner.0.badge_slow(slot))
}

/// Takes the badge of an allocated slot out of the table: the slot is free
/// afterwards, or detached until its last reference goes.
///
/// # Errors
/// BAD_SLOT, NOT_ALLOCATED.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_remove(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).remove(slot))
}

/// The same, with the badge that this call took out. The caller gets a reference to the
/// slot and gives it back when it has let go of badge and selector.
///
/// # Errors
/// BAD_SLOT, NOT_ALLOCATED; NOT_FOUND if the slot carries no badge.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_withdraw(
    owner: *const cap_map_owner,
    slot: u32,
    badge: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    unsafe { answer(owner.withdraw(slot), badge) }
}
