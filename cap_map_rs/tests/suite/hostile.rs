//! A peer that writes what it likes, where it likes, while the other works.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::layout::*;
use cap_map_rs::limits::{BATCHES, LOOK_UPS, LOST_RACES, SNAPSHOTS};
use cap_map_rs::word::Control;
use cap_map_rs::{Kernel, Monitor, Released, Rewrite, Slot, SlotWord, Status};

use crate::common::{
    HEADER_WORDS, Obedient, PATIENCE, Random, Relax, Stop, Table, TestMonitor, TestOwner, goes_on,
    region, region_words, waits,
};

const TIME: Duration = Duration::from_millis(900);
const CAPACITY: u32 = 200;

/// A word that is likely to lead somewhere.
fn plausible(random: &mut Random, control: Control) -> u64 {
    let badge = 4 * random.below(80);
    let sequence = control.sequence().wrapping_add(u64::from(random.below(5))).wrapping_sub(2);
    match random.below(8) {
        0 => random.next(),
        1 => SlotWord::staged(badge, 4 * random.below(80), control.batch()).0,
        2 => SlotWord::staged(badge, 4 * random.below(80), random.next()).0,
        3 => SlotWord::detached(badge, sequence).0,
        4 => SlotWord::reserved(sequence).0,
        5 => SlotWord::free(sequence).0,
        _ => SlotWord::used(badge, sequence).0,
    }
}

/// Writes one word anywhere in the region.
fn scribble(words: &[AtomicU64], random: &mut Random) {
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(Ordering::Relaxed));
    let (at, value) = match random.below(10) {
        0..3 => {
            let phase = random.next() % 8;
            let steps = random.below(3);
            (OFF_CONTROL / WORD_BYTES, control.advanced(phase, steps).0)
        }
        3 => (OFF_CONTROL / WORD_BYTES, random.next()),
        4 => (OFF_INTENT_SLOT / WORD_BYTES, u64::from(random.below(CAPACITY + 4))),
        5 => (OFF_INTENT_OLD / WORD_BYTES + random.below(2) as usize, plausible(random, control)),
        6 => (random.below(64) as usize, random.next()),
        _ => (HEADER_WORDS + random.below(CAPACITY) as usize, plausible(random, control)),
    };
    words[at].store(value, Ordering::Relaxed);
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

/// Writes of the longest call, `insert_at`. Each of its rounds removes a slot, and
/// tries to write another one.
const WRITES: u64 = (LOOK_UPS as u64 + 1) * (LOOK_UPS as u64 + 2);

/// Relax calls that one call of the owner may take. Each write waits the patience
/// out, each contended look-up relaxes once.
const BOUND: u64 = WRITES * PATIENCE as u64 + LOOK_UPS as u64;

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
            7 => drop(bounded(|| owner.publish(b"again"))),
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
    let quiet = bounded(|| owner.move_to(region(region_words(CAPACITY)), b"quiet"));
    assert_eq!(quiet, Ok(()));
    assert!((0..CAPACITY).all(|slot| owner.entry(slot).is_ok()));
}

