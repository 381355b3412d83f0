//! Taking the table up again in a memory image that was saved at any instant.

use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::memory::{Private, PrivateSizes};
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{
    Area, Geometry, Identity, Kind, Monitor, Owner, Publication, Released, Slot, SlotWord, Status,
};

use crate::common::{
    CONFIG, Relax, Table, TestOwner, named, region, region_words, seal, shown, snapshot, waits,
    zeroed_words,
};

/// Takes up the table. Nobody is waited for.
pub(crate) fn recover<R: RelaxStrategy>(owner: &Owner<'static, R>) {
    // SAFETY: these tests have one thread, or others are stopped for good.
    let ((), waited) = waits(|| unsafe { owner.recover() });
    assert_eq!(waited, 0);
}

/// Records of a free slot, of one without a badge, and of one with a badge, both without
/// references. A reference adds one.
const FREE: u16 = 0xffff;
const UNBADGED: u16 = 0x8000;
const BADGED: u16 = 0;

/// A table whose private records can be written, too.
struct Image {
    table: Table,
    records: &'static [AtomicU16],
}

impl Image {
    /// Slot 2 carries badge 40, slot 8 badge 44 and one reference, slot 9 none, slot 10 is
    /// detached (badge 48, one reference).
    fn new(published: bool) -> Self {
        let sizes = PrivateSizes::new(100).expect("a capacity of the layout");
        let halves = |count| (0..count).map(|_| AtomicU16::new(0)).collect::<Vec<_>>().leak();
        let masks = |count| (0..count).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
        let (index, records) = (halves(sizes.index), halves(sizes.refs));
        let (bitmap, summary) = (masks(sizes.bitmap), masks(sizes.summary));
        let buckets = zeroed_words(sizes.buckets);
        let private = Private::from_parts(index, records, bitmap, summary, buckets);
        let words = region_words(100);
        let owner = TestOwner::new(CONFIG, private, region(words)).expect("valid");
        owner.insert_at(40, 2).unwrap();
        assert_eq!((owner.insert(44), owner.alloc(1), owner.insert(48)), (Ok(8), Ok(9), Ok(10)));
        owner.acquire(8).unwrap();
        owner.acquire(10).unwrap();
        owner.remove(10).unwrap();
        if published {
            owner.publish(&named("image")).unwrap();
        }
        Image { table: Table { owner, words }, records }
    }

    fn set_record(&self, slot: u32, record: u16) {
        self.records[slot as usize].store(record, Ordering::SeqCst);
    }

    /// What all that is not in use by what was cut off must be, after `recover`.
    fn check_others(&self, except: &[u32]) {
        let owner = &self.table.owner;
        let expected = [
            (2, Slot::Used(40), 0),
            (8, Slot::Used(44), 1),
            (9, Slot::Reserved, 0),
            (10, Slot::Detached(48), 1),
            (11, Slot::Free, 0),
        ];
        for (slot, entry, references) in expected {
            if except.contains(&slot) {
                continue;
            }
            assert_eq!((owner.entry(slot), owner.references(slot)), (Ok(entry), references));
            if let Slot::Used(badge) = entry {
                assert_eq!(owner.find(badge), Ok(slot));
            }
        }
        assert_eq!(owner.find(48), Err(Status::NotFound));
        let table = &self.table;
        assert!(table.header(OFF_SEQUENCE).is_multiple_of(2) && !table.batch().is_retired());
        assert_eq!((table.header(OFF_COMING), table.header(OFF_QUIET)), (0, 0));
        let used = (0..100).rev().find(|slot| table.word(*slot) != SlotWord::FREE);
        assert!(table.header(OFF_HIGH_WATER) > u64::from(used.expect("there are some")));
        // Exactly the slots that are not free are allocated.
        for slot in 0..100 {
            let free = owner.entry(slot) == Ok(Slot::Free);
            assert_eq!(owner.alloc_at(slot), if free { Ok(()) } else { Err(Status::InUse) });
            if free {
                owner.free(slot, 1).unwrap();
            }
        }
        // No badge is in two slots.
        for slot in 0..100 {
            if let Ok(Slot::Used(badge)) = owner.entry(slot) {
                assert_eq!(owner.find(badge), Ok(slot));
            }
        }
    }
}

#[test]
fn recovering_a_quiet_table() {
    for published in [false, true] {
        let image = Image::new(published);
        recover(&image.table.owner);
        image.check_others(&[]);
        let kind = if published { Kind::Published } else { Kind::Private };
        assert_eq!(image.table.monitor().header().kind, kind);
    }
}

