//! Parties that stop in the middle, are helped, and go on later. Loom stops a
//! thread wherever it likes, so a stopped party is simply one that it has
//! preempted; the owner's patience is zero.

use cap_map_rs::Rewrite;

use crate::table::{A, B, C, D, Table};

/// The owner writes two slots one after the other; a monitor may finish either
/// section. What it has read of the first must not end up in the second.
pub(super) fn helper_of_stopped_writer() {
    let table = Table::new(&[A], 0);
    // Two slots with the same word.
    assert_eq!(table.owner.alloc(2), Ok(1));
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| {
        table.owner.insert_at(B, 1).unwrap();
        table.owner.insert_at(C, 2).unwrap();
    });
    let helper = table.spawn(move |_| monitor.rewrite_one(0, A, D).is_ok());
    owner.join().unwrap();
    let rewritten = helper.join().unwrap();
    assert_eq!(table.settled(), [if rewritten { D } else { A }, B, C, 0]);
}

/// The monitor rewrites the slot whose section it has finished.
pub(super) fn stopped_writer_wakes_late() {
    let table = Table::new(&[], 0);
    assert_eq!(table.owner.alloc(1), Ok(0));
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| table.owner.insert_at(A, 0).unwrap());
    let helper = table.spawn(move |_| monitor.rewrite_one(0, A, B).is_ok());
    owner.join().unwrap();
    let rewritten = helper.join().unwrap();
    assert_eq!(table.settled(), [if rewritten { B } else { A }, 0, 0, 0]);
}

/// The owner brings a badge in, takes it out, and uses the slot again while
/// the helper of the first section is stopped.
pub(super) fn helper_wakes_late() {
    let table = Table::new(&[], 0);
    assert_eq!(table.owner.alloc(1), Ok(0));
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| {
        table.owner.insert_at(A, 0).unwrap();
        table.owner.remove(0).unwrap();
        assert_eq!(table.owner.alloc(1), Ok(0));
    });
    let helper = table.spawn(move |_| {
        // An empty batch finishes what it finds open, and changes nothing.
        let _ = monitor.rewrite(&mut []);
    });
    owner.join().unwrap();
    helper.join().unwrap();
    assert_eq!(table.settled(), [0; 4]);
}

/// The owner aborts a batch of two slots wherever it stands.
pub(super) fn stager_wakes_late() {
    let table = Table::new(&[A, B], 0);
    let monitor = table.monitor(0);
    let stager = table.spawn(move |_| {
        monitor.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).is_ok()
    });
    let owner = table.spawn(|table| assert_eq!(table.owner.insert(C), Ok(2)));
    let swapped = stager.join().unwrap();
    owner.join().unwrap();
    assert_eq!(table.settled(), if swapped { [B, A, C, 0] } else { [A, B, C, 0] });
}

/// A monitor died behind a decision. The owner is about to roll that batch
/// forward when another monitor has done so and stages the next one.
pub(super) fn resolver_meets_next_batch() {
    let table = Table::new(&[A, D], 1);
    table.leave_decided_batch(0, A, B);
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| table.owner.remove(1).unwrap());
    let rewriter = table.spawn(move |_| monitor.rewrite_one(0, B, C).is_ok());
    owner.join().unwrap();
    let rewritten = rewriter.join().unwrap();
    assert_eq!(table.settled(), [if rewritten { C } else { B }, 0, 0, 0]);
}

/// A monitor died behind a decision. While the owner is about to roll that
/// batch forward, another monitor does so and makes so many batches that the
/// numbers (two bits in a model) start over; it is refused the last one, which
/// has the same slot, badges and number as the first.
pub(super) fn resolver_meets_reused_number() {
    let table = Table::new(&[A, D], 0);
    table.leave_decided_batch(0, A, B);
    let monitor = table.monitor(0);
    let owner = table.spawn(|table| table.owner.remove(1).unwrap());
    let rewriter = table.spawn(move |_| {
        // The owner may abort each of them.
        let done = monitor.rewrite_one(0, B, A).is_ok();
        // The batches in between are not disturbed.
        loom::stop_exploring();
        for _ in 0..2 {
            let _ = monitor.rewrite(&mut []);
        }
        loom::explore();
        let (badge, other) = if done { (A, B) } else { (B, A) };
        let mut refused = [Rewrite::new(0, badge, other), Rewrite::new(1, C, C)];
        assert!(monitor.rewrite(&mut refused).is_err());
        badge
    });
    owner.join().unwrap();
    let badge = rewriter.join().unwrap();
    assert_eq!(table.settled(), [badge, 0, 0, 0]);
}

/// The same with a look-up instead of the owner's write.
pub(super) fn reader_meets_reused_number() {
    let table = Table::new(&[A, D], 0);
    table.leave_decided_batch(0, A, B);
    let monitor = table.monitor(0);
    let reader = table.spawn(|table| assert_eq!(table.owner.badge(0), B));
    let rewriter = table.spawn(move |_| {
        for _ in 0..3 {
            monitor.rewrite(&mut []).unwrap();
        }
        let mut refused = [Rewrite::new(0, B, C), Rewrite::new(1, C, A)];
        assert!(monitor.rewrite(&mut refused).is_err());
    });
    reader.join().unwrap();
    rewriter.join().unwrap();
    assert_eq!(table.settled(), [B, D, 0, 0]);
}
