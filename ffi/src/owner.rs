//! A component's own table.

use core::ffi::c_void;
use core::ptr::NonNull;

use cap_map_rs::memory::{Private, PrivateSizes, region_at};
use cap_map_rs::{Config, Kernel, Owner, Released, Slot, Status, layout};
use static_assertions::const_assert;

use crate::Environment;

/// A component's table, at the start of the private memory given at creation.
pub struct cap_map_owner(pub(crate) Owner<'static, Environment>);

/// What a table is made for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_config {
    /// Most slots that the table can ever have, 64 to 128 Ki.
    pub max_slots: u32,
    /// First slot that the component allocates itself.
    pub first_user: u32,
    /// selector = slot << shift, 0 to 32.
    pub shift: u32,
    /// Significant bits of a badge, 1 to 28.
    pub badge_bits: u32,
    /// Calls of cap_map_relax granted to a monitor that rewrites badges before
    /// a write of the component makes it start again.
    pub patience: u32,
}

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
}

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

/// Writes an output if the caller wants it.
///
/// # Safety
/// 1. `out` is null or valid for a write.
pub(crate) unsafe fn give<T>(out: *mut T, value: T) {
    if let Some(out) = NonNull::new(out) {
        // SAFETY: duty 1.
        unsafe { out.write(value) }
    }
}

/// Turns a result with one output into a status.
///
/// # Safety
/// 1. `out` is null or valid for a write.
pub(crate) unsafe fn answer<T>(result: Result<T, Status>, out: *mut T) -> Status {
    match result {
        Ok(value) => {
            // SAFETY: duty 1.
            unsafe { give(out, value) };
            Status::Ok
        }
        Err(status) => status,
    }
}

pub(crate) fn status_of(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}

/// The owner behind a pointer, or [`Status::BadArgument`].
macro_rules! owner {
    ($pointer:expr) => {
        // SAFETY: the caller passes null or an owner that was created, which
        // stays alive; all its functions may be called concurrently.
        match unsafe { $pointer.as_ref() } {
            Some(owner) => &owner.0,
            None => return Status::BadArgument,
        }
    };
}
pub(crate) use owner;

/// Bytes at the start of the private memory that belong to the owner itself, so
/// that C++ can compute the size of the whole as a constant on any target.
const HEADER_BYTES: usize = 256;

const_assert!(size_of::<cap_map_owner>() <= HEADER_BYTES);
const_assert!(align_of::<cap_map_owner>() <= 8);

/// Bytes of a region with `capacity` slots; 0 for a capacity out of range.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_region_size(capacity: u32) -> usize {
    match PrivateSizes::new(capacity as usize) {
        Some(_) => layout::SLOTS + capacity as usize * layout::WORD_BYTES,
        None => 0,
    }
}

/// Bytes of private memory for a table with up to `max_slots` slots; 0 for a
/// number out of range.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_owner_size(max_slots: u32) -> usize {
    match PrivateSizes::new(max_slots as usize) {
        Some(sizes) => HEADER_BYTES + sizes.bytes(),
        None => 0,
    }
}

/// Makes an empty, unpublished table. `memory` is private memory of at least
/// cap_map_owner_size bytes (a multiple of 8), `region` the memory of the slots
/// (a multiple of 64), whose size decides about the capacity.
///
/// # Safety
/// 1. Both memories stay mapped and are used through this library only.
/// 2. `config` and `owner` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_create(
    memory: *mut c_void,
    size: usize,
    region: *mut c_void,
    region_size: usize,
    config: *const cap_map_config,
    owner: *mut *mut cap_map_owner,
) -> Status {
    // SAFETY: duty 2.
    let Some(config) = (unsafe { config.as_ref() }) else { return Status::BadArgument };
    if memory.is_null() || owner.is_null() {
        return Status::BadArgument;
    }
    if !memory.addr().is_multiple_of(8) {
        return Status::Misaligned;
    }
    let Some(rest) = size.checked_sub(HEADER_BYTES) else { return Status::TooSmall };
    // SAFETY: duty 1; the header fits.
    let arrays = unsafe { memory.cast::<u8>().add(HEADER_BYTES) };
    // SAFETY: duty 1.
    let private = unsafe { Private::at(arrays, rest, config.max_slots as usize) };
    // SAFETY: duty 1.
    let region = unsafe { region_at(region.cast(), region_size) };
    let made = private.and_then(|private| {
        let config = Config {
            first_user: config.first_user,
            shift: config.shift,
            badge_bits: config.badge_bits,
            patience: config.patience,
        };
        Owner::new(config, private, region?)
    });
    match made {
        Ok(made) => {
            let place = memory.cast::<cap_map_owner>();
            // SAFETY: duty 1, aligned and large enough as checked.
            unsafe { place.write(cap_map_owner(made)) };
            // SAFETY: duty 2.
            unsafe { owner.write(place) };
            Status::Ok
        }
        Err(status) => status,
    }
}

/// Forgets everything and starts anew in `region`, as after a fork.
///
/// # Safety
/// 1. `owner` is null or was created, and nobody else uses it.
/// 2. `region` as for cap_map_owner_create.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_reset(
    owner: *mut cap_map_owner,
    region: *mut c_void,
    region_size: usize,
) -> Status {
    // SAFETY: duty 1.
    let Some(owner) = (unsafe { owner.as_mut() }) else { return Status::BadArgument };
    // SAFETY: duty 2.
    let region = unsafe { region_at(region.cast(), region_size) };
    status_of(region.and_then(|region| owner.0.reset(region)))
}

