//! Monitor of another component's table

use core::ffi::c_void;

use cap_map_rs::memory::region_at;
use cap_map_rs::{Geometry, Header, Kind, Monitor, SlotWord, Stamp, Status, layout};
use static_assertions::const_assert;

use crate::Environment;
use crate::region::cap_map_identity;
use crate::slot::{answer_entry, cap_map_state, state_and_badge};
use crate::status::{answer, give, status_of};

pub(crate) type Attached = Monitor<'static, Environment>;

const_assert!(size_of::<Attached>() <= size_of::<cap_map_monitor>());
const_assert!(align_of::<Attached>() <= align_of::<cap_map_monitor>());

/// Memory of a monitor; its contents are private to the library.
#[repr(C)]
pub struct cap_map_monitor {
    /// Not to be touched.
    pub opaque: [u64; 24],
}

/// Whose table it is.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum cap_map_kind {
    /// Core's own. No monitor may rewrite it.
    Core = 1,
    /// A component's that no monitor asked for. No monitor may rewrite it.
    Private = 2,
    /// A component's in memory of a monitor, which may rewrite badges.
    Published = 3,
}

const_assert!(cap_map_kind::Core as u64 == layout::KIND_CORE);
const_assert!(cap_map_kind::Private as u64 == layout::KIND_PRIVATE);
const_assert!(cap_map_kind::Published as u64 == layout::KIND_PUBLISHED);

impl From<Kind> for cap_map_kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Core => cap_map_kind::Core,
            Kind::Private => cap_map_kind::Private,
            Kind::Published => cap_map_kind::Published,
        }
    }
}

/// What the header of a table says, as it was validated when the monitor attached.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_header {
    /// Number of slots.
    pub capacity: u32,
    /// First slot that the component allocates itself.
    pub first_user: u32,
    /// selector = slot << shift.
    pub shift: u32,
    /// Significant bits of a badge.
    pub badge_bits: u32,
    /// Whose table it is.
    pub kind: cap_map_kind,
    /// Where the area of other users begins behind the slots, in bytes from the start of
    /// the region; 0 if there is none.
    pub area_offset: u32,
    /// Length of the area in bytes.
    pub area_bytes: u32,
    /// Version of the area's contents, which their users choose.
    pub area_version: u32,
    /// What tells the table from others.
    pub identity: cap_map_identity,
}

impl From<&Header> for cap_map_header {
    fn from(of: &Header) -> Self {
        let Geometry { capacity, first_user, shift, badge_bits } = of.geometry;
        cap_map_header {
            capacity,
            first_user,
            shift,
            badge_bits,
            kind: of.kind.into(),
            area_offset: of.area.offset,
            area_bytes: of.area.bytes,
            area_version: of.area.version,
            identity: of.identity.into(),
        }
    }
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

/// Validates the header of untrusted memory and attaches to it. `wait_budget` is the
/// number of calls of cap_map_relax granted to another monitor that holds the claim, and
/// to an owner that asks for quiet. Two threads that share a monitor count as two
/// monitors.
///
/// # Errors
/// TOO_SMALL, MISALIGNED, UNPUBLISHED, RETIRED, BAD_CHECKSUM; BAD_BADGE for the badge of
/// a PD; BAD_AREA; or the status that names a bad field of the header.
///
/// # Safety
/// 1. `size` bytes at `memory` stay mapped and are accessed atomically by all.
/// 2. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_attach(
    memory: *mut c_void,
    size: usize,
    wait_budget: u32,
    monitor: *mut cap_map_monitor,
) -> Status {
    if monitor.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 1.
    let region = unsafe { region_at(memory.cast(), size) };
    let attached = region.and_then(|region| Attached::attach(region, wait_budget));
    // SAFETY: duty 2; size and alignment fit as asserted above.
    unsafe { answer(attached, monitor.cast()) }
}

/// What the table's header says.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_header(
    monitor: *const cap_map_monitor,
    header: *mut cap_map_header,
) -> Status {
    let of = monitor!(monitor).header();
    // SAFETY: duty 1.
    unsafe { give(header, of.into()) };
    Status::Ok
}

/// When a table was looked at. Between two looks at one table that give equal stamps with
/// an even sequence, no badge has changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_stamp {
    /// Sequence of the owner's writes, odd during a write.
    pub sequence: u64,
    /// Number of batches, modulo 2^45.
    pub generation: u64,
}

