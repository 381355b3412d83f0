//! References: taking them, giving them back, and what becomes of the slot when the
//! last one goes.

use super::record::Record;
use super::{Owner, Released};
use crate::index::Found;
use crate::status::Status;
use crate::sync::RelaxStrategy;
use crate::word::{Slot, SlotWord};

impl<R: RelaxStrategy> Owner<'_, R> {
    /// The number of references to a slot; 65535 stands for "too many to count".
    pub fn references(&self, slot: u32) -> u16 {
        self.records.get(slot).references()
    }

    /// Takes a reference. The caller holds one already, or the slot is its own.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::NotAllocated`].
    #[inline]
    pub fn acquire(&self, slot: u32) -> Result<(), Status> {
        if self.is_static(slot) {
            return Ok(());
        }
        match self.records.change(slot, Record::one_more) {
            Err(Record::FREE) if slot >= self.capacity() => Err(Status::BadSlot),
            Err(Record::FREE) => Err(Status::NotAllocated),
            // Saturated counts stay as they are.
            _ => Ok(()),
        }
    }

    /// Gives a reference back if others are certainly left. Otherwise it does nothing
    /// and returns false, and the caller calls [`Owner::release`].
    #[inline]
    pub fn release_shared(&self, slot: u32) -> bool {
        !self.is_static(slot) && self.records.change(slot, Record::one_of_many).is_ok()
    }

    /// Gives a reference back.
    ///
    /// # Errors
    /// [`Status::NotAllocated`] if there is none to give back.
    #[inline]
    pub fn release(&self, slot: u32) -> Result<Released, Status> {
        if self.is_static(slot) {
            return Ok(Released::Kept);
        }
        match self.records.change(slot, Record::one_of_many) {
            Ok(_) => Ok(Released::Kept),
            Err(record) if record.is_saturated() => Ok(Released::Kept),
            Err(record) if record.is_counted() => self.release_last(slot),
            Err(_) => Err(Status::NotAllocated),
        }
    }

    /// Gives back a reference that may be the last one.
    ///
    /// A count reaches zero only under the lock. A hit takes its reference under the
    /// lock, too, so neither can overtake the other.
    fn release_last(&self, slot: u32) -> Result<Released, Status> {
        self.slots.with(|_| {
            match self.records.change(slot, Record::one_less) {
                Ok(Record::BADGED_ONCE) => {}
                // The badge went before.
                Ok(record) if record.is_last() => return Ok(Released::Last(0)),
                Ok(_) => return Ok(Released::Kept),
                Err(record) if record.is_saturated() => return Ok(Released::Kept),
                Err(_) => return Err(Status::NotAllocated),
            }
            let region = self.current.get();
            self.unfile_locked(slot);
            // A monitor may rewrite the badge from here on, in front of the write.
            let badge = match self.entry(slot) {
                Ok(Slot::Used(badge)) => badge,
                _ => 0,
            };
            self.write_locked(region, slot, SlotWord::FREE);
            self.records.set(slot, Record::UNBADGED);
            Ok(Released::Last(badge))
        })
    }

    /// Finds `badge` and takes a reference in one step.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    pub fn find_acquire(&self, badge: u32) -> Result<u32, Status> {
        self.acquire_found(badge, true)?.ok_or(Status::NotFound)
    }

    /// Like [`Owner::find_acquire`]. `None` for a slot without references, which stays so.
    pub(super) fn find_acquire_referenced(&self, badge: u32) -> Result<Option<u32>, Status> {
        self.acquire_found(badge, false)
    }

    /// Finds `badge` and takes a reference in one step. A slot that has none gets its first
    /// one only if the caller asks for that.
    #[inline]
    fn acquire_found(&self, badge: u32, takes_first: bool) -> Result<Option<u32>, Status> {
        // A miss needs no lock. A hit is checked again under the lock.
        let found = self.find(badge)?;
        self.slots.with(|_| {
            // The slot may have been freed since the look-up, and a hostile monitor
            // gives badges to slots that the component does not have.
            let slot = match found {
                slot if self.holds_locked(self.current.get(), slot, badge) => slot,
                _ => match self.find_locked(badge) {
                    Found::Slot(slot) => slot,
                    _ => return Err(Status::NotFound),
                },
            };
            let is_first = !self.is_static(slot) && !self.records.get(slot).is_referenced();
            if is_first && !takes_first {
                return Ok(None);
            }
            self.acquire(slot)?;
            Ok(Some(slot))
        })
    }
}
