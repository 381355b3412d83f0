//! Owner and monitor at full speed in threads of one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::layout::OFF_COMING;
use cap_map_rs::{Area, Config, Rewrite, Slot, SlotWord, Status};

use crate::common::{
    CONFIG, Random, Stop, Table, WAIT_BUDGET, goes_on, region, region_words, shown,
};

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
            let snapshot = monitor.snapshot(&mut words).unwrap();
            if !snapshot.consistent {
                continue;
            }
            consistent += 1;
            let seen = &words[..snapshot.slots as usize];
            let count =
                |badge| seen.iter().filter(|word| word.meaning() == Slot::Used(badge)).count();
            let (a, b) = (count(A), count(B));
            assert!(a <= 1 && b <= a, "{a} times A, {b} times B");
        }
        drop(stop);
        println!("{consistent} consistent snapshots");
    });
}

/// Slot `slots[i]` carries `badge(round, i)`; a batch takes all to the next
/// round. The owner's other writes make batches fail now and then.
fn batches_under_look_ups(wait_budget: u32) {
    const MEMBERS: u32 = 48;
    const ROUNDS: u32 = 1 << 20;
    let badge = |round: u32, i: u32| 4 * (1 + (round % ROUNDS) * MEMBERS + i);
    let table = Table::with(256, Config { wait_budget, ..CONFIG });
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
    println!("wait_budget {wait_budget}: {committed} batches, {refused} more given up");
    for i in 0..MEMBERS {
        assert_eq!(table.owner.find(badge(committed, i)), Ok(slots[i as usize]));
    }
}

#[test]
fn batches_are_all_or_nothing_under_look_ups() {
    batches_under_look_ups(WAIT_BUDGET);
}

/// The same with an owner that disturbs each attempt it meets, at any point.
#[test]
fn batches_of_an_impatient_owner() {
    batches_under_look_ups(0);
}

