//! Slots whose badge the owner takes out while a batch changes it: the batch leaves them
//! out, and says so.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::{Released, Rewrite, Status};

use crate::common::{Random, Table, TestMonitor, goes_on};

const MEMBERS: u32 = 200;

/// What a monitor knows of a slot whose badge went during its batches.
struct End {
    /// The badge that the last batch gave it.
    given: u32,
    /// The badge of a batch that left it out.
    withheld: Option<u32>,
}

/// Rewrites all badges over and over until one of them has gone.
fn rewrite_until_one_goes(monitor: &TestMonitor, first: u32, batches: &AtomicU32) -> (u32, End) {
    let badge = |round: u32, i: u32| 1000 * (1 + round) + i;
    for round in 0.. {
        let mut batch: Vec<_> = (0..MEMBERS)
            .map(|i| Rewrite::new(first + i, badge(round, i), badge(round + 1, i)))
            .collect();
        let result = monitor.rewrite(&mut batch);
        batches.fetch_add(1, Ordering::Relaxed);
        if let Err(refusal) = result {
            assert_eq!(refusal.status, Status::NotRewritable);
            let slot = refusal.slot.expect("names the slot");
            return (slot, End { given: badge(round, slot - first), withheld: None });
        }
        if let Some(entry) = batch.iter().find(|entry| entry.left_out != 0) {
            assert_eq!(entry.left_out, 1);
            let (given, withheld) = (entry.expected, Some(entry.replacement));
            return (entry.slot, End { given, withheld });
        }
    }
    unreachable!("rounds do not end")
}

#[test]
fn a_batch_says_which_slots_it_left_out() {
    let mut random = Random::new(17);
    let (begin, mut rounds, mut left_out, mut before) = (Instant::now(), 0, 0, 0);
    while goes_on(begin, Duration::from_millis(500), rounds > 20 && before > 0) {
        rounds += 1;
        let table = &Table::new(256);
        let first = table.owner.insert(1000).expect("free");
        (1..MEMBERS).for_each(|i| assert_eq!(table.owner.insert(1000 + i), Ok(first + i)));
        let victim = first + random.below(MEMBERS);
        table.owner.acquire(victim).expect("allocated");
        let batches = &AtomicU32::new(0);
        let (slot, end, gone) = std::thread::scope(|scope| {
            let monitor = scope.spawn(|| rewrite_until_one_goes(&table.monitor(), first, batches));
            while batches.load(Ordering::Relaxed) < 3 {
                std::thread::yield_now();
            }
            (0..random.below(4000)).for_each(|_| std::hint::spin_loop());
            let Ok(Released::Last(gone)) = table.owner.release(victim) else {
                panic!("it was the last one");
            };
            let (slot, end) = monitor.join().expect("done");
            (slot, end, gone)
        });
        assert_eq!(slot, victim);
        // The badge went before the batch that left it out, or behind it.
        assert!(gone == end.given || Some(gone) == end.withheld, "{gone} after {}", end.given);
        left_out += u32::from(end.withheld.is_some());
        before += u32::from(end.withheld.is_some() && gone == end.given);
    }
    println!("{rounds} rounds, {left_out} slots left out, {before} of them gone before the batch");
}
