//! Owner and monitor at full speed in threads of one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::{Config, Rewrite, Slot, SlotWord, Status};

use crate::common::{CONFIG, PATIENCE, Random, Stop, Table, goes_on};

const TIME: Duration = Duration::from_millis(800);

/// The owner keeps badge A in the table whenever it has B there, at opposite
/// ends, so that a copy that is not of one instant shows.
#[test]
fn consistent_snapshots_are_of_one_instant() {
    const A: u32 = 400;
    const B: u32 = 404;
    const CAPACITY: u32 = 4096;
    let table = Table::new(CAPACITY);
    let monitor = table.monitor();
    let done = AtomicBool::new(false);
    // None, or about as long as a copy takes.
    let pause = |random: &mut Random| {
        (0..random.below(2) * random.below(40_000)).for_each(|_| std::hint::spin_loop());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(&done);
            let mut random = Random::new(3);
            while !done.load(Ordering::Relaxed) {
                let (low, high) = (8 + random.below(90), CAPACITY - 1 - random.below(90));
                let (a, b) = if random.below(2) == 0 { (low, high) } else { (high, low) };
                table.owner.insert_at(A, a).unwrap();
                pause(&mut random);
                table.owner.insert_at(B, b).unwrap();
                pause(&mut random);
                table.owner.remove(b).unwrap();
                pause(&mut random);
                table.owner.remove(a).unwrap();
                pause(&mut random);
            }
        });
        let stop = Stop(&done);
        let begin = Instant::now();
        let (mut consistent, mut words) = (0, vec![SlotWord(0); CAPACITY as usize]);
        while goes_on(begin, TIME, consistent > 10) {
            if !monitor.snapshot(&mut words).unwrap().consistent {
                continue;
            }
            consistent += 1;
            let count =
                |badge| words.iter().filter(|word| word.meaning() == Slot::Used(badge)).count();
            let (a, b) = (count(A), count(B));
            assert!(a <= 1 && b <= a, "{a} times A, {b} times B");
        }
        drop(stop);
        println!("{consistent} consistent snapshots");
    });
}

/// Slot `slots[i]` carries `badge(round, i)`; a batch takes all to the next
/// round. The owner's other writes make batches fail now and then.
fn batches_under_look_ups(patience: u32) {
    const MEMBERS: u32 = 48;
    const ROUNDS: u32 = 1 << 20;
    let badge = |round: u32, i: u32| 4 * (1 + (round % ROUNDS) * MEMBERS + i);
    let table = Table::with(256, Config { patience, ..CONFIG });
    let slots: Vec<u32> = (0..MEMBERS).map(|i| table.owner.insert(badge(0, i)).unwrap()).collect();
    let monitor = table.monitor();
    let done = AtomicBool::new(false);
    let (mut committed, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let (done, table, slots) = (&done, &table, &slots);
        let reader = scope.spawn(move || {
            let _stop = Stop(done);
            let mut random = Random::new(5);
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                let i = random.below(MEMBERS);
                let Slot::Used(now) = table.owner.entry(slots[i as usize]).unwrap() else {
                    panic!("slot lost its badge")
                };
                assert_eq!((now / 4 - 1) % MEMBERS, i, "a badge of another slot");
                let new = (now / 4 - 1) / MEMBERS;
                assert!(new >= round, "slot {i} fell back from {round} to {new}");
                round = new;
                // Found by this badge, or by a later one.
                match table.owner.find(badge(round, i)) {
                    Ok(slot) => assert_eq!(slot, slots[i as usize]),
                    Err(status) => assert_eq!(status, Status::NotFound),
                }
            }
        });
        scope.spawn(move || {
            let _stop = Stop(done);
            let mut random = Random::new(7);
            while !done.load(Ordering::Relaxed) {
                match table.owner.insert(0x0f00_0000 + 4 * random.below(64)) {
                    Ok(slot) => table.owner.remove(slot).unwrap(),
                    Err(status) => assert!(matches!(status, Status::Busy), "{status}"),
                }
                for _ in 0..random.below(2000) {
                    std::hint::spin_loop();
                }
            }
        });
        let stop = Stop(done);
        let begin = Instant::now();
        while goes_on(begin, TIME, committed > 10) && !done.load(Ordering::Relaxed) {
            let mut batch: Vec<_> = (0..MEMBERS)
                .map(|i| {
                    let slot = slots[i as usize];
                    Rewrite::new(slot, badge(committed, i), badge(committed + 1, i))
                })
                .collect();
            match monitor.rewrite(&mut batch) {
                Ok(()) => committed += 1,
                Err(refusal) => {
                    assert_eq!(refusal.status, Status::Changed, "{refusal:?}");
                    refused += 1;
                }
            }
        }
        drop(stop);
        reader.join().unwrap();
    });
    println!("patience {patience}: {committed} batches, {refused} more given up");
    for i in 0..MEMBERS {
        assert_eq!(table.owner.find(badge(committed, i)), Ok(slots[i as usize]));
    }
}

#[test]
fn batches_are_all_or_nothing_under_look_ups() {
    batches_under_look_ups(PATIENCE);
}

/// The same with an owner that aborts each batch it meets, at any point.
#[test]
fn batches_of_an_impatient_owner() {
    batches_under_look_ups(0);
}