/// The stores that put badge 400 into a slot: record, mark, announcement, sequence, word,
/// sequence, announcement. The image is saved behind the first `done` ones.
fn putting(image: &Image, slot: u32, record: u16, done: usize) {
    let table = &image.table;
    let sequence = table.header(OFF_SEQUENCE);
    let mark = table.header(OFF_HIGH_WATER).max(u64::from(slot) + 1);
    let steps: [&dyn Fn(); 7] = [
        &|| image.set_record(slot, record),
        &|| table.set_header(OFF_HIGH_WATER, mark),
        &|| table.set_header(OFF_COMING, 400),
        &|| table.set_header(OFF_SEQUENCE, sequence + 1),
        &|| table.set_word(slot, SlotWord::used(400)),
        &|| table.set_header(OFF_SEQUENCE, sequence + 2),
        &|| table.set_header(OFF_COMING, 0),
    ];
    steps[..done].iter().for_each(|step| step());
}

#[test]
fn recovering_from_an_insertion_at_each_step() {
    for done in 0..=7 {
        let image = Image::new(true);
        putting(&image, 11, BADGED, done);
        recover(&image.table.owner);
        image.check_others(&[11]);
        let (owner, written) = (&image.table.owner, done >= 5);
        let expected = if written { Slot::Used(400) } else { Slot::Free };
        assert_eq!(owner.entry(11), Ok(expected), "step {done}");
        assert_eq!(owner.find(400).is_ok(), written);
        assert_eq!(owner.insert(404), Ok(if written { 12 } else { 11 }));
        assert_eq!(image.table.monitor().rewrite_one(8, 44, 408), Ok(()), "step {done}");
    }
}

/// A received capability is put into a slot that was allocated for it. Without its badge,
/// the slot stays allocated.
#[test]
fn recovering_from_an_insert_map_at_each_step() {
    for done in 0..=7 {
        let image = Image::new(true);
        putting(&image, 9, BADGED + 1, done);
        recover(&image.table.owner);
        image.check_others(&[9]);
        let owner = &image.table.owner;
        let expected = if done >= 5 { Slot::Used(400) } else { Slot::Reserved };
        assert_eq!(owner.entry(9), Ok(expected), "step {done}");
        assert_eq!(owner.references(9), u16::from(done >= 1));
        let badge = if done >= 5 { 400 } else { 0 };
        if done >= 1 {
            assert_eq!(owner.release(9), Ok(Released::Last(badge)));
        }
        assert_eq!((owner.free(9, 1), owner.find(400).ok()), (Ok(()), None));
    }
}

/// Slot 8 carries badge 44 until its word is written.
#[test]
fn recovering_from_a_replacement_at_each_step() {
    for done in 0..=7 {
        let image = Image::new(true);
        putting(&image, 8, BADGED + 1, done);
        recover(&image.table.owner);
        image.check_others(&[8]);
        let badge = if done >= 5 { 400 } else { 44 };
        let owner = &image.table.owner;
        assert_eq!((owner.find(badge), owner.references(8)), (Ok(8), 1), "step {done}");
        assert_eq!(owner.find(444 - badge), Err(Status::NotFound));
        assert_eq!(image.table.monitor().rewrite_one(8, badge, 404), Ok(()));
        assert_eq!(owner.find(404), Ok(8));
    }
}

/// The record goes first when a slot is freed, and last when a reference goes.
#[test]
fn recovering_from_a_removal_at_each_step() {
    for done in 0..=4 {
        for last_reference in [false, true] {
            let image = Image::new(true);
            let table = &image.table;
            let sequence = table.header(OFF_SEQUENCE);
            let first = if last_reference { BADGED } else { FREE };
            let last = if last_reference { UNBADGED } else { FREE };
            let steps: [&dyn Fn(); 4] = [
                &|| image.set_record(8, first),
                &|| table.set_header(OFF_SEQUENCE, sequence + 1),
                &|| table.set_word(8, SlotWord::FREE),
                &|| image.set_record(8, last),
            ];
            steps[..done].iter().for_each(|step| step());
            recover(&table.owner);
            image.check_others(&[8]);
            let expected = match (done, last_reference) {
                (0, _) | (1 | 2, true) => Slot::Used(44),
                (3 | 4, true) => Slot::Reserved,
                _ => Slot::Free,
            };
            let owner = &table.owner;
            assert_eq!(owner.entry(8), Ok(expected), "step {done}");
            assert_eq!(owner.references(8), u16::from(done == 0));
            assert_eq!(owner.find(44).is_ok(), expected == Slot::Used(44));
            // It can be used again, by the way it is meant to go.
            match expected {
                Slot::Free => assert_eq!(owner.insert(44), Ok(8)),
                _ if done > 0 => assert_eq!(owner.free(8, 1), Ok(())),
                _ => assert_eq!(owner.release(8), Ok(Released::Last(44))),
            }
        }
    }
}

