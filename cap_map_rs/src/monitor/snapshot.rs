//! Seeing the whole table at one instant.

use super::{Monitor, Stamp};
use crate::limits::{SNAPSHOT_CHUNK, SNAPSHOT_PAUSE, SNAPSHOTS};
use crate::seqlock::read_slot_at_last;
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, RelaxStrategy, fence};
use crate::word::{Bank, Differences, SlotWord};

/// How a snapshot came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether all words are of one instant. If not, each is of some instant.
    pub consistent: bool,
    /// That instant (of the last attempt if there is none).
    pub stamp: Stamp,
    /// Attempts it took.
    pub attempts: u32,
    /// Words copied: the slots in front of the high-water mark. All others carry no
    /// badge.
    pub slots: u32,
}

impl<R: RelaxStrategy> Monitor<'_, R> {
    /// Copies the slot words in front of the high-water mark to `words`. Room for as
    /// many words as slots is always enough. Both badges of each word are the same, so
    /// that [`SlotWord::meaning`] tells what it means.
    ///
    /// # Errors
    /// [`Status::TooSmall`], [`Status::Retired`].
    pub fn snapshot(&self, words: &mut [SlotWord]) -> Result<Snapshot, Status> {
        let region = self.region;
        let mut slots = 0;
        for attempt in 1..=SNAPSHOTS {
            // R1, with M6: this side sees the new badges of the last batch.
            let before = region.batch(Ordering::Acquire);
            // R2, with O0 and O2: this side sees the writes up to this sequence.
            let sequence = region.sequence().load(Ordering::Acquire);
            let cells = region.written_slots();
            let copy = words.get_mut(..cells.len()).ok_or(Status::TooSmall)?;
            slots = u32::try_from(cells.len()).unwrap_or(u32::MAX);
            let is_unchanged = || {
                // R3, with O1, M5, M7: a reader that has copied a later word finds
                // another sequence, or another generation.
                fence(Ordering::Acquire);
                let now = region.batch(Ordering::Relaxed);
                if now.is_retired() {
                    return Err(Status::Retired);
                }
                let same_sequence = region.sequence().load(Ordering::Relaxed) == sequence;
                Ok(same_sequence && now.generation() == before.generation())
            };
            let mut chunks = cells.chunks(SNAPSHOT_CHUNK).zip(copy.chunks_mut(SNAPSHOT_CHUNK));
            let unchanged = loop {
                let chunk = chunks.next();
                let is_last = chunk.is_none();
                if let Some((cells, words)) = chunk {
                    copy_settled(cells, words, before.bank());
                }
                let unchanged = is_unchanged()?;
                if is_last || !unchanged {
                    break unchanged;
                }
            };
            if unchanged {
                let stamp = Stamp { sequence, generation: before.generation() };
                return Ok(Snapshot { consistent: true, stamp, attempts: attempt, slots });
            }
            pause(attempt, core::hint::spin_loop);
        }
        let stamp = self.stamp();
        for (cell, word) in region.slots().iter().zip(words.iter_mut()).take(slots as usize) {
            *word = read_slot_at_last(region, cell);
        }
        Ok(Snapshot { consistent: false, stamp, attempts: SNAPSHOTS, slots })
    }
}

/// Copies words as they are read in `bank`.
#[inline]
fn copy_settled(cells: &[AtomicU64], words: &mut [SlotWord], bank: Bank) {
    let mut differences = Differences::NONE;
    for (cell, word) in cells.iter().zip(words.iter_mut()) {
        *word = SlotWord(cell.load(Ordering::Relaxed));
        differences = differences.and(word.differences());
    }
    // Few words have two badges, unless a monitor has died.
    if !differences.is_none() {
        for word in words {
            *word = word.settled(bank);
        }
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
