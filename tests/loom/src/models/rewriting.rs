//! Monitors that rewrite badges, against threads of the component.

use std::sync::Arc;

use cap_map_rs::{Identity, Owner, Region, Released, Rewrite, Slot, Status};
use loom::thread::JoinHandle;

use crate::table::{A, B, C, D, E, Table, Yield, count, larger_words, settled};

/// Starts a monitor that changes the badge of a slot. It tells whether it did.
fn rewriting(table: &Arc<Table>, slot: u32, expected: u32, replacement: u32) -> JoinHandle<bool> {
    let monitor = table.monitor();
    table.spawn(move |_| monitor.rewrite_one(slot, expected, replacement).is_ok())
}

/// Starts a monitor that lets A in slot 0 and B in slot 1 change places. It tells whether
/// it did.
fn swapping(table: &Arc<Table>) -> JoinHandle<bool> {
    let monitor = table.monitor();
    table.spawn(move |_| {
        monitor.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).is_ok()
    })
}

/// Starts a monitor that changes one badge and then tries a batch that is refused.
fn rewriting_twice(
    table: &Arc<Table>,
    [slot, expected, replacement]: [u32; 3],
    refused: [Rewrite; 2],
) -> JoinHandle<()> {
    let monitor = table.monitor();
    table.spawn(move |_| {
        monitor.rewrite_one(slot, expected, replacement).unwrap();
        assert!(monitor.rewrite(&mut { refused }).is_err());
    })
}

/// Starts a thread that removes the badge of slot 0. It tells the number of batches
/// decided by then.
fn removing(table: &Arc<Table>) -> JoinHandle<u64> {
    table.spawn(|table| {
        table.owner.remove(0).unwrap();
        table.generation()
    })
}

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
    let table = Table::new(&[A]);
    let rewriter = rewriting(&table, 0, A, B);
    let finder = table.spawn(|table| old_then_new(&table.owner, A, B, 0));
    assert!(rewriter.join().unwrap());
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, 0, 0, 0]);
}

/// The badge was rewritten before, so that one thread meets the index that the
/// other one rebuilds.
pub(super) fn rebuild_against_find() {
    let table = Table::new(&[A, C]);
    table.monitor().rewrite_one(0, A, B).unwrap();
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
    let table = Table::new(&[A, B]);
    let rewriter = swapping(&table);
    let finder = table.spawn(|table| {
        let a = table.owner.find(A).unwrap();
        let b = table.owner.find(B).unwrap();
        let again = table.owner.find(A).unwrap();
        // Before the swap A is in slot 0 and B in slot 1.
        let swapped = [a == 1, b == 0, again == 1];
        assert!(swapped.is_sorted(), "half a swap: {swapped:?}");
    });
    assert!(rewriter.join().unwrap());
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, A, 0, 0]);
}

/// The second change of the batch does not fit.
pub(super) fn refused_against_find() {
    let table = Table::new(&[A, B]);
    let monitor = table.monitor();
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

/// A batch, and a refused one that names the new badge of the first.
pub(super) fn two_batches_against_find() {
    let table = Table::new(&[A, D]);
    let refused = [Rewrite::new(0, B, C), Rewrite::new(1, A, E)];
    let rewriter = rewriting_twice(&table, [0, A, B], refused);
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(C), Err(Status::NotFound), "a badge that never was");
    });
    rewriter.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [B, D, 0, 0]);
}

/// The same with a look at the slot.
pub(super) fn two_batches_against_look() {
    let table = Table::new(&[A, D]);
    let refused = [Rewrite::new(0, B, C), Rewrite::new(1, A, E)];
    let rewriter = rewriting_twice(&table, [0, A, B], refused);
    let reader = table.spawn(|table| {
        let badge = table.owner.badge(0);
        assert!(badge == A || badge == B, "a badge that never was: {badge}");
    });
    rewriter.join().unwrap();
    reader.join().unwrap();
    assert_eq!(table.settled(), [B, D, 0, 0]);
}

/// A batch of another slot, and a refused one that names this slot.
pub(super) fn batch_elsewhere_against_look() {
    let table = Table::new(&[A, D]);
    let refused = [Rewrite::new(0, A, C), Rewrite::new(1, A, E)];
    let rewriter = rewriting_twice(&table, [1, D, B], refused);
    let reader = table.spawn(|table| assert_eq!(table.owner.badge(0), A, "a badge that never was"));
    rewriter.join().unwrap();
    reader.join().unwrap();
    assert_eq!(table.settled(), [A, B, 0, 0]);
}

/// A slot of a batch loses its badge. The new one is seen in it only if the batch came
/// before that.
pub(super) fn removed_before_the_batch() {
    let table = Table::new(&[A, D]);
    let rewriter = rewriting(&table, 0, A, B);
    let remover = removing(&table);
    let reader = table.spawn(|table| table.owner.badge(0) == B);
    rewriter.join().unwrap();
    let generation = remover.join().unwrap();
    let seen = reader.join().unwrap();
    assert!(!(seen && generation == 0), "a badge that the slot never carried");
    assert_eq!(table.settled(), [0, D, 0, 0]);
}

