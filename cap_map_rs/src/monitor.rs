//! The monitor's side: looking at a table that its owner keeps changing, whose
//! owner may be stopped, dead or hostile. Nothing here waits for the owner.

use core::marker::PhantomData;

use crate::header::Geometry;
use crate::layout::{STATE_SHIFT, STATE_STAGED};
use crate::limits::{SNAPSHOT_CHUNK, SNAPSHOT_PAUSE, SNAPSHOTS};
use crate::region::Region;
use crate::seqlock::read_slot;
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy, fence};
use crate::word::{Control, Phase, Slot, SlotWord};

/// An attached monitor of one region.
pub struct Monitor<'m, R> {
    pub(crate) region: Region<'m>,
    pub(crate) geometry: Geometry,
    pub(crate) patience: u32,
    relax: PhantomData<fn() -> R>,
}

/// What [`Monitor::attach`] gives: the monitor.
pub type Attached<'m, R> = Result<Monitor<'m, R>, Status>;

/// How a snapshot came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether all words are of one instant. If not, each is of some instant.
    pub consistent: bool,
    /// Sequence number of that instant (of the last attempt if there is none).
    pub sequence: u64,
    /// Generation of that instant.
    pub generation: u32,
    /// Attempts it took.
    pub attempts: u32,
}

impl<'m, R: RelaxStrategy> Monitor<'m, R> {
    /// Validates the header of untrusted memory and copies it. `patience` is
    /// the number of calls of the waiting strategy granted to another monitor's
    /// batch.
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

    /// A number that differs whenever the owner or a monitor changed a badge.
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

    /// Copies all slot words to `words`, of which there must be at least as
    /// many as slots. No word is staged any more; [`SlotWord::decode`] with any
    /// control word tells its meaning.
    ///
    /// # Errors
    /// [`Status::TooSmall`], [`Status::Retired`].
    pub fn snapshot(&self, words: &mut [SlotWord]) -> Result<Snapshot, Status> {
        let words = words.get_mut(..self.region.capacity()).ok_or(Status::TooSmall)?;
        let mut last = Control(0);
        for attempt in 1..=SNAPSHOTS {
            let before = self.region.control(Ordering::Acquire);
            let mut bits = 0;
            let mut chunks =
                self.region.slots().chunks(SNAPSHOT_CHUNK).zip(words.chunks_mut(SNAPSHOT_CHUNK));
            let unchanged = chunks.all(|(cells, words)| {
                for (cell, word) in cells.iter().zip(words) {
                    *word = SlotWord(cell.load(Ordering::Relaxed));
                    bits |= word.0;
                }
                // Pairs with the release of each write to a slot: who has seen one
                // sees at least the phase that it was made in. A section writes one
                // slot, so the phase `Writing` itself does no harm.
                fence(Ordering::Acquire);
                last = self.region.control(Ordering::Relaxed);
                last == before
            });
            if !unchanged {
                pause(attempt, core::hint::spin_loop);
                continue;
            }
            match last.phase() {
                Phase::Retired => return Err(Status::Retired),
                // No word has the top bit of `STATE_STAGED`: none is staged.
                _ if bits >> STATE_SHIFT < STATE_STAGED => {}
                // In all phases: a hostile owner leaves staged words where it likes.
                _ => words.iter_mut().for_each(|word| *word = word.settled(last)),
            }
            return Ok(Snapshot {
                consistent: true,
                sequence: last.sequence(),
                generation: last.generation(),
                attempts: attempt,
            });
        }
        for (cell, word) in self.region.slots().iter().zip(words.iter_mut()) {
            let raw = SlotWord(cell.load(Ordering::Relaxed));
            *word = read_slot(self.region, cell).unwrap_or(raw.settled(last));
        }
        Ok(Snapshot {
            consistent: false,
            sequence: last.sequence(),
            generation: last.generation(),
            attempts: SNAPSHOTS,
        })
    }
}

/// Lets go of the table's cache lines, each time for twice as long: a busy owner
/// gets on, and may be done. No call of the waiting strategy, which may take long.
fn pause(attempt: u32, spin: impl Fn()) {
    if cfg!(loom) {
        return;
    }
    for _ in 0..SNAPSHOT_PAUSE << attempt.min(SNAPSHOTS) {
        spin();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    fn spins(attempt: u32) -> u32 {
        let spins = Cell::new(0);
        pause(attempt, || spins.set(spins.get() + 1));
        spins.get()
    }

    #[test]
    fn pauses_double_and_are_bounded() {
        let pauses: Vec<_> = (1..=SNAPSHOTS).map(spins).collect();
        assert_eq!(pauses.first(), Some(&(2 * SNAPSHOT_PAUSE)));
        assert!(pauses.windows(2).all(|pair| pair[1] == 2 * pair[0]));
        assert_eq!(pauses.last(), Some(&spins(u32::MAX)));
        // About 15 ns each, so that all pauses of one snapshot take 60 us.
        assert_eq!(pauses.iter().sum::<u32>(), 4092);
    }
}
