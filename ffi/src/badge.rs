//! Badges of an owner

use core::ffi::c_void;

use cap_map_rs::{Kernel, Status};

use crate::owner::{cap_map_owner, owner};
use crate::status::{answer, give, status_of};

/// What cap_map_badge_insert_map asks the kernel. Selectors belong to the
/// caller's component. Called outside of any lock; must not unwind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_kernel {
    /// Passed as first argument to the functions.
    pub context: *mut c_void,
    /// Whether both selectors name the same object.
    pub equal: Option<unsafe extern "C" fn(context: *mut c_void, a: usize, b: usize) -> bool>,
    /// Whether the selector names an object that still exists.
    pub valid: Option<unsafe extern "C" fn(context: *mut c_void, selector: usize) -> bool>,
    /// Moves the capability at `from` to `to`.
    pub map: Option<unsafe extern "C" fn(context: *mut c_void, from: usize, to: usize) -> bool>,
    /// Lets go of a capability: its last holder did so while it was compared.
    pub vanished: Option<unsafe extern "C" fn(context: *mut c_void, selector: usize, badge: u32)>,
}

/// The slot that carries `badge`.
///
/// # Errors
/// BAD_BADGE, NOT_FOUND.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_find(
    owner: *const cap_map_owner,
    badge: u32,
    slot: *mut u32,
) -> Status {
    match owner!(owner).find_fast(badge) {
        Some(found) => {
            // SAFETY: duty 1.
            unsafe { give(slot, found) };
            Status::Ok
        }
        // Same arguments, same result: a jump, so that the frequent case needs no frame.
        // SAFETY: as the caller's.
        None => unsafe { find_slow(owner, badge, slot) },
    }
}

/// # Safety
/// As for [`cap_map_badge_find`].
#[inline(never)]
unsafe extern "C" fn find_slow(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    let owner = owner!(owner);
    // SAFETY: as the caller's.
    unsafe { answer(owner.find_slow(badge), slot) }
}

/// The slot that carries `badge`, with a reference taken in the same step.
///
/// # Errors
/// BAD_BADGE, NOT_FOUND.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_find_acquire(
    owner: *const cap_map_owner,
    badge: u32,
    slot: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    unsafe { answer(owner.find_acquire(badge), slot) }
}

/// Allocates a slot for a new badge; it has no references yet.
///
/// # Errors
/// BAD_BADGE, EXISTS, OUT_OF_SLOTS; BUSY if a monitor rewrote badges at every
/// attempt.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_insert(
    owner: *const cap_map_owner,
    badge: u32,
    slot: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    unsafe { answer(owner.insert(badge), slot) }
}

/// Lets the given slot carry `badge`; another slot that did loses it.
///
/// # Errors
/// BAD_BADGE, BAD_SLOT; BUSY if a monitor rewrote badges at every attempt: the other slot
/// may have lost the badge then.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_insert_at(
    owner: *const cap_map_owner,
    badge: u32,
    slot: u32,
) -> Status {
    status_of(owner!(owner).insert_at(badge, slot))
}

/// Enters the capability received at `selector` under `badge`. The caller owns
/// one reference to the resulting slot.
///
/// # Errors
/// BAD_BADGE, OUT_OF_SLOTS, FORGED, MAP_FAILED; BUSY if the table changed at
/// every attempt.
///
/// # Safety
/// 1. As for all functions.
/// 2. As for all functions; the functions of `kernel` keep what their texts say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_insert_map(
    owner: *const cap_map_owner,
    badge: u32,
    selector: usize,
    kernel: *const cap_map_kernel,
    slot: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 2.
    let Some(kernel) = (unsafe { kernel.as_ref() }) else { return Status::BadArgument };
    let &cap_map_kernel {
        context,
        equal: Some(equal),
        valid: Some(valid),
        map: Some(map),
        vanished: Some(vanished),
    } = kernel
    else {
        return Status::BadArgument;
    };
    let mut kernel = Callbacks { context, equal, valid, map, vanished };
    let mapped = owner.insert_map(badge, selector, &mut kernel);
    // SAFETY: duty 1.
    unsafe { answer(mapped.map(|mapped| mapped.slot), slot) }
}

struct Callbacks {
    context: *mut c_void,
    equal: unsafe extern "C" fn(*mut c_void, usize, usize) -> bool,
    valid: unsafe extern "C" fn(*mut c_void, usize) -> bool,
    map: unsafe extern "C" fn(*mut c_void, usize, usize) -> bool,
    vanished: unsafe extern "C" fn(*mut c_void, usize, u32),
}

impl Kernel for Callbacks {
    fn equal(&mut self, a: usize, b: usize) -> bool {
        // SAFETY: duty 2 of cap_map_badge_insert_map.
        unsafe { (self.equal)(self.context, a, b) }
    }

    fn valid(&mut self, selector: usize) -> bool {
        // SAFETY: duty 2 of cap_map_badge_insert_map.
        unsafe { (self.valid)(self.context, selector) }
    }

    fn map(&mut self, from: usize, to: usize) -> bool {
        // SAFETY: duty 2 of cap_map_badge_insert_map.
        unsafe { (self.map)(self.context, from, to) }
    }

    fn vanished(&mut self, selector: usize, badge: u32) {
        // SAFETY: duty 2 of cap_map_badge_insert_map.
        unsafe { (self.vanished)(self.context, selector, badge) }
    }
}
