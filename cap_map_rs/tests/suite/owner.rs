//! The component's side, with nobody else around.

use std::sync::atomic::{AtomicBool, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::word::Control;
use cap_map_rs::{Config, Kernel, Mapped, Monitor, Owner, Released, Slot, SlotWord, Status};

use crate::common::{
    CONFIG, PATIENCE, Relax, Table, meanings, private, region, region_words, snapshot, waits,
};

const CAPACITIES: [u32; 7] = [64, 65, 100, 1000, 4095, 4096, 131_072];

// Slots.

#[test]
fn every_slot_is_usable_to_the_last() {
    for capacity in CAPACITIES {
        let table = Table::unpublished(capacity, capacity, CONFIG);
        let owner = &table.owner;
        assert_eq!(owner.capacity(), capacity);
        for i in 8..capacity {
            assert_eq!(owner.insert(4 * i), Ok(i), "capacity {capacity}");
        }
        assert_eq!(owner.insert(4), Err(Status::OutOfSlots));
        assert_eq!(owner.alloc(1), Err(Status::OutOfSlots));
        assert_eq!(owner.insert_at(4, capacity), Err(Status::BadSlot));
        // The static slots by number.
        for i in 0..8 {
            assert_eq!(owner.insert_at(1 + i, i), Ok(()));
        }
        assert!((8..capacity).all(|i| owner.find(4 * i) == Ok(i)));
        assert!((0..8).all(|i| owner.find(1 + i) == Ok(i)));
        assert!((0..capacity).all(|i| owner.remove(i) == Ok(())));
        assert!((8..capacity).all(|i| owner.find(4 * i) == Err(Status::NotFound)));
        assert!((0..capacity).all(|i| owner.entry(i) == Ok(Slot::Free)));
        assert_eq!(owner.alloc(capacity - 8), Ok(8));
        assert_eq!(owner.alloc(1), Err(Status::OutOfSlots));
    }
}

#[test]
fn runs_are_the_lowest_that_fit() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    assert_eq!(owner.alloc(0), Err(Status::BadArgument));
    assert_eq!(owner.alloc(93), Err(Status::OutOfSlots));
    assert_eq!(owner.alloc(u32::MAX), Err(Status::OutOfSlots));
    assert_eq!(owner.alloc(10), Ok(8));
    assert_eq!(owner.alloc(40), Ok(18));
    assert_eq!(owner.free(10, 3), Ok(()));
    assert_eq!(owner.alloc(4), Ok(58));
    assert_eq!(owner.alloc(2), Ok(10));
    assert_eq!(owner.alloc(1), Ok(12));
    assert_eq!(owner.alloc(38), Ok(62));
    assert_eq!(owner.alloc(1), Err(Status::OutOfSlots));
    assert_eq!(owner.entry(62), Ok(Slot::Reserved));
}

#[test]
fn given_slots() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    for slot in [0, 7, 8, 50, 99] {
        assert_eq!(owner.alloc_at(slot), Ok(()));
        assert_eq!(owner.alloc_at(slot), Err(Status::InUse));
    }
    assert_eq!(owner.alloc_at(100), Err(Status::BadSlot));
    assert_eq!(owner.alloc_at(u32::MAX), Err(Status::BadSlot));
    assert_eq!(owner.alloc(1), Ok(9));
}

#[test]
fn freeing_twice_and_other_mistakes() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    assert_eq!(owner.free(20, 1), Err(Status::NotAllocated));
    assert_eq!(owner.alloc(10), Ok(8));
    assert_eq!(owner.free(10, 1), Ok(()));
    assert_eq!(owner.free(10, 1), Err(Status::NotAllocated));
    // All or nothing.
    assert_eq!(owner.free(8, 10), Err(Status::NotAllocated));
    assert_eq!(owner.entry(8), Ok(Slot::Reserved));
    owner.acquire(12).unwrap();
    assert_eq!(owner.free(11, 2), Err(Status::InUse));
    assert_eq!(owner.entry(11), Ok(Slot::Reserved));
    assert_eq!(owner.free(99, 2), Err(Status::BadSlot));
    assert_eq!(owner.free(u32::MAX, 1), Err(Status::BadSlot));
    assert_eq!(owner.free(u32::MAX, u32::MAX), Err(Status::BadSlot));
    assert_eq!(owner.free(8, 0), Ok(()));
    assert_eq!(owner.remove(10), Err(Status::NotAllocated));
    assert_eq!(owner.remove(100), Err(Status::BadSlot));
    // A badge goes with its slot.
    let slot = owner.insert(400).unwrap();
    assert_eq!((slot, owner.free(slot, 1)), (10, Ok(())));
    assert_eq!(owner.find(400), Err(Status::NotFound));
}

