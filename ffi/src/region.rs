//! Region: the memory of the slots, which monitors may see

use cap_map_rs::layout;
use cap_map_rs::memory::PrivateSizes;
use static_assertions::const_assert;

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

/// Bytes of a region with `capacity` slots; 0 for a capacity out of range.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_region_size(capacity: u32) -> usize {
    match PrivateSizes::new(capacity as usize) {
        Some(_) => layout::SLOTS + capacity as usize * layout::WORD_BYTES,
        None => 0,
    }
}
