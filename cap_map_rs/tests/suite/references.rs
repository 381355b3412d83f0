//! Reference counts, with no other party around.

use cap_map_rs::{Mapped, Released, Slot, Status};

use crate::common::{CONFIG, Obedient, Table};

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
