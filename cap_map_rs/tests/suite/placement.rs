//! Moving a table, starting anew, and taking it up again in a restored image.

use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{
    Area, Config, Identity, Kind, Monitor, Owner, Publication, Region, Slot, SlotWord, Status,
};

use crate::common::{
    CONFIG, HEADER_WORDS, Relax, Table, meanings, named, private, region, region_words, shown,
    snapshot,
};

/// A table with something in every state.
fn filled(capacity: u32, max_slots: u32) -> Table {
    let table = Table::unpublished(capacity, max_slots, CONFIG);
    let owner = &table.owner;
    owner.insert_at(40, 2).unwrap();
    assert_eq!(owner.insert(44), Ok(8));
    assert_eq!(owner.find_acquire(44), Ok(8));
    assert_eq!(owner.alloc(2), Ok(9));
    assert_eq!(owner.insert(48), Ok(11));
    owner.acquire(11).unwrap();
    owner.remove(11).unwrap();
    table
}

fn check_filled(owner: &Owner<'static, Relax>) {
    let expected = [Slot::Used(44), Slot::Reserved, Slot::Reserved, Slot::Detached(48), Slot::Free];
    for (slot, state) in (8..).zip(expected) {
        assert_eq!(owner.entry(slot), Ok(state));
    }
    assert_eq!((owner.find(40), owner.find(44)), (Ok(2), Ok(8)));
    assert_eq!((owner.references(8), owner.references(11)), (1, 1));
    assert_eq!(owner.find(48), Err(Status::NotFound));
    // Free slots are known, too.
    assert_eq!(owner.alloc(1), Ok(12));
    assert_eq!(owner.free(12, 1), Ok(()));
    assert_eq!(owner.free(8, 1), Err(Status::InUse));
    assert_eq!(owner.free(9, 4), Err(Status::InUse));
    assert_eq!(owner.insert(44), Err(Status::Exists));
}