fn monitor_operations(monitor: &TestMonitor, random: &mut Random, words: &mut [SlotWord]) {
    match random.below(6) {
        0 => match bounded(|| monitor.snapshot(words)) {
            Ok(snapshot) => {
                assert!(snapshot.attempts <= SNAPSHOTS);
                // Each word has a meaning of its own, whatever the phase.
                assert!(words.iter().all(|word| !word.is_staged()));
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
        _ => {
            let slot = random.below(CAPACITY - 20);
            let mut batch: Vec<_> = (slot..slot + 1 + random.below(20))
                .filter_map(|slot| match monitor.entry(slot) {
                    Ok(Slot::Used(badge)) => Some(Rewrite::new(slot, badge, 4 * (100 + slot))),
                    _ => None,
                })
                .collect();
            let (result, waited) = waits(|| monitor.rewrite(&mut batch));
            assert!(waited <= u64::from(BATCHES * PATIENCE));
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
        if let Ok(other) = Monitor::<Relax>::attach(region(table.words), PATIENCE) {
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

/// A monitor gives badges to slots that the component holds without any, and
/// lets the index be rebuilt. Whatever is done with such a badge, the slots stay
/// with those who hold them.
#[test]
fn badges_given_to_a_window_do_not_free_it() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    let window = owner.alloc(4).unwrap();
    let claim = |slot, badge| {
        table.set_word(slot, SlotWord::used(badge, 0));
        table.set_control(table.control().advanced(PHASE_IDLE, 2));
    };
    claim(window, 400);
    assert_eq!(owner.find_acquire(400), Err(Status::NotFound));
    owner.insert_at(400, 50).unwrap();
    assert_eq!(owner.find(400), Ok(50));
    claim(window + 1, 404);
    let mapped = owner.insert_map(404, 1, &mut Obedient).unwrap();
    assert!(mapped.fresh && mapped.slot > window + 3);
    claim(window + 2, 408);
    owner.acquire(window + 2).unwrap();
    owner.remove(window + 2).unwrap();
    assert_eq!(owner.free(window + 2, 1), Err(Status::InUse));
    assert_eq!(owner.release(window + 2), Ok(Released::Last(0)));
    let next = owner.alloc(1).unwrap();
    assert!(!(window..window + 4).contains(&next));
    owner.free(window, 4).unwrap();
    assert_eq!(owner.alloc(4), Ok(window));
}

/// A free slot whose entry for `badge` the index has kept: a monitor changed its word
/// without a batch before it was freed.
fn leave_behind(table: &Table, badge: u32) -> u32 {
    let slot = table.owner.insert(badge).unwrap();
    table.set_word(slot, SlotWord::used(badge + 400, 0));
    table.owner.remove(slot).unwrap();
    slot
}

/// A slot that a monitor changed without a batch leaves an entry in the index
/// behind when it is freed. By that, too, it is not found once it is held without a
/// badge, or by nobody, and the monitor gives it the old badge again.
#[test]
fn entries_left_behind_do_not_free_a_window() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    let window = leave_behind(&table, 400);
    owner.alloc_at(window).unwrap();
    table.set_word(window, SlotWord::used(400, 0));
    assert_eq!(owner.find_acquire(400), Err(Status::NotFound));
    owner.insert_at(400, 50).unwrap();
    assert_eq!(owner.alloc_at(window), Err(Status::InUse));

    let window = leave_behind(&table, 404);
    owner.alloc_at(window).unwrap();
    table.set_word(window, SlotWord::used(404, 0));
    let mapped = owner.insert_map(404, 1, &mut Obedient).unwrap();
    assert!(mapped.fresh && mapped.slot != window);

    let nobodys = leave_behind(&table, 408);
    table.set_word(nobodys, SlotWord::used(408, 0));
    owner.insert_at(408, nobodys).unwrap();
    assert_eq!(owner.alloc_at(nobodys), Err(Status::InUse));
}

/// Puts a badge into the slot that is about to be filled.
struct Forger<'t> {
    table: &'t Table,
    badge: u32,
}

impl Kernel for Forger<'_> {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn valid(&mut self, _: usize) -> bool {
        true
    }
    fn map(&mut self, _: usize, to: usize) -> bool {
        let slot = self.table.owner.slot_of(to).unwrap();
        self.table.set_word(slot, SlotWord::used(self.badge, 0));
        true
    }
}

/// Nor is a slot refused to a badge because an entry left behind, and the word that
/// the monitor put back, say that it carries that badge already.
#[test]
fn entries_left_behind_do_not_stand_in_the_way_of_their_slot() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    let nobodys = leave_behind(&table, 400);
    table.set_word(nobodys, SlotWord::used(400, 0));
    assert_eq!(owner.insert(400), Ok(nobodys));
    assert_eq!(owner.find(400), Ok(nobodys));

    let spare = leave_behind(&table, 404);
    let mapped = owner.insert_map(404, 1, &mut Forger { table: &table, badge: 404 }).unwrap();
    assert_eq!((mapped.slot, mapped.fresh), (spare, true));
    assert_eq!(owner.find_acquire(404), Ok(spare));
}

/// Slots whose words a monitor changes without a batch leave entries in the index
/// behind. When these have filled it up, new badges are found all the same.
#[test]
fn words_changed_without_a_batch_do_not_use_the_index_up() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    for (round, word) in (0..1500).zip([SlotWord::free(0), SlotWord::used(8, 0)].iter().cycle()) {
        let slot = owner.insert(4000 + 4 * round).unwrap();
        table.set_word(slot, *word);
        owner.remove(slot).unwrap();
    }
    // Not in equal steps, as such badges have homes of their own.
    let badges = || (0..CAPACITY - 8).map(|number| 100_000 + 4 * number * number);
    let slots: Vec<_> = badges().map(|badge| owner.insert(badge).unwrap()).collect();
    for (badge, slot) in badges().zip(slots) {
        assert_eq!(owner.find(badge), Ok(slot));
    }
}