/// Takes up a table whose memory was restored from a checkpoint.
///
/// # Safety
/// 1. `owner` is null or was created.
/// 2. No thread is inside this library with it, nor will one resume there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_recover(owner: *const cap_map_owner) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 2.
    unsafe { owner.recover() };
    Status::Ok
}

/// The label of `length` bytes at `label`.
///
/// # Safety
/// 1. `label` is null or `length` readable bytes.
unsafe fn label_at<'a>(label: *const u8, length: usize) -> &'a [u8] {
    if label.is_null() {
        return &[];
    }
    // SAFETY: duty 1.
    unsafe { core::slice::from_raw_parts(label, length) }
}

/// Makes the region visible to monitors. The label has up to 64 bytes of UTF-8.
///
/// # Safety
/// 1. `owner` is null or was created; `label` is null or `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_publish(
    owner: *const cap_map_owner,
    label: *const u8,
    length: usize,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    status_of(owner.publish(unsafe { label_at(label, length) }))
}

/// Moves the table to `region` while it is in use, and publishes it there. The
/// old region must stay readable.
///
/// # Safety
/// 1. `owner` is null or was created; `label` is null or `length` bytes.
/// 2. `region` as for cap_map_owner_create.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_move(
    owner: *const cap_map_owner,
    region: *mut c_void,
    region_size: usize,
    label: *const u8,
    length: usize,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    let label = unsafe { label_at(label, length) };
    // SAFETY: duty 2.
    let region = unsafe { region_at(region.cast(), region_size) };
    status_of(region.and_then(|region| owner.move_to(region, label)))
}

/// The number of slots at present; 0 for null.
///
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_capacity(owner: *const cap_map_owner) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| owner.0.capacity())
}

/// Allocates `count` consecutive slots.
///
/// # Safety
/// 1. `owner` is null or was created; `first` is null or valid.
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
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_alloc_at(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).alloc_at(slot))
}

/// Frees `count` slots from `first` on; all of them or none.
///
/// # Safety
/// 1. `owner` is null or was created.
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
/// # Safety
/// 1. `owner` is null or was created; `state` and `badge` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_entry(
    owner: *const cap_map_owner,
    slot: u32,
    state: *mut cap_map_state,
    badge: *mut u32,
) -> Status {
    match owner!(owner).entry(slot) {
        Ok(entry) => {
            let (of_state, of_badge) = state_and_badge(entry);
            // SAFETY: duty 1.
            unsafe { give(state, of_state) };
            // SAFETY: duty 1.
            unsafe { give(badge, of_badge) };
            Status::Ok
        }
        Err(status) => status,
    }
}

/// The badge of a slot, also of a detached one; 0 if there is none.
///
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_badge(owner: *const cap_map_owner, slot: u32) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| owner.0.badge(slot))
}

/// Takes the badge of an allocated slot out of the table: the slot is free
/// afterwards, or detached until its last reference goes.
///
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_slot_remove(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).remove(slot))
}

/// The slot that carries `badge`.
///
/// # Safety
/// 1. `owner` is null or was created; `slot` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_badge_find(
    owner: *const cap_map_owner,
    badge: u32,
    slot: *mut u32,
) -> Status {
    match owner!(owner).find_near(badge) {
        Some(found) => {
            // SAFETY: duty 1.
            unsafe { give(slot, found) };
            Status::Ok
        }
        // Same arguments, same result: a jump, so that the frequent case needs no frame.
        // SAFETY: as the caller's.
        None => unsafe { find_far(owner, badge, slot) },
    }
}

/// # Safety
/// As for [`cap_map_badge_find`].
#[inline(never)]
unsafe extern "C" fn find_far(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    let owner = owner!(owner);
    // SAFETY: as the caller's.
    unsafe { answer(owner.find_far(badge), slot) }
}

/// The slot that carries `badge`, with a reference taken in the same step.
///
/// # Safety
/// 1. `owner` is null or was created; `slot` is null or valid.
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
/// # Safety
/// 1. `owner` is null or was created; `slot` is null or valid.
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
/// # Safety
/// 1. `owner` is null or was created.
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
/// # Safety
/// 1. `owner` is null or was created; `slot` is null or valid.
/// 2. `kernel` is null or valid, its functions keep what their texts say.
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
    let &cap_map_kernel { context, equal: Some(equal), valid: Some(valid), map: Some(map) } =
        kernel
    else {
        return Status::BadArgument;
    };
    let mut kernel = Callbacks { context, equal, valid, map };
    let mapped = owner.insert_map(badge, selector, &mut kernel);
    // SAFETY: duty 1.
    unsafe { answer(mapped.map(|mapped| mapped.slot), slot) }
}

struct Callbacks {
    context: *mut c_void,
    equal: unsafe extern "C" fn(*mut c_void, usize, usize) -> bool,
    valid: unsafe extern "C" fn(*mut c_void, usize) -> bool,
    map: unsafe extern "C" fn(*mut c_void, usize, usize) -> bool,
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
}

/// Takes a reference to a slot. The caller holds one, or the slot is its own.
///
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_acquire(owner: *const cap_map_owner, slot: u32) -> Status {
    status_of(owner!(owner).acquire(slot))
}

/// Gives a reference back. If it was the last one, `last` becomes true and the
/// slot, which has lost its badge, stays reserved until the caller frees it.
///
/// # Safety
/// 1. `owner` is null or was created; `last` and `badge` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_release(
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

/// The number of references to a slot; 65535 stands for "too many to count".
///
/// # Safety
/// 1. `owner` is null or was created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_ref_count(owner: *const cap_map_owner, slot: u32) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| u32::from(owner.0.references(slot)))
}