#[test]
fn recovering_from_a_detachment_at_each_step() {
    for done in 0..=2 {
        let image = Image::new(true);
        let table = &image.table;
        table.set_header(OFF_SEQUENCE, table.header(OFF_SEQUENCE) + u64::from(done > 0));
        if done > 1 {
            table.set_word(8, SlotWord::detached(44));
        }
        recover(&table.owner);
        image.check_others(&[8]);
        let expected = if done > 1 { Slot::Detached(44) } else { Slot::Used(44) };
        assert_eq!((table.owner.entry(8), table.owner.references(8)), (Ok(expected), 1));
        assert_eq!(table.owner.find(44).is_ok(), done < 2);
    }
}

/// What a batch means does not depend on when the memory was saved. Its claim stays.
#[test]
fn recovering_from_a_batch_at_each_step() {
    for flipped in [false, true] {
        for settled in 0..3 {
            let image = Image::new(true);
            let table = &image.table;
            table.set_batch(table.batch().claimed());
            table.stage(2, 400);
            table.stage(8, 404);
            if flipped {
                table.flip();
            }
            let badges = if flipped { [400, 404] } else { [40, 44] };
            for (slot, badge) in [2, 8].into_iter().zip(badges).take(settled) {
                table.set_word(slot, SlotWord::used(badge));
            }
            let held = table.batch();
            recover(&table.owner);
            image.check_others(&[2, 8]);
            assert_eq!(badges.map(|badge| table.owner.find(badge)), [Ok(2), Ok(8)]);
            assert_eq!(table.batch(), held);
            let monitor = table.monitor();
            let refusal = monitor.rewrite_one(8, badges[1], 408).unwrap_err();
            assert_eq!(refusal.status, Status::Busy, "the claim of another life");
            monitor.take_over().unwrap();
            assert_eq!(monitor.rewrite_one(8, badges[1], 408), Ok(()));
            assert_eq!((table.owner.find(408), table.is_settled()), (Ok(8), true));
        }
    }
}

#[test]
fn recovering_clears_what_the_owner_asked_for() {
    let image = Image::new(true);
    for (offset, value) in [(OFF_COMING, 400), (OFF_QUIET, 1)] {
        image.table.set_header(offset, value);
    }
    recover(&image.table.owner);
    image.check_others(&[]);
    let monitor = image.table.monitor();
    assert_eq!(waits(|| monitor.rewrite_one(8, 44, 400)), (Ok(()), 0));
}

#[test]
fn recovering_from_words_that_nobody_writes() {
    let image = Image::new(true);
    let table = &image.table;
    table.set_batch(BatchWord(u64::MAX));
    table.set_word(9, SlotWord::used(500));
    table.set_word(20, SlotWord(0xe000_0000_0000_0000));
    table.set_word(21, SlotWord::used(504));
    table.set_word(22, SlotWord::used(40));
    for offset in [OFF_HIGH_WATER, OFF_COMING, OFF_QUIET, OFF_SEQUENCE] {
        table.set_header(offset, u64::MAX);
    }
    recover(&table.owner);
    // A monitor gives badges to slots that have one, and to no others.
    image.check_others(&[]);
    assert_eq!([9, 20, 21, 22].map(|slot| table.word(slot)), [SlotWord::FREE; 4]);
    assert_eq!(table.header(OFF_HIGH_WATER), 23);
    table.monitor().take_over().unwrap();
    assert_eq!(snapshot(&table.monitor())[8], Slot::Used(44));
}

/// A move is decided by one store, which makes the new region current. The image is saved
/// behind the first steps: `retired`, contents and header of the new region but its magic.
#[test]
fn recovering_from_a_move_before_it_is_decided() {
    for published in [false, true] {
        for done in 0..=2 {
            let image = Image::new(published);
            let table = &image.table;
            let new = region_words(100);
            if done >= 1 {
                table.set_header(OFF_BATCH, table.batch().0 | BATCH_RETIRED);
            }
            if done >= 2 {
                for (from, to) in table.words.iter().zip(new).skip(1) {
                    to.store(from.load(Ordering::SeqCst), Ordering::SeqCst);
                }
                new[OFF_BATCH / 8].store(table.batch().0 & !BATCH_RETIRED, Ordering::SeqCst);
                seal(new);
            }
            recover(&table.owner);
            image.check_others(&[]);
            let attached = Monitor::<Relax>::attach(region(new), 0);
            assert_eq!(attached.map(|_| ()), Err(Status::Unpublished));
            // It lies where it was, as what it was, and can move.
            let result = table.monitor().rewrite_one(8, 44, 400).map_err(|error| error.status);
            assert_eq!(result, if published { Ok(()) } else { Err(Status::Unpublished) });
            let next = table.owner.move_to(region(region_words(100)), Some(&shown("")));
            assert_eq!(next, Ok(Area::NONE));
        }
    }
}