#[test]
fn selectors() {
    for shift in [0, 1, 12, 32] {
        let owner = Table::unpublished(100, 100, Config { shift, ..CONFIG }).owner;
        assert_eq!(owner.selector(99), 99 << shift);
        assert_eq!(owner.slot_of(99 << shift), Ok(99));
        assert_eq!(owner.slot_of(100 << shift), Err(Status::BadSlot));
        assert_eq!(owner.slot_of(usize::MAX), Err(Status::BadSlot));
        assert_eq!(owner.slot_of((1 << shift) - 1), Ok(0));
    }
}

// Badges.

#[test]
fn badges_are_refused_everywhere() {
    let owner = Table::unpublished(100, 100, Config { badge_bits: 10, ..CONFIG }).owner;
    for badge in [0, 1023, 1024, 1 << 28, u32::MAX] {
        assert_eq!(owner.insert(badge), Err(Status::BadBadge));
        assert_eq!(owner.insert_at(badge, 9), Err(Status::BadBadge));
        assert_eq!(owner.find(badge), Err(Status::BadBadge));
        assert_eq!(owner.find_acquire(badge), Err(Status::BadBadge));
        assert_eq!(owner.insert_map(badge, 1, &mut Obedient), Err(Status::BadBadge));
    }
    assert_eq!(owner.insert(1022), Ok(8));
    assert_eq!(owner.insert(1022), Err(Status::Exists));
    assert_eq!(owner.insert(1), Ok(9), "the refused one left no slot behind");
    assert_eq!((owner.badge(8), owner.badge(10), owner.badge(100)), (1022, 0, 0));
    assert_eq!(owner.entry(100), Err(Status::BadSlot));
    assert_eq!(owner.entry(u32::MAX), Err(Status::BadSlot));
}

#[test]
fn insert_at_a_slot_of_any_state() {
    let table = Table::new(100);
    let owner = &table.owner;
    // Free, reserved, used, detached; references stay.
    assert_eq!(owner.insert_at(40, 20), Ok(()));
    assert_eq!(owner.references(20), 0);
    assert_eq!(owner.insert_at(40, 20), Ok(()), "again");
    assert_eq!((owner.alloc(1), owner.insert_at(44, 8)), (Ok(8), Ok(())));
    owner.acquire(8).unwrap();
    assert_eq!(owner.insert_at(48, 8), Ok(()));
    assert_eq!((owner.references(8), owner.find(48)), (1, Ok(8)));
    assert_eq!(owner.find(44), Err(Status::NotFound));
    owner.remove(8).unwrap();
    assert_eq!(owner.entry(8), Ok(Slot::Detached(48)));
    assert_eq!(owner.insert_at(52, 8), Ok(()));
    assert_eq!((owner.entry(8), owner.references(8)), (Ok(Slot::Used(52)), 1));
    // A static one.
    assert_eq!(owner.insert_at(56, 3), Ok(()));
    assert_eq!((owner.find(56), owner.entry(3)), (Ok(3), Ok(Slot::Used(56))));
}

#[test]
fn insert_at_takes_the_badge_from_its_holder() {
    let table = Table::new(100);
    let owner = &table.owner;
    assert_eq!(owner.insert(40), Ok(8));
    assert_eq!(owner.insert_at(40, 30), Ok(()));
    assert_eq!((owner.entry(8), owner.find(40)), (Ok(Slot::Free), Ok(30)));
    owner.acquire(30).unwrap();
    owner.acquire(30).unwrap();
    assert_eq!(owner.insert_at(40, 31), Ok(()));
    assert_eq!((owner.entry(30), owner.find(40)), (Ok(Slot::Detached(40)), Ok(31)));
    assert_eq!(owner.badge(30), 40);
    // Never rewritten, freed with the last reference.
    let refusal = table.monitor().rewrite_one(30, 40, 44).unwrap_err();
    assert_eq!(refusal.status, Status::NotRewritable);
    assert_eq!(owner.free(30, 1), Err(Status::InUse));
    assert_eq!(owner.release(30), Ok(Released::Kept));
    assert_eq!(owner.release(30), Ok(Released::Last(0)), "40 lives on in slot 31");
    assert_eq!((owner.entry(30), owner.find(40)), (Ok(Slot::Reserved), Ok(31)));
    assert_eq!(owner.free(30, 1), Ok(()));
    assert_eq!(owner.release(30), Err(Status::NotAllocated));
}

