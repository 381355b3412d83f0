//! Monitors that copy the whole table.

use cap_map_rs::{Monitor, Rewrite, SlotWord, Snapshot};

use crate::table::{A, B, D, SLOTS, Table, Yield, badges, count};

/// The badges of a snapshot, and what it says about itself.
fn look(monitor: &Monitor<'static, Yield>) -> (Vec<u32>, Snapshot) {
    let mut words = [SlotWord(0); SLOTS];
    let snapshot = monitor.snapshot(&mut words).unwrap();
    assert!(!words.iter().any(|word| word.is_staged()), "a snapshot shows a staged slot");
    (badges(&words), snapshot)
}

/// The owner brings in `B` before it takes out `A`: one of them is there at
/// every instant.
pub(super) fn snapshot_against_owner() {
    let table = Table::new(&[D, A], 0);
    table.owner.remove(0).unwrap();
    let monitor = table.monitor(0);
    let before = monitor.sequence();
    let owner = table.spawn(|table| {
        table.owner.insert_at(B, 0).unwrap();
        table.owner.remove(1).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            assert!(badges.contains(&A) || badges.contains(&B), "neither badge: {badges:?}");
            if snapshot.sequence == before {
                assert_eq!(badges, [0, A, 0, 0], "of another instant than it says");
            }
        }
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [B, 0, 0, 0]);
}

/// A monitor swaps two badges.
pub(super) fn snapshot_against_batch() {
    let table = Table::new(&[A, B], 0);
    let (rewriter, monitor) = (table.monitor(0), table.monitor(0));
    let rewriter = table.spawn(move |_| {
        rewriter.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            assert!(count(&badges, A) == 1 && count(&badges, B) == 1, "half a swap: {badges:?}");
        }
    });
    rewriter.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [B, A, 0, 0]);
}

/// The owner takes a badge out and uses its slot for a receive window: that
/// write is not part of a section, yet belongs behind the removal.
pub(super) fn snapshot_against_window() {
    let table = Table::new(&[A], 0);
    let monitor = table.monitor(0);
    let before = monitor.sequence();
    let owner = table.spawn(|table| {
        assert_eq!(table.owner.alloc(2), Ok(1));
        table.owner.free(2, 1).unwrap();
        table.owner.remove(0).unwrap();
        table.owner.alloc_at(0).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent && snapshot.sequence == before {
            assert_eq!(badges, [A, 0, 0, 0], "of another instant than it says");
        }
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [0; 4]);
}

/// The owner only allocates and frees.
pub(super) fn snapshot_against_allocation() {
    let table = Table::new(&[A], 0);
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| {
        assert_eq!(table.owner.alloc(2), Ok(1));
        table.owner.free(1, 2).unwrap();
        assert_eq!(table.owner.alloc(3), Ok(1));
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        assert!(snapshot.consistent && snapshot.attempts == 1, "held up by an allocation");
        assert_eq!(badges, [A, 0, 0, 0]);
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [A, 0, 0, 0]);
}
