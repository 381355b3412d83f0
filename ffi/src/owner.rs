//! Owner: a component's own table

use core::ffi::c_void;

use cap_map_rs::memory::{Private, PrivateSizes, region_at};
use cap_map_rs::{Config, Owner, Status, layout};
use static_assertions::const_assert;

use crate::Environment;
use crate::status::status_of;

/// Alignment of the private memory of a table.
pub const CAP_MAP_OWNER_ALIGN: u32 = 8;
/// Bytes of the private memory before its arrays.
pub const CAP_MAP_OWNER_HEADER_BYTES: u32 = 256;
/// Chains of objects, 8 bytes each, for every 64 slots.
pub const CAP_MAP_OWNER_CHAINS: u32 = 13;
/// Slots from which on the badge index has entries of 4 bytes instead of 2.
pub const CAP_MAP_OWNER_WIDE_SLOTS: u32 = 65535;
/// Most bits that a selector is shifted by.
pub const CAP_MAP_MAX_SHIFT: u32 = 32;
/// Most significant bits of a badge.
pub const CAP_MAP_MAX_BADGE_BITS: u32 = 28;

const_assert!(size_of::<cap_map_owner>() <= HEADER_BYTES);
const_assert!(align_of::<cap_map_owner>() <= CAP_MAP_OWNER_ALIGN as usize);
const_assert!(sizes(64).buckets == CAP_MAP_OWNER_CHAINS as usize);
const_assert!(sizes(CAP_MAP_OWNER_WIDE_SLOTS as usize - 1).index_entry == 2);
const_assert!(sizes(CAP_MAP_OWNER_WIDE_SLOTS as usize).index_entry == 4);
const_assert!(CAP_MAP_MAX_SHIFT == layout::MAX_SHIFT);
const_assert!(CAP_MAP_MAX_BADGE_BITS == layout::BADGE_BITS);

const HEADER_BYTES: usize = CAP_MAP_OWNER_HEADER_BYTES as usize;

/// The sizes that the constants above describe.
const fn sizes(slots: usize) -> PrivateSizes {
    match PrivateSizes::new(slots) {
        Some(sizes) => sizes,
        None => panic!("out of range"),
    }
}

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

/// A component's table, at the start of the private memory given at creation.
pub struct cap_map_owner(pub(crate) Owner<'static, Environment>);

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
/// # Errors
/// TOO_SMALL, MISALIGNED, BAD_FIRST_USER, BAD_SHIFT, BAD_BADGE_BITS;
/// BAD_ARGUMENT for `max_slots` out of range.
///
/// # Safety
/// 1. Both memories stay mapped and are used through this library only.
/// 2. As for all functions.
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
/// # Errors
/// TOO_SMALL, MISALIGNED.
///
/// # Safety
/// 1. As for all functions; nobody else uses `owner`.
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
/// 1. As for all functions.
/// 2. No thread is inside this library with `owner`, nor will one resume there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_recover(owner: *const cap_map_owner) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 2.
    unsafe { owner.recover() };
    Status::Ok
}

/// Makes the region visible to monitors. The label has up to 64 bytes of UTF-8.
///
/// # Errors
/// BAD_LABEL.
///
/// # Safety
/// 1. As for all functions; `label` is null or `length` bytes.
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
/// # Errors
/// TOO_SMALL, MISALIGNED, BAD_LABEL; IN_USE for the region in use.
///
/// # Safety
/// 1. As for all functions; `label` is null or `length` bytes.
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
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_capacity(owner: *const cap_map_owner) -> u32 {
    // SAFETY: duty 1.
    unsafe { owner.as_ref() }.map_or(0, |owner| owner.0.capacity())
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
