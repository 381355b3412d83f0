//! A batch of rewrites, and the check of it that needs no table.
//!
//! The check for duplicates needs no memory of its own.

use crate::header::Geometry;
use crate::status::Status;

/// End of a chain of [`Rewrite::next`].
const END: u32 = u32::MAX;

/// One badge to change.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rewrite {
    /// Slot to change.
    pub slot: u32,
    /// Badge that it must carry now.
    pub expected: u32,
    /// Badge that it shall carry.
    pub replacement: u32,
    /// Set by a rewrite that succeeds: 1 if the owner has written the slot since the
    /// monitor looked at it, 0 otherwise. Such a write came before the batch, which left
    /// the slot out, or after the batch. The slot does not carry the new badge in either
    /// case, unless the owner itself gave it that.
    pub left_out: u32,
    /// Scratch memory of the duplicate check: first entry of a hash chain.
    pub head: u32,
    /// Scratch memory of the duplicate check: next entry of the chain.
    pub next: u32,
}

impl Rewrite {
    /// To change `slot` from badge `expected` to `replacement`.
    pub const fn new(slot: u32, expected: u32, replacement: u32) -> Self {
        Rewrite { slot, expected, replacement, left_out: 0, head: END, next: END }
    }
}

/// Why a batch changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub status: Status,
    /// The slot that it is about, unless it concerns the whole table.
    pub slot: Option<u32>,
}

impl Refusal {
    /// A refusal because of one slot.
    pub(super) fn of(status: Status, slot: u32) -> Self {
        Refusal { status, slot: Some(slot) }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal { status, slot: None }
    }
}

/// A batch without duplicates among its new badges.
pub(super) struct Batch<'b> {
    entries: &'b mut [Rewrite],
    /// Whether the new badges ascend. They are in hash chains otherwise.
    ascends: bool,
    /// Whether the slots ascend, so that none is named twice.
    slots_ascend: bool,
    /// The lowest new badge, and the distance to the highest one.
    lowest: u32,
    span: u32,
}

impl<'b> Batch<'b> {
    /// Checks what can be checked without the table, and makes the new badges easy
    /// to find. Badges that ascend, as those of new objects do, stay as they are. All
    /// others go to hash chains that live in the batch itself.
    pub(super) fn checked(
        entries: &'b mut [Rewrite],
        geometry: &Geometry,
    ) -> Result<Self, Refusal> {
        let len = u32::try_from(entries.len()).map_err(|_| Status::BadArgument)?;
        let (mut previous, mut ascends) = (0, true);
        let (mut lowest, mut highest) = (u32::MAX, 0);
        let (mut next_slot, mut slots_ascend) = (0, true);
        for entry in entries.iter() {
            if entry.slot >= geometry.capacity {
                return Err(Refusal::of(Status::BadSlot, entry.slot));
            }
            if !geometry.accepts(entry.replacement) {
                return Err(Refusal::of(Status::BadBadge, entry.slot));
            }
            ascends &= entry.replacement > previous;
            previous = entry.replacement;
            slots_ascend &= entry.slot >= next_slot;
            next_slot = entry.slot + 1;
            lowest = lowest.min(entry.replacement);
            highest = highest.max(entry.replacement);
        }
        let span = highest.wrapping_sub(lowest);
        let batch = Batch { entries, ascends, slots_ascend, lowest, span };
        if ascends { Ok(batch) } else { batch.chained(len) }
    }

    /// Puts the new badges into hash chains.
    fn chained(self, len: u32) -> Result<Self, Refusal> {
        for entry in self.entries.iter_mut() {
            (entry.head, entry.next) = (END, END);
        }
        for i in 0..len {
            let Some(&Rewrite { slot, replacement, .. }) = self.entries.get(i as usize) else {
                break;
            };
            let home = chain(replacement, len);
            let first = self.entries.get(home).map_or(END, |bucket| bucket.head);
            if find_behind(self.entries, first, replacement).is_some() {
                return Err(Refusal::of(Status::DuplicateBadge, slot));
            }
            if let Some(bucket) = self.entries.get_mut(home) {
                bucket.head = i;
            }
            if let Some(entry) = self.entries.get_mut(i as usize) {
                entry.next = first;
            }
        }
        Ok(self)
    }

    /// All entries.
    pub(super) fn entries(&self) -> &[Rewrite] {
        self.entries
    }

    /// Whether each entry names a slot behind the one of the entry before.
    #[inline]
    pub(super) fn slots_ascend(&self) -> bool {
        self.slots_ascend
    }

    /// All entries, to be marked as left out.
    pub(super) fn entries_mut(&mut self) -> &mut [Rewrite] {
        self.entries
    }

    /// Whether the badge lies between the lowest new badge and the highest one.
    ///
    /// Far from a single new badge, or a few, most badges need no closer look.
    #[inline]
    pub(super) fn spans(&self, badge: u32) -> bool {
        badge.wrapping_sub(self.lowest) <= self.span
    }

    /// Whether the batch takes the badge from a slot.
    ///
    /// A badge that is announced, and then found in that slot, comes into no other one:
    /// the announcement is for this slot, and about to be withdrawn, or it is void since the
    /// generation has changed.
    #[cold]
    pub(super) fn takes(&self, badge: u32) -> bool {
        self.entries.iter().any(|entry| entry.expected == badge)
    }

    /// The entry with that new badge.
    #[inline]
    pub(super) fn find(&self, replacement: u32) -> Option<&Rewrite> {
        if !self.spans(replacement) {
            return None;
        }
        if self.ascends {
            let at = self.entries.binary_search_by_key(&replacement, |entry| entry.replacement);
            return self.entries.get(at.ok()?);
        }
        let len = u32::try_from(self.entries.len()).ok()?;
        find_behind(self.entries, self.entries.get(chain(replacement, len))?.head, replacement)
    }
}

/// The entry whose `head` begins the hash chain of a badge.
fn chain(badge: u32, len: u32) -> usize {
    // Fibonacci hashing (Knuth 3, 6.4). The product is scaled to the number of chains.
    let hash = u64::from(badge.wrapping_mul(0x9e37_79b1));
    usize::try_from((hash * u64::from(len)) >> 32).unwrap_or(0)
}

/// The entry with that badge in the chain from `at` on.
fn find_behind(batch: &[Rewrite], mut at: u32, replacement: u32) -> Option<&Rewrite> {
    for _ in batch {
        let entry = batch.get(at as usize)?;
        if entry.replacement == replacement {
            return Some(entry);
        }
        at = entry.next;
    }
    None
}
