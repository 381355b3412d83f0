//! Owner: a component's own table

use core::ffi::c_void;

use cap_map_rs::memory::{self, Private, PrivateSizes, region_at};
use cap_map_rs::{Config, Growth, MAX_SEGMENTS, Owner, Publication, Status, layout};
use static_assertions::const_assert;

use crate::Environment;
use crate::region::cap_map_identity;
use crate::status::{answer, status_of};

/// Alignment of the private memory of a table.
pub const CAP_MAP_OWNER_ALIGN: u32 = 8;
/// Bytes of the private memory before its arrays.
pub const CAP_MAP_OWNER_HEADER_BYTES: u32 = 384;
/// Chains of objects, 8 bytes each, for every 64 slots.
pub const CAP_MAP_OWNER_CHAINS: u32 = 13;
/// Slots from which on the badge index has entries of 4 bytes instead of 2.
pub const CAP_MAP_OWNER_WIDE_SLOTS: u32 = 65535;
/// Bytes of the memory of a growth before its arrays.
pub const CAP_MAP_GROWTH_HEADER_BYTES: u32 = 192;
/// How often a table can grow.
pub const CAP_MAP_MAX_GROWTHS: u32 = 8;
/// Most bits that a selector is shifted by.
pub const CAP_MAP_MAX_SHIFT: u32 = 32;
/// Most significant bits of a badge.
pub const CAP_MAP_MAX_BADGE_BITS: u32 = 28;

const_assert!(size_of::<cap_map_owner>() <= HEADER_BYTES);
const_assert!(align_of::<cap_map_owner>() <= CAP_MAP_OWNER_ALIGN as usize);
const_assert!(sizes(64).buckets == CAP_MAP_OWNER_CHAINS as usize);
const_assert!(sizes(CAP_MAP_OWNER_WIDE_SLOTS as usize - 1).index_entry == 2);
const_assert!(sizes(CAP_MAP_OWNER_WIDE_SLOTS as usize).index_entry == 4);
const_assert!(CAP_MAP_GROWTH_HEADER_BYTES as usize == memory::GROWTH_HEADER_BYTES);
const_assert!(CAP_MAP_MAX_GROWTHS == MAX_SEGMENTS);
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
    /// Most slots that the table can have before it grows, 64 to 128 Ki.
    pub max_slots: u32,
    /// First slot that the component allocates itself.
    pub first_user: u32,
    /// selector = slot << shift, 0 to 32.
    pub shift: u32,
    /// Significant bits of a badge, 1 to 28.
    pub badge_bits: u32,
    /// Calls of cap_map_relax granted to a monitor that rewrites badges before
    /// a badge of the component makes it start again.
    pub wait_budget: u32,
    /// 1 for core's own table, 0 for a component's.
    pub core: u32,
}

/// How a table is shown to monitors in the memory that it moves to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_publication {
    /// What tells the table from others.
    pub identity: cap_map_identity,
    /// Bytes behind the slots that the table leaves to other users, a multiple of 8.
    pub area_bytes: u32,
    /// Version of what those users write there.
    pub area_version: u32,
}

/// A component's table, at the start of the private memory given at creation, and
/// the address of that.
pub struct cap_map_owner(pub(crate) Owner<'static, Environment>, usize);

impl cap_map_owner {
    /// Whether the owner lies where it was created.
    fn check_place(&self) -> Result<(), Status> {
        let is_here = core::ptr::from_ref(self).addr() == self.1;
        if is_here { Ok(()) } else { Err(Status::Relocated) }
    }
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

/// Bytes of private memory for a table with up to `max_slots` slots; 0 for a
/// number out of range.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_owner_size(max_slots: u32) -> usize {
    match PrivateSizes::new(max_slots as usize) {
        Some(sizes) => HEADER_BYTES + sizes.bytes(),
        None => 0,
    }
}

/// Bytes of private memory by which a table with room for `from_slots` slots gets room for
/// `to_slots`; 0 for numbers out of range, and unless these are more.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_owner_growth_size(from_slots: u32, to_slots: u32) -> usize {
    match PrivateSizes::growth(from_slots as usize, to_slots as usize) {
        Some(sizes) => memory::GROWTH_HEADER_BYTES + sizes.bytes(),
        None => 0,
    }
}

/// Makes an empty, unpublished table. `memory` is private memory of at least
/// cap_map_owner_size bytes (a multiple of 8), `region` the memory of the slots
/// (a multiple of 64), whose size decides about the capacity. Both are cleared. On an
/// error, nothing is written.
///
/// # Errors
/// TOO_SMALL, MISALIGNED, BAD_FIRST_USER, BAD_BADGE_BITS; BAD_SHIFT (above 32, or
/// selectors do not fit into size_t); BAD_ARGUMENT for `max_slots` out of range.
///
/// # Safety
/// 1. Both memories stay mapped at their addresses and are used through this library
///    only. They do not overlap.
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
            wait_budget: config.wait_budget,
            is_core: config.core != 0,
        };
        Owner::new(config, private, region?)
    });
    match made {
        Ok(made) => {
            let place = memory.cast::<cap_map_owner>();
            // SAFETY: duty 1, aligned and large enough as checked.
            unsafe { place.write(cap_map_owner(made, place.addr())) };
            // SAFETY: duty 2.
            unsafe { owner.write(place) };
            Status::Ok
        }
        Err(status) => status,
    }
}

