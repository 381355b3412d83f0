//! Monitors that rewrite badges, against threads of the component.

use cap_map_rs::{Owner, Region, Rewrite, Status};

use crate::table::{A, B, C, D, Table, Yield, count, larger_words, settled};

/// Looks for the old name, then for the new one: not finding the old one is
/// only right from the instant on at which the new one is found.
fn old_then_new(owner: &Owner<'static, Yield>, old: u32, new: u32, slot: u32) {
    match owner.find(old) {
        Ok(found) => assert_eq!(found, slot),
        Err(status) => {
            assert_eq!(status, Status::NotFound);
            assert_eq!(owner.find(new), Ok(slot), "neither name is found");
            assert_eq!(owner.find(old), Err(Status::NotFound), "the old name came back");
        }
    }
}

/// One thread looks for both names.
pub(super) fn rewrite_against_find() {
    let table = Table::new(&[A], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| monitor.rewrite_one(0, A, B).unwrap());
    let finder = table.spawn(|table| old_then_new(&table.owner, A, B, 0));
    rewriter.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, 0, 0, 0]);
}

/// The badge was rewritten before, so that one thread meets the index that the
/// other one rebuilds.
pub(super) fn rebuild_against_find() {
    let table = Table::new(&[A, C], 0);
    table.monitor(0).rewrite_one(0, A, B).unwrap();
    let finders = [(); 2].map(|()| {
        table.spawn(|table| {
            assert_eq!(table.owner.find(B), Ok(0));
            assert_eq!(table.owner.find(A), Err(Status::NotFound));
            assert_eq!(table.owner.find(C), Ok(1));
        })
    });
    for finder in finders {
        finder.join().unwrap();
    }
    assert_eq!(table.settled(), [B, C, 0, 0]);
}

/// Two badges change places.
pub(super) fn swap_against_find() {
    let table = Table::new(&[A, B], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| {
        monitor.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).unwrap();
    });
    let finder = table.spawn(|table| {
        let a = table.owner.find(A).unwrap();
        let b = table.owner.find(B).unwrap();
        let again = table.owner.find(A).unwrap();
        // Before the swap A is in slot 0 and B in slot 1.
        let swapped = [a == 1, b == 0, again == 1];
        assert!(swapped.is_sorted(), "half a swap: {swapped:?}");
    });
    rewriter.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, A, 0, 0]);
}

/// The second change of the batch does not fit.
pub(super) fn refused_against_find() {
    let table = Table::new(&[A, B], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| {
        let mut batch = [Rewrite::new(0, A, C), Rewrite::new(1, D, A)];
        let refusal = monitor.rewrite(&mut batch).unwrap_err();
        assert_eq!((refusal.status, refusal.slot), (Status::UnexpectedBadge, Some(1)));
    });
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(C), Err(Status::NotFound));
        assert_eq!(table.owner.find(A), Ok(0));
        assert_eq!(table.owner.badge(0), A);
    });
    rewriter.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [A, B, 0, 0]);
}

/// The owner inserts the badge that a monitor gives to another slot.
pub(super) fn rewrite_against_insert() {
    let table = Table::new(&[A], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| monitor.rewrite_one(0, A, B).is_ok());
    let inserter = table.spawn(|table| {
        let result = table.owner.insert(B);
        let found = table.owner.find(B);
        assert_eq!(found, result.or(Ok(0)), "{result:?}");
        result.is_ok()
    });
    let rewritten = rewriter.join().unwrap();
    let inserted = inserter.join().unwrap();
    assert!(rewritten != inserted || inserted, "both failed");
    assert!(!(rewritten && inserted), "both succeeded");
    assert_eq!(count(&table.settled(), B), 1);
}

/// The owner removes one of two slots whose badges change places.
pub(super) fn swap_against_remove() {
    let table = Table::new(&[A, B], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| {
        monitor.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).is_ok()
    });
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let swapped = rewriter.join().unwrap();
    remover.join().unwrap();
    assert_eq!(table.settled(), [0, if swapped { A } else { B }, 0, 0]);
}

/// The owner removes the slot whose badge a monitor changes.
pub(super) fn rewrite_against_remove() {
    let table = Table::new(&[A, C], 0);
    let monitor = table.monitor(0);
    let rewriter = table.spawn(move |_| {
        let _ = monitor.rewrite_one(0, A, B);
    });
    let remover = table.spawn(|table| {
        table.owner.remove(0).unwrap();
        assert_eq!(table.owner.find(A), Err(Status::NotFound));
        assert_eq!(table.owner.find(B), Err(Status::NotFound));
        assert_eq!(table.owner.find(C), Ok(1));
    });
    rewriter.join().unwrap();
    remover.join().unwrap();
    assert_eq!(table.settled(), [0, C, 0, 0]);
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
