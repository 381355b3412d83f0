//! Changing badges, all of a batch or none.
//!
//! A batch is staged slot by slot (each staged word holds the old and the new
//! badge), committed by one word, then rolled forward. A monitor that stops need not
//! undo anything, because the owner or a later monitor rolls its batch back or forward.

use super::Monitor;
use super::batch::{Batch, Refusal, Rewrite};
use crate::layout::{PHASE_ABORTED, PHASE_COMMITTED};
use crate::limits::BATCHES;
use crate::region::{Region, Seat};
use crate::seqlock::{announce, begin, conclude, decide, resolve_slot, stage};
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::{Control, Slot, SlotWord};

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
