//! Tables to test with: memory that is never given back, so that owners and
//! monitors of all threads may keep it; a waiting strategy that counts.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::layout::*;
use cap_map_rs::memory::{Private, PrivateSizes};
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::word::{Bank, BatchWord};
use cap_map_rs::{Config, Identity, Kernel, Monitor, Owner, Publication, Region, Slot, SlotWord};

thread_local! {
    static RELAXED: Cell<u64> = const { Cell::new(0) };
    static MEANWHILE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// Lets `f` happen when this thread waits for the next time.
pub(crate) fn meanwhile(f: impl FnOnce() + 'static) {
    MEANWHILE.set(Some(Box::new(f)));
}

/// A wait that no test comes near unless something hangs.
const HANGS: u64 = 5_000_000;

/// Yields, and counts the calls of each thread.
pub(crate) struct Relax;

impl RelaxStrategy for Relax {
    fn relax() {
        let count = RELAXED.get() + 1;
        assert!(count < HANGS, "an endless wait");
        RELAXED.set(count);
        if let Some(f) = MEANWHILE.take() {
            f();
        }
        std::thread::yield_now();
    }
}

/// Runs `f`; returns its result and how often it waited.
pub(crate) fn waits<T>(f: impl FnOnce() -> T) -> (T, u64) {
    RELAXED.set(0);
    let result = f();
    (result, RELAXED.get())
}

pub(crate) type TestOwner = Owner<'static, Relax>;
pub(crate) type TestMonitor = Monitor<'static, Relax>;

/// Waits that each side grants to the other in these tests.
pub(crate) const WAIT_BUDGET: u32 = 4;

/// Words in front of slot 0.
pub(crate) const HEADER_WORDS: usize = SLOTS / WORD_BYTES;

pub(crate) fn zeroed_words(count: usize) -> &'static [AtomicU64] {
    (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
}

/// Memory of a region with so many slots.
pub(crate) fn region_words(capacity: u32) -> &'static [AtomicU64] {
    zeroed_words(HEADER_WORDS + capacity as usize)
}

pub(crate) fn region(words: &'static [AtomicU64]) -> Region<'static> {
    Region::new(words).expect("large enough for a header")
}

pub(crate) fn private(max_slots: u32) -> Private<'static> {
    let sizes = PrivateSizes::new(max_slots as usize).expect("a capacity of the layout");
    let memory = vec![u64::MAX; sizes.bytes() / 8].leak();
    // SAFETY: the memory is leaked, and nothing else refers to it.
    unsafe { Private::at(memory.as_mut_ptr().cast(), size_of_val(memory), max_slots as usize) }
        .expect("as large as it says")
}

pub(crate) const CONFIG: Config =
    Config { first_user: 8, shift: 12, badge_bits: 28, wait_budget: WAIT_BUDGET, is_core: false };

/// A label, and nothing else.
pub(crate) fn named(label: &str) -> Identity {
    Identity::labelled(label.as_bytes()).expect("a valid label")
}

/// A table of that label for monitors, without an area.
pub(crate) fn shown(label: &str) -> Publication {
    named(label).into()
}

