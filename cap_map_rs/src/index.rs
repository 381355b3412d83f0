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

impl Entries<'_> {
    fn len(&self) -> usize {
        match self {
            Entries::Narrow(entries) => entries.len(),
            Entries::Wide(entries) => entries.len(),
        }
    }

    #[inline]
    fn get(&self, at: usize) -> u32 {
        // Acquire pairs with `set`: who finds a slot here sees it filled.
        match self {
            Entries::Narrow(entries) => {
                entries.get(at).map_or(0, |entry| u32::from(entry.load(Ordering::Acquire)))
            }
            Entries::Wide(entries) => {
                entries.get(at).map_or(0, |entry| entry.load(Ordering::Acquire))
            }
        }
    }

    #[inline]
    fn set(&self, at: usize, value: u32) {
        match self {
            // Narrow entries are used only where all slot numbers fit.
            #[allow(clippy::cast_possible_truncation)]
            Entries::Narrow(entries) => {
                if let Some(entry) = entries.get(at) {
                    entry.store(value as u16, Ordering::Release);
                }
            }
            Entries::Wide(entries) => {
                if let Some(entry) = entries.get(at) {
                    entry.store(value, Ordering::Release);
                }
            }
        }
    }
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
        (badge.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }

    #[inline]
    fn probe(&self, badge: u32, is: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut at = self.home(badge) & self.mask;
        for _ in 0..=self.mask {
            let slot = self.entries.get(at).checked_sub(1)?;
            if is(slot) {
                return Some((at, slot));
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// The slot filed under `badge` for which `is` holds. `Err` if a miss may
    /// be due to a concurrent change.
    #[inline]
    pub(crate) fn find(&self, badge: u32, is: impl Fn(u32) -> bool) -> Result<Option<u32>, ()> {
        // Acquire pairs with the release at the end of a change.
        let before = self.version.load(Ordering::Acquire);
        if let Some((_, slot)) = self.probe(badge, is) {
            return Ok(Some(slot));
        }
        // Pairs with the release fence at the start of a change.
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        if before.is_multiple_of(2) && before == after { Ok(None) } else { Err(()) }
    }

    /// Files `slot` under `badge`. Twice the entries than slots: never full.
    pub(crate) fn insert(&self, badge: u32, slot: u32) {
        let mut at = self.home(badge) & self.mask;
        for _ in 0..=self.mask {
            if self.entries.get(at) == 0 {
                self.entries.set(at, slot + 1);
                return;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Takes out `slot`, filed under `badge`; `badge_of` tells where others belong.
    pub(crate) fn remove(&self, badge: u32, slot: u32, badge_of: impl Fn(u32) -> u32) {
        let Some((mut hole, _)) = self.probe(badge, |candidate| candidate == slot) else { return };
        self.change(|| {
            let mut at = hole;
            for _ in 0..=self.mask {
                at = (at + 1) & self.mask;
                let entry = self.entries.get(at);
                let Some(other) = entry.checked_sub(1) else { break };
                let home = self.home(badge_of(other)) & self.mask;
                // The entry may fill the hole unless its home lies behind it.
                let to_entry = at.wrapping_sub(home) & self.mask;
                let to_hole = at.wrapping_sub(hole) & self.mask;
                if to_entry >= to_hole {
                    self.entries.set(hole, entry);
                    hole = at;
                }
            }
            self.entries.set(hole, 0);
        });
    }

    /// Files all of `content` (badge, slot) afresh.
    pub(crate) fn rebuild(&self, content: impl Iterator<Item = (u32, u32)>) {
        self.change(|| {
            for at in 0..=self.mask {
                self.entries.set(at, 0);
            }
            for (badge, slot) in content {
                self.insert(badge, slot);
            }
        });
    }

    fn change(&self, work: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Pairs with the acquire fence in `find`.
        fence(Ordering::Release);
        work();
        // Pairs with the acquire load in `find`.
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}
