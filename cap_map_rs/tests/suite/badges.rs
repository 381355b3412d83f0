//! Giving badges to slots, with no other party around.

use cap_map_rs::{Config, Released, Slot, Status};

use crate::common::{CONFIG, Obedient, Table, meanings};

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
