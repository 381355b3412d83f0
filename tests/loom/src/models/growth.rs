//! A table that gets more slots while other threads of the component use it.

use cap_map_rs::{Region, Released, Status};

use crate::table::{A, B, BEHIND, C, E, MORE_SLOTS, More, SLOTS, Table, larger_words, settled};

/// The slot that a table has only after its growth.
const NEW: u32 = 5;

const _: () = assert!(NEW as usize == SLOTS + 1);

/// Badges are found while the table grows and moves, and in a slot that it has only since.
/// `A` and `E` share a probe sequence, so that an index that is not complete misses `E`.
pub(super) fn growth_against_find() {
    let (_memory, words) = larger_words();
    let larger = Region::new(words).unwrap();
    let (_more, growth) = More::new();
    let table = Table::with(&[A, B, E], SLOTS);
    let grower = table.spawn(move |table| {
        table.owner.grow(growth).unwrap();
        assert_eq!(table.owner.move_to(larger, None).map(drop), Ok(()));
        table.owner.insert_at(C, NEW).unwrap();
    });
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(E), Ok(2));
        assert_ne!(table.owner.badge(NEW), BEHIND, "read behind the region");
        let found = table.owner.find(C);
        assert!(matches!(found, Ok(NEW) | Err(Status::NotFound)));
    });
    grower.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.owner.max_slots() as usize, MORE_SLOTS);
    assert_eq!(settled(&table.owner, words), [A, B, E, 0, 0, C]);
    // Nothing was lost of what the bitmap knew.
    let free = std::iter::from_fn(|| table.owner.alloc(1).ok());
    assert_eq!(free.collect::<Vec<_>>(), [3, 4]);
}

/// A badge that leaves the probe sequence of another one right after the growth does not
/// mislead a look-up that goes on in the old index.
pub(super) fn growth_against_removal() {
    let (_more, growth) = More::new();
    let table = Table::with(&[A, C, E], SLOTS);
    let grower = table.spawn(move |table| {
        table.owner.grow(growth).unwrap();
        table.owner.remove(0).unwrap();
        table.owner.insert_at(B, 0).unwrap();
    });
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(E), Ok(2));
        let found = table.owner.find(B);
        if found.is_ok() {
            assert_eq!(table.owner.find(A), Err(Status::NotFound));
        }
    });
    grower.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, C, E, 0]);
}

/// References are counted while the table grows, and those of a slot that it has only since.
pub(super) fn growth_against_count() {
    let (_memory, words) = larger_words();
    let larger = Region::new(words).unwrap();
    let (_more, growth) = More::new();
    let table = Table::with(&[A], SLOTS);
    table.owner.acquire(0).unwrap();
    let grower = table.spawn(move |table| {
        table.owner.grow(growth).unwrap();
        table.owner.move_to(larger, None).unwrap();
        table.owner.insert_at(C, NEW).unwrap();
    });
    let counter = table.spawn(|table| {
        table.owner.acquire(0).unwrap();
        let found = table.owner.find(C);
        if found == Ok(NEW) {
            assert_eq!(table.owner.acquire(NEW), Ok(()));
            assert_eq!(table.owner.references(NEW), 1);
        }
        assert_eq!(table.owner.release(0), Ok(Released::Kept));
        found.is_ok()
    });
    grower.join().unwrap();
    let counted = counter.join().unwrap();
    assert_eq!(table.owner.references(0), 1);
    assert_eq!(table.owner.references(NEW), u16::from(counted));
    assert_eq!(settled(&table.owner, words), [A, 0, 0, 0, 0, C]);
}