#[test]
fn insert_at_changes_nothing_when_refused() {
    let table = Table::new(100);
    assert_eq!(table.owner.insert(40), Ok(8));
    let before = meanings(&table.monitor());
    assert_eq!(table.owner.insert_at(40, 100), Err(Status::BadSlot));
    assert_eq!(table.owner.insert_at(0, 9), Err(Status::BadBadge));
    assert_eq!(meanings(&table.monitor()), before);
    assert_eq!(table.owner.find(40), Ok(8));
}

/// More changes than the index has entries, without a batch that rebuilds it.
#[test]
fn changing_badges_leaves_nothing_behind() {
    let owner = Table::unpublished(64, 64, CONFIG).owner;
    for i in 1..1000 {
        assert_eq!(owner.insert_at(4 * i, 20), Ok(()));
        let slot = owner.insert(8000 + i).unwrap();
        assert_eq!(owner.remove(slot), Ok(()));
    }
    assert_eq!(owner.find(4 * 999), Ok(20));
    for slot in (8..64).filter(|slot| *slot != 20) {
        assert_eq!(owner.insert(1 + 4 * slot), Ok(slot));
    }
    assert!((8..64).all(|slot| slot == 20 || owner.find(1 + 4 * slot) == Ok(slot)));
}

// References.

#[test]
fn references_are_counted() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    let slot = owner.insert(40).unwrap();
    assert_eq!(owner.release(slot), Err(Status::NotAllocated), "nothing to give back");
    assert_eq!(owner.find_acquire(40), Ok(slot));
    assert_eq!(owner.find_acquire(44), Err(Status::NotFound));
    owner.acquire(slot).unwrap();
    assert_eq!(owner.references(slot), 2);
    assert_eq!(owner.release(slot), Ok(Released::Kept));
    assert_eq!(owner.find(40), Ok(slot));
    assert_eq!(owner.release(slot), Ok(Released::Last(40)));
    assert_eq!(owner.find(40), Err(Status::NotFound));
    assert_eq!((owner.entry(slot), owner.alloc(1)), (Ok(Slot::Reserved), Ok(slot + 1)));
    assert_eq!(owner.free(slot, 1), Ok(()));
    assert_eq!(owner.release(slot), Err(Status::NotAllocated));
    assert_eq!(owner.acquire(100), Err(Status::BadSlot));
    assert_eq!(owner.release(100), Err(Status::NotAllocated));
    assert_eq!(owner.references(100), 0);
}

#[test]
fn counts_saturate() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    let slot = owner.insert(40).unwrap();
    for _ in 0..32_765 {
        owner.acquire(slot).unwrap();
    }
    assert_eq!(owner.references(slot), 32_765);
    assert_eq!(owner.release(slot), Ok(Released::Kept));
    assert_eq!(owner.references(slot), 32_764, "still exact");
    for _ in 0..10 {
        owner.acquire(slot).unwrap();
    }
    assert_eq!(owner.references(slot), 65_535);
    for _ in 0..70_000 {
        assert_eq!(owner.release(slot), Ok(Released::Kept));
    }
    assert_eq!((owner.references(slot), owner.find(40)), (65_535, Ok(slot)));
    assert_eq!(owner.find_acquire(40), Ok(slot));
    assert_eq!(owner.insert_map(40, 1, &mut Obedient), Ok(Mapped { slot, fresh: false }));
    assert_eq!(owner.references(slot), 65_535);
    owner.remove(slot).unwrap();
    assert_eq!(owner.entry(slot), Ok(Slot::Detached(40)));
}

