//! The private index from badge to slot: open addressing with linear probing. Readers
//! take no lock while the owner changes it.
//!
//! An empty entry is zero. Any other one is a slot number plus one, below a tag of as
//! many bits of the badge's hash as fit. A look-up passes by entries with another tag
//! without a look at their slots. It checks each hit against the slot itself, so it is
//! never misled. It may miss an entry that is being moved. A version number, which is
//! odd during a move, tells it so.
//!
//! Deletion shifts entries back (Knuth, The Art of Computer Programming 3, algorithm
//! 6.4R). Probe sequences therefore stay short however long the table lives.

use core::hint::select_unpredictable;

use crate::entries::{Entries, Entry, get, mask, pair, set};
use crate::layout::MAX_CAPACITY;
use crate::memory::Latest;
use crate::sync::{AtomicU32, Ordering, fence};

/// The place that stands for "no empty entry".
pub(crate) const NOWHERE: usize = usize::MAX;

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The lowest bit of a home place in a hash. The largest index has 18 such bits.
const HOME_SHIFT: u32 = 64 - (2 * MAX_CAPACITY).trailing_zeros();

/// The lowest bit of a tag in a hash. A tag is part of the 32 bits below the home place.
const TAG_SHIFT: u32 = HOME_SHIFT - u32::BITS;

static_assertions::const_assert!((2 * MAX_CAPACITY).is_power_of_two());

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

/// The index: a hash table, which a larger one replaces when the table of capabilities
/// grows. Changes need the owner's private lock, look-ups do not.
pub(crate) struct Index<'m> {
    /// The one in use until there is a larger one. It lies here because an owner has no
    /// address of its own when it is made.
    first: HashTable<'m>,
    larger: Latest<'m, HashTable<'m>>,
}

impl<'m> Index<'m> {
    /// An index with this table.
    pub(crate) fn new(first: HashTable<'m>) -> Self {
        Index { first, larger: Latest::new() }
    }

    /// The table in use.
    #[inline]
    fn table(&self) -> &HashTable<'m> {
        self.larger.get().unwrap_or(&self.first)
    }

    /// Lets look-ups use `larger` from now on, in which all is filed already. A look-up
    /// in progress in the old table is disturbed.
    pub(crate) fn replace(&self, larger: &'m HashTable<'m>) {
        let old = self.table();
        if !core::ptr::eq(old, larger) {
            self.larger.publish(larger);
            old.abandon();
        }
    }

    /// As [`HashTable::near`].
    #[inline]
    pub(crate) fn near(&self, badge: u32) -> u32 {
        self.table().near(badge)
    }

    /// As [`HashTable::probe`].
    #[inline]
    pub(crate) fn probe(&self, badge: u32, is: impl Fn(u32) -> bool) -> (usize, Option<u32>) {
        self.table().probe(badge, is)
    }

    /// As [`HashTable::find`].
    #[inline]
    pub(crate) fn find(&self, badge: u32, is: impl Fn(u32) -> bool) -> Found {
        self.table().find(badge, is)
    }

    /// As [`HashTable::insert_at`].
    #[inline]
    pub(crate) fn insert_at(&self, place: usize, badge: u32, slot: u32) {
        self.table().insert_at(place, badge, slot);
    }

    /// As [`HashTable::remove`].
    #[inline]
    pub(crate) fn remove(&self, badge: u32, slot: u32, badge_of: impl Fn(u32) -> u32) {
        self.table().remove(badge, slot, badge_of);
    }

    /// As [`HashTable::rebuild`].
    pub(crate) fn rebuild(&self, content: impl Iterator<Item = (u32, u32)>) {
        self.table().rebuild(content);
    }
}

/// Entries for a number of slots that does not change.
pub(crate) struct HashTable<'m> {
    entries: Entries<'m>,
    /// The factor of Fibonacci hashing. It is scaled so that one constant shift,
    /// `HOME_SHIFT`, yields the home place for every table size.
    factor: u64,
    /// The bits of an entry that hold the tag. The others hold a slot number plus one.
    tag_mask: u32,
    version: AtomicU32,
}

