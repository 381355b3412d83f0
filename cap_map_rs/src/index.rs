//! The private index from badge to slot: open addressing with linear probing,
//! read without a lock while its owner changes it.
//!
//! An entry is a slot number plus one, or zero. A hit is checked against the
//! slot itself, so a reader can never be misled, only miss what is being moved;
//! a version number, odd during a move, tells it so. Deletion shifts entries
//! back (Knuth, The Art of Computer Programming 3, algorithm 6.4R), which keeps
//! probe sequences short however long the table lives.

use crate::sync::{AtomicU16, AtomicU32, Ordering, fence};

/// Entries wide enough for the table's slot numbers; their number is a power of two.
pub(crate) enum Entries<'m> {
    Narrow(&'m [AtomicU16]),
    Wide(&'m [AtomicU32]),
}

/// An entry of either width.
trait Entry {
    /// Acquire pairs with `set`: who finds a slot here sees it filled.
    fn get(&self) -> u32;
    fn set(&self, value: u32);
}

impl Entry for AtomicU16 {
    #[inline]
    fn get(&self) -> u32 {
        u32::from(self.load(Ordering::Acquire))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // used only where all slot numbers fit
    fn set(&self, value: u32) {
        self.store(value as u16, Ordering::Release);
    }
}

impl Entry for AtomicU32 {
    #[inline]
    fn get(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn set(&self, value: u32) {
        self.store(value, Ordering::Release);
    }
}

impl Entries<'_> {
    fn len(&self) -> usize {
        match self {
            Entries::Narrow(entries) => entries.len(),
            Entries::Wide(entries) => entries.len(),
        }
    }

    #[inline]
    fn get(&self, at: usize) -> u32 {
        match self {
            Entries::Narrow(entries) => entries.get(at).map_or(0, Entry::get),
            Entries::Wide(entries) => entries.get(at).map_or(0, Entry::get),
        }
    }

    #[inline]
    fn set(&self, at: usize, value: u32) {
        match self {
            Entries::Narrow(entries) => {
                if let Some(entry) = entries.get(at) {
                    entry.set(value);
                }
            }
            Entries::Wide(entries) => {
                if let Some(entry) = entries.get(at) {
                    entry.set(value);
                }
            }
        }
    }
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This slot.
    Slot(u32),
    /// Nothing.
    Nothing,
    /// Nothing, maybe due to a concurrent change.
    Disturbed,
}

/// The index. Changes need the owner's private lock, look-ups do not.
pub(crate) struct Index<'m> {
    entries: Entries<'m>,
    mask: usize,
    shift: u32,
    version: AtomicU32,
}

impl<'m> Index<'m> {
    pub(crate) fn new(entries: Entries<'m>) -> Self {
        let len = entries.len();
        // A power of two by the sizes of `Private`; at least two, so that the
        // shift stays below 32.
        let bits = len.trailing_zeros().clamp(1, 31);
        Index { mask: len.wrapping_sub(1), shift: 32 - bits, entries, version: AtomicU32::new(0) }
    }

    /// Fibonacci hashing (Knuth 3, 6.4): badges are ascending multiples of four.
    #[inline]
    fn home(&self, badge: u32) -> usize {
        (badge.wrapping_mul(0x9e37_79b1).wrapping_shr(self.shift)) as usize
    }

    /// The slot filed `distance` behind the first place where `badge` may be.
    #[inline]
    pub(crate) fn near(&self, badge: u32, distance: usize) -> Option<u32> {
        self.entries.get((self.home(badge) + distance) & self.mask).checked_sub(1)
    }

    /// Walks the chain of `badge` to the slot for which `is` holds, or to the
    /// empty entry at its end. The width is told apart once, not at each step.
    #[inline]
    pub(crate) fn probe(&self, badge: u32, is: impl Fn(u32) -> bool) -> (usize, Option<u32>) {
        match self.entries {
            Entries::Narrow(entries) => self.probe_in(entries, badge, is),
            Entries::Wide(entries) => self.probe_in(entries, badge, is),
        }
    }

    #[inline]
    fn probe_in(
        &self,
        entries: &[impl Entry],
        badge: u32,
        is: impl Fn(u32) -> bool,
    ) -> (usize, Option<u32>) {
        let mut at = self.home(badge);
        for _ in entries {
            let Some(slot) = entries.get(at).and_then(|entry| entry.get().checked_sub(1)) else {
                break;
            };
            if is(slot) {
                return (at, Some(slot));
            }
            at = (at + 1) & self.mask;
        }
        (at, None)
    }

    /// The slot filed under `badge` for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, badge: u32, is: impl Fn(u32) -> bool) -> Found {
        // Acquire pairs with the release at the end of a change.
        let before = self.version.load(Ordering::Acquire);
        match self.probe(badge, is) {
            (_, Some(slot)) => Found::Slot(slot),
            (_, None) => {
                // Pairs with the release fence at the start of a change.
                fence(Ordering::Acquire);
                let after = self.version.load(Ordering::Relaxed);
                if before.is_multiple_of(2) && before == after {
                    Found::Nothing
                } else {
                    Found::Disturbed
                }
            }
        }
    }

    /// Files `slot` at the place where a look-up under the same lock ended.
    #[inline]
    pub(crate) fn insert_at(&self, place: usize, slot: u32) {
        self.entries.set(place, slot + 1);
    }

    /// Takes out `slot`, filed under `badge`; `badge_of` tells where others belong.
    #[inline]
    pub(crate) fn remove(&self, badge: u32, slot: u32, badge_of: impl Fn(u32) -> u32) {
        let (hole, Some(_)) = self.probe(badge, |candidate| candidate == slot) else { return };
        if self.entries.get((hole + 1) & self.mask) == 0 {
            // No probe leads past the hole, so nothing moves and nobody is misled:
            // this is as if the entry had not been made.
            self.entries.set(hole, 0);
        } else {
            self.change(|| self.close(hole, badge_of));
        }
    }

    /// Moves entries back into the hole, as far as that is where a probe for
    /// them passes by.
    fn close(&self, mut hole: usize, badge_of: impl Fn(u32) -> u32) {
        let mut at = hole;
        for _ in 0..=self.mask {
            at = (at + 1) & self.mask;
            let entry = self.entries.get(at);
            let Some(other) = entry.checked_sub(1) else { break };
            let home = self.home(badge_of(other));
            // The entry may fill the hole unless its home lies behind it.
            let to_entry = at.wrapping_sub(home) & self.mask;
            let to_hole = at.wrapping_sub(hole) & self.mask;
            if to_entry >= to_hole {
                self.entries.set(hole, entry);
                hole = at;
            }
        }
        self.entries.set(hole, 0);
    }

    /// Files all of `content` (badge, slot) afresh.
    pub(crate) fn rebuild(&self, content: impl Iterator<Item = (u32, u32)>) {
        self.change(|| match self.entries {
            Entries::Narrow(entries) => self.refill(entries, content),
            Entries::Wide(entries) => self.refill(entries, content),
        });
    }

    fn refill(&self, entries: &[impl Entry], content: impl Iterator<Item = (u32, u32)>) {
        entries.iter().for_each(|entry| entry.set(0));
        for (badge, slot) in content {
            // Twice the entries than slots: never full.
            let (place, _) = self.probe_in(entries, badge, |_| false);
            if let Some(entry) = entries.get(place) {
                entry.set(slot + 1);
            }
        }
    }

    #[inline]
    fn change(&self, work: impl FnOnce()) {
        // Odd already if a change was cut off, and its memory restored later.
        let changing = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(changing, Ordering::Relaxed);
        // Pairs with the acquire fence in `find`.
        fence(Ordering::Release);
        work();
        // Pairs with the acquire load in `find`.
        self.version.store(changing.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_cut_off_is_over_after_the_next() {
        let entries: Vec<_> = (0..128).map(|_| AtomicU16::new(0)).collect();
        let index = Index::new(Entries::Narrow(&entries));
        index.version.store(7, Ordering::Relaxed);
        assert!(matches!(index.find(12, |_| true), Found::Disturbed));
        index.rebuild([(8, 3)].into_iter());
        assert!(matches!(index.find(12, |slot| slot == 4), Found::Nothing));
        assert!(matches!(index.find(8, |slot| slot == 3), Found::Slot(3)));
    }
}