/// Behind that store, only the magic of the new region is missing.
#[test]
fn recovering_from_a_move_after_it_is_decided() {
    for published in [false, true] {
        let mut image = Image::new(false);
        let new = region_words(120);
        let shown = published.then(|| shown("new"));
        image.table.owner.move_to(region(new), shown.as_ref()).unwrap();
        image.table.words = new;
        image.table.set_header(OFF_MAGIC, 0);
        recover(&image.table.owner);
        image.check_others(&[]);
        let header = *image.table.monitor().header();
        let kind = if published { Kind::Published } else { Kind::Private };
        assert_eq!((header.kind, header.geometry.capacity), (kind, 100));
        assert_eq!(header.identity.label(), if published { "new" } else { "" });
        let again = image.table.owner.publish(&named("again"));
        assert_eq!(again, if published { Err(Status::InUse) } else { Ok(()) });
    }
}

/// A hostile monitor writes another header, and makes its checksum fit. The owner knows
/// whether its table is published, and how large it is.
#[test]
fn a_forged_header_does_not_change_the_table() {
    let forgeries = [
        (OFF_KIND, KIND_PRIVATE),
        (OFF_KIND, KIND_CORE),
        (OFF_CAPACITY, 64),
        (OFF_FIRST_USER, 0),
        (OFF_SHIFT, 0),
        (OFF_BADGE_BITS, 1),
    ];
    for (offset, value) in forgeries {
        let image = Image::new(true);
        let table = &image.table;
        table.set_header(offset, value);
        if offset == OFF_CAPACITY {
            table.set_header(OFF_SIZE, SLOTS as u64 + 64 * 8);
        }
        seal(table.words);
        recover(&table.owner);
        image.check_others(&[]);
        let header = *table.monitor().header();
        let geometry = Geometry { capacity: 100, first_user: 8, shift: 12, badge_bits: 28 };
        assert_eq!((header.kind, header.geometry), (Kind::Published, geometry), "{offset:#x}");
        assert_eq!(table.owner.publish(&named("again")), Err(Status::InUse));
        // A batch that begins in front of an insertion is disturbed, so the protocol is kept.
        table.set_batch(table.batch().claimed());
        assert_eq!(table.owner.insert(400), Ok(11));
        assert!(!table.batch().is_attempted());
        table.monitor().take_over().unwrap();
        assert_eq!(table.monitor().rewrite_one(8, 44, 404), Ok(()));
        assert_eq!(table.owner.find(404), Ok(8));
    }
}

/// The owner does not know how long the memory behind the slots is.
#[test]
fn identity_and_area_outlive_a_recovery() {
    let image = Image::new(false);
    let words = region_words(128);
    let publication = Publication { area_bytes: 0x80, area_version: 3, ..shown("area") };
    image.table.owner.move_to(region(words), Some(&publication)).unwrap();
    let attached = || Monitor::<Relax>::attach(region(words), 0).unwrap();
    let before = *attached().header();
    assert_eq!((before.area.bytes, before.identity.label()), (0x80, "area"));
    recover(&image.table.owner);
    assert_eq!(*attached().header(), before);
}

/// The header of a private table is written again. Its label is cut within a character.
#[test]
fn recovering_from_a_header_that_is_being_written() {
    for written in 0..=HEADER_FIELDS.len() {
        let image = Image::new(false);
        let table = &image.table;
        let described = named(&"ä".repeat(32));
        table.owner.describe(&described).unwrap();
        table.set_header(OFF_MAGIC, 0);
        let torn = HEADER_FIELDS[..written].iter();
        torn.for_each(|offset| table.set_header(*offset, 0x6161_6161_6161_61a4));
        recover(&table.owner);
        image.check_others(&[]);
        let header = *table.monitor().header();
        assert_eq!(header.kind, Kind::Private, "step {written}");
        let expected = if written == 0 { described } else { Identity::UNKNOWN };
        assert_eq!(header.identity, expected);
        assert_eq!(table.owner.describe(&described), Ok(()));
        assert_eq!(table.owner.publish(&named("published")), Ok(()));
        assert_eq!(table.monitor().header().identity, named("published"));
    }
}

/// Some fields, in the order in which they are written.
const HEADER_FIELDS: [usize; 4] = [OFF_LABEL, OFF_LABEL + 8, OFF_KIND, OFF_CHECKSUM];
