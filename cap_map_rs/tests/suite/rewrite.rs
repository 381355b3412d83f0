//! Batches that a monitor must refuse as a whole, and those it must not.

use cap_map_rs::{Config, Refusal, Rewrite, Slot, SlotWord, Status};

use crate::common::{CONFIG, Table, meanings, snapshot};

const BITS: u32 = 20;

/// Slots 8 to 17 carry badges 100, 104, ... 136; 18 is reserved, 19 detached
/// (badge 300), 20 free, 2 static (badge 200).
fn table() -> Table {
    let table = Table::with(100, Config { badge_bits: BITS, ..CONFIG });
    for i in 0..10 {
        assert_eq!(table.owner.insert(100 + 4 * i), Ok(8 + i));
    }
    assert_eq!(table.owner.alloc(1), Ok(18));
    assert_eq!(table.owner.insert(300), Ok(19));
    table.owner.acquire(19).unwrap();
    table.owner.remove(19).unwrap();
    table.owner.insert_at(200, 2).unwrap();
    table
}

/// Refused with this status and slot; nothing changed, and a good batch works.
fn refused(batch: &[(u32, u32, u32)], status: Status, slot: u32) {
    let table = table();
    let monitor = table.monitor();
    let before = meanings(&monitor);
    let mut entries: Vec<_> =
        batch.iter().map(|(slot, from, to)| Rewrite::new(*slot, *from, *to)).collect();
    let refusal = Refusal { status, slot: Some(slot) };
    assert_eq!(monitor.rewrite(&mut entries), Err(refusal), "{batch:?}");
    assert_eq!(meanings(&monitor), before, "{batch:?}");
    assert_eq!(snapshot(&monitor), before, "{batch:?}");
    for i in 0..10 {
        assert_eq!(table.owner.find(100 + 4 * i), Ok(8 + i));
    }
    // The same memory is used for the good batch.
    entries[0] = Rewrite::new(9, 104, 1000);
    assert_eq!(monitor.rewrite(&mut entries[..1]), Ok(()));
    assert_eq!(table.owner.find(1000), Ok(9));
    assert_eq!(table.owner.find(104), Err(Status::NotFound));
    assert_eq!(table.owner.badge(8), 100);
}

#[test]
fn duplicates() {
    refused(&[(8, 100, 500), (9, 104, 500)], Status::DuplicateBadge, 9);
    refused(&[(8, 100, 500), (9, 104, 504), (17, 136, 500)], Status::DuplicateBadge, 17);
    // Slots outside of the batch.
    refused(&[(8, 100, 104)], Status::DuplicateBadge, 8);
    refused(&[(10, 108, 600), (8, 100, 136)], Status::DuplicateBadge, 8);
    refused(&[(8, 100, 200)], Status::DuplicateBadge, 8);
    refused(&[(8, 100, 500), (8, 100, 504)], Status::DuplicateSlot, 8);
    refused(&[(9, 104, 508), (8, 100, 500), (9, 104, 504)], Status::DuplicateSlot, 9);
    refused(&[(8, 100, 500), (8, 500, 504)], Status::DuplicateSlot, 8);
}

#[test]
fn reserved_and_wide_badges() {
    for badge in [0, (1 << BITS) - 1, 1 << BITS, 1 << 28, u32::MAX] {
        refused(&[(8, 100, badge)], Status::BadBadge, 8);
        refused(&[(9, 104, 500), (8, 100, badge)], Status::BadBadge, 8);
    }
}

#[test]
fn slots_without_a_badge() {
    refused(&[(20, 0, 500)], Status::NotRewritable, 20);
    refused(&[(18, 0, 500)], Status::NotRewritable, 18);
    refused(&[(19, 300, 500)], Status::NotRewritable, 19);
    refused(&[(8, 100, 504), (19, 300, 500)], Status::NotRewritable, 19);
    refused(&[(8, 100, 504), (99, 0, 500)], Status::NotRewritable, 99);
}

#[test]
fn slots_outside_the_table() {
    for slot in [100, 101, 1 << 20, u32::MAX] {
        refused(&[(slot, 100, 500)], Status::BadSlot, slot);
        refused(&[(8, 100, 500), (slot, 100, 504)], Status::BadSlot, slot);
    }
}

#[test]
fn unexpected_badges() {
    refused(&[(8, 104, 500)], Status::UnexpectedBadge, 8);
    refused(&[(9, 104, 504), (8, 0, 500)], Status::UnexpectedBadge, 8);
    refused(&[(9, 104, 504), (8, u32::MAX, 500)], Status::UnexpectedBadge, 8);
    // Not taken for the badge that it would be cut to.
    refused(&[(8, 100 | 1 << 28, 500)], Status::UnexpectedBadge, 8);
}

#[test]
fn a_failing_last_entry_undoes_all() {
    let mut batch: Vec<_> = (0..10).map(|i| (8 + i, 100 + 4 * i, 500 + 4 * i)).collect();
    batch.push((20, 0, 700));
    refused(&batch, Status::NotRewritable, 20);
}

#[test]
fn the_badge_of_a_detached_slot_is_free_for_others() {
    let table = table();
    assert_eq!(table.monitor().rewrite_one(8, 100, 300), Ok(()));
    assert_eq!(table.owner.find(300), Ok(8));
    assert_eq!(table.owner.entry(19), Ok(Slot::Detached(300)));
}

#[test]
fn static_slots_are_rewritten_like_others() {
    let table = table();
    assert_eq!(table.monitor().rewrite_one(2, 200, 204), Ok(()));
    assert_eq!(table.owner.find(204), Ok(2));
}

