//! Look-ups: from a badge to the slot that carries it.
//!
//! The fast path reads two places of the index and one slot word. The slow path
//! walks the index. The contended path tries again while other parties change the
//! table, and takes the private lock in the end. No other path takes a lock.

use core::cell::Cell;

use super::Owner;
use super::filing::is_current;
use crate::index::Found;
use crate::limits::LOOK_UPS;
use crate::region::Region;
use crate::seqlock::{quietly, read_unsettled};
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};
use crate::word::SlotWord;

impl<R: RelaxStrategy> Owner<'_, R> {
    /// The slot that carries `badge`.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    #[inline]
    pub fn find(&self, badge: u32) -> Result<u32, Status> {
        match self.find_fast(badge) {
            Some(slot) => Ok(slot),
            None => self.find_slow(badge),
        }
    }

    /// The slot that carries `badge`, if it is filed at its home place or next to
    /// it, as most slots are. Otherwise [`Owner::find_slow`] has the answer.
    #[inline]
    pub fn find_fast(&self, badge: u32) -> Option<u32> {
        if !self.accepts(badge) {
            return None;
        }
        let slot = self.index.near(badge);
        let cell = self.current.slots().get(slot as usize)?;
        // F1, with O1, M7: this side sees what the component did for the slot before.
        SlotWord(cell.load(Ordering::Acquire)).is_used_by(badge).then_some(slot)
    }

    /// Like [`Owner::find`], for badges that [`Owner::find_fast`] has not found.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    #[inline(never)]
    pub fn find_slow(&self, badge: u32) -> Result<u32, Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        let generation = self.index_generation();
        let region = self.current.get();
        // A word with two badges may mean this one. The contended path finds that out.
        let unsettled = Cell::new(false);
        let found = self.index.find(badge, |slot| {
            let Some(cell) = region.slot(slot) else { return false };
            // F1, as in `Owner::find_fast`.
            let word = SlotWord(cell.load(Ordering::Acquire));
            unsettled.set(unsettled.get() | !word.is_settled());
            word.is_used_by(badge)
        });
        match found {
            Found::Slot(slot) => Ok(slot),
            Found::Nothing if !unsettled.get() && is_current(region, generation) => {
                Err(Status::NotFound)
            }
            _ => self.find_contended(badge),
        }
    }

    /// Like [`Owner::find`], while other parties change the index or the slots.
    #[cold]
    #[inline(never)]
    fn find_contended(&self, badge: u32) -> Result<u32, Status> {
        for _ in 0..LOOK_UPS {
            let generation = self.index_generation();
            let region = self.current.get();
            match self.index.find(badge, |slot| self.carries_in(region, slot, badge)) {
                Found::Slot(slot) => return Ok(slot),
                Found::Nothing if is_current(region, generation) => {
                    return Err(Status::NotFound);
                }
                Found::Nothing => break,
                Found::Disturbed => R::relax(),
            }
        }
        match self.slots.with(|_| self.find_locked(badge)) {
            Found::Slot(slot) => Ok(slot),
            _ => Err(Status::NotFound),
        }
    }

    /// Looks up a badge. `Found::Nothing` is certain, and stays true until the lock
    /// is released. `Found::Disturbed` is not.
    #[inline]
    pub(super) fn find_locked(&self, badge: u32) -> Found {
        let region = self.current.get();
        match self.try_find_locked(region, badge) {
            Found::Disturbed => self.find_quietly_locked(region, badge),
            found => found,
        }
    }

    /// Looks up a badge while monitors that rewrite over and over are asked to pause.
    #[cold]
    #[inline(never)]
    fn find_quietly_locked(&self, region: Region<'_>, badge: u32) -> Found {
        quietly(region, || {
            for _ in 0..LOOK_UPS {
                let found = self.try_find_locked(region, badge);
                if found != Found::Disturbed {
                    return found;
                }
            }
            Found::Disturbed
        })
    }

    #[inline]
    fn try_find_locked(&self, region: Region<'_>, badge: u32) -> Found {
        self.refresh_locked(region);
        let found = self.index.find(badge, |slot| self.holds_locked(region, slot, badge));
        if matches!(found, Found::Slot(_)) || is_current(region, self.index_generation()) {
            return found;
        }
        Found::Disturbed
    }

    /// Whether the slot carries `badge` now.
    #[inline]
    pub(crate) fn carries(&self, slot: u32, badge: u32) -> bool {
        let Some(cell) = self.current.slots().get(slot as usize) else { return false };
        // Acquire as in `carries_in`, which reads a word with two badges again.
        let word = SlotWord(cell.load(Ordering::Acquire));
        word.is_used_by(badge)
            || !word.is_settled() && self.carries_in(self.current.get(), slot, badge)
    }

    /// Like [`Owner::carries`], for a slot of the given region.
    #[inline]
    fn carries_in(&self, region: Region<'_>, slot: u32, badge: u32) -> bool {
        let Some(cell) = region.slot(slot) else { return false };
        // F1, as in `Owner::find_fast`.
        let word = SlotWord(cell.load(Ordering::Acquire));
        word.is_used_by(badge)
            || !word.is_settled()
                && read_unsettled(region.batch_word(), cell)
                    .is_some_and(|word| word.is_used_by(badge))
    }

    /// Whether the slot carries `badge`, and the component itself gave it a badge.
    ///
    /// The index may still have an entry for a slot to which the component gave none:
    /// a hostile monitor takes a badge away, the slot is freed, and the monitor puts
    /// the badge back.
    #[inline]
    pub(super) fn holds_locked(&self, region: Region<'_>, slot: u32, badge: u32) -> bool {
        self.carries_in(region, slot, badge) && self.records.get(slot).is_badged()
    }
}
