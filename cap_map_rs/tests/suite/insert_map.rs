//! Entering received capabilities, with kernels of all tempers.

use cap_map_rs::{Kernel, Mapped, Released, Slot, Status};

use crate::common::{Table, meanings};

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
    fn vanished(&mut self, _: usize, _: u32) {
        panic!("no reference was the last one");
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
    for references in [0, 1] {
        let table = Table::new(100);
        assert_eq!(table.owner.insert(40), Ok(8));
        (0..references).for_each(|_| table.owner.acquire(8).unwrap());
        let mut kernel = Scripted { equal: true, ..Default::default() };
        let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
        assert_eq!(mapped, Ok(Mapped { slot: 8, fresh: false }));
        assert_eq!(kernel.asked, [("equal", 8 << 12, RECEIVED)]);
        assert_eq!(table.owner.references(8), references + 1);
        assert_eq!(table.owner.alloc(1), Ok(9));
    }
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
        let map = ("map", RECEIVED, slot as usize * 4096);
        assert_eq!(kernel.asked, [("equal", 8 << 12, RECEIVED), ("valid", 8 << 12, 0), map]);
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

/// All holders of the known capability let go of it while the kernel is asked about it. The
/// last reference is that of the comparison then.
#[test]
fn a_last_reference_that_goes_by_a_comparison_is_told() {
    struct Leaving<'a> {
        table: &'a Table,
        valid: bool,
        vanished: Vec<(usize, u32)>,
    }
    impl Kernel for Leaving<'_> {
        fn equal(&mut self, _: usize, _: usize) -> bool {
            false
        }
        fn valid(&mut self, _: usize) -> bool {
            assert_eq!(self.table.owner.release(8), Ok(Released::Kept));
            self.valid
        }
        fn map(&mut self, _: usize, _: usize) -> bool {
            true
        }
        fn vanished(&mut self, selector: usize, badge: u32) {
            let owner = &self.table.owner;
            assert_eq!(owner.find(badge), Err(Status::NotFound));
            assert_eq!(owner.entry(8), Ok(Slot::Reserved), "nobody gets the slot");
            self.vanished.push((selector, badge));
        }
    }
    for valid in [true, false] {
        let table = Table::new(100);
        assert_eq!((table.owner.insert(40), table.owner.acquire(8)), (Ok(8), Ok(())));
        let mut kernel = Leaving { table: &table, valid, vanished: Vec::new() };
        let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
        if valid {
            assert_eq!(mapped, Err(Status::Forged));
            assert_eq!(kernel.vanished, [(8 << 12, 40)]);
            assert_eq!(table.owner.entry(8), Ok(Slot::Free));
        } else {
            assert_eq!(mapped, Ok(Mapped { slot: 8, fresh: true }));
            assert_eq!(kernel.vanished, [], "a dead one has nothing to let go of");
        }
    }
}

/// Whoever inserted the slot takes its first reference and gives it back while the kernel
/// is asked about it.
#[test]
fn references_are_conserved_beside_a_forged_badge() {
    struct Meanwhile<'a> {
        table: &'a Table,
        /// The question before which the reference comes and goes.
        at: u32,
        released: Option<Released>,
    }
    impl Meanwhile<'_> {
        fn asked(&mut self) {
            if self.at == 0 && self.released.is_none() {
                self.table.owner.acquire(8).unwrap();
                self.released = Some(self.table.owner.release(8).unwrap());
            }
            self.at = self.at.wrapping_sub(1);
        }
    }
    impl Kernel for Meanwhile<'_> {
        fn equal(&mut self, _: usize, _: usize) -> bool {
            self.asked();
            false
        }
        fn valid(&mut self, _: usize) -> bool {
            self.asked();
            true
        }
        fn map(&mut self, _: usize, _: usize) -> bool {
            true
        }
        fn vanished(&mut self, _: usize, _: u32) {
            panic!("no reference was the last one");
        }
    }
    for at in 0..2 {
        let table = Table::new(64);
        assert_eq!(table.owner.insert(40), Ok(8));
        let mut kernel = Meanwhile { table: &table, at, released: None };
        let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
        assert_eq!(kernel.released, Some(Released::Last(40)), "the only reference");
        // The badge is free, so it is entered for what was received.
        assert_eq!(mapped, Ok(Mapped { slot: 9, fresh: true }));
        assert_eq!(table.owner.free(8, 1), Ok(()));
        assert_eq!((table.owner.find(40), table.owner.references(9)), (Ok(9), 1));
    }
}

/// The slot gets another capability of the badge while the kernel says that it is the one
/// received. Its first reference comes and goes during the next question.
#[test]
fn references_are_conserved_if_a_slot_changes_hands() {
    struct Meanwhile<'a> {
        table: &'a Table,
        asked: u32,
        released: Vec<Released>,
    }
    impl Kernel for Meanwhile<'_> {
        fn equal(&mut self, _: usize, _: usize) -> bool {
            let owner = &self.table.owner;
            self.asked += 1;
            if self.asked <= 2 {
                owner.acquire(8).unwrap();
                self.released.push(owner.release(8).unwrap());
            }
            if self.asked == 1 {
                owner.free(8, 1).unwrap();
                assert_eq!(owner.insert(40), Ok(8));
            }
            self.asked == 1
        }
        fn valid(&mut self, _: usize) -> bool {
            true
        }
        fn map(&mut self, _: usize, _: usize) -> bool {
            true
        }
        fn vanished(&mut self, _: usize, _: u32) {
            panic!("no reference was the last one");
        }
    }
    let table = Table::new(64);
    assert_eq!(table.owner.insert(40), Ok(8));
    let mut kernel = Meanwhile { table: &table, asked: 0, released: Vec::new() };
    let mapped = table.owner.insert_map(40, RECEIVED, &mut kernel);
    assert_eq!(kernel.released, [Released::Last(40); 2], "each was the only reference");
    assert_eq!(mapped, Ok(Mapped { slot: 9, fresh: true }));
    assert_eq!(table.owner.free(8, 1), Ok(()));
    assert_eq!((table.owner.find(40), table.owner.references(9)), (Ok(9), 1));
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
                if self.table.owner.references(slot) == 0 {
                    return false;
                }
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
        fn vanished(&mut self, _: usize, _: u32) {
            panic!("no reference was the last one");
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
        fn vanished(&mut self, _: usize, _: u32) {
            panic!("no reference was the last one");
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
