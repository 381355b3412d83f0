//! Attaching to memory that is no table: a status that names what is wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::memory::{Private, PrivateSizes, region_at};
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Area, Config, Identity, Kind, Monitor, Owner, Publication, Region, Status};

use crate::common::{
    CONFIG, Random, Relax, Table, WAIT_BUDGET, checksum, named, private, region, region_words, seal,
};

fn attach(words: &[AtomicU64]) -> Result<(), Status> {
    let region = Region::new(words).ok_or(Status::TooSmall)?;
    Monitor::<Relax>::attach(region, WAIT_BUDGET).map(|_| ())
}

fn copy(words: &[AtomicU64]) -> Vec<AtomicU64> {
    words.iter().map(|word| AtomicU64::new(word.load(Ordering::Relaxed))).collect()
}

/// The words with one field changed, and a checksum that fits.
fn with(words: &[AtomicU64], offset: usize, value: u64) -> Vec<AtomicU64> {
    let words = copy(words);
    words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
    seal(&words);
    words
}

#[test]
fn geometry_is_what_the_owner_said() {
    let config = Config { first_user: 5, shift: 9, badge_bits: 17, wait_budget: 0, is_core: false };
    let table = Table::unpublished(100, 100, config);
    table.owner.publish(&named("init -> größe")).unwrap();
    let monitor = table.monitor();
    let geometry = monitor.geometry();
    assert_eq!((geometry.capacity, geometry.first_user), (100, 5));
    assert_eq!((geometry.shift, geometry.badge_bits), (9, 17));
    assert_eq!(monitor.header().identity.label(), "init -> größe");
    assert!(geometry.is_static(4) && !geometry.is_static(5));
    assert!(geometry.accepts(1) && geometry.accepts((1 << 17) - 2));
    assert!(!geometry.accepts(0) && !geometry.accepts((1 << 17) - 1));
    assert!(!geometry.accepts(1 << 17) && !geometry.accepts(u32::MAX));
}

#[test]
fn identity_is_what_the_owner_said() {
    let identity = Identity {
        boot: u64::MAX,
        instance: 0x0123_4567_89ab_cdef,
        pd: 0x0fff_fffd,
        parent: u32::MAX,
        ..named("child")
    };
    let table = Table::unpublished(100, 100, CONFIG);
    table.owner.publish(&identity).unwrap();
    let header = *table.monitor().header();
    assert_eq!((header.kind, header.identity), (Kind::Published, identity));
    assert_eq!(header.area, Area::NONE);
    for offset in [OFF_AREA, OFF_AREA_BYTES, OFF_AREA_VERSION] {
        assert_eq!(table.header(offset), 0, "{offset:#x}");
    }
}

#[test]
fn every_header_field_is_checked() {
    let table = Table::new(100);
    let max = u64::MAX;
    let wide = 1 << 32;
    let bad: [(usize, &[u64], Status); 14] = [
        (OFF_MAGIC, &[1, MAGIC + 1, MAGIC.swap_bytes(), max], Status::BadMagic),
        (OFF_VERSION, &[0, 1, 3, max, wide | VERSION], Status::BadVersion),
        (OFF_CAPACITY, &[0, 63, 131_073, wide | 100, max], Status::BadCapacity),
        // The last ones contradict the capacity.
        (OFF_SIZE, &[0, 0x200, wide, max, 0x200 + 800 - 8, 0x200 + 800 + 8], Status::BadSize),
        (OFF_FIRST_USER, &[100, 101, wide | 8, max], Status::BadFirstUser),
        (OFF_SHIFT, &[33, 64, wide | 12, max], Status::BadShift),
        (OFF_BADGE_BITS, &[0, 29, wide | 28, max], Status::BadBadgeBits),
        (OFF_SLOTS, &[0, 0x208, wide | 0x200, max], Status::BadSlotsOffset),
        (OFF_KIND, &[0, 4, wide | KIND_PUBLISHED, max], Status::BadKind),
        (OFF_PD, &[wide, max], Status::BadBadge),
        (OFF_PARENT, &[wide, max], Status::BadBadge),
        (OFF_AREA, &[0x40, 0x200, 0x520, 0x540, wide, max], Status::BadArea),
        (OFF_AREA_BYTES, &[8, wide, max], Status::BadArea),
        (OFF_AREA_VERSION, &[wide, max], Status::BadArea),
    ];
    for (offset, values, status) in bad {
        for value in values {
            let words = with(table.words, offset, *value);
            assert_eq!(attach(&words), Err(status), "{value:#x} at {offset:#x}");
        }
    }
    for offset in (OFF_LABEL..OFF_LABEL + LABEL_BYTES).step_by(WORD_BYTES) {
        let words = with(table.words, offset, u64::from_ne_bytes([0xff; 8]));
        assert_eq!(attach(&words), Err(Status::BadLabel), "at {offset:#x}");
    }
    let words = with(table.words, OFF_BATCH, BATCH_RETIRED | BatchWord::new(3).0);
    assert_eq!(attach(&words), Err(Status::Retired));
    assert_eq!(attach(&copy(table.words)), Ok(()));
}

