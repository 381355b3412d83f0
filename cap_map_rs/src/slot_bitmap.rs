//! Which slots are free: a bitmap with a summary of it, one bit per word.
//!
//! The owner's private lock guards both. Their words are atomic (relaxed) only because
//! the arrays are shared references.

use core::cell::Cell;

use crate::sync::{AtomicU32, Ordering};

const BITS: u32 = 32;

/// Length of the runs that have a hint of their own: receive windows.
const WINDOW: u32 = 4;

/// A set bit means: allocated. In the summary a set bit means: word full.
///
/// # Invariants
/// No slot in `from..hint` is free, and no run of [`WINDOW`] free slots begins
/// in `from..window_hint`.
pub(crate) struct SlotBitmap<'m> {
    words: &'m [AtomicU32],
    summary: &'m [AtomicU32],
    /// Where allocation of runs begins.
    from: u32,
    hint: Cell<u32>,
    window_hint: Cell<u32>,
}

#[inline]
fn load(words: &[AtomicU32], at: u32) -> u32 {
    words.get(at as usize).map_or(u32::MAX, |word| word.load(Ordering::Relaxed))
}

#[inline]
fn store(words: &[AtomicU32], at: u32, value: u32) {
    if let Some(word) = words.get(at as usize) {
        word.store(value, Ordering::Relaxed);
    }
}

#[inline]
fn bit(slot: u32) -> u32 {
    1 << (slot % BITS)
}

/// The bits of `first..end` in the word `at`.
#[inline]
fn bits_in(at: u32, first: u32, end: u32) -> u32 {
    let behind = |slot: u32| match slot.saturating_sub(at * BITS) {
        bits @ 0..BITS => u32::MAX << bits,
        _ => 0,
    };
    behind(first) & !behind(end)
}

/// Calls `f` for all words with bits of `first..end`, with the word's number and those bits.
#[inline]
fn each_word(first: u32, end: u32, mut f: impl FnMut(u32, u32)) {
    let at = first / BITS;
    if first < end && at == (end - 1) / BITS {
        // Most runs lie in one word.
        return f(at, u32::MAX.wrapping_shr(BITS - (end - first)) << (first % BITS));
    }
    each_of_many_words(first, end, f);
}

#[cold]
#[inline(never)]
fn each_of_many_words(first: u32, end: u32, mut f: impl FnMut(u32, u32)) {
    (first / BITS..end.div_ceil(BITS)).for_each(|at| f(at, bits_in(at, first, end)));
}

/// The lowest of `count` adjacent set bits, if they fit in a word.
#[inline]
fn run_in(bits: u32, count: u32) -> Option<u32> {
    let mut starts = bits;
    let mut length = 1;
    while length < count && starts != 0 {
        // Each bit left begins a run of `length`; double that, at most to `count`.
        let more = length.min(count - length);
        starts &= starts.checked_shr(more).unwrap_or(0);
        length += more;
    }
    if starts == 0 { None } else { Some(starts.trailing_zeros()) }
}

impl<'m> SlotBitmap<'m> {
    /// A cleared bitmap, whose runs are searched from slot `from` on.
    pub(crate) fn new(words: &'m [AtomicU32], summary: &'m [AtomicU32], from: u32) -> Self {
        SlotBitmap { words, summary, from, hint: Cell::new(from), window_hint: Cell::new(from) }
    }

