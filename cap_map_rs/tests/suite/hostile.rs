//! A peer that writes what it likes, where it likes, while the other works.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::layout::*;
use cap_map_rs::limits::{ATTEMPTS, LOOK_UPS, LOST_RACES, SNAPSHOTS};
use cap_map_rs::word::{Bank, BatchWord};
use cap_map_rs::{Area, Kernel, Monitor, Released, Rewrite, Slot, SlotWord, Status};

use crate::common::{
    BANKS, Random, Relax, Stop, Table, TestMonitor, TestOwner, WAIT_BUDGET, goes_on, named, region,
    region_words, shown, waits,
};

const TIME: Duration = Duration::from_millis(900);
const CAPACITY: u32 = 200;

/// A word that is likely to lead somewhere.
fn plausible(random: &mut Random, bank: Bank) -> u64 {
    let badge = 4 * random.below(80);
    match random.below(8) {
        0 => random.next(),
        1..3 => SlotWord::used(badge).staged(bank, 4 * random.below(80)).0,
        3 => SlotWord::detached(badge).0,
        4 => SlotWord::detached(badge).staged(bank, 4 * random.below(80)).0,
        5 => SlotWord::FREE.0,
        _ => SlotWord::used(badge).0,
    }
}

/// Writes one word anywhere in the region.
fn scribble(words: &[AtomicU64], random: &mut Random) {
    let batch = BatchWord(words[OFF_BATCH / WORD_BYTES].load(Ordering::Relaxed));
    let (offset, value) = match random.below(12) {
        0 => (OFF_BATCH, batch.flipped().0),
        1 => (OFF_BATCH, batch.claimed().0),
        2 => (OFF_BATCH, batch.flipped().released().0),
        3 => (OFF_BATCH, random.next()),
        4 => (OFF_COMING, u64::from(4 * random.below(80))),
        5 => (OFF_HIGH_WATER, u64::from(random.below(CAPACITY + 4))),
        6 => (8 * random.below(64) as usize, random.next()),
        _ => {
            let bank = BANKS[random.below(2) as usize];
            (SLOTS + 8 * random.below(CAPACITY) as usize, plausible(random, bank))
        }
    };
    words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
}

/// Runs `work` again and again while another thread scribbles.
fn under_attack(words: &'static [AtomicU64], seed: u64, mut work: impl FnMut(&mut Random)) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(seed);
            while !done.load(Ordering::Relaxed) {
                scribble(words, &mut random);
                // In bursts, so that some calls find a quiet table.
                if random.below(64) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let _stop = Stop(&done);
        let mut random = Random::new(seed + 1);
        let (begin, mut rounds) = (Instant::now(), 0);
        while goes_on(begin, TIME, rounds > 500) {
            work(&mut random);
            rounds += 1;
        }
    });
}

/// Attempts to write a slot in the longest call, `insert_at`. Each of its rounds tries
/// once, and then with monitors asked to pause.
const WRITES: u64 = (LOOK_UPS as u64 + 1) * (LOOK_UPS as u64 + 1);

/// Relax calls that one call of the owner may take. Each attempt waits the budget out,
/// each contended look-up relaxes once.
const BOUND: u64 = WRITES * WAIT_BUDGET as u64 + LOOK_UPS as u64;

/// Relax calls that one call of a monitor may take: for the claim, and in each attempt.
const MONITORS_BOUND: u64 = (1 + ATTEMPTS as u64) * WAIT_BUDGET as u64;

fn bounded<T>(call: impl FnOnce() -> T) -> T {
    let (result, waited) = waits(call);
    assert!(waited <= BOUND, "waited {waited} times");
    result
}

/// What the component was given and did not give back; no slot twice.
struct Held(Vec<u32>);

impl Held {
    fn add(&mut self, slot: u32, count: u32) {
        for slot in slot..slot + count {
            assert!(slot < CAPACITY, "slot {slot} does not exist");
            assert!(!self.0.contains(&slot), "slot {slot} was handed out twice");
            self.0.push(slot);
        }
    }

    fn take(&mut self, random: &mut Random) -> Option<u32> {
        let len = u32::try_from(self.0.len()).expect("few");
        (len > 0).then(|| self.0.swap_remove(random.below(len) as usize))
    }
}