impl<'m> HashTable<'m> {
    /// A table of slots below `slots`, of which it has at least twice as many
    /// entries.
    pub(crate) fn new(entries: Entries<'m>, slots: usize) -> Self {
        let width = match entries {
            Entries::Narrow(_) => u16::BITS,
            Entries::Wide(_) => u32::BITS,
        };
        // Slot numbers plus one are `slots` at most, which fits into an entry.
        let slot_mask = u32::MAX.wrapping_shr(slots.leading_zeros().wrapping_sub(usize::BITS));
        // The bits of a home place in the largest index that this one does not need.
        let unused = (u64::BITS - HOME_SHIFT).wrapping_sub(entries.len().trailing_zeros());
        HashTable {
            factor: GOLDEN.wrapping_shr(unused) | 1,
            tag_mask: u32::MAX.wrapping_shr(32 - width) & !slot_mask,
            entries,
            version: AtomicU32::new(0),
        }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// Fibonacci hashing (Knuth 3, 6.4). It spreads badges well, because they are
    /// ascending multiples of four.
    #[inline]
    fn hash(&self, badge: u32) -> u64 {
        u64::from(badge).wrapping_mul(self.factor)
    }

    /// A place, before it wraps around.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 18 bits
    fn home(hash: u64) -> usize {
        (hash >> HOME_SHIFT) as usize
    }

    #[inline]
    fn tag(&self, hash: u64) -> u32 {
        tag(hash, self.tag_mask)
    }

    /// A slot filed under the tag of `badge` at its home place or the next one, or a
    /// number too large to be a slot. There is no branch, because the processor cannot
    /// predict which of both places it is.
    #[inline]
    fn near(&self, badge: u32) -> u32 {
        let hash = self.hash(badge);
        // Read once, so that the table need not stay in a register.
        let tag_mask = self.tag_mask;
        let (home, tag) = (Self::home(hash), tag(hash, tag_mask));
        let (first, second) = match self.entries {
            Entries::Narrow(entries) => pair(entries, home),
            Entries::Wide(entries) => pair(entries, home),
        };
        // The rest of another tag makes the number too large, and an empty entry wraps.
        let (first, second) = (first ^ tag, second ^ tag);
        select_unpredictable(first & tag_mask == 0, first, second).wrapping_sub(1)
    }

    /// As [`HashTable::walk`], for badges that are new most of the time: nearly all of
    /// their probe sequences end at their home place.
    #[inline]
    fn probe(&self, badge: u32, is: impl Fn(u32) -> bool) -> (usize, Option<u32>) {
        let home = Self::home(self.hash(badge)) & self.mask();
        if self.entries.get(home) == 0 {
            return (home, None);
        }
        self.walk(badge, is)
    }

    /// Walks the probe sequence of `badge` to the slot for which `is` holds, or to the
    /// empty entry at its end. That is [`NOWHERE`] if the index is full.
    #[inline]
    fn walk(&self, badge: u32, is: impl Fn(u32) -> bool) -> (usize, Option<u32>) {
        match self.entries {
            Entries::Narrow(entries) => self.walk_in(entries, badge, is),
            Entries::Wide(entries) => self.walk_in(entries, badge, is),
        }
    }

    /// Like [`HashTable::walk`]. The width of entries is told apart once, not at each step.
    #[inline]
    fn walk_in(
        &self,
        entries: &[impl Entry],
        badge: u32,
        is: impl Fn(u32) -> bool,
    ) -> (usize, Option<u32>) {
        let hash = self.hash(badge);
        let mask = mask(entries);
        let (mut at, tag) = (Self::home(hash) & mask, self.tag(hash));
        for _ in entries {
            let entry = get(entries, at);
            if entry == 0 {
                return (at, None);
            }
            if entry & self.tag_mask == tag {
                let slot = (entry ^ tag) - 1;
                if is(slot) {
                    return (at, Some(slot));
                }
            }
            at = (at + 1) & mask;
        }
        (NOWHERE, None)
    }

    /// The slot filed under `badge` for which `is` holds.
    #[inline]
    fn find(&self, badge: u32, is: impl Fn(u32) -> bool) -> Found {
        // Acquire pairs with the release at the end of a change.
        let before = self.version.load(Ordering::Acquire);
        match self.walk(badge, is) {
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
    fn insert_at(&self, place: usize, badge: u32, slot: u32) {
        self.entries.set(place, self.entry(badge, slot));
    }

    /// The entry of `slot` under `badge`.
    #[inline]
    fn entry(&self, badge: u32, slot: u32) -> u32 {
        self.tag(self.hash(badge)) | (slot + 1)
    }

    /// Takes out `slot`, which is filed under `badge`. `badge_of` tells the badges of
    /// other slots, and so where their entries belong.
    #[inline]
    fn remove(&self, badge: u32, slot: u32, badge_of: impl Fn(u32) -> u32) {
        match self.entries {
            Entries::Narrow(entries) => self.remove_in(entries, badge, slot, badge_of),
            Entries::Wide(entries) => self.remove_in(entries, badge, slot, badge_of),
        }
    }

    #[inline]
    fn remove_in(
        &self,
        entries: &[impl Entry],
        badge: u32,
        slot: u32,
        badge_of: impl Fn(u32) -> u32,
    ) {
        let (hole, Some(_)) = self.walk_in(entries, badge, |candidate| candidate == slot) else {
            return;
        };
        if get(entries, (hole + 1) & mask(entries)) == 0 {
            // No probe leads past the hole, so nothing needs to move. A reader sees the
            // index as if the entry had never been made.
            set(entries, hole, 0);
        } else {
            self.change(|| self.close(entries, hole, badge_of));
        }
    }

    /// Moves those entries back into the hole whose probes pass by the hole.
    fn close(&self, entries: &[impl Entry], mut hole: usize, badge_of: impl Fn(u32) -> u32) {
        let mask = mask(entries);
        let mut at = hole;
        for _ in entries {
            at = (at + 1) & mask;
            let entry = get(entries, at);
            let Some(other) = (entry & !self.tag_mask).checked_sub(1) else { break };
            let home = Self::home(self.hash(badge_of(other)));
            // The entry may fill the hole unless its home lies behind it.
            let to_entry = at.wrapping_sub(home) & mask;
            let to_hole = at.wrapping_sub(hole) & mask;
            if to_entry >= to_hole {
                set(entries, hole, entry);
                hole = at;
            }
        }
        set(entries, hole, 0);
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
            // The index has twice as many entries as slots, so it is never full.
            let (place, _) = self.walk_in(entries, badge, |_| false);
            if let Some(entry) = entries.get(place) {
                entry.set(self.entry(badge, slot));
            }
        }
    }

    /// Makes the version number odd for good: who is here should be elsewhere.
    fn abandon(&self) {
        // Release pairs with the acquire load in `find`, whose next attempt sees the
        // table that took over.
        self.version.store(self.version.load(Ordering::Relaxed) | 1, Ordering::Release);
    }

    /// Does `work` while the version number is odd.
    #[inline]
    fn change(&self, work: impl FnOnce()) {
        // The number is odd already if a change was cut off in a restored memory image.
        let changing = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(changing, Ordering::Relaxed);
        // Pairs with the acquire fence in `find`.
        fence(Ordering::Release);
        work();
        // Pairs with the acquire load in `find`.
        self.version.store(changing.wrapping_add(1), Ordering::Release);
    }
}

/// Bits below those of the home, where `mask` has them in an entry.
#[inline]
#[allow(clippy::cast_possible_truncation)] // that is the purpose
fn tag(hash: u64, mask: u32) -> u32 {
    (hash >> TAG_SHIFT) as u32 & mask
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU16;

    #[test]
    fn a_change_that_was_cut_off_is_over_after_the_next() {
        let entries: Vec<_> = (0..128).map(|_| AtomicU16::new(0)).collect();
        let index = HashTable::new(Entries::Narrow(&entries), 64);
        index.version.store(7, Ordering::Relaxed);
        assert!(matches!(index.find(12, |_| true), Found::Disturbed));
        index.rebuild([(8, 3)].into_iter());
        assert!(matches!(index.find(12, |slot| slot == 4), Found::Nothing));
        assert!(matches!(index.find(8, |slot| slot == 3), Found::Slot(3)));
    }

    /// A look-up that goes on in a table that was replaced does not say "nothing".
    #[test]
    fn a_larger_table_disturbs_look_ups_in_the_old_one() {
        let halves = |count| (0..count).map(|_| AtomicU16::new(0)).collect::<Vec<_>>();
        let (few, many) = (halves(128), halves(256));
        let larger = HashTable::new(Entries::Narrow(&many), 100);
        larger.rebuild([(8, 3)].into_iter());
        let index = Index::new(HashTable::new(Entries::Narrow(&few), 64));
        assert_eq!(index.find(8, |_| true), Found::Nothing);
        let in_progress = index.table();
        for _ in 0..2 {
            index.replace(&larger);
            assert_eq!(in_progress.find(8, |_| true), Found::Disturbed);
            assert_eq!(index.find(8, |_| true), Found::Slot(3));
            assert_eq!(index.find(12, |_| true), Found::Nothing);
            assert_eq!(index.near(8), 3);
        }
    }

    /// The largest slot number and the tag share an entry, whatever their widths.
    #[test]
    fn all_slots_of_all_sizes_are_filed() {
        for slots in [64, 65, 4095, 4096, 65_534, 65_535, 131_072_u32] {
            let len = 2 * (slots as usize).next_power_of_two();
            let narrow: Vec<_> = (0..len).map(|_| AtomicU16::new(0)).collect();
            let wide: Vec<_> = (0..len).map(|_| AtomicU32::new(0)).collect();
            let entries =
                if slots < 65_535 { Entries::Narrow(&narrow) } else { Entries::Wide(&wide) };
            let index = HashTable::new(entries, slots as usize);
            // As core hands them out, with all badges of 28 bits possible.
            let badge = |slot: u32| 4 + slot * 2044;
            index.rebuild((0..slots).map(|slot| (badge(slot), slot)));
            let mut near = 0;
            for slot in 0..slots {
                near += u32::from(index.near(badge(slot)) == slot);
                assert_eq!(index.find(badge(slot), |found| found == slot), Found::Slot(slot));
                assert_eq!(index.find(badge(slot) + 1, |found| found == slot), Found::Nothing);
            }
            assert!(near > slots / 2, "{near} of {slots} near their home");
        }
    }
}