/// The checksum of a header, made from `doc/layout.md` with literal offsets.
pub(crate) fn checksum(words: &[AtomicU64]) -> u64 {
    let constant = words[..0x80 / 8].iter().chain(&words[0x100 / 8..0x140 / 8]);
    let bytes = constant.flat_map(|word| word.load(Ordering::SeqCst).to_ne_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Makes the checksum fit the rest of the header.
pub(crate) fn seal(words: &[AtomicU64]) {
    words[OFF_CHECKSUM / WORD_BYTES].store(checksum(words), Ordering::SeqCst);
}

/// A table and the words of its region.
pub(crate) struct Table {
    pub(crate) owner: TestOwner,
    pub(crate) words: &'static [AtomicU64],
}

impl Table {
    /// A table with room to grow up to `max_slots`, not published.
    pub(crate) fn unpublished(capacity: u32, max_slots: u32, config: Config) -> Self {
        let words = region_words(capacity);
        let owner = Owner::new(config, private(max_slots), region(words)).expect("valid");
        Table { owner, words }
    }

    /// A published table.
    pub(crate) fn with(capacity: u32, config: Config) -> Self {
        let table = Self::unpublished(capacity, capacity, config);
        table.owner.publish(&named("test")).expect("not published yet");
        table
    }

    pub(crate) fn new(capacity: u32) -> Self {
        Self::with(capacity, CONFIG)
    }

    pub(crate) fn monitor(&self) -> TestMonitor {
        Monitor::attach(region(self.words), WAIT_BUDGET).expect("published")
    }

    pub(crate) fn cell(&self, slot: u32) -> &'static AtomicU64 {
        &self.words[HEADER_WORDS + slot as usize]
    }

    pub(crate) fn word(&self, slot: u32) -> SlotWord {
        SlotWord(self.cell(slot).load(Ordering::SeqCst))
    }

    pub(crate) fn set_word(&self, slot: u32, word: SlotWord) {
        self.cell(slot).store(word.0, Ordering::SeqCst);
    }

    pub(crate) fn header(&self, offset: usize) -> u64 {
        self.words[offset / WORD_BYTES].load(Ordering::SeqCst)
    }

    pub(crate) fn set_header(&self, offset: usize, value: u64) {
        self.words[offset / WORD_BYTES].store(value, Ordering::SeqCst);
    }

    pub(crate) fn batch(&self) -> BatchWord {
        BatchWord(self.header(OFF_BATCH))
    }

    pub(crate) fn set_batch(&self, batch: BatchWord) {
        self.set_header(OFF_BATCH, batch.0);
    }

    /// Does what a monitor does to decide a batch, and nothing else of it.
    pub(crate) fn flip(&self) {
        self.set_batch(self.batch().flipped());
    }

    /// Puts the badge `new` beside the one that counts.
    pub(crate) fn stage(&self, slot: u32, new: u32) {
        self.set_word(slot, self.word(slot).staged(self.batch().bank(), new));
    }

    /// Whether all words mean the same in both banks.
    pub(crate) fn is_settled(&self) -> bool {
        (0..self.owner.capacity()).all(|slot| self.word(slot).is_settled())
    }
}

/// The bank of even generations, and that of odd ones.
pub(crate) const BANKS: [Bank; 2] = [Bank::of(0), Bank::of(1)];

/// What every slot means to a monitor.
pub(crate) fn meanings(monitor: &TestMonitor) -> Vec<Slot> {
    let capacity = monitor.geometry().capacity;
    (0..capacity).map(|slot| monitor.entry(slot).expect("nobody interferes")).collect()
}

/// The same by a snapshot that must succeed at once.
pub(crate) fn snapshot(monitor: &TestMonitor) -> Vec<Slot> {
    // Words behind the high-water mark are not written.
    let mut words = vec![SlotWord(u64::MAX); monitor.geometry().capacity as usize];
    let snapshot = monitor.snapshot(&mut words).expect("large enough");
    assert!(snapshot.consistent && snapshot.attempts == 1);
    let (seen, rest) = words.split_at(snapshot.slots as usize);
    assert!(rest.iter().all(|word| word.0 == u64::MAX));
    let empty = rest.iter().map(|_| Slot::Free);
    seen.iter().map(|word| word.meaning()).chain(empty).collect()
}

/// Whether a stress test goes on: for its time, and on a busy machine until it
/// has achieved something.
pub(crate) fn goes_on(begin: Instant, time: Duration, enough: bool) -> bool {
    let passed = begin.elapsed();
    assert!(enough || passed < Duration::from_secs(60), "no progress");
    passed < time || !enough
}

/// A kernel that says yes.
pub(crate) struct Obedient;

impl Kernel for Obedient {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn valid(&mut self, _: usize) -> bool {
        true
    }
    fn map(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn vanished(&mut self, _: usize, _: u32) {}
}

/// Ends the loops of other threads, also if this one panics.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reproducible random numbers.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(fastrand::Rng::with_seed(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.u32(..end)
    }
}