/// The order in which fields are looked at is the one of `doc/layout.md`.
#[test]
fn the_first_bad_field_is_named() {
    let table = Table::new(100);
    let fields = [
        (OFF_CAPACITY, Status::BadCapacity),
        (OFF_SIZE, Status::BadSize),
        (OFF_FIRST_USER, Status::BadFirstUser),
        (OFF_SHIFT, Status::BadShift),
        (OFF_BADGE_BITS, Status::BadBadgeBits),
        (OFF_SLOTS, Status::BadSlotsOffset),
        (OFF_LABEL, Status::BadLabel),
        (OFF_KIND, Status::BadKind),
        (OFF_PD, Status::BadBadge),
        (OFF_PARENT, Status::BadBadge),
        (OFF_AREA, Status::BadArea),
    ];
    let words = copy(table.words);
    let set = |offset: usize, value| words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
    set(OFF_BATCH, BATCH_RETIRED);
    for (offset, status) in fields.iter().rev() {
        set(*offset, u64::MAX);
        seal(&words);
        assert_eq!(attach(&words), Err(*status));
    }
    set(OFF_CHECKSUM, checksum(&words) ^ 1);
    assert_eq!(attach(&words), Err(Status::BadChecksum));
    set(OFF_VERSION, 1);
    assert_eq!(attach(&words), Err(Status::BadVersion));
    set(OFF_MAGIC, 1);
    assert_eq!(attach(&words), Err(Status::BadMagic));
}

#[test]
fn the_checksum_covers_each_constant_byte_and_no_other() {
    let table = Table::new(100);
    assert_eq!(table.header(OFF_CHECKSUM), checksum(table.words));
    for at in 0..SLOTS / WORD_BYTES {
        let offset = at * WORD_BYTES;
        // Magic and version are looked at first. A retired table is refused.
        if [OFF_MAGIC, OFF_VERSION, OFF_BATCH].contains(&offset) {
            continue;
        }
        for byte in 0..8 {
            let words = copy(table.words);
            words[at].fetch_xor(1 << (8 * byte), Ordering::Relaxed);
            let covered = offset < 0x80 || (0x100..0x148).contains(&offset);
            let expected = if covered { Err(Status::BadChecksum) } else { Ok(()) };
            assert_eq!(attach(&words), expected, "{offset:#x}, byte {byte}");
        }
    }
}

#[test]
fn limits_of_the_fields_are_valid() {
    let table = Table::new(100);
    for (offset, value) in [
        (OFF_FIRST_USER, 0),
        (OFF_FIRST_USER, 99),
        (OFF_SHIFT, 0),
        (OFF_SHIFT, 32),
        (OFF_BADGE_BITS, 1),
        (OFF_KIND, KIND_CORE),
        (OFF_KIND, KIND_PRIVATE),
        (OFF_BOOT, u64::MAX),
        (OFF_INSTANCE, u64::MAX),
        (OFF_PD, 0xffff_ffff),
        (OFF_PARENT, 0xffff_ffff),
        (OFF_AREA_VERSION, 0xffff_ffff),
    ] {
        let words = with(table.words, offset, value);
        assert_eq!(attach(&words), Ok(()), "{value} at {offset:#x}");
    }
}

/// Memory for 164 slots, of which the table has 100. It ends at 0x520.
#[test]
fn an_area_lies_behind_the_slots_and_in_the_memory() {
    let words = region_words(164);
    let owner = Owner::<Relax>::new(CONFIG, private(100), region(words)).unwrap();
    owner.publish(&named("")).unwrap();
    let attach_with = |offset: u64, bytes: u64| {
        let words = with(&with(words, OFF_AREA, offset), OFF_AREA_BYTES, bytes);
        attach(&words)
    };
    for (offset, bytes) in [(0x540, 0), (0x540, 8), (0x540, 0x1e0), (0x700, 0x20), (0x6c0, 0x60)] {
        assert_eq!(attach_with(offset, bytes), Ok(()), "{offset:#x}, {bytes:#x}");
    }
    let bad = [
        (0x540, 4),
        (0x540, 0x1e8),
        (0x540, 0xffff_fff8),
        (0x500, 8),
        (0x548, 8),
        (0x740, 0),
        (0xffff_ffc0, 0x40),
        (0, 8),
    ];
    for (offset, bytes) in bad {
        assert_eq!(attach_with(offset, bytes), Err(Status::BadArea), "{offset:#x}, {bytes:#x}");
    }
}

