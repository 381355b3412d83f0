//! What an owner does with slots, badges and references, with no other party around.

use cap_map_rs::{Config, Mapped, Released, Slot, Status};

use crate::common::{CONFIG, Obedient, Table, meanings};

const CAPACITIES: [u32; 7] = [64, 65, 100, 1000, 4095, 4096, 131_072];

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
    for shift in [0, 1, 12, usize::BITS / 2] {
        let owner = Table::unpublished(100, 100, Config { shift, ..CONFIG }).owner;
        assert_eq!(owner.selector(99), 99 << shift);
        assert_eq!(owner.slot_of(99 << shift), Ok(99));
        assert_eq!(owner.slot_of(100 << shift), Err(Status::BadSlot));
        assert_eq!(owner.slot_of(usize::MAX), Err(Status::BadSlot));
        assert_eq!(owner.slot_of((1 << shift) - 1), Ok(0));
    }
}

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

/// A monitor puts the badge of a slot back whose last reference has gone, and lets the
/// index be made anew.
#[test]
fn a_slot_without_references_keeps_no_badge() {
    let table = Table::new(100);
    let (slot, other) = (table.owner.insert(40).unwrap(), table.owner.insert(44).unwrap());
    table.owner.acquire(slot).unwrap();
    let word = table.word(slot);
    assert_eq!(table.owner.release(slot), Ok(Released::Last(40)));
    table.set_word(slot, word);
    table.monitor().rewrite_one(other, 44, 48).unwrap();
    assert_eq!(table.owner.find_acquire(48), Ok(other));
    assert_eq!(table.owner.find_acquire(40), Err(Status::NotFound));
    assert_eq!(table.owner.references(slot), 0);
    assert_eq!(table.owner.free(slot, 1), Ok(()));
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
