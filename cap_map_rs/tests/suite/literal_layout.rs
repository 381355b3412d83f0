//! The layout in literals. If one of these fails, the layout has changed, which
//! needs a new version, not a new number here.

use std::sync::atomic::Ordering;

use cap_map_rs::layout::*;
use cap_map_rs::word::Control;
use cap_map_rs::{Config, SlotWord};

use crate::common::Table;

#[test]
fn offsets_and_sizes() {
    assert_eq!((WORD_BYTES, REGION_ALIGN, SLOTS), (8, 64, 0x200));
    assert_eq!((MAGIC, VERSION), (0x4341_5054_4142_4c45, 1));
    assert_eq!(&MAGIC.to_be_bytes(), b"CAPTABLE");
    assert_eq!([OFF_MAGIC, OFF_VERSION, OFF_SIZE, OFF_CAPACITY], [0x00, 0x08, 0x10, 0x18]);
    assert_eq!([OFF_FIRST_USER, OFF_SHIFT, OFF_BADGE_BITS, OFF_SLOTS], [0x20, 0x28, 0x30, 0x38]);
    assert_eq!((OFF_LABEL, LABEL_BYTES), (0x40, 64));
    assert_eq!(OFF_CONTROL, 0x80);
    assert_eq!([OFF_INTENT_SLOT, OFF_INTENT_OLD, OFF_INTENT_NEW], [0xc0, 0xc8, 0xd0]);
    assert_eq!(OFF_QUIET, 0xd8);
    assert_eq!([OFF_RESOLVER_OWNER, OFF_RESOLVER_MONITOR], [0x100, 0x140]);
    assert_eq!((MIN_CAPACITY, MAX_CAPACITY, MAX_SHIFT), (64, 131_072, 32));
}

#[test]
fn fields() {
    assert_eq!((STATE_SHIFT, BADGE_SHIFT, BADGE_BITS, TAG_BITS), (61, 33, 28, 33));
    assert_eq!((NEW_BADGE_SHIFT, BATCH_BITS), (5, 5));
    assert_eq!([STATE_FREE, STATE_RESERVED, STATE_USED], [0, 1, 2]);
    assert_eq!([STATE_DETACHED, STATE_STAGED], [3, 4]);
    assert_eq!((PHASE_BITS, SEQUENCE_SHIFT, SEQUENCE_BITS), (3, 3, 37));
    assert_eq!((GENERATION_SHIFT, GENERATION_BITS), (40, 24));
    assert_eq!([PHASE_IDLE, PHASE_WRITING, PHASE_STAGING], [0, 1, 2]);
    assert_eq!([PHASE_COMMITTED, PHASE_ABORTED, PHASE_RETIRED], [3, 4, 5]);
}

/// The golden words of `doc/layout.md`.
#[test]
fn golden_words() {
    assert_eq!(SlotWord::free(0).0, 0);
    assert_eq!(SlotWord::reserved(7).0, 0x2000_0000_0000_0007);
    assert_eq!(SlotWord::used(0x0fff_fffc, 1).0, 0x5fff_fff8_0000_0001);
    assert_eq!(SlotWord::detached(4, 0).0, 0x6000_0008_0000_0000);
    assert_eq!(SlotWord::staged(4, 8, 3).0, 0x8000_0008_0000_0103);
    assert_eq!(Control::new(PHASE_WRITING, 1, 0).0, 0x0000_0000_0000_0009);
    assert_eq!(Control::new(PHASE_STAGING, 5, 5).0, 0x0000_0500_0000_002a);
    assert_eq!(Control::new(PHASE_COMMITTED, 6, 6).0, 0x0000_0600_0000_0033);
    assert_eq!(Control::new(PHASE_ABORTED, 6, 6).0, 0x0000_0600_0000_0034);
    assert_eq!(Control::new(PHASE_IDLE, 7, 6).0, 0x0000_0600_0000_0038);
    assert_eq!(Control(0x0000_0500_0000_002a).batch(), 3);
    assert_eq!(Control(0x0000_0600_0000_0033).batch(), 3);
}

/// The golden region of `doc/layout.md`: (offset, word), all others are zero.
const GOLDEN: [(usize, u64); 17] = [
    (0x000, 0x4341_5054_4142_4c45),
    (0x008, 1),
    (0x010, 0x400),
    (0x018, 64),
    (0x020, 4),
    (0x028, 12),
    (0x030, 28),
    (0x038, 0x200),
    (0x040, u64::from_ne_bytes(*b"golden\0\0")),
    (0x080, 0x0000_0200_0000_0058),
    (0x0c0, 6),
    (0x0c8, 0x4000_0020_0000_0005),
    (0x0d0, 0x6000_0020_0000_0007),
    (0x208, 0x4000_0010_0000_0001),
    (0x220, 0x4000_0028_0000_000a),
    (0x228, 0x2000_0000_0000_0000),
    (0x230, 0x6000_0020_0000_0007),
];

pub(crate) fn golden_table() -> Table {
    let config = Config { first_user: 4, shift: 12, badge_bits: 28, patience: 0 };
    let table = Table::unpublished(64, 64, config);
    let owner = &table.owner;
    owner.publish(b"golden").unwrap();
    owner.insert_at(8, 1).unwrap();
    assert_eq!(owner.insert(12), Ok(4));
    assert_eq!(owner.alloc(1), Ok(5));
    assert_eq!(owner.insert(16), Ok(6));
    owner.acquire(6).unwrap();
    owner.remove(6).unwrap();
    table.monitor().rewrite_one(4, 12, 20).unwrap();
    table
}

#[test]
fn golden_region() {
    for (i, word) in golden_table().words.iter().enumerate() {
        let expected = GOLDEN.iter().find(|(offset, _)| *offset == 8 * i);
        let expected = expected.map_or(0, |(_, word)| *word);
        assert_eq!(word.load(Ordering::Relaxed), expected, "at {:#x}", 8 * i);
    }
}
