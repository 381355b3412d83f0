//! Keeping the index up to date with the batches that monitors commit.
//!
//! A committed batch moves badges between slots without telling the owner. The
//! generation in the control word counts the decided batches. The owner rebuilds
//! its index when that generation is not the one that the index reflects.

use super::Owner;
use super::record::Record;
use crate::region::Region;
use crate::seqlock::read_slot;
use crate::sync::{Ordering, RelaxStrategy};

impl<R: RelaxStrategy> Owner<'_, R> {
    /// A generation that the index reflects at least, if the index is read after
    /// this call.
    ///
    /// A miss counts only if no later batch was decided by the end of the look-up.
    /// Otherwise such a batch may have filed the badge elsewhere.
    #[inline]
    pub(super) fn index_generation(&self) -> u32 {
        // Acquire pairs with the release in `refresh_to_locked`.
        self.generation.load(Ordering::Acquire)
    }

    /// Brings the index up to date with the last decided batch. Returns the
    /// generation that the index reflects.
    #[inline]
    pub(super) fn refresh_locked(&self, region: Region<'_>) -> u32 {
        let generation = region.control(Ordering::Acquire).decided();
        if self.generation.load(Ordering::Relaxed) != generation {
            self.refresh_to_locked(region, generation);
        }
        generation
    }

    /// Rebuilds the index, which then reflects `generation`.
    #[cold]
    #[inline(never)]
    pub(super) fn refresh_to_locked(&self, region: Region<'_>, generation: u32) {
        self.reindex_locked(region);
        // The generation was read before the scan. A batch that is decided during
        // the scan therefore shows as another generation.
        self.generation.store(generation, Ordering::Release);
    }

    /// Rebuilds the index from the slots to which the component gave a badge.
    pub(super) fn reindex_locked(&self, region: Region<'_>) {
        let slots = (0u32..).zip(region.slots());
        let badged = slots.zip(self.records.cells()).filter(|(_, record)| {
            // Relaxed: the part that is read changes under the lock only.
            Record::load(record, Ordering::Relaxed).is_badged()
        });
        self.index.rebuild(badged.filter_map(|((slot, cell), _)| {
            let word = read_slot(region, cell)?;
            word.is_used().then(|| (word.badge(), slot))
        }));
    }
}

/// Whether `generation` is the last decided one.
#[inline]
pub(super) fn is_decided(region: Region<'_>, generation: u32) -> bool {
    region.control(Ordering::Acquire).decided() == generation
}
