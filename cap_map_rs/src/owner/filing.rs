//! Keeping the index up to date: with the changes of the owner, and with the batches of monitors.
//!
//! **Filing** changes the badge of a slot, and its entry in the index with it. The slot is
//! written before the index says where it is, and taken out of the index before its badge
//! goes. A reader checks each hit against the slot, so it misses a badge that is being
//! moved, but is never misled.
//!
//! A batch moves badges between slots without telling the owner. The generation in the
//! batch word counts the batches. The owner **refreshes** its index when that generation
//! is not the one that the index reflects.

use super::Owner;
use super::record::Record;
use crate::index::NOWHERE;
use crate::limits::LOOK_UPS;
use crate::region::Region;
use crate::seqlock::{put, quietly, write};
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, RelaxStrategy};
use crate::word::{Bank, SlotWord};

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

    #[inline(always)]
    fn try_file_locked(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        let generation = self.refresh_locked(region);
        // The record of `slot` says already that the slot has a badge. The index may
        // have an entry for it, if a hostile monitor changed its word before it was freed.
        let known = move |other| other != slot && self.holds_locked(region, other, badge);
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
        // A monitor may give the badge to another slot at any moment. The slot is not
        // written then, and the look-up must be made again.
        if !self.put_locked(region, slot, badge, generation) {
            return Err(Status::Busy);
        }
        self.index.insert_at(place, badge, slot);
        Ok(())
    }

    /// Takes the slot out of the index.
    #[inline(never)]
    pub(super) fn unfile_locked(&self, slot: u32) {
        let region = self.current.get();
        if let Some(cell) = region.slot(slot) {
            self.unfile_cell_locked(region, slot, cell);
        }
    }

    /// Like [`Owner::unfile_locked`], for a slot whose word is at hand.
    #[inline]
    pub(super) fn unfile_cell_locked(&self, region: Region<'_>, slot: u32, cell: &AtomicU64) {
        // A batch that is decided from here on does not matter: entries that it makes
        // wrong vanish with the whole index at the next refresh.
        let bank = Bank::of(self.refresh_locked(region));
        let filed = SlotWord(cell.load(Ordering::Relaxed));
        if filed.is_used() {
            let badge_of = |other| {
                let word = region.slot(other).map(|cell| SlotWord(cell.load(Ordering::Relaxed)));
                word.map_or(0, |word| word.badge(bank))
            };
            self.index.remove(filed.badge(bank), slot, badge_of);
        }
    }

    /// Lets the slot carry `badge`, unless a batch was decided since `generation`.
    #[inline]
    fn put_locked(&self, region: Region<'_>, slot: u32, badge: u32, generation: u64) -> bool {
        let Some(cell) = region.slot(slot) else { return true };
        self.raise_high_water_locked(region, slot);
        if self.shared.load(Ordering::Relaxed) {
            return put::<R>(region, cell, badge, generation, self.config.wait_budget);
        }
        write(region, cell, SlotWord::used(badge));
        true
    }

    /// Writes a slot whose badge goes.
    #[inline]
    pub(super) fn write_locked(&self, region: Region<'_>, slot: u32, word: SlotWord) {
        if let Some(cell) = region.slot(slot) {
            write(region, cell, word);
        }
    }

    /// Raises the high-water mark above the slot.
    #[inline]
    fn raise_high_water_locked(&self, region: Region<'_>, slot: u32) {
        if slot >= self.high_water.load(Ordering::Relaxed) {
            self.set_high_water_locked(region, slot + 1);
        }
    }

    /// Sets the high-water mark.
    #[cold]
    pub(super) fn set_high_water_locked(&self, region: Region<'_>, mark: u32) {
        self.high_water.store(mark, Ordering::Relaxed);
        // Relaxed: a reader that sees the slot sees the odd sequence, and so this.
        region.high_water().store(u64::from(mark), Ordering::Relaxed);
    }
}

impl<R: RelaxStrategy> Owner<'_, R> {
    /// A generation that the index reflects at least, if the index is read after
    /// this call.
    ///
    /// A miss counts only if no later batch was decided by the end of the look-up.
    /// Otherwise such a batch may have filed the badge elsewhere.
    #[inline]
    pub(super) fn index_generation(&self) -> u64 {
        // Acquire pairs with the release in `refresh_to_locked`.
        self.generation.load(Ordering::Acquire)
    }

    /// Brings the index up to date with the last decided batch. Returns the
    /// generation that the index reflects.
    #[inline]
    pub(super) fn refresh_locked(&self, region: Region<'_>) -> u64 {
        // O5, with M6: this side sees the new badges of that batch.
        let generation = region.batch(Ordering::Acquire).generation();
        if self.generation.load(Ordering::Relaxed) != generation {
            self.refresh_to_locked(region, generation);
        }
        generation
    }

    /// Rebuilds the index, which then reflects `generation`.
    #[cold]
    #[inline(never)]
    pub(super) fn refresh_to_locked(&self, region: Region<'_>, generation: u64) {
        self.reindex_in_locked(region, Bank::of(generation));
        // A batch that is decided during the scan shows as another generation.
        self.generation.store(generation, Ordering::Release);
    }

    /// Rebuilds the index for the generation that it reflects.
    pub(super) fn reindex_locked(&self, region: Region<'_>) {
        self.reindex_in_locked(region, Bank::of(self.index_generation()));
    }

    /// Rebuilds the index from the slots to which the component gave a badge.
    fn reindex_in_locked(&self, region: Region<'_>, bank: Bank) {
        self.index.rebuild(self.badged_locked(region, bank));
    }

    /// Badge and number of the slots to which the component gave a badge.
    pub(super) fn badged_locked(
        &self,
        region: Region<'_>,
        bank: Bank,
    ) -> impl Iterator<Item = (u32, u32)> {
        let mark = self.high_water.load(Ordering::Relaxed) as usize;
        let slots = (0u32..).zip(region.slots().iter().take(mark));
        let badged = slots.zip(self.records.cells()).filter(|(_, record)| {
            // Relaxed: the part that is read changes under the lock only.
            Record::load(record, Ordering::Relaxed).is_badged()
        });
        badged.filter_map(move |((slot, cell), _)| {
            let word = SlotWord(cell.load(Ordering::Relaxed));
            word.is_used().then(|| (word.badge(bank), slot))
        })
    }
}

/// Whether no batch was decided since `generation`.
#[inline]
pub(super) fn is_current(region: Region<'_>, generation: u64) -> bool {
    region.batch(Ordering::Acquire).generation() == generation
}
