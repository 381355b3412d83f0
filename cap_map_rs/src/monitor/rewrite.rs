//! Changing badges, all of a batch or none.
//!
//! A monitor claims the table, puts each new badge beside the old one, looks whether any
//! slot outside the batch carries a new badge, and flips. Whatever it leaves behind if
//! it stops, or if the batch is refused, changes no badge.

use core::ops::Range;

use super::Monitor;
use super::batch::{Batch, Refusal, Rewrite};
use crate::limits::{ATTEMPTS, SLOT_LOOKS};
use crate::seqlock::{
    begin_attempt, check_claim, claim, coming_badge, flip, release, settle, stage,
};
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, RelaxStrategy};
use crate::word::{Bank, BatchWord, SlotWord};

/// Why an attempt did not end in a flip.
enum Failure {
    /// The owner has put a badge into a slot.
    Disturbed,
    /// The batch cannot be done.
    Refused(Refusal),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Refused(status.into())
    }
}

impl Failure {
    fn of(status: Status, slot: u32) -> Self {
        Failure::Refused(Refusal::of(status, slot))
    }
}

impl<R: RelaxStrategy> Monitor<'_, R> {
    /// Changes the badge of one slot.
    ///
    /// # Errors
    /// As [`Monitor::rewrite`].
    pub fn rewrite_one(&self, slot: u32, expected: u32, replacement: u32) -> Result<(), Refusal> {
        self.rewrite(&mut [Rewrite::new(slot, expected, replacement)])
    }

    /// Changes all badges of `batch`, or none. It takes the least time if slots and new
    /// badges ascend, but any order will do. Badges may be swapped. One monitor rewrites
    /// a table at a time.
    ///
    /// A slot whose badge the owner takes out or replaces meanwhile keeps what the owner
    /// wrote; [`Rewrite::left_out`] tells which ones.
    ///
    /// The memory has to be mapped writable.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::BadBadge`], [`Status::DuplicateSlot`],
    /// [`Status::DuplicateBadge`], [`Status::UnexpectedBadge`],
    /// [`Status::NotRewritable`], [`Status::Corrupt`] with the slot. [`Status::Changed`]
    /// (the owner kept changing the table), [`Status::Busy`] (another monitor holds the
    /// claim), [`Status::Unpublished`] (the table is private) and [`Status::Retired`]
    /// concern the whole table. Nothing has changed then.
    pub fn rewrite(&self, batch: &mut [Rewrite]) -> Result<(), Refusal> {
        self.check_kind()?;
        let mut batch = Batch::checked(batch, &self.header.geometry)?;
        if batch.entries().is_empty() {
            return Ok(());
        }
        let held = claim::<R>(self.region, self.wait_budget)?;
        let result = self.rewrite_claimed(&mut batch, held);
        release(self.region, held);
        result
    }

    fn rewrite_claimed(&self, batch: &mut Batch<'_>, held: BatchWord) -> Result<(), Refusal> {
        for _ in 0..ATTEMPTS {
            self.outlast_quiet();
            let attempt = begin_attempt(self.region, held)?;
            match self.attempt(batch, attempt) {
                Ok(()) => {
                    self.settle_entries(batch, attempt.bank());
                    return Ok(());
                }
                Err(Failure::Disturbed) => {}
                Err(Failure::Refused(refusal)) => {
                    // What was seen under the claim of another monitor does not count.
                    check_claim(self.region.batch(Ordering::Relaxed), held)?;
                    return Err(refusal);
                }
            }
        }
        // The last flip may have failed for another reason than the owner's badges.
        check_claim(self.region.batch(Ordering::Relaxed), held)?;
        Err(Status::Changed.into())
    }

    /// Waits a while for an owner that asks for quiet. It is only a hint, so that batch
    /// after batch does not starve the owner.
    fn outlast_quiet(&self) {
        for _ in 0..self.wait_budget {
            if self.region.quiet().load(Ordering::Relaxed) == 0 {
                return;
            }
            R::relax();
        }
    }

    /// One attempt: stages all entries, looks at all other slots, and decides.
    fn attempt(&self, batch: &Batch<'_>, attempt: BatchWord) -> Result<(), Failure> {
        let coming = u32::try_from(coming_badge(self.region)).unwrap_or(0);
        if let Some(entry) = batch.find(coming).filter(|_| !batch.takes(coming)) {
            return Err(Failure::of(Status::DuplicateBadge, entry.slot));
        }
        let cells = self.region.written_slots();
        let mut next = 0;
        for entry in batch.entries() {
            if batch.slots_ascend() {
                if next < entry.slot {
                    self.scan(batch, attempt, cells, next..entry.slot)?;
                }
                next = entry.slot + 1;
            }
            self.check_attempt(attempt)?;
            if let Some(cell) = self.region.slot(entry.slot) {
                stage_entry(batch, entry, cell, attempt.bank())?;
            }
        }
        self.scan(batch, attempt, cells, next..u32::MAX)?;
        if flip(self.region, attempt) { Ok(()) } else { Err(Failure::Disturbed) }
    }

    /// Whether the attempt can still succeed.
    fn check_attempt(&self, attempt: BatchWord) -> Result<(), Failure> {
        let is_on = self.region.batch(Ordering::Relaxed) == attempt;
        if is_on { Ok(()) } else { Err(Failure::Disturbed) }
    }

    /// Looks at the slots of a range: refuses new badges that slots outside the batch
    /// carry, and settles what other batches left, so that it does not become a badge by
    /// the flip.
    #[inline]
    fn scan(
        &self,
        batch: &Batch<'_>,
        attempt: BatchWord,
        cells: &[AtomicU64],
        range: Range<u32>,
    ) -> Result<(), Failure> {
        let end = cells.len().min(range.end as usize);
        let cells = cells.get(range.start as usize..end).unwrap_or(&[]);
        for (slot, cell) in (range.start..).zip(cells) {
            let word = SlotWord(cell.load(Ordering::Relaxed));
            // Nearly all slots end here. A settled word has one badge, in whichever bank.
            if !word.is_settled() || batch.spans(word.badge(Bank::of(0))) {
                self.scan_slot(batch, attempt, slot, cell, word)?;
            }
        }
        Ok(())
    }

    /// Like [`Monitor::scan`], for one slot.
    fn scan_slot(
        &self,
        batch: &Batch<'_>,
        attempt: BatchWord,
        slot: u32,
        cell: &AtomicU64,
        mut word: SlotWord,
    ) -> Result<(), Failure> {
        let bank = attempt.bank();
        for _ in 0..=SLOT_LOOKS {
            let is_staged =
                |entry: &Rewrite| entry.slot == slot && word == staged_word(entry, bank);
            if !word.is_used() || batch.find(word.other_badge(bank)).is_some_and(is_staged) {
                return Ok(());
            }
            if let Some(entry) = batch.find(word.badge(bank)) {
                return Err(Failure::of(Status::DuplicateBadge, entry.slot));
            }
            if word.is_settled() || stage(cell, word, word.settled(bank)) {
                return Ok(());
            }
            self.check_attempt(attempt)?;
            word = SlotWord(cell.load(Ordering::Relaxed));
        }
        Err(Failure::of(Status::Changed, slot))
    }

    /// Makes the new badges the only ones, and marks slots that the batch left out.
    fn settle_entries(&self, batch: &mut Batch<'_>, bank: Bank) {
        for entry in batch.entries_mut() {
            let (staged, settled) = (staged_word(entry, bank), SlotWord::used(entry.replacement));
            let is_settled =
                self.region.slot(entry.slot).is_some_and(|cell| settle(cell, staged, settled));
            entry.left_out = u32::from(!is_settled);
        }
    }
}

