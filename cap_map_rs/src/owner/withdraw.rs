//! Taking a badge out of the table, and learning which one it was.

use super::{Owner, capacity_of};
use crate::status::Status;
use crate::sync::RelaxStrategy;
use crate::word::Slot;

impl<R: RelaxStrategy> Owner<'_, R> {
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
}
