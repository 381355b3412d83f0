//! Which slots are free: a bitmap with a summary of it, one bit per word.
//!
//! Guarded by the owner's private lock; the words are atomic (relaxed) only
//! because the arrays are shared references.

use crate::sync::{AtomicU32, Ordering};

const BITS: u32 = 32;

/// A set bit means: allocated. In the summary a set bit means: word full.
pub(crate) struct SlotBitmap<'m> {
    words: &'m [AtomicU32],
    summary: &'m [AtomicU32],
}

fn load(words: &[AtomicU32], at: u32) -> u32 {
    words.get(at as usize).map_or(u32::MAX, |word| word.load(Ordering::Relaxed))
}

fn store(words: &[AtomicU32], at: u32, value: u32) {
    if let Some(word) = words.get(at as usize) {
        word.store(value, Ordering::Relaxed);
    }
}

fn bit(slot: u32) -> u32 {
    1 << (slot % BITS)
}

impl<'m> SlotBitmap<'m> {
    pub(crate) fn new(words: &'m [AtomicU32], summary: &'m [AtomicU32]) -> Self {
        SlotBitmap { words, summary }
    }

    pub(crate) fn clear(&self) {
        for word in self.words.iter().chain(self.summary) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the slot is allocated; slots outside the bitmap always are.
    pub(crate) fn is_set(&self, slot: u32) -> bool {
        load(self.words, slot / BITS) & bit(slot) != 0
    }

    pub(crate) fn set(&self, slot: u32) {
        let at = slot / BITS;
        let word = load(self.words, at) | bit(slot);
        store(self.words, at, word);
        if word == u32::MAX {
            store(self.summary, at / BITS, load(self.summary, at / BITS) | bit(at));
        }
    }

    pub(crate) fn unset(&self, slot: u32) {
        let at = slot / BITS;
        store(self.words, at, load(self.words, at) & !bit(slot));
        store(self.summary, at / BITS, load(self.summary, at / BITS) & !bit(at));
    }

    /// The first word at or behind `at` that has a free slot.
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

    /// The lowest run of `count` free slots within `from..end`.
    pub(crate) fn find_run(&self, from: u32, end: u32, count: u32) -> Option<u32> {
        if count == 0 {
            return None;
        }
        let mut start = from;
        let mut at = from;
        while at < end && end - start >= count {
            let word = load(self.words, at / BITS);
            let rest = word >> (at % BITS);
            let room = BITS - at % BITS;
            if rest == 0 {
                at += room;
            } else if rest & 1 == 0 {
                at += rest.trailing_zeros();
            } else {
                let taken = rest.trailing_ones().min(room);
                at += taken;
                if taken == room {
                    at = at.max(self.word_with_room(at / BITS) * BITS);
                }
                start = at;
                continue;
            }
            if at.min(end) - start >= count {
                return Some(start);
            }
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

    fn naive(map: &SlotBitmap<'_>, from: u32, end: u32, count: u32) -> Option<u32> {
        (from..end.saturating_sub(count - 1)).find(|s| (*s..s + count).all(|i| !map.is_set(i)))
    }

    #[test]
    fn agrees_with_a_naive_scan() {
        let (words, summary) = (zeros(130), zeros(5));
        let map = SlotBitmap::new(&words, &summary);
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
            for count in [1, 4, 33, 100] {
                assert_eq!(map.find_run(9, end, count), naive(&map, 9, end, count));
            }
        }
    }

    #[test]
    fn the_last_slots_are_usable() {
        let (words, summary) = (zeros(2), zeros(1));
        let map = SlotBitmap::new(&words, &summary);
        (0..60).for_each(|slot| map.set(slot));
        assert_eq!(map.find_run(0, 64, 4), Some(60));
        assert_eq!(map.find_run(0, 64, 5), None);
        (60..64).for_each(|slot| map.set(slot));
        assert_eq!(map.find_run(0, 64, 1), None);
    }
}
