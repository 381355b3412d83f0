//! Monitor of another component's table

use core::ffi::c_void;

use cap_map_rs::memory::region_at;
use cap_map_rs::{Monitor, Status};
use static_assertions::const_assert;

use crate::Environment;
use crate::answer::{answer, give};
use crate::region::CAP_MAP_LABEL_BYTES;
use crate::slot::{answer_entry, cap_map_state};

pub(crate) type Attached = Monitor<'static, Environment>;

const_assert!(size_of::<Attached>() <= size_of::<cap_map_monitor>());
const_assert!(align_of::<Attached>() <= align_of::<cap_map_monitor>());

/// Memory of a monitor; its contents are private to the library.
#[repr(C)]
pub struct cap_map_monitor {
    /// Not to be touched.
    pub opaque: [u64; 16],
}

/// The validated shape of a table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_geometry {
    /// Number of slots.
    pub capacity: u32,
    /// First slot that the component allocates itself.
    pub first_user: u32,
    /// selector = slot << shift.
    pub shift: u32,
    /// Significant bits of a badge.
    pub badge_bits: u32,
    /// Component label, UTF-8, padded with zero bytes, not terminated.
    pub label: [u8; CAP_MAP_LABEL_BYTES],
}

macro_rules! monitor {
    ($pointer:expr) => {
        // SAFETY: the caller passes null or a monitor that was attached.
        match unsafe { $pointer.cast::<$crate::monitor::Attached>().as_ref() } {
            Some(monitor) => monitor,
            None => return Status::BadArgument,
        }
    };
}
pub(crate) use monitor;

/// Validates the header of untrusted memory and attaches to it. `patience` is
/// the number of calls of cap_map_relax granted to another monitor.
///
/// # Errors
/// TOO_SMALL, MISALIGNED, UNPUBLISHED, RETIRED, or the status that names a bad
/// field of the header.
///
/// # Safety
/// 1. `size` bytes at `memory` stay mapped and are accessed atomically by all.
/// 2. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_attach(
    memory: *mut c_void,
    size: usize,
    patience: u32,
    monitor: *mut cap_map_monitor,
) -> Status {
    if monitor.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 1.
    let region = unsafe { region_at(memory.cast(), size) };
    let attached = region.and_then(|region| Attached::attach(region, patience));
    // SAFETY: duty 2; size and alignment fit as asserted above.
    unsafe { answer(attached, monitor.cast()) }
}

/// The shape of the table.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_geometry(
    monitor: *const cap_map_monitor,
    geometry: *mut cap_map_geometry,
) -> Status {
    let of = monitor!(monitor).geometry();
    let value = cap_map_geometry {
        capacity: of.capacity,
        first_user: of.first_user,
        shift: of.shift,
        badge_bits: of.badge_bits,
        label: of.label,
    };
    // SAFETY: duty 1.
    unsafe { give(geometry, value) };
    Status::Ok
}

/// The sequence number of the table, which differs whenever a badge changed.
///
/// # Errors
/// RETIRED if the owner has moved its table elsewhere.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_sequence(
    monitor: *const cap_map_monitor,
    sequence: *mut u64,
) -> Status {
    let monitor = monitor!(monitor);
    if monitor.is_retired() {
        return Status::Retired;
    }
    // SAFETY: duty 1.
    unsafe { give(sequence, monitor.sequence()) };
    Status::Ok
}

/// State and badge of one slot.
///
/// # Errors
/// BAD_SLOT; BUSY if it changed at every attempt.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_entry(
    monitor: *const cap_map_monitor,
    slot: u32,
    state: *mut cap_map_state,
    badge: *mut u32,
) -> Status {
    let entry = monitor!(monitor).entry(slot);
    // SAFETY: duty 1.
    unsafe { answer_entry(entry, state, badge) }
}

/// The first slot at or behind `from` that carries a badge.
///
/// # Errors
/// NOT_FOUND if there is none.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_next(
    monitor: *const cap_map_monitor,
    from: u32,
    slot: *mut u32,
    badge: *mut u32,
) -> Status {
    let Some((of_slot, of_badge)) = monitor!(monitor).next_used(from) else {
        return Status::NotFound;
    };
    // SAFETY: duty 1.
    unsafe { give(slot, of_slot) };
    // SAFETY: duty 1.
    unsafe { give(badge, of_badge) };
    Status::Ok
}
