//! What a table costs, computed from the layout.

use cap_map_rs::Owner;
use cap_map_rs::layout::{SLOTS, WORD_BYTES};
use cap_map_rs::memory::PrivateSizes;

use crate::common::Relax;

const KIB: usize = 1024;
const PAGE: usize = 4 * KIB;

fn region_bytes(slots: usize) -> usize {
    SLOTS + slots * WORD_BYTES
}

/// Private memory: the owner itself and its arrays, as `cap_map_owner_size`.
fn private_bytes(slots: usize) -> usize {
    let owner = size_of::<Owner<'static, Relax>>().next_multiple_of(8);
    owner + PrivateSizes::new(slots).expect("a capacity of the layout").bytes()
}

#[test]
fn component_with_4096_slots() {
    let alone = private_bytes(4096) + region_bytes(4096);
    assert!(alone <= 64 * KIB, "{alone} bytes without a monitor");
    let shared = region_bytes(4096).next_multiple_of(PAGE);
    assert!(shared <= 40 * KIB, "{shared} bytes in the dataspace");
}

#[test]
fn core_with_128_ki_slots() {
    let slots = 128 * KIB;
    let core = private_bytes(slots) + region_bytes(slots) + slots * 2 * size_of::<u64>();
    assert!(core <= 4 * KIB * KIB + KIB * KIB / 2, "{core} bytes with two pointers per record");
}

#[test]
fn sizes_of_the_arrays() {
    assert!(PrivateSizes::new(63).is_none() && PrivateSizes::new(131_073).is_none());
    let sizes = |slots| {
        let sizes = PrivateSizes::new(slots).expect("a capacity of the layout");
        (sizes.index, sizes.index_entry, sizes.refs, sizes.bitmap, sizes.summary, sizes.buckets)
    };
    assert_eq!(sizes(64), (128, 2, 64, 2, 1, 13));
    assert_eq!(sizes(65), (256, 2, 65, 3, 1, 26));
    assert_eq!(sizes(4096), (8192, 2, 4096, 128, 4, 832));
    assert_eq!(sizes(65_534), (131_072, 2, 65_534, 2048, 64, 13_312));
    assert_eq!(sizes(65_535), (131_072, 4, 65_535, 2048, 64, 13_312));
    assert_eq!(sizes(131_072), (262_144, 4, 131_072, 4096, 128, 26_624));
}