/// Slots are the component's own business, whatever the monitor writes.
fn slot_operations(owner: &TestOwner, held: &mut Held, random: &mut Random) {
    let badge = 4 * random.below(80);
    match random.below(8) {
        0 => {
            let count = 1 + random.below(6);
            if let Ok(first) = bounded(|| owner.alloc(count)) {
                held.add(first, count);
            }
        }
        1 => {
            let slot = random.below(CAPACITY + 2);
            if bounded(|| owner.alloc_at(slot)) == Ok(()) {
                held.add(slot, 1);
            }
        }
        2..4 => match bounded(|| owner.insert(badge)) {
            Ok(slot) => held.add(slot, 1),
            Err(status) => assert!(matches!(
                status,
                Status::BadBadge | Status::Exists | Status::OutOfSlots | Status::Busy
            )),
        },
        4 => {
            if let Some(slot) = held.take(random) {
                assert_eq!(bounded(|| owner.free(slot, 1)), Ok(()));
                assert_eq!(bounded(|| owner.free(slot, 1)), Err(Status::NotAllocated));
            }
        }
        5 => {
            if let Some(slot) = held.take(random) {
                assert_eq!(bounded(|| owner.remove(slot)), Ok(()));
                assert_eq!(bounded(|| owner.remove(slot)), Err(Status::NotAllocated));
            }
        }
        _ => {
            if let Some(slot) = held.take(random) {
                assert_eq!(owner.acquire(slot), Ok(()));
                assert_eq!(bounded(|| owner.remove(slot)), Ok(()));
                let counted = !owner.is_static(slot);
                assert_eq!(owner.references(slot), u16::from(counted));
                if counted {
                    let last = bounded(|| owner.release(slot));
                    assert!(matches!(last, Ok(Released::Last(_))), "{last:?}");
                    assert_eq!(bounded(|| owner.free(slot, 1)), Ok(()));
                }
            }
        }
    }
    assert!(bounded(|| owner.find(badge)).map_or(true, |slot| slot < CAPACITY));
    let _ = bounded(|| owner.entry(random.below(CAPACITY + 2)));
}

#[test]
fn owner_keeps_its_slots_apart() {
    let table = Table::new(CAPACITY);
    let mut held = Held(Vec::new());
    under_attack(table.words, 21, |random| {
        slot_operations(&table.owner, &mut held, random);
    });
    // The peer is gone: everything can be used again.
    for slot in held.0 {
        table.owner.free(slot, 1).unwrap();
    }
    assert_eq!(table.owner.alloc(CAPACITY - 8), Ok(8));
    table.owner.free(8, CAPACITY - 8).unwrap();
    (0..8).for_each(|slot| assert_eq!(table.owner.alloc_at(slot), Ok(())));
    table.owner.free(0, 8).unwrap();
    assert!((0..CAPACITY).all(|slot| table.owner.entry(slot) == Ok(Slot::Free)));
    assert_eq!(table.owner.insert(4000), Ok(8));
    assert_eq!(table.owner.find(4000), Ok(8));
}

struct Moody<'a>(&'a mut Random);

impl Kernel for Moody<'_> {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        self.0.below(2) == 0
    }
    fn valid(&mut self, _: usize) -> bool {
        self.0.below(2) == 0
    }
    fn map(&mut self, _: usize, _: usize) -> bool {
        self.0.below(4) > 0
    }
    fn vanished(&mut self, _: usize, _: u32) {}
}

/// Every other operation: whatever it answers, it does so in time.
#[test]
fn owner_survives_all_operations() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    under_attack(table.words, 22, |random| {
        let (badge, slot) = (4 * random.below(80), random.below(CAPACITY + 2));
        match random.below(12) {
            0 => drop(bounded(|| owner.insert_at(badge, slot))),
            1..3 => {
                // Each lost race waits as any other call.
                let (_, waited) = waits(|| owner.insert_map(badge, 99, &mut Moody(random)));
                assert!(waited <= u64::from(LOST_RACES) * BOUND);
            }
            3 => drop(bounded(|| owner.find_acquire(badge))),
            4 => drop(bounded(|| owner.remove(slot))),
            5 => drop(bounded(|| owner.release(slot))),
            6 => drop(bounded(|| owner.badge(slot))),
            7 => {
                // Recovery makes a table private whose header the peer has destroyed.
                let result = bounded(|| owner.publish(&named("again")));
                assert!(matches!(result, Ok(()) | Err(Status::InUse)));
            }
            8 if random.below(50) == 0 => {
                // SAFETY: this thread is the only one that uses the owner.
                bounded(|| unsafe { owner.recover() });
            }
            9 => drop(bounded(|| owner.insert(badge))),
            10 => drop(bounded(|| owner.acquire(slot))),
            _ => {
                let (_, waited) = waits(|| owner.free(slot, random.below(4)));
                assert!(waited <= 4 * BOUND);
            }
        }
    });
    let quiet = bounded(|| owner.move_to(region(region_words(CAPACITY)), Some(&shown("quiet"))));
    assert_eq!(quiet, Ok(Area::NONE));
    assert!((0..CAPACITY).all(|slot| owner.entry(slot).is_ok()));
}