/// What a batch says about the slot that the owner removes.
pub(super) fn left_out_against_remove() {
    let table = Table::new(&[A, D]);
    let monitor = table.monitor();
    let rewriter = table.spawn(move |_| {
        let mut batch = [Rewrite::new(0, A, B), Rewrite::new(1, D, C)];
        let done = monitor.rewrite(&mut batch).is_ok();
        (done, batch[0].left_out == 1, batch[1].left_out == 1)
    });
    let remover = removing(&table);
    let (done, first, second) = rewriter.join().unwrap();
    let generation = remover.join().unwrap();
    assert!(!second, "a slot that nobody touched was left out");
    assert!(!done || first || generation == 1, "a removal before the batch was not told");
    assert_eq!(table.settled(), [0, if done { C } else { D }, 0, 0]);
}

/// The last reference goes while a monitor rewrites the badge.
pub(super) fn rewrite_against_release() {
    let table = Table::new(&[A]);
    table.owner.acquire(0).unwrap();
    let rewriter = rewriting(&table, 0, A, B);
    let releaser = table.spawn(|table| (table.owner.release(0), table.generation()));
    rewriter.join().unwrap();
    let (released, generation) = releaser.join().unwrap();
    let last = |badge| Ok(Released::Last(badge));
    assert!(released == last(A) || generation == 1 && released == last(B), "{released:?}");
    assert_eq!(table.settled(), [0; 4]);
}

/// A referenced slot is detached while a monitor rewrites the badge.
pub(super) fn rewrite_against_detach() {
    let table = Table::new(&[A]);
    table.owner.acquire(0).unwrap();
    let rewriter = rewriting(&table, 0, A, B);
    let remover = removing(&table);
    rewriter.join().unwrap();
    let generation = remover.join().unwrap();
    let entry = table.owner.entry(0);
    let detached = |badge| Ok(Slot::Detached(badge));
    assert!(entry == detached(A) || generation == 1 && entry == detached(B), "{entry:?}");
    assert_eq!(table.settled(), [0; 4]);
}

/// The owner inserts the badge that a monitor gives to another slot.
pub(super) fn rewrite_against_insert() {
    let table = Table::new(&[A]);
    let rewriter = rewriting(&table, 0, A, B);
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
    let table = Table::new(&[A, B]);
    let rewriter = swapping(&table);
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let swapped = rewriter.join().unwrap();
    remover.join().unwrap();
    assert_eq!(table.settled(), [0, if swapped { A } else { B }, 0, 0]);
}

/// The owner removes the slot whose badge a monitor changes.
pub(super) fn rewrite_against_remove() {
    let table = Table::new(&[A, C]);
    let rewriter = rewriting(&table, 0, A, B);
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
    let table = Table::new(&[A]);
    let monitor = table.monitor();
    let mover = table
        .spawn(move |table| table.owner.move_to(larger, Some(&Identity::UNKNOWN.into())).unwrap());
    let rewriter = table.spawn(move |_| monitor.rewrite_one(0, A, B).is_ok());
    mover.join().unwrap();
    let rewritten = rewriter.join().unwrap();
    let badge = if rewritten { B } else { A };
    assert_eq!(settled(&table.owner, words), [badge, 0, 0, 0, 0, 0]);
}

/// The owner puts the badge of a batch into a slot, and another badge into a second one.
/// The announcement is used twice.
pub(super) fn rewrite_against_two_insertions() {
    let table = Table::new(&[A]);
    let rewriter = rewriting(&table, 0, A, B);
    let inserter = table.spawn(|table| {
        let first = table.owner.insert_at(B, 1);
        (first.is_ok(), table.owner.insert_at(D, 2).is_ok())
    });
    let rewritten = rewriter.join().unwrap();
    let inserted = inserter.join().unwrap();
    // `insert_at` takes the badge away from the slot that a batch has given it to.
    assert_eq!(inserted, (true, true));
    let badges = table.settled();
    assert_eq!(badges, [if rewritten { 0 } else { A }, B, D, 0]);
}

/// One thread removes a slot of a batch, another one inserts its badge elsewhere.
pub(super) fn swap_against_reinsertion() {
    let table = Table::new(&[A, B]);
    let rewriter = swapping(&table);
    let inserter = table.spawn(|table| table.owner.insert(A).is_ok());
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let swapped = rewriter.join().unwrap();
    let inserted = inserter.join().unwrap();
    remover.join().unwrap();
    let badges = table.settled();
    assert_eq!(badges[1], if swapped { A } else { B });
    // The slot that is inserted may be the one that the swap takes the badge from.
    assert_eq!(count(&badges, A), usize::from(swapped || inserted));
}

/// The owner brings its index up to date during a batch.
pub(super) fn rewrite_against_refresh() {
    let table = Table::new(&[A, C]);
    let rewriter = rewriting(&table, 0, A, B);
    let owner = table.spawn(|table| {
        // Both look-ups under the lock refresh.
        let found = table.owner.find_acquire(B);
        let before = table.owner.find_acquire(A);
        assert!(found.is_err() || before.is_err(), "found under both badges");
        assert!(found.is_ok() || before.is_ok() || table.generation() == 1);
        assert_eq!(table.owner.insert(E), Ok(2));
    });
    assert!(rewriter.join().unwrap());
    owner.join().unwrap();
    assert_eq!(table.settled(), [B, C, E, 0]);
}