#[test]
fn the_same_badge_again() {
    let table = table();
    let before = meanings(&table.monitor());
    assert_eq!(table.monitor().rewrite_one(8, 100, 100), Ok(()));
    assert_eq!(meanings(&table.monitor()), before);
    assert_eq!(table.owner.find(100), Ok(8));
}

#[test]
fn empty_batch() {
    let table = table();
    let monitor = table.monitor();
    let before = meanings(&monitor);
    assert_eq!(monitor.rewrite(&mut []), Ok(()));
    assert_eq!(meanings(&monitor), before);
    assert_eq!(table.owner.find(100), Ok(8));
}

#[test]
fn swaps_and_cycles() {
    let table = table();
    let monitor = table.monitor();
    let mut swap = [Rewrite::new(8, 100, 104), Rewrite::new(9, 104, 100)];
    assert_eq!(monitor.rewrite(&mut swap), Ok(()));
    assert_eq!((table.owner.find(104), table.owner.find(100)), (Ok(8), Ok(9)));
    let mut back = [Rewrite::new(9, 100, 104), Rewrite::new(8, 104, 100)];
    assert_eq!(monitor.rewrite(&mut back), Ok(()));
    // All of them one further, the last to the front.
    let badge = |i: u32| 100 + 4 * (i % 10);
    let mut cycle: Vec<_> = (0..10).map(|i| Rewrite::new(8 + i, badge(i), badge(i + 1))).collect();
    assert_eq!(monitor.rewrite(&mut cycle), Ok(()));
    for i in 0..10 {
        assert_eq!(table.owner.find(badge(i + 1)), Ok(8 + i));
        assert_eq!(table.owner.entry(8 + i), Ok(Slot::Used(badge(i + 1))));
    }
}

#[test]
fn batch_numbers_wrap() {
    let table = table();
    let monitor = table.monitor();
    let mut badge = 100;
    for round in 0..200 {
        assert_eq!(monitor.rewrite_one(8, badge, 1000 + round), Ok(()), "round {round}");
        badge = 1000 + round;
        assert_eq!(table.owner.find(badge), Ok(8));
        // Aborted batches count, too.
        let refusal = monitor.rewrite_one(9, 1, 2000).unwrap_err();
        assert_eq!(refusal.status, Status::UnexpectedBadge);
    }
}

#[test]
fn retired_tables_are_left_alone() {
    let table = table();
    let monitor = table.monitor();
    let larger = crate::common::region_words(100);
    table.owner.move_to(crate::common::region(larger), b"new").unwrap();
    assert!(monitor.is_retired());
    let refusal = Refusal { status: Status::Retired, slot: None };
    assert_eq!(monitor.rewrite_one(8, 100, 500), Err(refusal));
    let mut words = vec![cap_map_rs::SlotWord(0); 100];
    assert_eq!(monitor.snapshot(&mut words), Err(Status::Retired));
    assert_eq!(table.owner.find(100), Ok(8));
}

fn rewrite_all(capacity: u32) {
    let table = Table::with(capacity, Config { first_user: 0, ..CONFIG });
    let old = |i| 4 + 4 * i;
    let new = |i| 0x0080_0000 + 4 * i;
    for i in 0..capacity {
        assert_eq!(table.owner.insert(old(i)), Ok(i));
    }
    let monitor = table.monitor();
    // First something that fails at the very end.
    let mut batch: Vec<_> = (0..capacity).map(|i| Rewrite::new(i, old(i), new(i))).collect();
    let last = batch.len() - 1;
    batch[last].expected = 1;
    let refusal = Refusal { status: Status::UnexpectedBadge, slot: Some(capacity - 1) };
    assert_eq!(monitor.rewrite(&mut batch), Err(refusal));
    assert!(snapshot(&monitor).iter().zip(0..).all(|(slot, i)| *slot == Slot::Used(old(i))));
    batch[last].expected = old(capacity - 1);
    assert_eq!(monitor.rewrite(&mut batch), Ok(()));
    assert!(snapshot(&monitor).iter().zip(0..).all(|(slot, i)| *slot == Slot::Used(new(i))));
    for i in 0..capacity {
        assert_eq!(table.owner.find(new(i)), Ok(i));
        assert_eq!(table.owner.find(old(i)), Err(Status::NotFound));
    }
}

#[test]
fn all_4096_badges() {
    rewrite_all(4096);
}

#[test]
fn all_128_ki_badges() {
    rewrite_all(128 * 1024);
}

/// A staged word outside its batch is a slot that carries its old badge.
#[test]
fn staged_words_that_a_peer_left_are_slots_in_use() {
    let table = table();
    let monitor = table.monitor();
    table.set_word(8, SlotWord::staged(100, 700, 7));
    assert_eq!(table.owner.find(100), Ok(8));
    let refusal = Refusal { status: Status::DuplicateBadge, slot: Some(9) };
    assert_eq!(monitor.rewrite_one(9, table.owner.badge(9), 100), Err(refusal));
    assert_eq!(monitor.rewrite_one(8, 100, 500), Ok(()));
    assert_eq!((table.owner.find(500), table.owner.find(100)), (Ok(8), Err(Status::NotFound)));
    // The owner overwrites it, too.
    table.set_word(8, SlotWord::staged(500, 700, 7));
    table.owner.remove(8).unwrap();
    assert_eq!(table.owner.entry(8), Ok(Slot::Free));
}