fn monitor_operations(monitor: &TestMonitor, random: &mut Random, words: &mut [SlotWord]) {
    match random.below(7) {
        0 => match bounded(|| monitor.snapshot(words)) {
            Ok(snapshot) => {
                assert!(snapshot.attempts <= SNAPSHOTS);
                // Each word has a meaning of its own, whatever the bank.
                let slots = snapshot.slots as usize;
                assert!(words[..slots].iter().all(|word| word.is_settled()));
            }
            Err(status) => assert_eq!(status, Status::Retired),
        },
        1 => {
            let mut from = 0;
            while let Some((slot, _)) = bounded(|| monitor.next_used(from)) {
                assert!(slot >= from && slot < CAPACITY);
                from = slot + 1;
            }
        }
        2 => drop(bounded(|| monitor.entry(random.below(CAPACITY + 2)))),
        3 => drop(waits(|| monitor.take_over())),
        _ => {
            let slot = random.below(CAPACITY - 20);
            let mut batch: Vec<_> = (slot..slot + 1 + random.below(20))
                .filter_map(|slot| match monitor.entry(slot) {
                    Ok(Slot::Used(badge)) => Some(Rewrite::new(slot, badge, 4 * (100 + slot))),
                    _ => None,
                })
                .collect();
            let (result, waited) = waits(|| monitor.rewrite(&mut batch));
            assert!(waited <= MONITORS_BOUND);
            if let Err(refusal) = result {
                assert!(refusal.slot.is_none_or(|slot| slot < CAPACITY));
            }
        }
    }
}

#[test]
fn monitor_survives_a_hostile_target() {
    let table = Table::new(CAPACITY);
    let monitor = table.monitor();
    let mut words = vec![SlotWord(0); CAPACITY as usize];
    under_attack(table.words, 23, |random| {
        monitor_operations(&monitor, random, &mut words);
        // Attaching reads the header that is being overwritten.
        if let Ok(other) = Monitor::<Relax>::attach(region(table.words), WAIT_BUDGET) {
            assert!(other.geometry().capacity <= CAPACITY);
            assert!(other.geometry().first_user < other.geometry().capacity);
        }
    });
    assert_eq!(monitor.geometry().capacity, CAPACITY, "a copy that nobody can change");
}

/// Both sides at work in one region that a third thread destroys.
#[test]
fn both_survive_together() {
    let table = Table::new(CAPACITY);
    let monitor = table.monitor();
    let (mut held, mut words) = (Held(Vec::new()), vec![SlotWord(0); CAPACITY as usize]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(31);
            let _stop = Stop(&done);
            while !done.load(Ordering::Relaxed) {
                monitor_operations(&monitor, &mut random, &mut words);
            }
        });
        let _stop = Stop(&done);
        under_attack(table.words, 24, |random| slot_operations(&table.owner, &mut held, random));
    });
}

/// Without threads: random words between the calls, thousands of seeds.
#[test]
fn words_change_between_the_calls() {
    for seed in 0..150 {
        let table = Table::new(CAPACITY);
        let monitor = table.monitor();
        let mut random = Random::new(1000 + seed);
        let (mut held, mut words) = (Held(Vec::new()), vec![SlotWord(0); CAPACITY as usize]);
        for _ in 0..60 {
            (0..random.below(12)).for_each(|_| scribble(table.words, &mut random));
            slot_operations(&table.owner, &mut held, &mut random);
            monitor_operations(&monitor, &mut random, &mut words);
        }
    }
}
