//! Keeping the index up to date with the batches that monitors commit.
//!
//! A batch moves badges between slots without telling the owner. The generation in the
//! batch word counts the batches. The owner rebuilds its index when that generation is
//! not the one that the index reflects.

use super::Owner;
use super::record::Record;
use crate::region::Region;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::{Bank, SlotWord};

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
