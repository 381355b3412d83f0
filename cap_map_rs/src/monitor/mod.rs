//! The monitor's side: reading a table that its owner keeps changing, and rewriting
//! its badges. The owner may be stopped, dead or hostile.
//!
//! Reading never waits for the owner. `snapshot` sees the whole table at one instant.
//! `rewrite` changes all badges of a batch or none.

mod rewrite;
mod snapshot;

use core::marker::PhantomData;

pub use self::rewrite::{Refusal, Rewrite};
pub use self::snapshot::Snapshot;
use crate::header::Geometry;
use crate::region::Region;
use crate::seqlock::read_slot;
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::{Phase, Slot};

/// An attached monitor of one region.
pub struct Monitor<'m, R> {
    region: Region<'m>,
    geometry: Geometry,
    patience: u32,
    relax: PhantomData<fn() -> R>,
}

/// What [`Monitor::attach`] gives: the monitor.
pub type Attached<'m, R> = Result<Monitor<'m, R>, Status>;

impl<'m, R: RelaxStrategy> Monitor<'m, R> {
    /// Copies the header of untrusted memory, and validates the copy. `patience` is the
    /// number of calls of the waiting strategy granted to another monitor's batch.
    ///
    /// # Errors
    /// [`Status::Unpublished`], [`Status::Retired`], or the status that names
    /// the bad header field.
    pub fn attach(region: Region<'m>, patience: u32) -> Attached<'m, R> {
        let geometry = region.geometry()?;
        let region = region.truncated(geometry.capacity as usize).ok_or(Status::BadSize)?;
        if region.control(Ordering::Acquire).phase() == Phase::Retired {
            return Err(Status::Retired);
        }
        Ok(Monitor { region, geometry, patience, relax: PhantomData })
    }

    /// The validated shape of the table.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Whether the owner has moved its table elsewhere.
    pub fn is_retired(&self) -> bool {
        self.region.control(Ordering::Acquire).phase() == Phase::Retired
    }

    /// A number that differs after the owner or a monitor has changed a badge.
    pub fn sequence(&self) -> u64 {
        self.region.control(Ordering::Acquire).sequence()
    }

    /// What one slot holds.
    ///
    /// # Errors
    /// [`Status::BadSlot`]; [`Status::Busy`] if it changed at every attempt.
    pub fn entry(&self, slot: u32) -> Result<Slot, Status> {
        let cell = self.region.slot(slot).ok_or(Status::BadSlot)?;
        Ok(read_slot(self.region, cell).ok_or(Status::Busy)?.meaning())
    }

    /// The first slot at or behind `from` that carries a badge, and the badge.
    /// Iteration sees each slot at an instant of its own.
    pub fn next_used(&self, from: u32) -> Option<(u32, u32)> {
        (from..self.geometry.capacity).find_map(|slot| match self.entry(slot) {
            Ok(Slot::Used(badge)) => Some((slot, badge)),
            _ => None,
        })
    }
}
