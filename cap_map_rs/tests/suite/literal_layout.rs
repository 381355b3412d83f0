//! The layout in literals, and what a table costs. If one of these fails, the layout has changed, which
//! needs a new version, not a new number here.

use std::sync::atomic::Ordering;

use cap_map_rs::layout::{SLOTS, WORD_BYTES, *};
use cap_map_rs::memory::PrivateSizes;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Config, Identity, Owner, Slot, SlotWord};

use crate::common::{BANKS, CONFIG, Relax, Table, checksum, named};

#[test]
fn offsets_and_sizes() {
    assert_eq!((WORD_BYTES, REGION_ALIGN, SLOTS), (8, 64, 0x200));
    assert_eq!((MAGIC, VERSION), (0x4341_5054_4142_4c45, 2));
    assert_eq!(&MAGIC.to_be_bytes(), b"CAPTABLE");
    assert_eq!([OFF_MAGIC, OFF_VERSION, OFF_SIZE, OFF_CAPACITY], [0x00, 0x08, 0x10, 0x18]);
    assert_eq!([OFF_FIRST_USER, OFF_SHIFT, OFF_BADGE_BITS, OFF_SLOTS], [0x20, 0x28, 0x30, 0x38]);
    assert_eq!((OFF_LABEL, LABEL_BYTES), (0x40, 64));
    assert_eq!([OFF_KIND, OFF_BOOT, OFF_INSTANCE], [0x100, 0x108, 0x110]);
    assert_eq!([OFF_PD, OFF_PARENT], [0x118, 0x120]);
    assert_eq!([OFF_AREA, OFF_AREA_BYTES, OFF_AREA_VERSION], [0x128, 0x130, 0x138]);
    assert_eq!((OFF_CHECKSUM, CONSTANT), (0x140, [0..0x80, 0x100..0x140]));
    assert_eq!(OFF_BATCH, 0x80);
    assert_eq!([OFF_SEQUENCE, OFF_COMING, OFF_HIGH_WATER, OFF_QUIET], [0xc0, 0xc8, 0xd0, 0xd8]);
    assert_eq!((MIN_CAPACITY, MAX_CAPACITY, MAX_SHIFT), (64, 131_072, 32));
}

#[test]
fn fields() {
    assert_eq!((STATE_SHIFT, BADGE_0_SHIFT, BADGE_1_SHIFT, BADGE_BITS), (61, 33, 5, 28));
    assert_eq!([STATE_FREE, STATE_USED, STATE_DETACHED], [0, 2, 3]);
    assert_eq!([BATCH_RETIRED, BATCH_CLAIMED, BATCH_UNDISTURBED], [1, 2, 4]);
    assert_eq!((CLAIM_SHIFT, CLAIM_BITS), (3, 16));
    assert_eq!((GENERATION_SHIFT, GENERATION_BITS), (19, 45));
    assert_eq!([KIND_CORE, KIND_PRIVATE, KIND_PUBLISHED], [1, 2, 3]);
}