/// Two living monitors swap all badges between two worlds, back to back. Each batch is
/// done or refused as a whole, whatever the other one and the owner do.
fn two_monitors(owner_writes: bool) {
    const MEMBERS: u32 = 600;
    const FAR: u32 = 100_000;
    let table = &Table::new(1024);
    let old = |i| 10 + 2 * i;
    let slots: Vec<_> = (0..MEMBERS).map(|i| table.owner.insert(old(i)).unwrap()).collect();
    let done = &AtomicBool::new(false);
    let begin = Instant::now();
    let swap = |monitor: &crate::common::TestMonitor| {
        let (mut swaps, mut busy) = (0, 0);
        let mut words = vec![SlotWord(0); 1024];
        while !done.load(Ordering::Relaxed) && goes_on(begin, TIME, swaps > 10) {
            let snapshot = monitor.snapshot(&mut words).unwrap();
            if !snapshot.consistent {
                continue;
            }
            let used = |(slot, word): (u32, &SlotWord)| match word.meaning() {
                Slot::Used(badge) if badge != 7777 => Some((slot, badge)),
                _ => None,
            };
            let used: Vec<_> =
                (0..).zip(&words[..snapshot.slots as usize]).filter_map(used).collect();
            assert_eq!(used.len(), MEMBERS as usize);
            let far = used.iter().filter(|(_, badge)| *badge > FAR).count();
            assert!(far == 0 || far == used.len(), "half a batch: {far} of {}", used.len());
            let entry = |&(slot, badge): &(u32, u32)| {
                Rewrite::new(slot, badge, if far == 0 { badge + FAR } else { badge - FAR })
            };
            match monitor.rewrite(&mut used.iter().map(entry).collect::<Vec<_>>()) {
                Ok(()) => swaps += 1,
                Err(refusal) => match refusal.status {
                    Status::Busy => busy += 1,
                    // The other one was faster, or the owner too fast.
                    Status::UnexpectedBadge | Status::Changed => {}
                    status => panic!("{status}"),
                },
            }
        }
        (swaps, busy)
    };
    std::thread::scope(|scope| {
        let owner = scope.spawn(|| {
            while owner_writes && !done.load(Ordering::Relaxed) {
                table.owner.remove(table.owner.insert(7777).unwrap()).unwrap();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let others = || {
            let _stop = Stop(done);
            swap(&table.monitor())
        };
        let monitors = [scope.spawn(others), scope.spawn(others)];
        let swaps = monitors.map(|monitor| monitor.join().unwrap());
        owner.join().unwrap();
        println!("owner writes: {owner_writes}; (batches, refused as busy): {swaps:?}");
    });
    let first = table.owner.badge(slots[0]);
    assert!(first == old(0) || first == old(0) + FAR);
    for (slot, i) in slots.into_iter().zip(0..) {
        assert_eq!(table.owner.find(first - old(0) + old(i)), Ok(slot));
    }
    assert!(!table.batch().is_claimed() && table.is_settled());
}

#[test]
fn two_monitors_never_leave_half_a_batch() {
    two_monitors(false);
}

#[test]
fn two_monitors_and_an_owner_never_leave_half_a_batch() {
    two_monitors(true);
}

/// A badge that a refused batch left beside another one is never seen as the slot's, by
/// no kind of look, while batches are decided all the time. There are more threads than
/// processors, so that each look is interrupted between its loads now and then.
#[test]
fn badges_of_refused_batches_are_never_seen() {
    const CARRIED: u32 = 400;
    const STAGED: u32 = 404;
    let table = &Table::new(64);
    let slot = table.owner.insert(CARRIED).unwrap();
    let other = table.owner.insert(408).unwrap();
    let monitor = &table.monitor();
    let done = &AtomicBool::new(false);
    let refused_and_decided = || {
        for (now, next) in [(408, 412), (412, 408)] {
            let mut batch = [Rewrite::new(slot, CARRIED, STAGED), Rewrite::new(other, 1, 416)];
            let refusal = monitor.rewrite(&mut batch).unwrap_err();
            assert_eq!(refusal.status, Status::UnexpectedBadge);
            monitor.rewrite_one(other, now, next).unwrap();
        }
    };
    let looks: [&(dyn Fn() + Sync); 5] = [
        &|| assert_eq!(monitor.entry(slot), Ok(Slot::Used(CARRIED))),
        &|| assert_eq!(table.owner.badge(slot), CARRIED),
        &|| assert_eq!(table.owner.entry(slot), Ok(Slot::Used(CARRIED))),
        &|| {
            assert_eq!(table.owner.find(CARRIED), Ok(slot));
            assert_eq!(table.owner.find(STAGED), Err(Status::NotFound));
        },
        &|| {
            let mut words = [SlotWord(0); 64];
            monitor.snapshot(&mut words).unwrap();
            assert_eq!(words[slot as usize].meaning(), Slot::Used(CARRIED));
        },
    ];
    std::thread::scope(|scope| {
        for look in looks {
            scope.spawn(move || {
                let _stop = Stop(done);
                while !done.load(Ordering::Relaxed) {
                    (0..1000).for_each(|_| look());
                }
            });
        }
        let _stop = Stop(done);
        let (begin, mut rounds) = (Instant::now(), 0);
        while goes_on(begin, 2 * TIME, rounds > 1000) && !done.load(Ordering::Relaxed) {
            refused_and_decided();
            rounds += 1;
        }
    });
}

/// Look-ups go on in the old region while the table moves, and miss nothing.
#[test]
fn look_ups_while_the_table_moves() {
    const MOVES: u32 = 500;
    let table = &Table::unpublished(64, 64 + MOVES, CONFIG);
    for (slot, i) in (8..64).zip(0..) {
        assert_eq!(table.owner.insert(100 + 4 * i), Ok(slot));
    }
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            scope.spawn(move || {
                let _stop = Stop(done);
                let mut random = Random::new(seed);
                while !done.load(Ordering::Relaxed) {
                    let i = random.below(56);
                    assert_eq!(table.owner.find(100 + 4 * i), Ok(8 + i));
                    assert_eq!(table.owner.find(101 + 4 * i), Err(Status::NotFound));
                    assert_eq!(table.owner.entry(8 + i), Ok(Slot::Used(100 + 4 * i)));
                }
            });
        }
        let _stop = Stop(done);
        for capacity in (64..64 + MOVES).filter(|_| !done.load(Ordering::Relaxed)) {
            let words = region(region_words(capacity));
            assert_eq!(table.owner.move_to(words, Some(&shown("next"))), Ok(Area::NONE));
        }
    });
}

/// A badge is announced while it is put into a slot, and only then.
#[test]
fn insertions_are_announced() {
    let table = &Table::new(64);
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(done);
            let mut coming = 0;
            while coming == 0 && !done.load(Ordering::Relaxed) {
                coming = table.header(OFF_COMING);
            }
            assert_eq!(coming, 400);
        });
        let _stop = Stop(done);
        let begin = Instant::now();
        while goes_on(begin, Duration::ZERO, done.load(Ordering::Relaxed)) {
            table.owner.remove(table.owner.insert(400).unwrap()).unwrap();
            assert_eq!(table.header(OFF_COMING), 0);
        }
    });
}
