//! Slots without badges: allocation, runs, given slots, and mistakes.

use cap_map_rs::{Config, Slot, Status};

use crate::common::{CONFIG, Table};

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
    for shift in [0, 1, 12, 32] {
        let owner = Table::unpublished(100, 100, Config { shift, ..CONFIG }).owner;
        assert_eq!(owner.selector(99), 99 << shift);
        assert_eq!(owner.slot_of(99 << shift), Ok(99));
        assert_eq!(owner.slot_of(100 << shift), Err(Status::BadSlot));
        assert_eq!(owner.slot_of(usize::MAX), Err(Status::BadSlot));
        assert_eq!(owner.slot_of((1 << shift) - 1), Ok(0));
    }
}
