//! Monitors that copy the whole table.

use cap_map_rs::{Monitor, Rewrite, SlotWord, Snapshot};

use crate::table::{A, B, C, D, SLOTS, Table, Yield, badges};

/// The badges of a snapshot, and what it says about itself.
fn look(monitor: &Monitor<'static, Yield>) -> (Vec<u32>, Snapshot) {
    let mut words = [SlotWord(0); SLOTS];
    let snapshot = monitor.snapshot(&mut words).unwrap();
    assert!(words.iter().all(|word| word.is_settled()), "a snapshot shows two badges");
    (badges(&words), snapshot)
}

/// The owner brings in `B` before it takes out `A`: one of them is there at
/// every instant.
pub(super) fn snapshot_against_owner() {
    let table = Table::new(&[D, A]);
    table.owner.remove(0).unwrap();
    let monitor = table.monitor();
    let before = monitor.stamp();
    let owner = table.spawn(|table| {
        table.owner.insert_at(B, 0).unwrap();
        table.owner.remove(1).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            assert!(badges.contains(&A) || badges.contains(&B), "neither badge: {badges:?}");
            if snapshot.stamp == before {
                assert_eq!(badges, [0, A, 0, 0], "of another instant than it says");
            }
        }
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [B, 0, 0, 0]);
}

/// The same with a slot behind the high-water mark.
pub(super) fn snapshot_against_high_water() {
    let table = Table::new(&[A]);
    let monitor = table.monitor();
    let owner = table.spawn(|table| {
        table.owner.insert_at(B, 2).unwrap();
        table.owner.remove(0).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            assert!(badges.contains(&A) || badges.contains(&B), "neither badge: {badges:?}");
        }
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [0, 0, B, 0]);
}

/// Two looks with the same steady stamp show the same table.
pub(super) fn stamp_against_owner() {
    let table = Table::new(&[A, B]);
    let monitor = table.monitor();
    let owner = table.spawn(|table| {
        table.owner.remove(0).unwrap();
        table.owner.remove(1).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let before = monitor.stamp();
        let (first, _) = look(&monitor);
        let (second, _) = look(&monitor);
        // A stamp that was taken behind a look counts if the look came before it.
        cap_map_rs::sync::fence(cap_map_rs::sync::Ordering::Acquire);
        if before.is_steady() && monitor.stamp() == before {
            assert_eq!(first, second, "something changed in between");
        }
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [0; 4]);
}

/// A monitor swaps two badges.
pub(super) fn snapshot_against_batch() {
    let table = Table::new(&[A, B]);
    let (rewriter, monitor) = (table.monitor(), table.monitor());
    let rewriter = table.spawn(move |_| {
        rewriter.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).unwrap();
    });
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            let swapped = snapshot.stamp.generation == 1;
            assert_eq!(badges, if swapped { [B, A, 0, 0] } else { [A, B, 0, 0] });
        }
    });
    rewriter.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [B, A, 0, 0]);
}

/// A monitor died behind the flip of a swap. Another one gives one slot another badge.
pub(super) fn snapshot_against_two_batches() {
    let table = Table::new(&[A, B]);
    table.leave_batch(&[(0, B), (1, A)], true);
    let (rewriter, monitor) = (table.monitor(), table.monitor());
    rewriter.take_over().unwrap();
    let rewriter = table.spawn(move |_| rewriter.rewrite_one(0, B, C).unwrap());
    let watcher = table.spawn(move |_| {
        let (badges, snapshot) = look(&monitor);
        if snapshot.consistent {
            let first = if snapshot.stamp.generation == 1 { B } else { C };
            assert_eq!(badges, [first, A, 0, 0]);
        }
    });
    rewriter.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.settled(), [C, A, 0, 0]);
}

/// The owner uses slots without badges only.
pub(super) fn snapshot_against_allocation() {
    let table = Table::new(&[A]);
    let monitor = table.monitor();
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
