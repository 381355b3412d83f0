//! What the models work on: a small published table with its owner, in loom's atomics as if they
//! were mapped memory: references that live as long as the table.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::Arc;

use cap_map_rs::memory::Private;
use cap_map_rs::owner::{Extension, Growth};
use cap_map_rs::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering, RelaxStrategy};
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Config, Identity, Monitor, Owner, Region, Slot, SlotWord, Status, layout};
use loom::thread::JoinHandle;

/// Slots of a table: as few as loom's build of the crate allows.
pub(crate) const SLOTS: usize = layout::MIN_CAPACITY;
/// Slots of a table that another one moves to.
pub(crate) const MORE_SLOTS: usize = SLOTS + 2;

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

/// The badge in the words behind a table's region.
pub(crate) const BEHIND: u32 = 100;

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
    /// A published table with these badges in slots from 0 upwards.
    pub(crate) fn new(badges: &[u32]) -> Arc<Table> {
        Table::with_chains(badges, 1)
    }

    /// The same, with so many chains of objects.
    pub(crate) fn with_chains(badges: &[u32], chains: usize) -> Arc<Table> {
        let table = Self::make(badges, chains, MORE_SLOTS);
        table.owner.publish(&Identity::UNKNOWN).unwrap();
        table
    }

    /// A table that is not published.
    pub(crate) fn private(badges: &[u32]) -> Arc<Table> {
        Self::make(badges, 1, MORE_SLOTS)
    }

    /// The same with room for `max_slots`.
    pub(crate) fn with(badges: &[u32], max_slots: usize) -> Arc<Table> {
        Self::make(badges, 1, max_slots)
    }

    /// Behind the region there is what nobody may take for a slot: [`BEHIND`].
    fn make(badges: &[u32], chains: usize, max_slots: usize) -> Arc<Table> {
        let word = || AtomicU64::new(0);
        let (memory, all) = Memory::new(HEADER + MORE_SLOTS, word);
        let (words, behind) = all.split_at(HEADER + SLOTS);
        for word in behind {
            word.store(SlotWord::used(BEHIND).0, Ordering::Relaxed);
        }
        let (heads, buckets) = Memory::new(chains, word);
        let (bits, bitmap) = Memory::new(1, || AtomicU32::new(0));
        let (full, summary) = Memory::new(1, || AtomicU32::new(0));
        let (entries, index) = Memory::new(INDEX, || AtomicU16::new(0));
        let (counts, refs) = Memory::new(max_slots, || AtomicU16::new(0));
        let region = Region::new(words).unwrap();
        let private = Private::from_parts(index, refs, bitmap, summary, buckets);
        let config =
            Config { is_core: false, first_user: 0, shift: 0, badge_bits: 8, wait_budget: 0 };
        let owner = Owner::new(config, private, region).unwrap();
        for badge in badges {
            owner.insert(*badge).unwrap();
        }
        Arc::new(Table {
            owner,
            region,
            words,
            _words: [memory, heads],
            _masks: [bits, full],
            _halves: [entries, counts],
        })
    }

    /// The batch word.
    fn batch_word(&self) -> &AtomicU64 {
        &self.words[layout::OFF_BATCH / layout::WORD_BYTES]
    }

    /// The generation. It is the newest one, as an exchange reads it.
    pub(crate) fn generation(&self) -> u64 {
        BatchWord(self.batch_word().fetch_or(0, Ordering::AcqRel)).generation()
    }

    /// Leaves the memory as a monitor does that dies when it has claimed the table and
    /// put new badges beside those in these slots. With `flipped`, it has decided the
    /// batch as well.
    pub(crate) fn leave_batch(&self, entries: &[(usize, u32)], flipped: bool) {
        let batch = BatchWord(self.batch_word().load(Ordering::Relaxed)).claimed();
        for (slot, badge) in entries {
            let cell = &self.words[HEADER + slot];
            let word = SlotWord(cell.load(Ordering::Relaxed));
            cell.store(word.staged(batch.bank(), *badge).0, Ordering::Relaxed);
        }
        let batch = if flipped { batch.flipped() } else { batch };
        self.batch_word().store(batch.0, Ordering::Relaxed);
    }

    /// A monitor of the table, which waits for nobody.
    pub(crate) fn monitor(&self) -> Monitor<'static, Yield> {
        self.attach().unwrap()
    }

    /// The same, of a table whose header may be being written.
    pub(crate) fn attach(&self) -> Result<Monitor<'static, Yield>, Status> {
        Monitor::attach(self.region, 0)
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
    /// then: no badge twice, and the index leads to each badge.
    pub(crate) fn settled(&self) -> Vec<u32> {
        settled(&self.owner, self.words)
    }
}

