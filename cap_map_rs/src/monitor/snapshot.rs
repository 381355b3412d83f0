//! Seeing the whole table at one instant.

use super::Monitor;
use crate::layout::{STATE_SHIFT, STATE_STAGED};
use crate::limits::{SNAPSHOT_CHUNK, SNAPSHOT_PAUSE, SNAPSHOTS};
use crate::seqlock::read_slot;
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy, fence};
use crate::word::{Control, Phase, SlotWord};

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

impl<R: RelaxStrategy> Monitor<'_, R> {
    /// Copies all slot words to `words`, of which there must be at least as many as
    /// slots. No copied word is staged, so [`SlotWord::decode`] tells its meaning with
    /// any control word.
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
                // Pairs with the release of each write to a slot. A reader that has seen
                // such a write sees at least the phase in which it was made. A section
                // writes one slot, so the phase `Writing` itself does no harm.
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
                // No word has the top bit of `STATE_STAGED`, so none is staged.
                _ if bits >> STATE_SHIFT < STATE_STAGED => {}
                // A hostile owner leaves staged words in every phase.
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

/// Leaves the table's cache lines alone, each time for twice as long, so that a busy
/// owner gets on. The waiting strategy is not called, because it may take long.
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