/// A monitor may read tables that nobody publishes. It must not write them.
#[test]
fn private_tables_are_read_only() {
    for (is_core, kind) in [(false, Kind::Private), (true, Kind::Core)] {
        let table = Table::unpublished(100, 100, Config { is_core, ..CONFIG });
        assert_eq!(table.owner.insert(40), Ok(8));
        let monitor = table.monitor();
        assert_eq!(monitor.header().kind, kind);
        assert_eq!(monitor.header().identity, Identity::UNKNOWN);
        assert_eq!(crate::common::snapshot(&monitor)[8], cap_map_rs::Slot::Used(40));
        let before = (table.batch(), monitor.stamp());
        let refusal = monitor.rewrite_one(8, 40, 44).unwrap_err();
        assert_eq!((refusal.status, refusal.slot), (Status::Unpublished, None));
        assert_eq!(monitor.rewrite(&mut []).unwrap_err().status, Status::Unpublished);
        assert_eq!((table.batch(), monitor.stamp()), before);
        assert_eq!(table.owner.find(40), Ok(8));
    }
}

#[test]
fn memory_smaller_than_the_header_says() {
    let table = Table::new(100);
    let words = copy(table.words);
    assert_eq!(attach(&words[..words.len() - 1]), Err(Status::BadSize));
    assert_eq!(attach(&words[..SLOTS / WORD_BYTES]), Err(Status::BadSize));
    assert_eq!(attach(&words[..SLOTS / WORD_BYTES - 1]), Err(Status::TooSmall));
    assert_eq!(attach(&[]), Err(Status::TooSmall));
}

#[test]
fn larger_memory_is_cut_to_the_capacity() {
    let words = region_words(200);
    let owner = Owner::<Relax>::new(CONFIG, private(100), region(words)).unwrap();
    assert_eq!(owner.capacity(), 100);
    owner.publish(&named("")).unwrap();
    let monitor = Monitor::<Relax>::attach(region(words), 0).unwrap();
    assert_eq!(monitor.geometry().capacity, 100);
    assert_eq!(monitor.entry(100), Err(Status::BadSlot));
}

#[test]
fn zeroed_memory_is_not_published() {
    assert_eq!(attach(region_words(64)), Err(Status::Unpublished));
    // Nor is memory whose header is being written: the magic comes last.
    let words = copy(Table::new(64).words);
    words[OFF_MAGIC / WORD_BYTES].store(0, Ordering::Relaxed);
    assert_eq!(attach(&words), Err(Status::Unpublished));
}

#[test]
fn raw_memory_is_checked() {
    #[repr(align(64))]
    struct Page([u8; 4096]);
    let page: &'static mut Page = Box::leak(Box::new(Page([0; 4096])));
    let base = page.0.as_mut_ptr();
    let at = |offset: usize, size: usize| {
        // SAFETY: within the leaked page, used by nobody else.
        let region = unsafe { region_at::<'static>(base.wrapping_add(offset), size) };
        region.map(|region| region.capacity())
    };
    assert_eq!(at(0, 4096), Ok((4096 - 0x200) / 8));
    assert_eq!(at(0, 0x400), Ok(64));
    assert_eq!(at(0, 0x407), Ok(64));
    assert_eq!(at(64, 0x400), Ok(64));
    for size in [0, 1, 0x1ff, 0x200, 0x3ff] {
        assert_eq!(at(0, size), Err(Status::TooSmall), "{size:#x}");
    }
    for offset in [1, 8, 32, 63] {
        assert_eq!(at(offset, 0x400), Err(Status::Misaligned), "{offset}");
    }
    // SAFETY: null is refused.
    let null = unsafe { region_at(std::ptr::null_mut(), 0x400) };
    assert_eq!(null.map(|region| region.capacity()), Err(Status::BadArgument));
}

#[test]
fn raw_private_memory_is_checked() {
    let memory = vec![0_u64; 4096].leak();
    let bytes = PrivateSizes::new(64).unwrap().bytes();
    let base = memory.as_mut_ptr().cast::<u8>();
    let at = |base: *mut u8, size, slots| {
        // SAFETY: within leaked memory, used by nobody else, or refused.
        unsafe { Private::at(base, size, slots) }.err()
    };
    assert_eq!(at(base, bytes, 64), None);
    assert_eq!(at(base, bytes - 1, 64), Some(Status::TooSmall));
    assert_eq!(at(base.wrapping_add(4), bytes, 64), Some(Status::Misaligned));
    assert_eq!(at(std::ptr::null_mut(), bytes, 64), Some(Status::BadArgument));
    assert_eq!(at(base, bytes, 63), Some(Status::BadArgument));
    assert_eq!(at(base, usize::MAX, 131_073), Some(Status::BadArgument));
}

#[test]
fn owners_refuse_bad_configurations() {
    let make = |config, capacity, max_slots| {
        let words = region_words(capacity);
        Owner::<Relax>::new(config, private(max_slots), region(words)).err()
    };
    assert_eq!(make(CONFIG, 64, 64), None);
    assert_eq!(make(Config { first_user: 64, ..CONFIG }, 64, 64), Some(Status::BadFirstUser));
    assert_eq!(make(Config { first_user: 63, ..CONFIG }, 64, 64), None);
    assert_eq!(make(Config { shift: 33, ..CONFIG }, 64, 64), Some(Status::BadShift));
    assert_eq!(make(Config { badge_bits: 0, ..CONFIG }, 64, 64), Some(Status::BadBadgeBits));
    assert_eq!(make(Config { badge_bits: 29, ..CONFIG }, 64, 64), Some(Status::BadBadgeBits));
    assert_eq!(make(CONFIG, 63, 64), Some(Status::TooSmall));
    // Nothing was written to memory that is not used after all.
    let words = region_words(64);
    words.iter().for_each(|word| word.store(7, Ordering::Relaxed));
    for config in [Config { first_user: 64, ..CONFIG }, Config { shift: 33, ..CONFIG }] {
        assert!(Owner::<Relax>::new(config, private(64), region(words)).is_err());
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 7));
    }
}

