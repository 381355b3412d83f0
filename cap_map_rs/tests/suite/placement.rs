//! Moving a table, starting anew, and taking it up again in a restored image.

use std::sync::atomic::{AtomicBool, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::word::Control;
use cap_map_rs::{Config, Monitor, Owner, Slot, SlotWord, Status};

use crate::common::{
    CONFIG, PATIENCE, Relax, Table, meanings, private, region, region_words, snapshot, waits,
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

#[test]
fn moving_and_growing() {
    for published in [false, true] {
        let table = filled(64, 300);
        if published {
            table.owner.publish(b"old").unwrap();
        }
        let mut sequence = table.control().sequence();
        for capacity in [64, 100, 300] {
            let old = table.owner.capacity();
            assert_eq!(table.owner.acquire(old), Err(Status::BadSlot));
            let words = region_words(capacity);
            table.owner.move_to(region(words), b"new home").unwrap();
            assert_eq!(table.owner.capacity(), capacity);
            check_filled(&table.owner);
            let monitor = Monitor::<Relax>::attach(region(words), 0).unwrap();
            assert_eq!(monitor.geometry().label(), "new home");
            // Goes on, so that tags stay younger than all before.
            assert!(monitor.sequence() > sequence);
            sequence = monitor.sequence();
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
        if published {
            let old = Monitor::<Relax>::attach(region(table.words), 0).map(|_| ());
            assert_eq!(old, Err(Status::Retired));
        }
        assert_eq!(table.owner.move_to(region(region_words(299)), b""), Err(Status::TooSmall));
        assert_eq!(table.owner.move_to(region(region_words(10)), b""), Err(Status::TooSmall));
        let label = [b'x'; 65];
        assert_eq!(table.owner.move_to(region(region_words(300)), &label), Err(Status::BadLabel));
        // More memory than the private arrays are made for.
        let words = region_words(400);
        assert_eq!(table.owner.move_to(region(words), b""), Ok(()));
        assert_eq!(table.owner.capacity(), 300);
        check_filled(&table.owner);
    }
}

#[test]
fn reset_forgets_everything() {
    let mut table = filled(100, 200);
    table.owner.publish(b"parent").unwrap();
    let before = meanings(&table.monitor());
    let words = region_words(80);
    table.owner.reset(region(words)).unwrap();
    assert_eq!(meanings(&table.monitor()), before, "the parent's table is left alone");
    let owner = &table.owner;
    assert_eq!(owner.capacity(), 80);
    assert_eq!(Monitor::<Relax>::attach(region(words), 0).err(), Some(Status::Unpublished));
    assert_eq!((owner.find(40), owner.find(44)), (Err(Status::NotFound), Err(Status::NotFound)));
    assert!((0..80).all(|slot| owner.entry(slot) == Ok(Slot::Free)));
    assert!((0..80).all(|slot| owner.references(slot) == 0));
    assert_eq!(owner.alloc(72), Ok(8));
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

fn recover(owner: &Owner<'static, Relax>) {
    // SAFETY: these tests have one thread, which is not inside of a function
    // of the owner.
    unsafe { owner.recover() };
}

#[test]
fn recovering_a_quiet_table() {
    for published in [false, true] {
        let table = filled(100, 100);
        if published {
            table.owner.publish(b"").unwrap();
        }
        recover(&table.owner);
        check_filled(&table.owner);
    }
}

#[test]
fn recovering_from_a_section_left_open_at_each_step() {
    let old = |table: &Table| table.word(8);
    for step in 0..5 {
        let table = filled(100, 100);
        table.owner.publish(b"").unwrap();
        let open = table.control().to(PHASE_WRITING);
        let new = SlotWord::used(400, open.sequence());
        let from = old(&table);
        if step >= 1 {
            table.set_intent(8, from, new);
        }
        if step >= 2 {
            table.set_control(open);
        }
        if step >= 3 {
            table.set_word(8, new);
        }
        if step >= 4 {
            table.set_control(open.to(PHASE_IDLE));
        }
        recover(&table.owner);
        let badge = if step >= 2 { 400 } else { 44 };
        assert_eq!(table.owner.entry(8), Ok(Slot::Used(badge)), "step {step}");
        assert_eq!(table.owner.find(badge), Ok(8));
        assert_eq!(table.owner.find(444 - badge), Err(Status::NotFound));
        assert_eq!(table.control().phase(), cap_map_rs::word::Phase::Idle);
        assert_eq!((table.owner.references(8), table.owner.alloc(1)), (1, Ok(12)));
        assert_eq!(table.monitor().rewrite_one(8, badge, 404), Ok(()));
        assert_eq!(table.owner.find(404), Ok(8));
    }
}

#[test]
fn recovering_from_a_removal_left_open() {
    let table = filled(100, 100);
    table.owner.publish(b"").unwrap();
    // The last reference had gone.
    let open = table.control().to(PHASE_WRITING);
    table.set_intent(11, table.word(11), SlotWord::free(open.sequence()));
    table.set_control(open);
    recover(&table.owner);
    assert_eq!((table.owner.entry(11), table.owner.references(11)), (Ok(Slot::Free), 0));
    assert_eq!(table.owner.alloc(1), Ok(11));
}

#[test]
fn recovering_from_a_batch_at_each_step() {
    for (phase, badge) in
        [(PHASE_STAGING, 44), (PHASE_ABORTED, 44), (PHASE_COMMITTED, 400), (PHASE_IDLE, 44)]
    {
        let table = filled(100, 100);
        table.owner.publish(b"").unwrap();
        let mut control = table.control().advanced(PHASE_STAGING, 1);
        table.set_word(8, SlotWord::staged(44, 400, control.batch()));
        table.set_word(2, SlotWord::staged(40, 404, control.batch()));
        if phase != PHASE_STAGING {
            control = control.advanced(phase, 1);
        }
        table.set_control(control);
        let ((), waited) = waits(|| recover(&table.owner));
        assert!(waited <= u64::from(PATIENCE));
        assert_eq!(table.owner.entry(8), Ok(Slot::Used(badge)));
        assert_eq!(table.owner.find(badge), Ok(8));
        let other = if badge == 44 { 40 } else { 404 };
        assert_eq!(table.owner.find(other), Ok(2));
        assert_eq!(table.owner.alloc(1), Ok(12));
        if phase != PHASE_IDLE {
            assert!((0..100).all(|slot| !table.word(slot).is_staged()));
            assert_eq!(table.monitor().rewrite_one(8, badge, 408), Ok(()));
            assert_eq!(table.owner.find(408), Ok(8));
        }
    }
}

#[test]
fn recovering_from_words_that_nobody_writes() {
    for control in [Control::new(6, 9, 2), Control::new(7, 0, 0), Control::new(PHASE_RETIRED, 1, 0)]
    {
        let table = filled(100, 100);
        table.owner.publish(b"").unwrap();
        table.set_control(control);
        table.set_word(20, SlotWord(0xe000_0000_0000_0000));
        let ((), waited) = waits(|| recover(&table.owner));
        assert!(waited <= u64::from(PATIENCE));
        check_filled(&table.owner);
        assert_eq!(table.owner.entry(20), Ok(Slot::Corrupt));
        assert_eq!(table.owner.alloc_at(20), Err(Status::InUse));
        assert_eq!(table.owner.free(20, 1), Ok(()));
        assert_eq!(table.owner.entry(20), Ok(Slot::Free));
    }
}

/// A thread is stopped for good while it holds the private lock.
#[test]
fn recovering_opens_the_private_lock() {
    struct Killer;
    impl cap_map_rs::sync::RelaxStrategy for Killer {
        fn relax() {
            while std::thread::current().name() == Some("killed") {
                INSIDE.store(true, Ordering::SeqCst);
                std::thread::park();
            }
            Relax::relax();
        }
    }
    static INSIDE: AtomicBool = AtomicBool::new(false);
    let words = region_words(64);
    let owner = Owner::<Killer>::new(CONFIG, private(64), region(words)).unwrap();
    let owner: &'static _ = Box::leak(Box::new(owner));
    owner.publish(b"").unwrap();
    assert_eq!(owner.insert(44), Ok(8));
    let control = &words[OFF_CONTROL / WORD_BYTES];
    let staging = Control::new(PHASE_STAGING, 9, 1);
    control.store(staging.0, Ordering::SeqCst);
    let thread = std::thread::Builder::new().name("killed".into());
    thread.spawn(|| owner.insert(48)).unwrap();
    while !INSIDE.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    // SAFETY: the only thread that is inside never resumes.
    unsafe { owner.recover() };
    assert_eq!((owner.find(44), owner.entry(9)), (Ok(8), Ok(Slot::Free)));
    assert_eq!(owner.insert(48), Ok(9));
}

#[test]
fn a_table_does_not_move_to_where_it_is() {
    let table = Table::new(100);
    assert_eq!(table.owner.insert(40), Ok(8));
    let here = crate::common::region(table.words);
    assert_eq!(table.owner.move_to(here, b"again"), Err(Status::InUse));
    assert_eq!(table.owner.find(40), Ok(8));
    assert_eq!(table.monitor().geometry().label(), "test");
}