impl From<Stamp> for cap_map_stamp {
    fn from(Stamp { sequence, generation }: Stamp) -> Self {
        cap_map_stamp { sequence, generation }
    }
}

/// The stamp of the table at present.
///
/// # Errors
/// RETIRED if the owner has moved its table elsewhere.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_stamp(
    monitor: *const cap_map_monitor,
    stamp: *mut cap_map_stamp,
) -> Status {
    let monitor = monitor!(monitor);
    if monitor.is_retired() {
        return Status::Retired;
    }
    // SAFETY: duty 1.
    unsafe { give(stamp, monitor.stamp().into()) };
    Status::Ok
}

/// State and badge of one slot. A monitor sees a reserved slot as a free one.
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
    /// The instant that all words are of (of the last attempt if there is none).
    pub stamp: cap_map_stamp,
    /// Attempts it took.
    pub attempts: u32,
    /// Words copied. Slots at and behind this number carry no badge.
    pub slots: u32,
    /// Whether all words are of one instant. If not, each is of some instant.
    pub consistent: bool,
}

/// Copies the words of the slots that have been used to `words`, of which there are
/// `count`; other words are not written. As many words as slots are always enough. On
/// RETIRED, words may have been written.
/// cap_map_word_entry tells what a word means.
///
/// # Errors
/// RETIRED; TOO_SMALL for too few words.
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
    // SAFETY: duty 2; a SlotWord is a transparent u64.
    let words = unsafe { slice_at(words.cast::<SlotWord>(), count) };
    let Some(words) = words else { return Status::BadArgument };
    let taken = monitor.snapshot(words).map(|taken| cap_map_snapshot {
        stamp: taken.stamp.into(),
        attempts: taken.attempts,
        slots: taken.slots,
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

/// Changes the badges of a batch, all or none, at one instant. A slot whose badge the
/// owner takes out or replaces meanwhile keeps what the owner wrote: `left_out`. `slot`
/// receives the slot that a refusal is about, or UINT32_MAX. One monitor rewrites a table
/// at a time. A monitor that is stopped keeps the others out until it goes on, or until
/// one of them calls cap_map_monitor_take_over.
///
/// # Errors
/// BAD_SLOT, BAD_BADGE, DUPLICATE_SLOT, DUPLICATE_BADGE, UNEXPECTED_BADGE,
/// NOT_REWRITABLE, CORRUPT, RETIRED; UNPUBLISHED if the table is private; BUSY if another
/// monitor holds the claim; CHANGED if the owner disturbed every attempt. Nothing has
/// changed then.
///
/// # Safety
/// 1. As for all functions.
/// 2. As for all functions; `batch` is `count` entries nobody else uses; their other
///    fields than `slot`, `expected` and `replacement` change.
/// 3. The memory is mapped writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_rewrite(
    monitor: *const cap_map_monitor,
    batch: *mut Rewrite,
    count: usize,
    slot: *mut u32,
) -> Status {
    let monitor = monitor!(monitor);
    // SAFETY: duty 2.
    let Some(batch) = (unsafe { slice_at(batch, count) }) else { return Status::BadArgument };
    match monitor.rewrite(batch) {
        Ok(()) => Status::Ok,
        Err(refusal) => {
            // SAFETY: duty 1.
            unsafe { give(slot, refusal.slot.unwrap_or(u32::MAX)) };
            refusal.status
        }
    }
}

/// Takes the claim to rewrite away from a monitor that will never go on: one that is
/// dead, or that held the claim when this memory was saved, before a restore. What it
/// left unfinished changes no badge. Does nothing if no monitor holds the claim.
///
/// # Errors
/// RETIRED; UNPUBLISHED if the table is private; BUSY if the table changed at every attempt.
///
/// # Safety
/// 1. As for all functions.
/// 2. No monitor that is alive and may be inside cap_map_monitor_rewrite for this table
///    holds the claim. The caller has to know that: the table does not say who holds it.
/// 3. The memory is mapped writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_take_over(monitor: *const cap_map_monitor) -> Status {
    status_of(monitor!(monitor).take_over())
}

/// The `count` items at `first`; `None` for null, unless there are none.
///
/// # Safety
/// 1. `first` is null or `count` items nobody else uses.
unsafe fn slice_at<'a, T>(first: *mut T, count: usize) -> Option<&'a mut [T]> {
    if first.is_null() {
        return (count == 0).then_some(&mut []);
    }
    // SAFETY: duty 1.
    Some(unsafe { core::slice::from_raw_parts_mut(first, count) })
}
