//! Changing badges, all of a batch or none.
//!
//! A batch is staged slot by slot (each staged word holds the old and the new
//! badge), committed by one word, then rolled forward. A monitor that stops need not
//! undo anything, because the owner or a later monitor rolls its batch back or forward.
//!
//! The check of a batch for duplicates needs no memory of its own, and does not look at
//! the table.

use super::Monitor;
use crate::header::Geometry;
use crate::layout::{PHASE_ABORTED, PHASE_COMMITTED};
use crate::limits::BATCHES;
use crate::region::{Region, Seat};
use crate::seqlock::{announce, begin, conclude, decide, resolve_slot, stage};
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::{Control, Slot, SlotWord};

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
    /// Scratch memory of the duplicate check: first entry of a hash chain.
    pub head: u32,
    /// Scratch memory of the duplicate check: next entry of the chain.
    pub next: u32,
}

impl Rewrite {
    /// To change `slot` from badge `expected` to `replacement`.
    pub const fn new(slot: u32, expected: u32, replacement: u32) -> Self {
        Rewrite { slot, expected, replacement, head: END, next: END }
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
    fn of(status: Status, slot: u32) -> Self {
        Refusal { status, slot: Some(slot) }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal { status, slot: None }
    }
}

/// A batch without duplicates among its new badges.
enum Batch<'b> {
    /// In the order of the new badges.
    Ascending(&'b [Rewrite]),
    /// With the new badges in hash chains.
    Chained(&'b [Rewrite]),
}

impl<'b> Batch<'b> {
    /// Checks what can be checked without the table, and makes the new badges easy
    /// to find. Badges that ascend, as those of new objects do, stay as they are. All
    /// others go to hash chains that live in the batch itself.
    fn checked(batch: &'b mut [Rewrite], geometry: &Geometry) -> Result<Self, Refusal> {
        let len = u32::try_from(batch.len()).map_err(|_| Status::BadArgument)?;
        let (mut previous, mut ascend) = (0, true);
        for entry in batch.iter() {
            if entry.slot >= geometry.capacity {
                return Err(Refusal::of(Status::BadSlot, entry.slot));
            }
            if !geometry.accepts(entry.replacement) {
                return Err(Refusal::of(Status::BadBadge, entry.slot));
            }
            ascend &= entry.replacement > previous;
            previous = entry.replacement;
        }
        if ascend {
            return Ok(Batch::Ascending(batch));
        }
        for entry in batch.iter_mut() {
            (entry.head, entry.next) = (END, END);
        }
        for i in 0..len {
            let Some(&Rewrite { slot, replacement, .. }) = batch.get(i as usize) else { break };
            let home = chain(replacement, len);
            let first = batch.get(home).map_or(END, |bucket| bucket.head);
            if find_behind(batch, first, replacement).is_some() {
                return Err(Refusal::of(Status::DuplicateBadge, slot));
            }
            if let Some(bucket) = batch.get_mut(home) {
                bucket.head = i;
            }
            if let Some(entry) = batch.get_mut(i as usize) {
                entry.next = first;
            }
        }
        Ok(Batch::Chained(batch))
    }

    /// All entries.
    fn entries(&self) -> &'b [Rewrite] {
        let (Batch::Ascending(entries) | Batch::Chained(entries)) = self;
        entries
    }

    /// The entry with that new badge.
    fn find(&self, replacement: u32) -> Option<&'b Rewrite> {
        match self {
            Batch::Ascending(entries) => {
                let at = entries.binary_search_by_key(&replacement, |entry| entry.replacement);
                entries.get(at.ok()?)
            }
            Batch::Chained(entries) => {
                let len = u32::try_from(entries.len()).ok()?;
                find_behind(entries, entries.get(chain(replacement, len))?.head, replacement)
            }
        }
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

impl<R: RelaxStrategy> Monitor<'_, R> {
    /// Changes the badge of one slot.
    ///
    /// # Errors
    /// As [`Monitor::rewrite`].
    pub fn rewrite_one(&self, slot: u32, expected: u32, replacement: u32) -> Result<(), Refusal> {
        self.rewrite(&mut [Rewrite::new(slot, expected, replacement)])
    }

    /// Changes all badges of `batch`, or none. The order does not matter, and
    /// badges may be swapped. One rewriting monitor works on a region at a time.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::BadBadge`], [`Status::DuplicateSlot`],
    /// [`Status::DuplicateBadge`], [`Status::UnexpectedBadge`],
    /// [`Status::NotRewritable`] with the slot. [`Status::Changed`] (the owner kept
    /// changing the table), [`Status::Busy`], [`Status::Retired`] and
    /// [`Status::Corrupt`] concern the whole table. Nothing has changed then.
    pub fn rewrite(&self, batch: &mut [Rewrite]) -> Result<(), Refusal> {
        let batch = Batch::checked(batch, &self.geometry)?;
        for _ in 0..BATCHES {
            let staging = begin::<R>(self.region, self.patience)?;
            let staged = self.stage(&batch, staging);
            let (decided, done) = match staged {
                Ok(()) => (staging.advanced(PHASE_COMMITTED, 1), true),
                Err(_) => (staging.advanced(PHASE_ABORTED, 1), false),
            };
            if !decide(self.region, staging, decided) {
                continue;
            }
            self.resolve_batch(batch.entries(), decided);
            // The table did not change while this was found out, so it counts.
            return if done { Ok(()) } else { staged };
        }
        Err(Status::Changed.into())
    }

    /// Stages all entries, and refuses the batch if the table does not allow it.
    fn stage(&self, batch: &Batch<'_>, staging: Control) -> Result<(), Refusal> {
        for entry in batch.entries() {
            let Some(cell) = self.region.slot(entry.slot) else { continue };
            let refuse = |status| Err(Refusal::of(status, entry.slot));
            // Acquire orders the check behind it: a word from before the
            // owner's abort will have another tag afterwards, a word from
            // after it must not be touched at all.
            let old = SlotWord(cell.load(Ordering::Acquire));
            if self.region.control(Ordering::Relaxed) != staging {
                return refuse(Status::Changed);
            }
            if is_staged_in(old, staging) {
                return refuse(Status::DuplicateSlot);
            }
            if !old.is_used_by(entry.expected) {
                match old.decode(staging) {
                    Slot::Used(badge) if badge == entry.expected => {}
                    Slot::Used(_) => return refuse(Status::UnexpectedBadge),
                    Slot::Corrupt => return refuse(Status::Corrupt),
                    _ => return refuse(Status::NotRewritable),
                }
            }
            let new = SlotWord::staged(entry.expected, entry.replacement, staging.batch());
            if !stage(cell, old, new) {
                return refuse(Status::Changed);
            }
        }
        self.check_others(batch, staging)
    }

    /// Refuses new badges that slots outside the batch carry.
    fn check_others(&self, batch: &Batch<'_>, staging: Control) -> Result<(), Refusal> {
        let badges = || batch.entries().iter().map(|entry| entry.replacement);
        let (Some(lowest), Some(highest)) = (badges().min(), badges().max()) else {
            return Ok(());
        };
        for cell in self.region.slots() {
            let word = SlotWord(cell.load(Ordering::Relaxed));
            // Far from a single new badge, or a few, most need no closer look.
            let far = word.badge().wrapping_sub(lowest) > highest.wrapping_sub(lowest);
            if far || is_staged_in(word, staging) {
                continue;
            }
            if let Slot::Used(badge) = word.meaning()
                && let Some(entry) = batch.find(badge)
            {
                return Err(Refusal::of(Status::DuplicateBadge, entry.slot));
            }
        }
        Ok(())
    }

    /// Rolls exactly the staged slots forward or back, unless somebody else
    /// has done so.
    fn resolve_batch(&self, batch: &[Rewrite], decided: Control) {
        let region: Region<'_> = self.region;
        if announce(region, decided, Seat::Monitor) {
            for cell in batch.iter().filter_map(|entry| region.slot(entry.slot)) {
                resolve_slot(cell, decided);
            }
        }
        conclude(region, decided, Seat::Monitor);
    }
}

/// Whether the slot takes part in this batch. A hostile peer may leave staged words
/// of other batches. Their slots are in use, and carry their old badges.
fn is_staged_in(word: SlotWord, staging: Control) -> bool {
    word.is_staged() && word.batch() == staging.batch()
}
