//! Slots without badges: allocating them, alone and in runs, and freeing them.
//!
//! A freed slot may still carry a badge, which is withdrawn then.

use super::Owner;
use super::capacity_of;
use super::record::Record;
use crate::region::Region;
use crate::seqlock::write;
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::{AtomicU16, AtomicU64, Ordering, RelaxStrategy};
use crate::word::SlotWord;

impl<R: RelaxStrategy> Owner<'_, R> {
    /// Allocates `count` consecutive slots; the first is returned.
    ///
    /// # Errors
    /// [`Status::BadArgument`] for zero, [`Status::OutOfSlots`].
    pub fn alloc(&self, count: u32) -> Result<u32, Status> {
        if count == 0 {
            return Err(Status::BadArgument);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let first = bitmap.find_run(capacity_of(region), count).ok_or(Status::OutOfSlots)?;
            self.occupy_locked(bitmap, first, first + count);
            Ok(first)
        })
    }

    /// Allocates the given slot, which may be a static one.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::InUse`].
    pub fn alloc_at(&self, slot: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            let region = self.current.get();
            if slot >= capacity_of(region) {
                return Err(Status::BadSlot);
            }
            if bitmap.is_set(slot) {
                return Err(Status::InUse);
            }
            self.occupy_locked(bitmap, slot, slot + 1);
            Ok(())
        })
    }

    /// Reserves the free slots `first..end`.
    #[inline]
    pub(super) fn occupy_locked(&self, bitmap: &SlotBitmap<'_>, first: u32, end: u32) {
        bitmap.set_run(first, end);
        self.records.each_part(first as usize..end as usize, |_, records| {
            for record in records {
                Record::UNBADGED.store(record);
            }
        });
    }

    /// Frees `count` slots from `first` on. Badges they carry are withdrawn.
    ///
    /// # Errors
    /// Nothing is freed on [`Status::BadSlot`], [`Status::NotAllocated`], or
    /// [`Status::InUse`] (one of them is still referenced).
    pub fn free(&self, first: u32, count: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let end = first
                .checked_add(count)
                .filter(|end| *end <= capacity_of(region))
                .ok_or(Status::BadSlot)?;
            let slots = first as usize..end as usize;
            let mut referenced = false;
            self.records.each_part(slots.clone(), |_, records| {
                // A free slot looks referenced here.
                let load = |record| Record::load(record, Ordering::Acquire);
                referenced |= records.iter().any(|record| load(record).is_referenced());
            });
            if referenced {
                return Err(self.why_not_freed_locked(first, end));
            }
            let mut slot = first;
            self.records.each_part(slots, |slots, records| {
                let cells = region.slots().get(slots).unwrap_or_default();
                for (cell, record) in cells.iter().zip(records) {
                    self.clear_locked(slot, cell, record);
                    slot += 1;
                }
            });
            bitmap.unset_run(first, end);
            Ok(())
        })
    }

    /// Why the first slot of the range that cannot be freed cannot be freed.
    #[cold]
    fn why_not_freed_locked(&self, first: u32, end: u32) -> Status {
        let culprit =
            (first..end).map(|slot| self.records.get(slot)).find(|record| record.is_referenced());
        if culprit == Some(Record::FREE) { Status::NotAllocated } else { Status::InUse }
    }

    /// Frees one slot, which has no references.
    #[inline]
    pub(super) fn vacate_locked(&self, bitmap: &SlotBitmap<'_>, region: Region<'_>, slot: u32) {
        if let Some(cell) = region.slot(slot)
            && let Some(record) = self.records.cell(slot)
        {
            Record::FREE.store(record);
            // Relaxed, as in `clear_locked`. Most slots carry a badge here.
            if !SlotWord(cell.load(Ordering::Relaxed)).is_free() {
                self.unfile_cell_locked(region, slot, cell);
                write(region, cell, SlotWord::FREE);
            }
        }
        bitmap.unset(slot);
    }

    /// Makes the slot a free one, except for its bit in the bitmap.
    #[inline]
    fn clear_locked(&self, slot: u32, cell: &AtomicU64, record: &AtomicU16) {
        Record::FREE.store(record);
        // Relaxed: only the owner, under its lock, gives a slot its first badge.
        if !SlotWord(cell.load(Ordering::Relaxed)).is_free() {
            self.withdraw_locked(slot);
        }
    }

    /// Withdraws the badge of a slot whose record says "free" already.
    #[inline(never)]
    fn withdraw_locked(&self, slot: u32) {
        self.unfile_locked(slot);
        self.write_locked(self.current.get(), slot, SlotWord::FREE);
    }
}
