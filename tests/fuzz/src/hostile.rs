//! What the peer writes, and when.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cap_map_rs::SlotWord;
use cap_map_rs::layout::*;
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::word::BatchWord;

/// Words in front of slot 0.
pub(crate) const HEADER_WORDS: usize = SLOTS / WORD_BYTES;

/// One write of the peer.
#[derive(Clone, Copy)]
struct Write {
    /// In hook mode: whether the next write comes at the same moment. In a
    /// thread: how long to wait before.
    delay: u8,
    kind: u8,
    slot: u16,
    a: u8,
    b: u8,
    value: u64,
}

impl Write {
    fn decode(input: &mut Input<'_>) -> Self {
        let mut write =
            Write { delay: input.byte(), kind: input.byte() % 16, slot: 0, a: 0, b: 0, value: 0 };
        match write.kind {
            0 => (write.slot, write.value) = (input.u16(), input.u64()),
            1..5 => (write.a, write.b) = (input.byte(), input.byte()),
            _ => {
                (write.slot, write.a, write.b) =
                    (u16::from(input.byte()), input.byte(), input.byte())
            }
        }
        write
    }

    fn apply(self, words: &[AtomicU64]) {
        let header = |offset: usize| &words[offset / WORD_BYTES];
        let slots = &words[HEADER_WORDS..];
        let cell = &slots[self.slot as usize % slots.len()];
        let batch = BatchWord(header(OFF_BATCH).load(Ordering::Relaxed));
        let badge = 4 * u32::from(self.a % 64);
        let two = SlotWord::used(badge).staged(batch.bank(), 4 * u32::from(self.b % 64));
        let value = match self.kind {
            0 => {
                return words[self.slot as usize % words.len()]
                    .store(self.value, Ordering::Relaxed);
            }
            1..4 => return header(OFF_BATCH).store(self.batch(batch).0, Ordering::Relaxed),
            4 => {
                let offsets = [OFF_COMING, OFF_QUIET, OFF_HIGH_WATER, OFF_SEQUENCE];
                let offset = offsets[usize::from(self.a % 4)];
                return header(offset).store(u64::from(self.b), Ordering::Relaxed);
            }
            5 | 6 | 10 => two,
            7 => SlotWord::FREE,
            8 => SlotWord(1 << STATE_SHIFT | u64::from(self.b)),
            9 => SlotWord::detached(badge),
            // Nobody has used this state.
            11 => SlotWord(u64::from(self.a) << 56 | u64::from(self.b)),
            _ => SlotWord::used(badge),
        };
        cell.store(value.0, Ordering::Relaxed);
        // With a badge, the generation that makes the owner look for it. With two of them,
        // the instant at which the other one counts.
        if matches!(self.kind, 6 | 12) {
            header(OFF_BATCH).store(batch.flipped().0, Ordering::Release);
        }
    }

    /// What becomes of the batch word.
    fn batch(self, now: BatchWord) -> BatchWord {
        match self.a % 8 {
            0 => BatchWord(now.0.wrapping_add((1 + u64::from(self.b % 4)) << GENERATION_SHIFT)),
            1 => now.claimed(),
            2 => now.claimed().released(),
            3 => now.released(),
            4 => now.attempted(),
            5 => BatchWord(now.0 & !BATCH_UNDISTURBED),
            6 => BatchWord(now.0 | BATCH_RETIRED),
            _ => BatchWord(now.0 & !BATCH_RETIRED),
        }
    }
}

/// The peer's list of writes over one region; it starts again at its end.
#[derive(Clone)]
pub(crate) struct Script {
    words: &'static [AtomicU64],
    writes: Vec<Write>,
    next: usize,
}

impl Script {
    pub(crate) fn decode(input: &mut Input<'_>, words: &'static [AtomicU64]) -> Self {
        let count = input.byte() % 32;
        let mut writes = Vec::new();
        for _ in 0..count {
            if input.is_empty() {
                break;
            }
            writes.push(Write::decode(input));
        }
        Script { words, writes, next: 0 }
    }

    fn step(&mut self) {
        for _ in 0..self.writes.len() {
            let write = self.writes[self.next % self.writes.len()];
            self.next += 1;
            write.apply(self.words);
            if write.delay.is_multiple_of(2) {
                break;
            }
        }
    }

    fn repeat(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) && !self.writes.is_empty() {
            for write in &self.writes {
                (0..write.delay).for_each(|_| std::hint::spin_loop());
                write.apply(self.words);
            }
        }
    }
}

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
    static RELAXED: Cell<u64> = const { Cell::new(0) };
}

/// Lets the peer write now, if it does so at hook points.
pub(crate) fn hook() {
    SCRIPT.with_borrow_mut(|script| {
        if let Some(script) = script {
            script.step();
        }
    });
}

/// Runs `work` while the peer writes: from a thread of its own, or at hooks.
/// Inputs choose threads one time in four, as those take longer.
pub(crate) fn under_attack(script: &Script, threaded: bool, work: impl FnOnce()) {
    if !threaded {
        SCRIPT.set(Some(script.clone()));
        work();
        SCRIPT.set(None);
        return;
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| script.repeat(&done));
        // A panic must end the other thread, too.
        let _end = OnDrop(|| done.store(true, Ordering::Relaxed));
        work();
    });
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Counts the waits of this thread; each is a hook.
pub(crate) struct Relax;

impl RelaxStrategy for Relax {
    fn relax() {
        let count = RELAXED.get() + 1;
        assert!(count < 1_000_000, "an endless wait");
        RELAXED.set(count);
        hook();
    }
}

/// Calls `f`, which may wait at most `bound` times; the peer writes before.
pub(crate) fn bounded<T>(bound: u64, f: impl FnOnce() -> T) -> T {
    hook();
    RELAXED.set(0);
    let result = f();
    let waited = RELAXED.get();
    assert!(waited <= bound, "waited {waited} times, at most {bound} are allowed");
    result
}

/// What is left of the input.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// At most `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        front
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number that is small, or near the end of a range, or anything.
    pub(crate) fn number(&mut self) -> u32 {
        match self.byte() {
            small @ 0..0xf0 => u32::from(small),
            0xf0..0xf4 => u32::from(self.u16()),
            high @ 0xf4..0xf8 => u32::MAX - u32::from(high - 0xf4),
            bit @ 0xf8..0xfc => (1 << (7 * (bit - 0xf8) + 7)) + u32::from(self.byte()),
            _ => u32::from(self.u16()) << 16 | u32::from(self.u16()),
        }
    }
}