/// Memory by which a table with room for [`SLOTS`] gets room for [`MORE_SLOTS`]. It is not
/// zero.
pub(crate) struct More {
    _place: Memory<MaybeUninit<Extension<'static>>>,
    _words: Memory<AtomicU64>,
    _masks: [Memory<AtomicU32>; 2],
    _halves: [Memory<AtomicU16>; 2],
}

impl More {
    pub(crate) fn new() -> (Self, Growth<'static>) {
        let mask = || AtomicU32::new(u32::MAX);
        let half = || AtomicU16::new(u16::MAX);
        let (place, extension) = Memory::exclusive(MaybeUninit::uninit());
        let (chains, buckets) = Memory::new(1, || AtomicU64::new(u64::MAX));
        let (bits, bitmap) = Memory::new(1, mask);
        let (full, summary) = Memory::new(1, mask);
        let (entries, index) = Memory::new(INDEX, half);
        let (counts, refs) = Memory::new(MORE_SLOTS - SLOTS, half);
        let arrays = Private::from_parts(index, refs, bitmap, summary, buckets);
        let growth = Growth::from_parts(extension, SLOTS, MORE_SLOTS, arrays);
        let more = More {
            _place: place,
            _words: chains,
            _masks: [bits, full],
            _halves: [entries, counts],
        };
        (more, growth)
    }
}

/// Memory that a table can move to, with more slots.
pub(crate) fn larger_words() -> (Memory<AtomicU64>, &'static [AtomicU64]) {
    Memory::new(HEADER + MORE_SLOTS, || AtomicU64::new(0))
}

/// As [`Table::settled`], of a table that has moved to a region of `words`.
pub(crate) fn settled(owner: &Owner<'static, Yield>, words: &[AtomicU64]) -> Vec<u32> {
    let batch = &words[layout::OFF_BATCH / layout::WORD_BYTES];
    let bank = BatchWord(batch.load(Ordering::Relaxed)).bank();
    let word = |cell: &AtomicU64| SlotWord(cell.load(Ordering::Relaxed)).settled(bank);
    let words: Vec<SlotWord> = words.iter().skip(HEADER).map(word).collect();
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

/// An array on the heap, lent out for `'static` and freed when this is dropped.
pub(crate) struct Memory<T>(*mut [T]);

// SAFETY: the array is only lent out as a shared reference.
unsafe impl<T: Sync> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Memory<T> {}

impl<T> Memory<T> {
    /// `count` elements, and the reference to them.
    ///
    /// The reference must not be used any more when the memory is dropped: a
    /// [`Table`](Table) drops it last, and a model joins all its
    /// threads before it drops the table.
    pub(crate) fn new(count: usize, element: impl FnMut() -> T) -> (Self, &'static [T]) {
        let mut element = element;
        let array: Box<[T]> = (0..count).map(|_| element()).collect();
        let array = Box::into_raw(array);
        // SAFETY: from a box just now; freed by `drop` only.
        (Memory(array), unsafe { &*array })
    }
}

impl<T> Memory<T> {
    /// One element, and a reference to it that is the only one. The same duty as for
    /// [`Memory::new`].
    pub(crate) fn exclusive(element: T) -> (Self, &'static mut T) {
        let element = Box::into_raw(Box::new(element));
        let array = std::ptr::slice_from_raw_parts_mut(element, 1);
        // SAFETY: from a box just now; freed by `drop` only, as an array of one.
        (Memory(array), unsafe { &mut *element })
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw` in `new`, and dropped once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}