/// The word of a slot whose new badge stands beside the expected one.
#[inline]
fn staged_word(entry: &Rewrite, bank: Bank) -> SlotWord {
    SlotWord::used(entry.expected).staged(bank, entry.replacement)
}

/// Puts the new badge of one entry beside the expected one.
fn stage_entry(
    batch: &Batch<'_>,
    entry: &Rewrite,
    cell: &AtomicU64,
    bank: Bank,
) -> Result<(), Failure> {
    let refuse = |status| Err(Failure::of(status, entry.slot));
    for _ in 0..=SLOT_LOOKS {
        let word = SlotWord(cell.load(Ordering::Relaxed));
        if !word.is_used() {
            return match word.meaning() {
                crate::word::Slot::Corrupt => refuse(Status::Corrupt),
                _ => refuse(Status::NotRewritable),
            };
        }
        if word.badge(bank) != entry.expected {
            return refuse(Status::UnexpectedBadge);
        }
        let names_slot_too =
            |other: &Rewrite| other.slot == entry.slot && other.replacement != entry.replacement;
        if !batch.slots_ascend() && batch.find(word.other_badge(bank)).is_some_and(names_slot_too) {
            return refuse(Status::DuplicateSlot);
        }
        let staged = staged_word(entry, bank);
        if word == staged || stage(cell, word, staged) {
            return Ok(());
        }
    }
    refuse(Status::Changed)
}
