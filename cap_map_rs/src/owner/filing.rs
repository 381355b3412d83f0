//! Filing: changing the badge of a slot, and its entry in the index with it.
//!
//! The slot is written before the index says where it is, and taken out of the
//! index before its badge goes. A reader checks each hit against the slot, so it
//! misses a badge that is being moved, but is never misled.

use super::Owner;
use crate::index::NOWHERE;
use crate::limits::LOOK_UPS;
use crate::region::Region;
use crate::seqlock::{publish, quietly, read_slot, write_unshared};
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::SlotWord;

impl<R: RelaxStrategy> Owner<'_, R> {
    /// Lets `slot` carry `badge`, unless another slot carries it by now.
    #[inline]
    pub(super) fn file_locked(
        &self,
        region: Region<'_>,
        slot: u32,
        badge: u32,
    ) -> Result<(), Status> {
        match self.try_file_locked(region, slot, badge) {
            Err(Status::Busy) => self.file_quietly_locked(region, slot, badge),
            result => result,
        }
    }

    /// Like [`Owner::file_locked`], with monitors asked to pause.
    #[cold]
    #[inline(never)]
    fn file_quietly_locked(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        for _ in 0..LOOK_UPS {
            match quietly(region, || self.try_file_locked(region, slot, badge)) {
                Err(Status::Busy) => {}
                result => return result,
            }
        }
        Err(Status::Busy)
    }

    #[inline]
    fn try_file_locked(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        let generation = self.refresh_locked(region);
        // The record of `slot` says already that the slot has a badge. The index may
        // have an entry for it, if a hostile monitor changed its word before it was freed.
        let known = |other| other != slot && self.holds_locked(region, other, badge);
        let (place, known) = self.index.probe(badge, known);
        if known.is_some() {
            return Err(Status::Exists);
        }
        if place == NOWHERE {
            // The index is full although it is twice as large as the table. A hostile
            // monitor has changed slot words without a batch, so that the entries of
            // these slots were not found when they were to be taken out.
            self.reindex_locked(region);
            return Err(Status::Busy);
        }
        // A monitor may give the badge to another slot at any moment. The section
        // does not open then, and the look-up must be made again.
        if !self.write_in_locked(region, slot, Some(generation), |_, at| SlotWord::used(badge, at))
        {
            return Err(Status::Busy);
        }
        self.index.insert_at(place, badge, slot);
        Ok(())
    }

    /// Takes the slot out of the index.
    #[inline(never)]
    pub(super) fn unfile_locked(&self, slot: u32) {
        let region = self.current.get();
        self.refresh_locked(region);
        let word = |slot| region.slot(slot).and_then(|cell| read_slot(region, cell));
        if let Some(filed) = word(slot)
            && filed.is_used()
        {
            let badge_of = |other| word(other).map_or(0, SlotWord::badge);
            self.index.remove(filed.badge(), slot, badge_of);
        }
    }

    /// Writes a slot whose badge changes or goes.
    pub(super) fn write_locked(
        &self,
        region: Region<'_>,
        slot: u32,
        word: impl Fn(SlotWord, u64) -> SlotWord,
    ) {
        self.write_in_locked(region, slot, None, word);
    }

    /// Like [`Owner::write_locked`]. With a `generation`, the slot is written only
    /// while that is the last decided one; the result says whether it was.
    fn write_in_locked(
        &self,
        region: Region<'_>,
        slot: u32,
        generation: Option<u32>,
        word: impl Fn(SlotWord, u64) -> SlotWord,
    ) -> bool {
        if self.shared.load(Ordering::Relaxed) {
            return publish::<R>(region, slot, self.patience, generation, word);
        }
        if let Some(cell) = region.slot(slot) {
            write_unshared(cell, word);
        }
        true
    }
}
