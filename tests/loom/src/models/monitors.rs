//! Two monitors, alive or dead. Loom stops a thread wherever it likes, so a monitor that is
//! slow is simply one that it has preempted.

use std::sync::Arc;

use cap_map_rs::sync::{AtomicBool, Ordering};
use cap_map_rs::{Identity, Kind, Rewrite, Slot, Status};

use crate::table::{A, B, C, D, E, Table};

/// The owner enters a badge, and publishes its table where it lies. A monitor that attaches
/// meanwhile may find the magic of before.
pub(super) fn attach_against_publication() {
    let table = Table::private(&[A]);
    let owner = table.spawn(|table| {
        assert_eq!(table.owner.insert(B), Ok(1));
        table.owner.publish(&Identity::UNKNOWN).unwrap();
    });
    let watcher = table.spawn(|table| match table.attach() {
        Ok(monitor) if monitor.header().kind == Kind::Published => {
            assert_eq!(monitor.entry(1), Ok(Slot::Used(B)));
        }
        Ok(monitor) => assert_eq!(monitor.header().kind, Kind::Private),
        Err(status) => assert!(matches!(status, Status::Unpublished | Status::BadChecksum)),
    });
    owner.join().unwrap();
    watcher.join().unwrap();
    assert_eq!(table.attach().map(|monitor| monitor.header().kind), Ok(Kind::Published));
}

/// Both are alive, and rewrite the same slots.
pub(super) fn two_monitors() {
    let table = Table::new(&[A, B]);
    let rewriters = [C, D].map(|badge| {
        let monitor = table.monitor();
        table.spawn(move |_| {
            let result = monitor.rewrite(&mut [Rewrite::new(0, A, badge), Rewrite::new(1, B, A)]);
            if let Err(refusal) = result {
                assert!(matches!(refusal.status, Status::Busy | Status::UnexpectedBadge));
            }
            result.is_ok()
        })
    });
    let done = rewriters.map(|rewriter| rewriter.join().unwrap());
    match done {
        [true, false] => assert_eq!(table.settled(), [C, A, 0, 0]),
        [false, true] => assert_eq!(table.settled(), [D, A, 0, 0]),
        both => panic!("one of two succeeds: {both:?}"),
    }
}

/// The badge that one gives away is the one that the other gives to another slot.
pub(super) fn badge_passed_on() {
    let table = Table::new(&[A, B]);
    let (first, second) = (table.monitor(), table.monitor());
    let first = table.spawn(move |_| first.rewrite_one(0, A, C).is_ok());
    let second = table.spawn(move |_| second.rewrite_one(1, B, A).is_ok());
    let first = first.join().unwrap();
    let second = second.join().unwrap();
    assert!(first || !second, "the badge was in two slots");
    assert_eq!(table.settled(), [if first { C } else { A }, if second { A } else { B }, 0, 0]);
}

/// The second one comes when the first has given the claim back. It knows that from a flag
/// that orders nothing, so the claim itself has to show what the first one did.
pub(super) fn claim_after_release() {
    let table = Table::new(&[A, B]);
    let (first, second) = (table.monitor(), table.monitor());
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let first = table.spawn(move |_| {
        first.rewrite_one(0, A, C).unwrap();
        flag.store(true, Ordering::Relaxed);
    });
    let second = table.spawn(move |_| {
        if done.load(Ordering::Relaxed)
            && let Err(refusal) = second.rewrite_one(1, B, A)
        {
            assert_eq!(refusal.status, Status::Busy, "refused because of an old word");
        }
    });
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(table.settled()[0], C);
}

/// One is refused half-way. What it leaves does not become a badge by the batch of the
/// other.
pub(super) fn refused_against_batch() {
    let table = Table::new(&[A, B]);
    let (first, second) = (table.monitor(), table.monitor());
    let refused = table.spawn(move |_| {
        let mut batch = [Rewrite::new(0, A, C), Rewrite::new(1, E, A)];
        assert!(first.rewrite(&mut batch).is_err());
    });
    let rewriter = table.spawn(move |_| second.rewrite_one(1, B, D).is_ok());
    refused.join().unwrap();
    let rewritten = rewriter.join().unwrap();
    assert_eq!(table.settled(), [A, if rewritten { D } else { B }, 0, 0]);
}

/// One has died with new badges in place. Another one takes over while the owner puts one
/// of these badges into a slot.
pub(super) fn take_over_against_insert() {
    let table = Table::new(&[A, B]);
    table.leave_batch(&[(0, C), (1, A)], false);
    let monitor = table.monitor();
    let rewriter = table.spawn(move |_| {
        let refusal = monitor.rewrite_one(0, A, D).unwrap_err();
        assert_eq!(refusal.status, Status::Busy);
        monitor.take_over().unwrap();
        monitor.rewrite_one(0, A, D).is_ok()
    });
    let owner = table.spawn(|table| table.owner.insert(C).unwrap());
    let rewritten = rewriter.join().unwrap();
    assert_eq!(owner.join().unwrap(), 2);
    assert_eq!(table.settled(), [if rewritten { D } else { A }, B, C, 0]);
}

/// One has died behind the flip. The owner looks up, takes out, and puts in while
/// another monitor takes over.
pub(super) fn take_over_after_the_flip() {
    let table = Table::new(&[A, B]);
    table.leave_batch(&[(0, B), (1, A)], true);
    let monitor = table.monitor();
    let rewriter = table.spawn(move |_| {
        monitor.take_over().unwrap();
        monitor.rewrite_one(0, B, D).is_ok()
    });
    let owner = table.spawn(|table| {
        assert_eq!(table.owner.find(A), Ok(1));
        table.owner.remove(0).unwrap();
    });
    let _ = rewriter.join().unwrap();
    owner.join().unwrap();
    assert_eq!(table.settled(), [0, A, 0, 0]);
}
