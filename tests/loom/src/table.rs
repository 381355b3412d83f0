//! What the models work on: a small published table with its owner.

use std::sync::Arc;

use cap_map_rs::memory::Private;
use cap_map_rs::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering, RelaxStrategy};
use cap_map_rs::word::Control;
use cap_map_rs::{Config, Monitor, Owner, Region, Slot, SlotWord, layout};
use loom::thread::JoinHandle;

use crate::memory::Memory;

/// Slots of a table: as few as loom's build of the crate allows.
pub(crate) const SLOTS: usize = layout::MIN_CAPACITY;
/// Slots of a table that another one moves to.
const MORE_SLOTS: usize = SLOTS + 2;

/// Words in front of the slots.
const HEADER: usize = layout::SLOTS / layout::WORD_BYTES;
/// Entries of the index: twice the most slots, to the next power of two.
const INDEX: usize = 16;

/// A badge. With 16 entries its probe sequence starts where that of `C` does
/// (multiply by 0x9e3779b1 and take the topmost bits).
pub(crate) const A: u32 = 4;
/// A badge whose probe sequence starts elsewhere.
pub(crate) const B: u32 = 8;
/// A badge that collides with `A`.
pub(crate) const C: u32 = 72;
/// A badge whose probe sequence starts elsewhere.
pub(crate) const D: u32 = 20;
/// A badge that collides with `A` and `C`.
pub(crate) const E: u32 = 80;

/// Waiting in a model.
pub(crate) struct Yield;

impl RelaxStrategy for Yield {
    fn relax() {
        loom::thread::yield_now();
    }
}

/// A published table. Dropped behind the last thread that uses it.
pub(crate) struct Table {
    pub(crate) owner: Owner<'static, Yield>,
    region: Region<'static>,
    words: &'static [AtomicU64],
    _words: [Memory<AtomicU64>; 2],
    _masks: [Memory<AtomicU32>; 2],
    _halves: [Memory<AtomicU16>; 2],
}

impl Table {
    /// A table with these badges in slots from 0 upwards. `patience`: that of
    /// the owner towards a monitor's batch.
    pub(crate) fn new(badges: &[u32], patience: u32) -> Arc<Table> {
        let word = || AtomicU64::new(0);
        let (memory, words) = Memory::new(HEADER + SLOTS, word);
        let (chains, buckets) = Memory::new(1, word);
        let (bits, bitmap) = Memory::new(1, || AtomicU32::new(0));
        let (full, summary) = Memory::new(1, || AtomicU32::new(0));
        let (entries, index) = Memory::new(INDEX, || AtomicU16::new(0));
        let (counts, refs) = Memory::new(MORE_SLOTS, || AtomicU16::new(0));
        let region = Region::new(words).unwrap();
        let private = Private::from_parts(index, refs, bitmap, summary, buckets);
        let config = Config { first_user: 0, shift: 0, badge_bits: 8, patience };
        let owner = Owner::new(config, private, region).unwrap();
        for badge in badges {
            owner.insert(*badge).unwrap();
        }
        owner.publish(b"model").unwrap();
        Arc::new(Table {
            owner,
            region,
            words,
            _words: [memory, chains],
            _masks: [bits, full],
            _halves: [entries, counts],
        })
    }

    /// Leaves the memory as a monitor does that dies when it has decided to
    /// change the badge of `slot`, before it rolls that forward.
    pub(crate) fn leave_decided_batch(&self, slot: usize, old: u32, new: u32) {
        let control = &self.words[layout::OFF_CONTROL / layout::WORD_BYTES];
        let idle = Control(control.load(Ordering::Relaxed));
        let decided = idle.advanced(layout::PHASE_STAGING, 1).advanced(layout::PHASE_COMMITTED, 1);
        let staged = SlotWord::staged(old, new, decided.batch());
        self.words[HEADER + slot].store(staged.0, Ordering::Relaxed);
        control.store(decided.0, Ordering::Relaxed);
    }

    /// A monitor of the table.
    pub(crate) fn monitor(&self, patience: u32) -> Monitor<'static, Yield> {
        Monitor::attach(self.region, patience).unwrap()
    }

    /// Starts a role that uses the table.
    pub(crate) fn spawn<T: 'static>(
        self: &Arc<Self>,
        role: impl FnOnce(&Table) -> T + 'static,
    ) -> JoinHandle<T> {
        let table = Arc::clone(self);
        loom::thread::spawn(move || role(&table))
    }

    /// The badges by slot when all is quiet. Also checks all that must hold
    /// then: no badge twice, nothing staged, the index leads to each badge.
    pub(crate) fn settled(&self) -> Vec<u32> {
        settled(&self.owner, self.words)
    }
}

/// Memory that a table can move to, with more slots.
pub(crate) fn larger_words() -> (Memory<AtomicU64>, &'static [AtomicU64]) {
    Memory::new(HEADER + MORE_SLOTS, || AtomicU64::new(0))
}

/// As [`Table::settled`], of a table that has moved to a region of `words`.
pub(crate) fn settled(owner: &Owner<'static, Yield>, words: &[AtomicU64]) -> Vec<u32> {
    let words: Vec<SlotWord> =
        words.iter().skip(HEADER).map(|word| SlotWord(word.load(Ordering::Relaxed))).collect();
    assert!(!words.iter().any(|word| word.is_staged()), "a slot stayed staged");
    let badges = badges(&words);
    for (slot, badge) in (0u32..).zip(&badges) {
        if *badge != 0 {
            assert_eq!(owner.find(*badge), Ok(slot), "badge {badge} is in {badges:?}");
        }
    }
    badges
}

/// The badge of each slot of a snapshot; zero for none.
pub(crate) fn badges(words: &[SlotWord]) -> Vec<u32> {
    words
        .iter()
        .map(|word| match word.meaning() {
            Slot::Used(badge) => badge,
            _ => 0,
        })
        .collect()
}

/// Slots that carry `badge`.
pub(crate) fn count(badges: &[u32], badge: u32) -> usize {
    badges.iter().filter(|other| **other == badge).count()
}