/// The golden words of `doc/layout.md`.
#[test]
fn golden_words() {
    let [even, odd] = BANKS;
    assert_eq!(SlotWord::FREE.0, 0);
    assert_eq!(SlotWord::used(0x0fff_fffc).0, 0x5fff_fff9_ffff_ff80);
    assert_eq!(SlotWord::detached(4).0, 0x6000_0008_0000_0080);
    for (word, meanings) in [(0x4000_0008_0000_0100, [4, 8]), (0x4000_0010_0000_0080, [8, 4])] {
        let word = SlotWord(word);
        assert_eq!([even, odd].map(|bank| word.decode(bank)), meanings.map(Slot::Used));
        assert_eq!(SlotWord::used(4).staged(if meanings[0] == 4 { even } else { odd }, 8), word);
    }
    for corrupt in [0x2000_0000_0000_0000, 0x8000_0008_0000_0103] {
        assert_eq!(BANKS.map(|bank| SlotWord(corrupt).decode(bank)), [Slot::Corrupt; 2]);
    }
    assert_eq!(BatchWord::new(0).0, 0);
    let claimed = BatchWord::new(0).claimed();
    assert_eq!(claimed.0, 0x0000_0000_0000_000e);
    assert_eq!(claimed.flipped().0, 0x0000_0000_0008_000e);
    assert_eq!(claimed.flipped().released().0, 0x0000_0000_0008_0008);
    let retired = BatchWord(0x0000_0000_0008_0009);
    assert!(retired.is_retired() && !retired.is_claimed());
    assert_eq!((retired.generation(), retired.claim(), retired.bank()), (1, 1, odd));
    let all = BatchWord(u64::MAX);
    assert!(all.is_retired() && all.is_claimed() && all.is_attempted());
    assert_eq!((all.generation(), all.claim()), ((1 << 45) - 1, 65_535));
}

/// The golden region of `doc/layout.md`: (offset, word), all others are zero.
const GOLDEN: [(usize, u64); 21] = [
    (0x000, 0x4341_5054_4142_4c45),
    (0x008, 2),
    (0x010, 0x400),
    (0x018, 64),
    (0x020, 4),
    (0x028, 12),
    (0x030, 28),
    (0x038, 0x200),
    (0x040, u64::from_ne_bytes(*b"golden\0\0")),
    (0x080, 0x0000_0000_0018_0010),
    (0x0c0, 12),
    (0x0d0, 7),
    (0x100, 3),
    (0x108, 0x0123_4567_89ab_cdef),
    (0x110, 7),
    (0x118, 24),
    (0x120, 28),
    (0x208, 0x4000_0010_0000_0100),
    (0x220, 0x4000_0028_0000_0280),
    (0x228, 0x4000_0030_0000_0400),
    (0x230, 0x6000_0020_0000_0200),
];

/// The checksum of the golden region, if it is written by a little-endian machine.
const GOLDEN_CHECKSUM: u64 = 0x5148_2fbb_84af_2dbc;

pub(crate) fn golden_table() -> Table {
    let config = Config { first_user: 4, ..CONFIG };
    let table = Table::unpublished(64, 64, config);
    let owner = &table.owner;
    let (boot, instance) = (0x0123_4567_89ab_cdef, 7);
    let identity = Identity { boot, instance, pd: 24, parent: 28, ..named("golden") };
    owner.publish(&identity).unwrap();
    owner.insert_at(4, 1).unwrap();
    assert_eq!(owner.insert(12), Ok(4));
    assert_eq!(owner.insert(52), Ok(5));
    owner.insert_at(24, 5).unwrap();
    assert_eq!(owner.insert(16), Ok(6));
    owner.acquire(6).unwrap();
    owner.remove(6).unwrap();
    table.monitor().rewrite_one(4, 12, 20).unwrap();
    table.monitor().rewrite_one(1, 4, 8).unwrap();
    // The monitor of the third batch stopped behind the flip, and lost its claim. No such
    // monitor leaves the claim's number as it was, so this is done by words.
    table.stage(5, 32);
    table.flip();
    table
}

#[test]
fn golden_region() {
    let table = golden_table();
    for (i, word) in table.words.iter().enumerate().filter(|(i, _)| *i != 0x140 / 8) {
        let expected = GOLDEN.iter().find(|(offset, _)| *offset == 8 * i);
        let expected = expected.map_or(0, |(_, word)| *word);
        assert_eq!(word.load(Ordering::Relaxed), expected, "at {:#x}", 8 * i);
    }
    assert_eq!(table.header(0x140), checksum(table.words));
    if cfg!(target_endian = "little") {
        assert_eq!(table.header(0x140), GOLDEN_CHECKSUM);
    }
    assert_eq!(table.owner.find(32), Ok(5));
}

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
