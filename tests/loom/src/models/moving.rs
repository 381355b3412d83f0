//! A table that moves to larger memory.

use cap_map_rs::{Region, Slot, Status};

use crate::table::{A, B, C, Table, larger_words, settled};

/// Badges are found while the table moves, and in slots it has only since.
pub(super) fn move_against_find() {
    let (_memory, words) = larger_words();
    let larger = Region::new(words).unwrap();
    let table = Table::new(&[A, B], 0);
    let mover = table.spawn(move |table| {
        table.owner.move_to(larger, b"moved").unwrap();
        table.owner.insert_at(C, 5).unwrap();
    });
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(A), Ok(0));
        let found = table.owner.find(C);
        assert!(matches!(found, Ok(5) | Err(Status::NotFound)));
        if found.is_ok() {
            assert_eq!(table.owner.entry(5), Ok(Slot::Used(C)));
        }
        assert_eq!(table.owner.badge(1), B);
    });
    mover.join().unwrap();
    finder.join().unwrap();
    assert_eq!(settled(&table.owner, words), [A, B, 0, 0, 0, C]);
}

/// A monitor rewrites a badge while the table moves.
pub(super) fn move_against_rewrite() {
    let (_memory, words) = larger_words();
    let larger = Region::new(words).unwrap();
    let table = Table::new(&[A], 0);
    let monitor = table.monitor(0);
    let mover = table.spawn(move |table| table.owner.move_to(larger, b"moved").unwrap());
    let rewriter = table.spawn(move |_| monitor.rewrite_one(0, A, B).is_ok());
    mover.join().unwrap();
    let rewritten = rewriter.join().unwrap();
    let badge = if rewritten { B } else { A };
    assert_eq!(settled(&table.owner, words), [badge, 0, 0, 0, 0, 0]);
}
