//! Attaching to memory that is no table: a status that names what is wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::memory::{Private, PrivateSizes, region_at};
use cap_map_rs::word::Control;
use cap_map_rs::{Config, Monitor, Owner, Region, Status};

use crate::common::{CONFIG, PATIENCE, Random, Relax, Table, private, region, region_words};

fn attach(words: &[AtomicU64]) -> Result<(), Status> {
    let region = Region::new(words).ok_or(Status::TooSmall)?;
    Monitor::<Relax>::attach(region, PATIENCE).map(|_| ())
}

fn copy(words: &[AtomicU64]) -> Vec<AtomicU64> {
    words.iter().map(|word| AtomicU64::new(word.load(Ordering::Relaxed))).collect()
}

#[test]
fn geometry_is_what_the_owner_said() {
    let config = Config { first_user: 5, shift: 9, badge_bits: 17, patience: 0 };
    let table = Table::unpublished(100, 100, config);
    table.owner.publish("init -> größe".as_bytes()).unwrap();
    let monitor = table.monitor();
    let geometry = monitor.geometry();
    assert_eq!((geometry.capacity, geometry.first_user), (100, 5));
    assert_eq!((geometry.shift, geometry.badge_bits), (9, 17));
    assert_eq!(geometry.label(), "init -> größe");
    assert!(geometry.is_static(4) && !geometry.is_static(5));
    assert!(geometry.accepts(1) && geometry.accepts((1 << 17) - 2));
    assert!(!geometry.accepts(0) && !geometry.accepts((1 << 17) - 1));
    assert!(!geometry.accepts(1 << 17) && !geometry.accepts(u32::MAX));
}

#[test]
fn every_header_field_is_checked() {
    let table = Table::new(100);
    let max = u64::MAX;
    let wide = 1 << 32;
    let bad: [(usize, &[u64], Status); 8] = [
        (OFF_MAGIC, &[1, MAGIC + 1, MAGIC.swap_bytes(), max], Status::BadMagic),
        (OFF_VERSION, &[0, 2, max, wide | VERSION], Status::BadVersion),
        (OFF_CAPACITY, &[0, 63, 131_073, wide | 100, max], Status::BadCapacity),
        // The last ones contradict the capacity.
        (OFF_SIZE, &[0, 0x200, wide, max, 0x200 + 800 - 8, 0x200 + 800 + 8], Status::BadSize),
        (OFF_FIRST_USER, &[100, 101, wide | 8, max], Status::BadFirstUser),
        (OFF_SHIFT, &[33, 64, wide | 12, max], Status::BadShift),
        (OFF_BADGE_BITS, &[0, 29, wide | 28, max], Status::BadBadgeBits),
        (OFF_SLOTS, &[0, 0x208, wide | 0x200, max], Status::BadSlotsOffset),
    ];
    for (offset, values, status) in bad {
        for value in values {
            let words = copy(table.words);
            words[offset / WORD_BYTES].store(*value, Ordering::Relaxed);
            assert_eq!(attach(&words), Err(status), "{value:#x} at {offset:#x}");
        }
    }
    for offset in (OFF_LABEL..OFF_LABEL + LABEL_BYTES).step_by(WORD_BYTES) {
        let words = copy(table.words);
        words[offset / WORD_BYTES].store(0xff, Ordering::Relaxed);
        assert_eq!(attach(&words), Err(Status::BadLabel), "at {offset:#x}");
    }
    let words = copy(table.words);
    let retired = Control::new(PHASE_RETIRED, 3, 0);
    words[OFF_CONTROL / WORD_BYTES].store(retired.0, Ordering::Relaxed);
    assert_eq!(attach(&words), Err(Status::Retired));
    assert_eq!(attach(&copy(table.words)), Ok(()));
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
    ] {
        let words = copy(table.words);
        words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
        assert_eq!(attach(&words), Ok(()), "{value} at {offset:#x}");
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
    owner.publish(b"").unwrap();
    let monitor = Monitor::<Relax>::attach(region(words), 0).unwrap();
    assert_eq!(monitor.geometry().capacity, 100);
    assert_eq!(monitor.entry(100), Err(Status::BadSlot));
}

#[test]
fn zeroed_memory_is_not_published() {
    assert_eq!(attach(region_words(64)), Err(Status::Unpublished));
    let table = Table::unpublished(64, 64, CONFIG);
    assert_eq!(attach(table.words), Err(Status::Unpublished));
    table.owner.publish(b"now").unwrap();
    assert_eq!(attach(table.words), Ok(()));
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
    let table = Table::unpublished(64, 64, CONFIG);
    assert_eq!(table.owner.publish(&[b'x'; 65]), Err(Status::BadLabel));
    assert_eq!(table.owner.publish(b"\xff"), Err(Status::BadLabel));
    assert_eq!(attach(table.words), Err(Status::Unpublished));
    assert_eq!(table.owner.publish(&[b'x'; 64]), Ok(()));
    assert_eq!(table.monitor().geometry().label(), "x".repeat(64));
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
    assert!(attached > 500, "only {attached} got that far");
}