#[test]
fn labels() {
    assert_eq!(Identity::labelled(&[b'x'; 65]).err(), Some(Status::BadLabel));
    assert_eq!(Identity::labelled(b"\xff").err(), Some(Status::BadLabel));
    let mut torn = named(&"x".repeat(62));
    // The label's last character lacks its end.
    torn.label[62..].copy_from_slice(&[0xe2, 0x82]);
    let table = Table::unpublished(64, 64, CONFIG);
    assert_eq!(table.owner.publish(&torn), Err(Status::BadLabel));
    assert_eq!(table.owner.describe(&torn), Err(Status::BadLabel));
    let shown = Publication::from(torn);
    let elsewhere = region(region_words(64));
    assert_eq!(table.owner.move_to(elsewhere, Some(&shown)), Err(Status::BadLabel));
    assert_eq!(table.monitor().header().kind, Kind::Private);
    assert_eq!(table.owner.publish(&named(&"x".repeat(64))), Ok(()));
    assert_eq!(table.monitor().header().identity.label(), "x".repeat(64));
}

/// Random headers, plain and with the magic words in place.
#[test]
fn random_memory() {
    let mut random = Random::new(11);
    let mut attached = 0;
    for round in 0..6000_u32 {
        let words: Vec<_> = (0..64 + 64 + random.below(40))
            .map(|_| match random.below(4) {
                0 => AtomicU64::new(u64::from(random.below(300))),
                _ => AtomicU64::new(random.next()),
            })
            .collect();
        let set = |offset: usize, value| words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
        if round % 3 > 0 {
            set(OFF_MAGIC, MAGIC);
            set(OFF_VERSION, VERSION);
        }
        if round % 3 > 1 {
            let capacity = 64 + u64::from(random.below(40));
            set(OFF_CAPACITY, capacity);
            set(OFF_SIZE, SLOTS as u64 + 8 * capacity);
            set(OFF_FIRST_USER, u64::from(random.below(70)));
            set(OFF_SHIFT, u64::from(random.below(36)));
            set(OFF_BADGE_BITS, u64::from(random.below(31)));
            set(OFF_SLOTS, SLOTS as u64);
            (0..8).for_each(|i| set(OFF_LABEL + 8 * i, 0x20));
            set(OFF_KIND, 1 + random.next() % 4);
            for offset in [OFF_PD, OFF_PARENT, OFF_AREA_VERSION] {
                set(offset, random.next() >> 32);
            }
            for offset in [OFF_AREA, OFF_AREA_BYTES] {
                set(offset, u64::from(random.below(2)) * 0x400);
            }
            set(OFF_BATCH, random.next() & !u64::from(random.below(8) > 0));
            seal(&words);
        }
        let region = Region::new(&words).unwrap();
        let Ok(monitor) = Monitor::<Relax>::attach(region, 0) else { continue };
        attached += 1;
        let capacity = monitor.geometry().capacity;
        assert!((0..capacity).all(|slot| monitor.entry(slot).is_ok()));
        let mut copy = vec![cap_map_rs::SlotWord(0); capacity as usize];
        assert!(monitor.snapshot(&mut copy).unwrap().consistent);
        let _ = monitor.rewrite_one(random.below(capacity), random.below(300), 8);
    }
    assert!(attached > 100, "only {attached} got that far");
}