fn attach(words: &'static [AtomicU64]) -> Result<Monitor<'static, Relax>, Status> {
    Monitor::attach(region(words), 0)
}

#[test]
fn moving_and_growing() {
    for published in [false, true] {
        let table = filled(64, 300);
        if published {
            table.owner.publish(&named("old")).unwrap();
        }
        let mut sequence = table.header(OFF_SEQUENCE);
        for capacity in [64, 100, 300] {
            let old = table.owner.capacity();
            assert_eq!(table.owner.acquire(old), Err(Status::BadSlot));
            let words = region_words(capacity);
            table.owner.move_to(region(words), Some(&shown("new home"))).unwrap();
            assert_eq!(table.owner.capacity(), capacity);
            check_filled(&table.owner);
            let monitor = attach(words).unwrap();
            assert_eq!(monitor.header().identity, named("new home"));
            assert_eq!(monitor.header().kind, Kind::Published);
            // Goes on, so that a stamp of the old region is none of the new one.
            assert!(monitor.stamp().sequence > sequence && monitor.stamp().is_steady());
            sequence = monitor.stamp().sequence;
            assert_eq!(monitor.geometry().capacity, capacity);
            assert_eq!(snapshot(&monitor)[8], Slot::Used(44));
            assert_eq!(monitor.rewrite_one(8, 44, 400), Ok(()));
            assert_eq!(monitor.rewrite_one(8, 400, 44), Ok(()));
            check_filled(&table.owner);
            // The new slots can be used.
            for slot in old..capacity {
                assert_eq!(table.owner.insert_at(1000 + slot, slot), Ok(()));
                assert_eq!(table.owner.find(1000 + slot), Ok(slot));
                assert_eq!(table.owner.remove(slot), Ok(()));
            }
        }
        // Not where the table lies now, nor one of the former regions.
        assert_eq!(attach(table.words).map(|_| ()), Err(Status::Retired));
        let move_to =
            |capacity| table.owner.move_to(region(region_words(capacity)), Some(&shown("")));
        assert_eq!((move_to(299), move_to(10)), (Err(Status::TooSmall), Err(Status::TooSmall)));
        // More memory than the private arrays are made for.
        assert_eq!(move_to(400), Ok(Area::NONE));
        assert_eq!(table.owner.capacity(), 300);
        check_filled(&table.owner);
    }
}

/// Both badges of each slot are the same where the table moves to, and the generation
/// goes on, so that the index stays valid.
#[test]
fn a_move_keeps_the_meaning_of_unsettled_slots() {
    for flips in 0..4 {
        let mut table = filled(64, 64);
        table.owner.publish(&named("old")).unwrap();
        (0..flips).for_each(|_| table.flip());
        table.stage(8, 400);
        table.stage(2, 404);
        let words = region_words(64);
        table.owner.move_to(region(words), Some(&shown("new"))).unwrap();
        table.words = words;
        assert_eq!(table.batch(), BatchWord::new(flips));
        assert_eq!([8, 2].map(|slot| table.word(slot)), [44, 40].map(SlotWord::used));
        assert_eq!(table.header(OFF_HIGH_WATER), 12);
        check_filled(&table.owner);
    }
}

/// Look-ups that began in the old region may go on there.
#[test]
fn the_old_region_stays_as_it_is_but_retired() {
    for published in [false, true] {
        let table = filled(64, 64);
        if published {
            table.owner.publish(&named("old")).unwrap();
        }
        let before: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
        let words = region_words(64);
        let shown = published.then(|| shown("new"));
        table.owner.move_to(region(words), shown.as_ref()).unwrap();
        assert!(table.batch().is_retired());
        table.set_header(OFF_BATCH, table.batch().0 & !BATCH_RETIRED);
        let after: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
        assert_eq!(after, before);
        let kind = if published { Kind::Published } else { Kind::Private };
        assert_eq!(attach(words).unwrap().header().kind, kind);
        check_filled(&table.owner);
    }
}

#[test]
fn a_table_moves_into_empty_memory_only() {
    let table = Table::new(100);
    assert_eq!(table.owner.insert(40), Ok(8));
    let (a, b) = (table.words, region_words(100));
    assert_eq!(table.owner.move_to(region(b), Some(&shown("b"))), Ok(Area::NONE));
    // Back to where it was, where look-ups may still be under way.
    assert_eq!(table.owner.move_to(region(a), Some(&shown("a"))), Err(Status::NotEmpty));
    assert_eq!(table.owner.find(40), Ok(8));
    assert_eq!(attach(a).map(|_| ()), Err(Status::Retired));
    // Another table's memory.
    let other = Table::unpublished(100, 100, CONFIG);
    let moved = table.owner.move_to(region(other.words), Some(&shown("other")));
    assert_eq!(moved, Err(Status::NotEmpty));
    assert_eq!(other.owner.insert(40), Ok(8));
    // Any word of the header tells, but for those of the identity.
    let identity = (OFF_LABEL..OFF_LABEL + LABEL_BYTES).chain(OFF_BOOT..OFF_AREA);
    let identity: Vec<_> = identity.step_by(WORD_BYTES).map(|at| at / WORD_BYTES).collect();
    assert_eq!(identity.len(), 12);
    for at in (0..HEADER_WORDS).filter(|at| !identity.contains(at)) {
        let words = region_words(100);
        words[at].store(1 << 63, Ordering::SeqCst);
        let moved = table.owner.move_to(region(words), Some(&shown("")));
        assert_eq!(moved, Err(Status::NotEmpty), "word {at}");
        assert!((0..words.len()).all(|i| i == at || words[i].load(Ordering::SeqCst) == 0));
    }
    assert_eq!(attach(b).unwrap().rewrite_one(8, 40, 44), Ok(()), "it still lies there");
    // What lies where the slots come is no part of the table.
    let words = region_words(100);
    words[HEADER_WORDS..].iter().for_each(|word| word.store(SlotWord::used(4).0, Ordering::SeqCst));
    assert_eq!(table.owner.move_to(region(words), Some(&shown(""))), Ok(Area::NONE));
    let used: Vec<_> = (0..)
        .zip(&words[HEADER_WORDS..])
        .filter(|(_, word)| word.load(Ordering::SeqCst) != 0)
        .collect();
    assert!(matches!(used[..], [(8, _)]), "{used:?}");
}

/// What a monitor wrote into the old region does not come along, but for badges.
#[test]
fn a_move_trusts_no_word_of_the_old_region() {
    for mark in [0, 5, u64::MAX] {
        let table = filled(64, 64);
        table.owner.publish(&named("old")).unwrap();
        table.set_header(OFF_HIGH_WATER, mark);
        table.set_word(63, SlotWord::used(400));
        let words = region_words(64);
        table.owner.move_to(region(words), Some(&shown("new"))).unwrap();
        check_filled(&table.owner);
        assert_eq!(words[OFF_HIGH_WATER / 8].load(Ordering::SeqCst), 12);
        assert_eq!(words[HEADER_WORDS + 63].load(Ordering::SeqCst), 0);
        assert_eq!(snapshot(&attach(words).unwrap())[8], Slot::Used(44));
    }
}

#[test]
fn a_table_does_not_move_into_itself() {
    // 100 slots in the middle, with room in front and behind.
    let words = region_words(500);
    let at = |from: usize, count: usize| {
        Region::new(&words[from..from + HEADER_WORDS + count]).expect("large enough")
    };
    let owner = Owner::<Relax>::new(CONFIG, private(500), at(200, 100)).unwrap();
    owner.publish(&named("middle")).unwrap();
    let end = 200 + HEADER_WORDS + 100;
    for (slot, badge) in (8..100).zip(40..) {
        assert_eq!(owner.insert(badge), Ok(slot));
    }
    let shown = shown("new");
    for (from, count) in [(200, 100), (200, 200), (100, 100), (100, 300), (264, 100), (208, 150)] {
        let moved = owner.move_to(at(from, count), Some(&shown));
        assert_eq!(moved, Err(Status::InUse), "{count} slots at word {from}");
    }
    assert_eq!(owner.move_to(at(end - 1, 100), Some(&shown)), Err(Status::InUse));
    // The slots would not reach it. The area would.
    let publication = Publication { area_bytes: 1024, ..shown };
    let before = at(200 - HEADER_WORDS - 104, 104 + 128);
    assert_eq!(owner.move_to(before, Some(&publication)), Err(Status::InUse));
    assert!((8..100).zip(40..).all(|(slot, badge)| owner.find(badge) == Ok(slot)));
    let here = Monitor::<Relax>::attach(at(200, 100), 0).unwrap();
    assert_eq!(here.header().identity.label(), "middle");
    // Right behind it is fine, and so is right in front of where it is then.
    assert_eq!(owner.move_to(at(end, 120), Some(&shown)), Ok(Area::NONE));
    assert!((8..100).zip(40..).all(|(slot, badge)| owner.find(badge) == Ok(slot)));
}

/// A header that monitors use does not change.
#[test]
fn a_table_is_published_once() {
    let table = Table::unpublished(64, 64, CONFIG);
    assert_eq!(attach(table.words).unwrap().header().kind, Kind::Private);
    let identity = Identity { boot: 1, instance: 2, pd: 3, parent: 4, ..named("private") };
    assert_eq!(table.owner.describe(&identity), Ok(()));
    assert_eq!(attach(table.words).unwrap().header().identity, identity);
    assert_eq!(table.owner.describe(&named("again")), Ok(()));
    assert_eq!(table.owner.publish(&named("public")), Ok(()));
    let header = *attach(table.words).unwrap().header();
    assert_eq!((header.kind, header.identity), (Kind::Published, named("public")));
    let before: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
    assert_eq!(table.owner.publish(&named("other")), Err(Status::InUse));
    assert_eq!(table.owner.describe(&named("other")), Err(Status::InUse));
    let elsewhere = region(region_words(64));
    assert_eq!(table.owner.move_to(elsewhere, None), Err(Status::InUse), "it has monitors");
    let after: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
    assert_eq!(after, before);
    assert_eq!(table.owner.move_to(elsewhere, Some(&shown("elsewhere"))), Ok(Area::NONE));
    assert_eq!(table.owner.publish(&named("other")), Err(Status::InUse));
}

#[test]
fn private_tables_move_too() {
    for (is_core, kind) in [(false, Kind::Private), (true, Kind::Core)] {
        let table = Table::unpublished(64, 100, Config { is_core, ..CONFIG });
        assert_eq!(table.owner.insert(40), Ok(8));
        let sequence = table.header(OFF_SEQUENCE);
        assert_eq!(sequence, 2, "private tables count their writes, too");
        let words = region_words(100);
        assert_eq!(table.owner.move_to(region(words), None), Ok(Area::NONE));
        assert!(table.batch().is_retired());
        let monitor = attach(words).unwrap();
        assert_eq!((monitor.header().kind, monitor.header().identity), (kind, Identity::UNKNOWN));
        assert!(monitor.stamp().sequence > sequence);
        assert_eq!((table.owner.find(40), table.owner.capacity()), (Ok(8), 100));
        // It is still a table that can be described, and published unless it is core's.
        assert_eq!(table.owner.describe(&named("still private")), Ok(()));
        assert_eq!(attach(words).unwrap().header().kind, kind);
        if is_core {
            continue;
        }
        assert_eq!(table.owner.publish(&named("public")), Ok(()));
        assert_eq!(attach(words).unwrap().rewrite_one(8, 40, 44), Ok(()));
        assert_eq!(table.owner.find(44), Ok(8));
    }
}

/// Whoever could rewrite core's badges would have the whole system.
#[test]
fn core_s_own_table_is_never_published() {
    let table = Table::unpublished(64, 64, Config { is_core: true, ..CONFIG });
    assert_eq!(table.owner.insert(40), Ok(8));
    let elsewhere = region_words(64);
    let before: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
    assert_eq!(table.owner.publish(&named("core")), Err(Status::BadKind));
    let moved = table.owner.move_to(region(elsewhere), Some(&shown("core")));
    assert_eq!(moved, Err(Status::BadKind));
    let after: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
    assert_eq!(after, before);
    assert!(elsewhere.iter().all(|word| word.load(Ordering::SeqCst) == 0));
    let refusal = attach(table.words).unwrap().rewrite_one(8, 40, 44).unwrap_err();
    assert_eq!((refusal.status, table.owner.find(40)), (Status::Unpublished, Ok(8)));
}

/// What the giver of the memory knows about the component comes into the header, unless
/// the component knows better.
#[test]
fn prepared_memory_completes_the_identity() {
    let given = Identity { boot: 7, instance: 3, pd: 44, ..Identity::labelled(b"init").unwrap() };
    let own = Identity { pd: 24, parent: 28, ..Identity::UNKNOWN };
    let table = Table::unpublished(64, 64, CONFIG);
    let words = region_words(64);
    region(words).prepare(&given).unwrap();
    table.owner.move_to(region(words), Some(&own.into())).unwrap();
    let identity = attach(words).unwrap().header().identity;
    assert_eq!(identity, Identity { pd: 24, parent: 28, ..given });
    // Memory in use is not prepared, and a private table takes its own identity along.
    assert_eq!(region(words).prepare(&given), Err(Status::NotEmpty));
    let table = Table::unpublished(64, 64, CONFIG);
    table.owner.describe(&given).unwrap();
    let words = region_words(64);
    table.owner.move_to(region(words), None).unwrap();
    assert_eq!(attach(words).unwrap().header().identity, given);
    // A label that is none is no reason to stay where the table is.
    let table = Table::unpublished(64, 64, CONFIG);
    let words = region_words(64);
    words[OFF_LABEL / WORD_BYTES].store(u64::MAX, Ordering::Relaxed);
    table.owner.move_to(region(words), Some(&own.into())).unwrap();
    assert_eq!(attach(words).unwrap().header().identity, own);
    let bad = Identity { label: [0xff; LABEL_BYTES], ..Identity::UNKNOWN };
    assert_eq!(region(region_words(64)).prepare(&bad), Err(Status::BadLabel));
}

#[test]
fn an_area_is_left_to_others() {
    let room = |slots: u32, area_bytes, max_slots| {
        let table = Table::unpublished(64, max_slots, CONFIG);
        let words = region_words(slots);
        let publication = Publication { area_bytes, area_version: 9, ..shown("area") };
        table.owner.move_to(region(words), Some(&publication))?;
        let monitor = attach(words)?;
        assert_eq!(monitor.geometry().capacity, table.owner.capacity());
        let Area { offset, bytes, version } = monitor.header().area;
        assert_eq!((bytes, version), (area_bytes, 9));
        // Every slot can be used, and none is in the area.
        let last = table.owner.capacity() - 1;
        (8..=last).for_each(|slot| table.owner.insert_at(4 * slot, slot).unwrap());
        let area = offset as usize / 8..(offset + bytes) as usize / 8;
        assert!(words[area].iter().all(|word| word.load(Ordering::SeqCst) == 0));
        Ok((last + 1, offset))
    };
    // 128 slots are 0x400 bytes.
    assert_eq!(room(128, 0x200, 500), Ok((64, 0x400)));
    assert_eq!(room(128, 0x208, 500), Err(Status::TooSmall));
    assert_eq!(room(128, 0x1f8, 500), Ok((64, 0x400)), "the area begins at a multiple of 64");
    assert_eq!(room(128, 8, 500), Ok((120, 0x5c0)));
    // The area comes at once behind the slots that the private arrays allow.
    assert_eq!(room(400, 0x100, 100), Ok((100, 0x540)));
    assert_eq!(room(400, 0xc80, 100), Err(Status::TooSmall));
    for bytes in [1, 4, 0x101] {
        assert_eq!(room(400, bytes, 100), Err(Status::BadArea));
    }
    assert_eq!(room(400, u32::MAX - 7, 100), Err(Status::TooSmall));
}

#[test]
fn reset_forgets_everything() {
    let mut table = filled(100, 200);
    table.owner.publish(&named("parent")).unwrap();
    // The parent's table has seen a batch, and has one under way.
    table.flip();
    table.set_batch(table.batch().claimed());
    let before = meanings(&table.monitor());
    let words = region_words(80);
    table.owner.reset(region(words)).unwrap();
    assert_eq!(meanings(&table.monitor()), before, "the parent's table is left alone");
    let owner = &table.owner;
    assert_eq!(owner.capacity(), 80);
    let header = *attach(words).unwrap().header();
    assert_eq!((header.kind, header.identity), (Kind::Private, Identity::UNKNOWN));
    assert_eq!(attach(words).unwrap().stamp().generation, 0);
    for offset in [OFF_BATCH, OFF_SEQUENCE, OFF_COMING, OFF_HIGH_WATER, OFF_QUIET] {
        assert_eq!(words[offset / 8].load(Ordering::SeqCst), 0, "{offset:#x}");
    }
    assert_eq!((owner.find(40), owner.find(44)), (Err(Status::NotFound), Err(Status::NotFound)));
    assert!((0..80).all(|slot| owner.entry(slot) == Ok(Slot::Free)));
    assert!((0..80).all(|slot| owner.references(slot) == 0));
    assert_eq!(owner.alloc(72), Ok(8));
    // It can be published once more, and its monitors look no farther than it has written.
    assert_eq!(owner.publish(&named("child")), Ok(()));
    assert_eq!(owner.insert_at(48, 8), Ok(()));
    assert_eq!(words[OFF_HIGH_WATER / 8].load(Ordering::SeqCst), 9);
    assert_eq!(attach(words).unwrap().rewrite_one(8, 48, 52), Ok(()));
    assert_eq!(owner.find(52), Ok(8));
    assert_eq!(table.owner.reset(region(region_words(10))), Err(Status::TooSmall));
    let mut owner = Owner::<Relax>::new(
        Config { first_user: 90, ..CONFIG },
        private(100),
        region(region_words(100)),
    )
    .unwrap();
    assert_eq!(owner.reset(region(region_words(90))), Err(Status::TooSmall));
    assert_eq!(owner.reset(region(region_words(91))), Ok(()));
    assert_eq!((owner.alloc(1), owner.alloc(1)), (Ok(90), Err(Status::OutOfSlots)));
}