/// Forgets everything and starts anew in `region`, as after a fork. The region in use
/// belongs to the parent and is not touched. No waiting for a thread that does not exist
/// any more. Members of pools are not found any more, but stay members until they are
/// removed. A pool that another thread of the parent was changing stays locked, and cannot
/// be changed any more. A thread of the parent that used an object remains a user of it
/// for ever.
///
/// # Errors
/// TOO_SMALL, MISALIGNED; BAD_SHIFT if selectors would not fit into size_t; RELOCATED
/// if `owner` lies at another address than at its creation.
///
/// # Safety
/// 1. As for all functions; nobody else uses `owner`, nor a node of its pools.
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
    status_of(owner.check_place().and(region).and_then(|region| owner.0.reset(region)))
}

/// Takes up a table whose memory was restored from a checkpoint, which may have been
/// taken at any instant. A monitor that held the claim at that instant holds it still:
/// cap_map_monitor_take_over.
///
/// # Errors
/// RELOCATED if `owner` lies at another address than at its creation.
///
/// # Safety
/// 1. As for all functions; private memory and region lie at the addresses that they
///    had, with the contents of one instant.
/// 2. No thread is inside this library with `owner`, nor will one resume there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_recover(owner: *const cap_map_owner) -> Status {
    // SAFETY: duty 1.
    let Some(owner) = (unsafe { owner.as_ref() }) else { return Status::BadArgument };
    if let Err(status) = owner.check_place() {
        return status;
    }
    // SAFETY: duty 2.
    unsafe { owner.0.recover() };
    Status::Ok
}

/// Makes the region visible to monitors, which may rewrite badges from then on.
///
/// # Errors
/// BAD_LABEL; BAD_KIND for core's own table; IN_USE if the table is published already.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_publish(
    owner: *const cap_map_owner,
    identity: *const cap_map_identity,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    let Some(identity) = (unsafe { identity.as_ref() }) else { return Status::BadArgument };
    status_of(owner.publish(&(*identity).into()))
}

/// Writes the identity of a table that is not published into its header, for whoever
/// looks into the memory from outside. Monitors may read such a table, not rewrite it.
///
/// # Errors
/// BAD_LABEL; IN_USE if the table is published.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_describe(
    owner: *const cap_map_owner,
    identity: *const cap_map_identity,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    let Some(identity) = (unsafe { identity.as_ref() }) else { return Status::BadArgument };
    status_of(owner.describe(&(*identity).into()))
}

/// Moves the table to `region` while it is in use, and publishes it there. With null for
/// `publication`, a table that is not published stays so. `area_offset` receives where
/// the area of the publication begins, in bytes from `region` on; 0 without one. The old
/// region must stay readable. On an error, the table stays where it is.
///
/// # Errors
/// TOO_SMALL, MISALIGNED, BAD_LABEL; BAD_KIND for a publication of core's own table;
/// BAD_AREA for a length that is no multiple of 8; BAD_SHIFT if selectors would not fit into size_t; NOT_EMPTY if a table
/// lies in `region`, or lay there; IN_USE if `region` overlaps the one in use, or if a
/// published table would become private.
///
/// # Safety
/// 1. As for all functions.
/// 2. `region` as for cap_map_owner_create, but the area is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_move(
    owner: *const cap_map_owner,
    region: *mut c_void,
    region_size: usize,
    publication: *const cap_map_publication,
    area_offset: *mut u32,
) -> Status {
    let owner = owner!(owner);
    // SAFETY: duty 1.
    let publication = unsafe { publication.as_ref() }.map(|of| Publication {
        identity: of.identity.into(),
        area_bytes: of.area_bytes,
        area_version: of.area_version,
    });
    // SAFETY: duty 2.
    let region = unsafe { region_at(region.cast(), region_size) };
    let area = region.and_then(|region| owner.move_to(region, publication.as_ref()));
    // SAFETY: duty 1.
    unsafe { answer(area.map(|area| area.offset), area_offset) }
}

/// Gives the table room for up to `slots` slots while it is in use. A move to a larger region
/// gives it the slots. `memory` is private memory of at least cap_map_owner_growth_size bytes
/// (a multiple of 8). It is written to on success only. All private memory that the table has
/// stays in use.
///
/// # Errors
/// TOO_SMALL (also if there is room for as many slots already), MISALIGNED, BAD_ARGUMENT for
/// `slots` out of range; OUT_OF_SLOTS if the table has grown CAP_MAP_MAX_GROWTHS times; CHANGED
/// if another thread makes it grow.
///
/// # Safety
/// 1. As for all functions.
/// 2. The memory stays mapped and is used through this library only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_owner_grow(
    owner: *const cap_map_owner,
    memory: *mut c_void,
    size: usize,
    slots: u32,
) -> Status {
    let owner = owner!(owner);
    let from = owner.max_slots() as usize;
    // SAFETY: duty 2.
    let growth = unsafe { Growth::at(memory.cast(), size, from, slots as usize) };
    status_of(growth.and_then(|growth| owner.grow(growth)))
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
