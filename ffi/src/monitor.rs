//! Monitor of another component's table

use core::ffi::c_void;

use cap_map_rs::memory::region_at;
use cap_map_rs::{Monitor, SlotWord, Status};
use static_assertions::const_assert;

use crate::Environment;
use crate::region::CAP_MAP_LABEL_BYTES;
use crate::slot::{answer_entry, cap_map_state, state_and_badge};
use crate::status::{answer, give, status_of};

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

/// How a snapshot came about.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_snapshot {
    /// Sequence number of the table at that instant.
    pub sequence: u64,
    /// Generation of the table at that instant.
    pub generation: u32,
    /// Attempts it took.
    pub attempts: u32,
    /// Whether all words are of one instant.
    pub consistent: bool,
}

/// Copies all slot words to `words`, of which there are `count`; none of them
/// is staged. cap_map_word_entry tells what a word means.
///
/// # Errors
/// RETIRED; TOO_SMALL for fewer words than slots.
///
/// # Safety
/// 1. As for all functions.
/// 2. As for all functions; `words` are `count` words nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_snapshot(
    monitor: *const cap_map_monitor,
    words: *mut u64,
    count: usize,
    snapshot: *mut cap_map_snapshot,
) -> Status {
    let monitor = monitor!(monitor);
    if words.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 2; a SlotWord is a transparent u64.
    let words = unsafe { core::slice::from_raw_parts_mut(words.cast::<SlotWord>(), count) };
    let taken = monitor.snapshot(words).map(|taken| cap_map_snapshot {
        sequence: taken.sequence,
        generation: taken.generation,
        attempts: taken.attempts,
        consistent: taken.consistent,
    });
    // SAFETY: duty 1.
    unsafe { answer(taken, snapshot) }
}

/// State and badge that a word of a snapshot stands for.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_word_entry(word: u64, badge: *mut u32) -> cap_map_state {
    let (state, of_badge) = state_and_badge(SlotWord(word).meaning());
    // SAFETY: duty 1.
    unsafe { give(badge, of_badge) };
    state
}

pub use cap_map_rs::Rewrite;

/// Changes the badges of a batch, all or none. `slot` receives the slot that a
/// refusal is about, or UINT32_MAX.
///
/// # Errors
/// BAD_SLOT, BAD_BADGE, DUPLICATE_SLOT, DUPLICATE_BADGE, UNEXPECTED_BADGE,
/// NOT_REWRITABLE, RETIRED, CORRUPT; CHANGED or BUSY if the table was in use.
///
/// # Safety
/// 1. As for all functions.
/// 2. `batch` is `count` entries nobody else uses; their scratch fields change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_rewrite(
    monitor: *const cap_map_monitor,
    batch: *mut Rewrite,
    count: usize,
    slot: *mut u32,
) -> Status {
    let monitor = monitor!(monitor);
    if batch.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 2.
    let batch = unsafe { core::slice::from_raw_parts_mut(batch, count) };
    match monitor.rewrite(batch) {
        Ok(()) => status_of(Ok(())),
        Err(refusal) => {
            // SAFETY: duty 1.
            unsafe { give(slot, refusal.slot.unwrap_or(u32::MAX)) };
            refusal.status
        }
    }
}