    /// Copies the bitmap to larger arrays, which are zero.
    pub(crate) fn copy_to(&self, words: &[AtomicU32], summary: &[AtomicU32]) {
        for (to, from) in [(words, self.words), (summary, self.summary)] {
            for (to, from) in to.iter().zip(from) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Goes on in larger arrays, to which the bitmap was copied.
    pub(crate) fn continue_in(&mut self, words: &'m [AtomicU32], summary: &'m [AtomicU32]) {
        self.words = words;
        self.summary = summary;
    }

    pub(crate) fn clear(&self) {
        for word in self.words.iter().chain(self.summary) {
            word.store(0, Ordering::Relaxed);
        }
        self.hint.set(self.from);
        self.window_hint.set(self.from);
    }

    /// Whether the slot is allocated. A slot outside the bitmap always is.
    #[inline]
    pub(crate) fn is_set(&self, slot: u32) -> bool {
        load(self.words, slot / BITS) & bit(slot) != 0
    }

    #[inline]
    pub(crate) fn set(&self, slot: u32) {
        self.set_in(slot / BITS, bit(slot));
    }

    /// Marks `first..end` as allocated.
    #[inline]
    pub(crate) fn set_run(&self, first: u32, end: u32) {
        each_word(first, end, |at, bits| self.set_in(at, bits));
    }

    #[inline]
    fn set_in(&self, at: u32, bits: u32) {
        let word = load(self.words, at) | bits;
        store(self.words, at, word);
        if word == u32::MAX {
            store(self.summary, at / BITS, load(self.summary, at / BITS) | bit(at));
        }
    }

    #[inline]
    pub(crate) fn unset(&self, slot: u32) {
        self.unset_in(slot / BITS, bit(slot));
        // A window may begin as far in front of the slot. Whether one does, the next
        // search finds out.
        self.lower_hints(slot, WINDOW - 1);
    }

    /// Marks `first..end` as free.
    #[inline]
    pub(crate) fn unset_run(&self, first: u32, end: u32) {
        each_word(first, end, |at, bits| self.unset_in(at, bits));
        self.lower_hints(first, self.free_before(first));
    }

    #[inline]
    fn unset_in(&self, at: u32, bits: u32) {
        store(self.words, at, load(self.words, at) & !bits);
        store(self.summary, at / BITS, load(self.summary, at / BITS) & !bit(at));
    }

    /// Notes that a run that begins with `first` is free, and that as many slots as
    /// `before` in front of it may be.
    #[inline]
    fn lower_hints(&self, first: u32, before: u32) {
        let lower = |hint: &Cell<u32>, slot: u32| {
            hint.set(hint.get().min(slot.max(self.from)));
        };
        lower(&self.hint, first);
        lower(&self.window_hint, first.saturating_sub(before));
    }

    /// How many slots in front of `slot`, but fewer than a window, may be free.
    #[inline]
    fn free_before(&self, slot: u32) -> u32 {
        // Whether more than one is, the next search finds out.
        if slot == 0 || self.is_set(slot - 1) { 0 } else { WINDOW - 1 }
    }

    /// The first word at or behind `at` that has a free slot.
    #[inline]
    fn word_with_room(&self, at: u32) -> u32 {
        let mut summary_at = at / BITS;
        // Words in front of `at` count as full.
        let mut full = load(self.summary, summary_at) | (bit(at) - 1);
        while full == u32::MAX && (summary_at as usize) < self.summary.len() {
            summary_at += 1;
            full = load(self.summary, summary_at);
        }
        summary_at * BITS + full.trailing_ones()
    }

    /// The lowest free slot in front of `end`.
    #[inline]
    pub(crate) fn find_one(&self, end: u32) -> Option<u32> {
        let start = self.hint.get();
        let free = !load(self.words, start / BITS) & (u32::MAX << (start % BITS));
        if free == 0 {
            return self.find_run(end, 1);
        }
        let found = start / BITS * BITS + free.trailing_zeros();
        if found >= end {
            return None;
        }
        self.hint.set(found);
        Some(found)
    }

    /// The lowest run of `count` free slots in front of `end`.
    #[inline]
    pub(crate) fn find_run(&self, end: u32, count: u32) -> Option<u32> {
        let hint = match count {
            0 => return None,
            1..WINDOW => &self.hint,
            _ => &self.window_hint,
        };
        let start = hint.get();
        // Freed and allocated again and again: the run is where the hint is.
        let free = (!load(self.words, start / BITS) >> (start % BITS)).trailing_ones();
        if free >= count && start < end && end - start >= count {
            return Some(start);
        }
        let found = self.search(start, end, count)?;
        if count == 1 || count == WINDOW {
            // As the slots found will be taken, the next ones are searched behind.
            hint.set(found);
        }
        Some(found)
    }

    fn search(&self, start: u32, end: u32, count: u32) -> Option<u32> {
        let mut at = start / BITS;
        // Free slots at the end of the words before.
        let mut carry = 0;
        while at * BITS < end {
            let free = !load(self.words, at) & bits_in(at, start, end);
            if free == 0 {
                carry = 0;
                at = self.word_with_room(at + 1);
                continue;
            }
            if carry + free.trailing_ones() >= count {
                return Some(at * BITS - carry);
            }
            if let Some(run) = run_in(free, count) {
                return Some(at * BITS + run);
            }
            carry = if free == u32::MAX { carry + BITS } else { free.leading_ones() };
            at += 1;
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn zeros(count: usize) -> Vec<AtomicU32> {
        (0..count).map(|_| AtomicU32::new(0)).collect()
    }

    fn naive(map: &SlotBitmap<'_>, end: u32, count: u32) -> Option<u32> {
        (map.from..end.saturating_sub(count - 1)).find(|s| (*s..s + count).all(|i| !map.is_set(i)))
    }

    #[test]
    fn agrees_with_a_naive_scan() {
        let (words, summary) = (zeros(130), zeros(5));
        let map = SlotBitmap::new(&words, &summary, 9);
        let end = 130 * 32;
        let mut random = 0x1234_5678_u32;
        for round in 0..6000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = (random >> 8) % end;
            // Fill up in the first half, thin out in the second.
            if (random >> 4) % 8 < if round < 3000 { 7 } else { 2 } {
                (slot..(slot + 40).min(end)).for_each(|slot| map.set(slot));
            } else {
                (slot..(slot + 5).min(end)).for_each(|slot| map.unset(slot));
            }
            for count in [1, 2, 4, 5, 33, 100] {
                assert_eq!(map.find_run(end, count), naive(&map, end, count));
            }
            assert_eq!(map.find_one(end), naive(&map, end, 1));
        }
    }

    #[test]
    fn a_larger_bitmap_knows_what_the_smaller_one_knew() {
        let (words, summary) = (zeros(3), zeros(1));
        let (more_words, more_summary) = (zeros(130), zeros(5));
        let mut map = SlotBitmap::new(&words, &summary, 9);
        (9..64).chain(65..70).for_each(|slot| map.set(slot));
        assert_eq!((map.find_one(70), map.find_run(70, 2)), (Some(64), None));
        map.copy_to(&more_words, &more_summary);
        map.continue_in(&more_words, &more_summary);
        assert!(
            (0..130 * 32).all(|slot| map.is_set(slot) == ((9..70).contains(&slot) && slot != 64))
        );
        assert_eq!((map.find_one(4160), map.find_run(4160, 2)), (Some(64), Some(70)));
        assert_eq!(map.find_run(4160, 4090), Some(70));
        assert_eq!(map.find_run(4160, 4091), None);
        (70..4160).for_each(|slot| map.set(slot));
        map.set(64);
        assert_eq!(map.find_one(4160), None);
        map.unset(40);
        assert_eq!(map.find_one(4160), Some(40));
    }

    #[test]
    fn the_last_slots_are_usable() {
        let (words, summary) = (zeros(2), zeros(1));
        let map = SlotBitmap::new(&words, &summary, 0);
        (0..60).for_each(|slot| map.set(slot));
        assert_eq!(map.find_run(64, 4), Some(60));
        assert_eq!(map.find_run(64, 5), None);
        (60..64).for_each(|slot| map.set(slot));
        assert_eq!((map.find_run(64, 1), map.find_one(64)), (None, None));
        map.unset(63);
        assert_eq!((map.find_run(63, 1), map.find_one(63)), (None, None));
        assert_eq!((map.find_run(64, 1), map.find_one(64)), (Some(63), Some(63)));
    }
}