#[test]
fn static_slots_are_never_counted() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    owner.insert_at(40, 7).unwrap();
    for _ in 0..3 {
        owner.acquire(7).unwrap();
    }
    assert_eq!(owner.find_acquire(40), Ok(7));
    assert_eq!(owner.insert_map(40, 1, &mut Obedient), Ok(Mapped { slot: 7, fresh: false }));
    for _ in 0..9 {
        assert_eq!(owner.release(7), Ok(Released::Kept));
    }
    assert_eq!((owner.references(7), owner.find(40)), (0, Ok(7)));
    assert!(owner.is_static(7) && !owner.is_static(8));
    owner.remove(7).unwrap();
    assert_eq!(owner.entry(7), Ok(Slot::Free));
}

// insert_map.

/// A kernel that says yes.
pub(crate) struct Obedient;

impl Kernel for Obedient {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn valid(&mut self, _: usize) -> bool {
        true
    }
    fn map(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

/// A kernel with given answers that notes what it was asked.
#[derive(Default)]
struct Scripted {
    equal: bool,
    valid: bool,
    map: bool,
    asked: Vec<(&'static str, usize, usize)>,
}

impl Kernel for Scripted {
    fn equal(&mut self, a: usize, b: usize) -> bool {
        self.asked.push(("equal", a, b));
        self.equal
    }
    fn valid(&mut self, selector: usize) -> bool {
        self.asked.push(("valid", selector, 0));
        self.valid
    }
    fn map(&mut self, from: usize, to: usize) -> bool {
        self.asked.push(("map", from, to));
        self.map
    }
}

const RECEIVED: usize = 77 << 12;

#[test]
fn insert_map_of_a_new_badge() {
    let table = Table::new(100);
    let mut kernel = Scripted { map: true, ..Default::default() };
    let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
    assert_eq!(mapped, Ok(Mapped { slot: 8, fresh: true }));
    assert_eq!(kernel.asked, [("map", RECEIVED, 8 << 12)]);
    assert_eq!((table.owner.find(40), table.owner.references(8)), (Ok(8), 1));
    assert_eq!(table.owner.release(8), Ok(Released::Last(40)));
}

#[test]
fn insert_map_of_a_known_badge() {
    let table = Table::new(100);
    assert_eq!(table.owner.insert(40), Ok(8));
    table.owner.acquire(8).unwrap();
    let mut kernel = Scripted { equal: true, ..Default::default() };
    let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
    assert_eq!(mapped, Ok(Mapped { slot: 8, fresh: false }));
    assert_eq!(kernel.asked, [("equal", 8 << 12, RECEIVED)]);
    assert_eq!(table.owner.references(8), 2);
    assert_eq!(table.owner.alloc(1), Ok(9));
}

#[test]
fn insert_map_replaces_a_dead_capability() {
    for references in [0, 2] {
        let table = Table::new(100);
        assert_eq!(table.owner.insert(40), Ok(8));
        (0..references).for_each(|_| table.owner.acquire(8).unwrap());
        let mut kernel = Scripted { map: true, ..Default::default() };
        let slot = if references == 0 { 8 } else { 9 };
        let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
        assert_eq!(mapped, Ok(Mapped { slot, fresh: true }));
        let asked = [
            ("equal", 8 << 12, RECEIVED),
            ("valid", 8 << 12, 0),
            ("map", RECEIVED, slot as usize * 4096),
        ];
        assert_eq!(kernel.asked, asked);
        assert_eq!((table.owner.find(40), table.owner.references(slot)), (Ok(slot), 1));
        if references > 0 {
            assert_eq!(table.owner.entry(8), Ok(Slot::Detached(40)));
            assert_eq!(table.owner.references(8), references);
        }
    }
}

#[test]
fn insert_map_refuses_a_forged_badge() {
    for references in [0, 2] {
        let table = Table::new(100);
        assert_eq!(table.owner.insert(40), Ok(8));
        (0..references).for_each(|_| table.owner.acquire(8).unwrap());
        let before = meanings(&table.monitor());
        let mut kernel = Scripted { valid: true, map: true, ..Default::default() };
        assert_eq!(table.owner.insert_map(40, RECEIVED, &mut kernel), Err(Status::Forged));
        assert_eq!(meanings(&table.monitor()), before);
        assert_eq!((table.owner.find(40), table.owner.references(8)), (Ok(8), references));
    }
}

#[test]
fn insert_map_gives_up_without_a_trace() {
    let table = Table::new(64);
    let before = meanings(&table.monitor());
    let mut kernel = Scripted::default();
    assert_eq!(table.owner.insert_map(40, RECEIVED, &mut kernel), Err(Status::MapFailed));
    assert_eq!(meanings(&table.monitor()), before);
    assert_eq!(table.owner.alloc(56), Ok(8), "no slot was lost");
    kernel.map = true;
    kernel.asked.clear();
    assert_eq!(table.owner.insert_map(40, RECEIVED, &mut kernel), Err(Status::OutOfSlots));
    assert_eq!(kernel.asked, [], "the caller's capability was not touched");
    // A known badge needs no slot.
    table.owner.insert_at(44, 20).unwrap();
    kernel.equal = true;
    let known = Mapped { slot: 20, fresh: false };
    assert_eq!(table.owner.insert_map(44, RECEIVED, &mut kernel), Ok(known));
}

/// Another thread enters or removes the badge while the kernel is asked.
#[test]
fn insert_map_looks_again_after_the_kernel_has_spoken() {
    struct Racing<'a> {
        table: &'a Table,
        rounds: u32,
        maps: u32,
    }
    impl Kernel for Racing<'_> {
        fn equal(&mut self, _: usize, source: usize) -> bool {
            // Compares with where the capability is by now.
            assert_eq!(source, 8 << 12);
            if self.rounds > 1 {
                // The known one dies, and its badge goes.
                let slot = self.table.owner.find(40).unwrap();
                assert_eq!(self.table.owner.references(slot), 1, "no reference is held");
                self.table.owner.remove(slot).unwrap();
                assert_eq!(self.table.owner.entry(slot), Ok(Slot::Detached(40)));
                return false;
            }
            true
        }
        fn valid(&mut self, _: usize) -> bool {
            false
        }
        fn map(&mut self, _: usize, _: usize) -> bool {
            self.maps += 1;
            self.table.owner.insert(40).unwrap();
            true
        }
    }
    for rounds in [1, 2] {
        let table = Table::new(100);
        let mut kernel = Racing { table: &table, rounds, maps: 0 };
        let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
        let expected = if rounds == 1 {
            Mapped { slot: 9, fresh: false }
        } else {
            Mapped { slot: 8, fresh: true }
        };
        assert_eq!((mapped, kernel.maps), (Ok(expected), 1));
        // The spare slot, or the one that died, is free again.
        let other = if rounds == 1 { 8 } else { 9 };
        assert_eq!(table.owner.entry(other), Ok(Slot::Free));
        assert_eq!(table.owner.references(expected.slot), 1);
        assert_eq!(table.owner.alloc(1), Ok(other));
    }
}

#[test]
fn insert_map_against_a_kernel_that_never_agrees() {
    /// Somebody else enters the badge after each removal.
    struct Spiteful<'a>(&'a Table);
    impl Kernel for Spiteful<'_> {
        fn equal(&mut self, _: usize, _: usize) -> bool {
            false
        }
        fn valid(&mut self, selector: usize) -> bool {
            let slot = self.0.owner.slot_of(selector).unwrap();
            self.0.owner.insert_at(40, if slot == 50 { 51 } else { 50 }).unwrap();
            false
        }
        fn map(&mut self, _: usize, _: usize) -> bool {
            true
        }
    }
    let table = Table::new(100);
    table.owner.insert_at(40, 50).unwrap();
    let result = table.owner.insert_map(40, RECEIVED, &mut Spiteful(&table));
    assert_eq!(result, Err(Status::Busy));
    let used = meanings(&table.monitor()).iter().filter(|slot| **slot != Slot::Free).count();
    assert_eq!(used, 1, "one holder of the badge, no slot lost");
    assert_eq!(table.owner.references(50) + table.owner.references(51), 0);
}

// The region.

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
fn a_free_slot_is_not_referenced() {
    let owner = Table::unpublished(100, 100, CONFIG).owner;
    assert_eq!(owner.acquire(30), Err(Status::NotAllocated));
    assert_eq!(owner.acquire(100), Err(Status::BadSlot));
    assert_eq!((owner.references(30), owner.references(100)), (0, 0));
    assert_eq!(owner.release(30), Err(Status::NotAllocated));
    assert_eq!(owner.entry(30), Ok(Slot::Free));
    assert_eq!(owner.alloc_at(30), Ok(()));
    owner.acquire(30).unwrap();
    assert_eq!(owner.release(30), Ok(Released::Last(0)), "it never had a badge");
    owner.free(30, 1).unwrap();
    assert_eq!(owner.acquire(30), Err(Status::NotAllocated));
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
