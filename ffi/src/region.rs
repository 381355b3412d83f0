//! Region: the memory of the slots, which monitors may see

use core::ffi::c_void;

use cap_map_rs::memory::{PrivateSizes, region_at};
use cap_map_rs::{Identity, Status, layout};
use static_assertions::const_assert;

use crate::status::status_of;

/// Fewest slots of a table.
pub const CAP_MAP_MIN_SLOTS: u32 = 64;
/// Most slots of a table.
pub const CAP_MAP_MAX_SLOTS: u32 = 131072;
/// Alignment of a region.
pub const CAP_MAP_REGION_ALIGN: u32 = 64;
/// Bytes of a region before slot 0.
pub const CAP_MAP_REGION_HEADER_BYTES: u32 = 512;
/// Bytes of a region for each slot.
pub const CAP_MAP_REGION_SLOT_BYTES: u32 = 8;
/// Most bytes of a component's label.
pub const CAP_MAP_LABEL_BYTES: usize = 64;

const_assert!(CAP_MAP_MIN_SLOTS as usize == layout::MIN_CAPACITY);
const_assert!(CAP_MAP_MAX_SLOTS as usize == layout::MAX_CAPACITY);
const_assert!(CAP_MAP_REGION_ALIGN as usize == layout::REGION_ALIGN);
const_assert!(CAP_MAP_REGION_HEADER_BYTES as usize == layout::SLOTS);
const_assert!(CAP_MAP_REGION_SLOT_BYTES as usize == layout::WORD_BYTES);
const_assert!(CAP_MAP_LABEL_BYTES == layout::LABEL_BYTES);

/// What tells a table from others, for people and tools. The library does not use it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_identity {
    /// Label of the component, UTF-8, padded with zero bytes, not terminated.
    pub label: [u8; CAP_MAP_LABEL_BYTES],
    /// Differs from boot to boot; 0 if unknown.
    pub boot: u64,
    /// Differs from table to table of a boot; 0 if unknown.
    pub instance: u64,
    /// Badge of the component's PD when the header is written; 0 if unknown.
    pub pd: u32,
    /// Badge of the component's parent when the header is written; 0 if unknown.
    pub parent: u32,
}

impl From<cap_map_identity> for Identity {
    fn from(of: cap_map_identity) -> Self {
        let cap_map_identity { label, boot, instance, pd, parent } = of;
        Identity { label, boot, instance, pd, parent }
    }
}

impl From<Identity> for cap_map_identity {
    fn from(of: Identity) -> Self {
        let Identity { label, boot, instance, pd, parent } = of;
        cap_map_identity { label, boot, instance, pd, parent }
    }
}

/// Leaves an identity in zeroed memory that a monitor hands out for a table. What the
/// component does not know about itself when it moves there, such as its label, is
/// taken from that.
///
/// # Errors
/// TOO_SMALL, MISALIGNED, BAD_LABEL; NOT_EMPTY if a table lies in the memory, or lay
/// there.
///
/// # Safety
/// 1. `size` bytes at `memory` stay mapped and are accessed atomically by all.
/// 2. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_region_prepare(
    memory: *mut c_void,
    size: usize,
    identity: *const cap_map_identity,
) -> Status {
    // SAFETY: duty 2.
    let Some(identity) = (unsafe { identity.as_ref() }) else { return Status::BadArgument };
    // SAFETY: duty 1.
    let region = unsafe { region_at(memory.cast(), size) };
    status_of(region.and_then(|region| region.prepare(&(*identity).into())))
}

/// Bytes of a region with `capacity` slots; 0 for a capacity out of range.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_region_size(capacity: u32) -> usize {
    match PrivateSizes::new(capacity as usize) {
        Some(_) => layout::SLOTS + capacity as usize * layout::WORD_BYTES,
        None => 0,
    }
}
