//! Slots with badges: giving a badge to a slot, taking it away, and learning which one it was.

use super::Owner;
use super::capacity_of;
use super::record::Record;
use crate::index::Found;
use crate::limits::LOOK_UPS;
use crate::region::Region;
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::RelaxStrategy;
use crate::word::{Slot, SlotWord};

impl<R: RelaxStrategy> Owner<'_, R> {
    /// Allocates a slot for a new badge. It starts without references.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::Exists`], [`Status::OutOfSlots`], and
    /// [`Status::Busy`] if a hostile monitor rewrote badges at every attempt.
    pub fn insert(&self, badge: u32) -> Result<u32, Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let slot = bitmap.find_one(capacity_of(region)).ok_or(Status::OutOfSlots)?;
            // The record comes first, because a thread that finds the badge counts a
            // reference at once.
            self.records.set(slot, Record::BADGED);
            self.file_locked(region, slot, badge)
                .inspect_err(|_| self.records.set(slot, Record::FREE))?;
            bitmap.set(slot);
            Ok(slot)
        })
    }

    /// Lets the given slot carry `badge`, allocating it if it is free. Another
    /// slot that carried the badge is removed as by [`Owner::remove`]. A badge that the
    /// slot carried is replaced, and its references stay.
    ///
    /// # Errors
    /// Nothing changes on [`Status::BadBadge`] and [`Status::BadSlot`]. On [`Status::Busy`]
    /// (a hostile monitor rewrote badges at every attempt), the slot is as it was, but
    /// another slot that carried the badge may have been removed.
    pub fn insert_at(&self, badge: u32, slot: u32) -> Result<(), Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            if slot >= capacity_of(region) {
                return Err(Status::BadSlot);
            }
            // The next round follows if a monitor gives the badge to another slot.
            for _ in 0..=LOOK_UPS {
                match self.find_locked(badge) {
                    Found::Slot(same) if same == slot => return Ok(()),
                    Found::Slot(other) => self.remove_locked(bitmap, other),
                    Found::Nothing | Found::Disturbed => {}
                }
                let before = self.records.get(slot);
                if before == Record::FREE {
                    self.records.set(slot, Record::BADGED);
                } else {
                    self.unfile_locked(slot);
                    self.records.set_badged(slot);
                }
                match self.file_locked(region, slot, badge) {
                    Ok(()) => {
                        bitmap.set(slot);
                        return Ok(());
                    }
                    Err(status) => {
                        self.unprepare_locked(bitmap, region, slot, before);
                        if status != Status::Exists {
                            return Err(status);
                        }
                    }
                }
            }
            Err(Status::Busy)
        })
    }

    /// Gives a reserved slot its badge and one reference, unless the badge
    /// exists by now.
    pub(super) fn insert_reserved(&self, badge: u32, slot: u32) -> Result<(), Status> {
        self.slots.with(|_| {
            self.records.set(slot, Record::BADGED_ONCE);
            self.file_locked(self.current.get(), slot, badge)
                .inspect_err(|_| self.records.set(slot, Record::UNBADGED))
        })
    }

    /// Takes the badge of an allocated slot out of the table. The slot is free
    /// afterwards, or detached until its last reference goes.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::NotAllocated`].
    pub fn remove(&self, slot: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            if slot >= capacity_of(self.current.get()) {
                return Err(Status::BadSlot);
            }
            if !bitmap.is_set(slot) {
                return Err(Status::NotAllocated);
            }
            self.remove_locked(bitmap, slot);
            Ok(())
        })
    }

    /// Like [`Owner::remove`] for a slot that carries a badge. The badge is returned to
    /// one caller only, however many threads remove the slot or release it at the same
    /// time. The slot comes with a reference, which keeps it allocated until the caller
    /// gives the reference back. (Core's slots are not counted. They are free at once.)
    ///
    /// # Errors
    /// [`Status::BadSlot`]; [`Status::NotAllocated`]; [`Status::NotFound`] if the slot
    /// carries no badge, or none any more.
    pub fn withdraw(&self, slot: u32) -> Result<u32, Status> {
        self.slots.with(|bitmap| {
            if slot >= capacity_of(self.current.get()) {
                return Err(Status::BadSlot);
            }
            if !bitmap.is_set(slot) {
                return Err(Status::NotAllocated);
            }
            let record = self.records.get(slot);
            let Slot::Used(before) = self.entry(slot)? else { return Err(Status::NotFound) };
            if !record.is_badged() {
                return Err(Status::NotFound);
            }
            self.acquire(slot)?;
            self.remove_locked(bitmap, slot);
            // A monitor may have rewritten the badge until it was taken out.
            Ok(match self.badge(slot) {
                0 => before,
                detached => detached,
            })
        })
    }

    /// Like [`Owner::remove`], for an allocated slot.
    #[inline]
    pub(super) fn remove_locked(&self, bitmap: &SlotBitmap<'_>, slot: u32) {
        let record = self.records.get(slot);
        if !record.is_referenced() {
            self.vacate_locked(bitmap, self.current.get(), slot);
        } else if record.is_badged() {
            self.detach_locked(slot);
        }
    }

    /// Takes back what was prepared for a badge that the slot did not get. `before` is
    /// the record that the slot had.
    #[cold]
    fn unprepare_locked(
        &self,
        bitmap: &SlotBitmap<'_>,
        region: Region<'_>,
        slot: u32,
        before: Record,
    ) {
        if before == Record::FREE {
            self.vacate_locked(bitmap, region, slot);
        } else if before.is_badged() {
            // The slot keeps the badge under which it was filed.
            self.reindex_locked(region);
        } else {
            self.records.set_unbadged(slot);
        }
    }

    /// Marks a referenced slot as detached, so that its badge does not find it.
    #[inline(never)]
    fn detach_locked(&self, slot: u32) {
        let region = self.current.get();
        if let Ok(Slot::Used(badge)) = self.entry(slot) {
            self.unfile_locked(slot);
            self.write_locked(region, slot, SlotWord::detached(badge));
        }
    }
}
