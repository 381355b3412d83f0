//! The monitor's side: reading a table that its owner keeps changing, and rewriting
//! its badges. The owner may be stopped, dead or hostile.
//!
//! Reading never waits for the owner. `snapshot` sees the whole table at one instant.
//! `rewrite` changes all badges of a batch or none.

mod batch;
mod rewrite;
mod snapshot;

use core::marker::PhantomData;

pub use self::batch::{Refusal, Rewrite};
pub use self::snapshot::Snapshot;
use crate::header::{Geometry, Header, Kind};
use crate::region::Region;
use crate::seqlock::{read_slot, read_slot_at_last, take_over};
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::Slot;

/// An attached monitor of one region. Threads that share one are as many monitors.
pub struct Monitor<'m, R> {
    region: Region<'m>,
    header: Header,
    wait_budget: u32,
    relax: PhantomData<fn() -> R>,
}

/// What [`Monitor::attach`] gives: the monitor.
pub type Attached<'m, R> = Result<Monitor<'m, R>, Status>;

/// When a table was looked at. Nothing has changed between two looks at the same table
/// that give the same stamp, if that is a steady one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The sequence of the owner's writes, odd during a write.
    pub sequence: u64,
    /// The number of batches, modulo 2^45.
    pub generation: u64,
}

impl Stamp {
    /// Whether the owner was not writing.
    pub fn is_steady(self) -> bool {
        self.sequence.is_multiple_of(2)
    }
}

impl<'m, R: RelaxStrategy> Monitor<'m, R> {
    /// Copies the header of untrusted memory, and validates the copy. `wait_budget` is
    /// the number of calls of the waiting strategy granted to another monitor that holds
    /// the claim, and to an owner that asks for quiet.
    ///
    /// The owner asks for quiet when batches disturb it. A monitor that decides batch after
    /// batch, and whose budget is shorter than the owner takes to rebuild its index, makes
    /// insertions of the owner fail as a hostile one does, with [`Status::Busy`].
    ///
    /// # Errors
    /// [`Status::Unpublished`], [`Status::Retired`], or the status that names
    /// the bad header field.
    pub fn attach(region: Region<'m>, wait_budget: u32) -> Attached<'m, R> {
        let header = region.read_header()?;
        let region = region.truncated(header.geometry.capacity as usize).ok_or(Status::BadSize)?;
        if region.batch(Ordering::Acquire).is_retired() {
            return Err(Status::Retired);
        }
        Ok(Monitor { region, header, wait_budget, relax: PhantomData })
    }

    /// The validated header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The validated shape of the table.
    pub fn geometry(&self) -> &Geometry {
        &self.header.geometry
    }

    /// Whether the owner has moved its table elsewhere.
    pub fn is_retired(&self) -> bool {
        self.region.batch(Ordering::Acquire).is_retired()
    }

    /// The stamp of the table at present.
    pub fn stamp(&self) -> Stamp {
        let generation = self.region.batch(Ordering::Acquire).generation();
        Stamp { sequence: self.region.sequence().load(Ordering::Acquire), generation }
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
    /// Iteration sees each slot at an instant of its own, and ends at the high-water mark.
    pub fn next_used(&self, from: u32) -> Option<(u32, u32)> {
        let mut slots = (0u32..).zip(self.region.written_slots()).skip(from as usize);
        slots.find_map(|(slot, cell)| match read_slot_at_last(self.region, cell).meaning() {
            Slot::Used(badge) => Some((slot, badge)),
            _ => None,
        })
    }

    /// Takes the claim away from a monitor that will never use it again: one that is
    /// dead, or that held it when this memory was saved, before a restore. What such a
    /// monitor left unfinished changes no badge.
    ///
    /// A monitor that is alive and whose claim is taken away fails with
    /// [`Status::Busy`], but may still write words between two of its looks. So the
    /// caller has to know that it is not alive.
    ///
    /// # Errors
    /// [`Status::Unpublished`] (the table is private), [`Status::Retired`];
    /// [`Status::Busy`] if the table changed at every attempt.
    pub fn take_over(&self) -> Result<(), Status> {
        self.check_kind()?;
        take_over(self.region)
    }

    /// Whether a monitor may write the table.
    fn check_kind(&self) -> Result<(), Status> {
        let is_published = self.header.kind == Kind::Published;
        if is_published { Ok(()) } else { Err(Status::Unpublished) }
    }
}
