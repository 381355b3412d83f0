//! Entering a received capability, as the kernel decides.

use super::record::Record;
use super::{Owner, Released};
use crate::limits::LOST_RACES;
use crate::status::Status;
use crate::sync::{Ordering, RelaxStrategy};

/// What the kernel is asked for. Selectors belong to the calling component.
pub trait Kernel {
    /// Whether both selectors name the same object.
    fn equal(&mut self, a: usize, b: usize) -> bool;
    /// Whether the selector names an object that still exists.
    fn valid(&mut self, selector: usize) -> bool;
    /// Moves the capability at `from` to `to`. Afterwards `from` may be empty.
    fn map(&mut self, from: usize, to: usize) -> bool;
    /// Lets go of a known capability whose last holder did so during the comparison.
    /// Nobody finds it any more, and its slot is handed out to nobody before this returns.
    /// (A dead one that is replaced has nothing to let go of, and its badge lives on.)
    fn vanished(&mut self, selector: usize, badge: u32);
}

/// A capability that was entered. The caller owns one reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its slot.
    pub slot: u32,
    /// Whether the slot was allocated for it. Otherwise the badge was known.
    pub fresh: bool,
}

impl<R: RelaxStrategy> Owner<'_, R> {
    /// Enters the capability received at `selector` under `badge`.
    ///
    /// If the badge is known and the kernel says that both capabilities are equal,
    /// the known slot is used. If the known capability is dead, it is replaced. The
    /// kernel is asked outside the private lock, and its answer counts only if the
    /// table did not change meanwhile. A known capability is referenced during the
    /// comparison. Should all others let go of it meanwhile, it leaves the table in here.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::Forged`], [`Status::OutOfSlots`],
    /// [`Status::MapFailed`], [`Status::Busy`] (lost too many races). Nothing
    /// is entered then. A dead capability of that badge may have been removed.
    pub fn insert_map(
        &self,
        badge: u32,
        selector: usize,
        kernel: &mut impl Kernel,
    ) -> Result<Mapped, Status> {
        // A slot that holds the capability after a lost race.
        let mut spare = None;
        let result = self.enter(badge, selector, kernel, &mut spare);
        if let Some(slot) = spare {
            // This cannot fail: the slot is reserved for this call, without references.
            let _ = self.free(slot, 1);
        }
        result
    }

    fn enter(
        &self,
        badge: u32,
        mut source: usize,
        kernel: &mut impl Kernel,
        spare: &mut Option<u32>,
    ) -> Result<Mapped, Status> {
        for _ in 0..LOST_RACES {
            match self.find_acquire_referenced(badge) {
                Ok(None) => match self.enter_unreferenced(badge, source, kernel) {
                    Some(result) => return result,
                    None => continue,
                },
                Ok(Some(slot)) => {
                    let known = self.selector(slot);
                    if kernel.equal(known, source) {
                        return Ok(Mapped { slot, fresh: false });
                    }
                    if kernel.valid(known) {
                        self.let_go(slot, kernel);
                        return Err(Status::Forged);
                    }
                    self.slots.with(|bitmap| {
                        if self.holds_locked(self.current.get(), slot, badge) {
                            self.remove_locked(bitmap, slot);
                        }
                    });
                    self.let_go(slot, kernel);
                    continue;
                }
                Err(Status::NotFound) => {}
                Err(status) => return Err(status),
            }
            let slot = match *spare {
                Some(slot) => slot,
                None => {
                    let slot = self.alloc(1)?;
                    *spare = Some(slot);
                    if !kernel.map(source, self.selector(slot)) {
                        return Err(Status::MapFailed);
                    }
                    source = self.selector(slot);
                    slot
                }
            };
            if self.insert_reserved(badge, slot).is_ok() {
                *spare = None;
                return Ok(Mapped { slot, fresh: true });
            }
        }
        Err(Status::Busy)
    }

    /// Like [`Owner::insert_map`] if `badge` is in a slot that nobody references yet. `None`
    /// if there is no such slot, or none any more.
    ///
    /// The kernel is asked without a reference. The thread that inserted the slot may take
    /// the first reference and give it back meanwhile. Beside a reference of this thread, its
    /// own would not be the last one, and nobody would free the slot. Instead, no answer
    /// counts if the owner has written any slot since, as the slot may have another
    /// capability by then.
    fn enter_unreferenced(
        &self,
        badge: u32,
        source: usize,
        kernel: &mut impl Kernel,
    ) -> Option<Result<Mapped, Status>> {
        // Acquire, so that the look-up is not older.
        let sequence = || self.current.get().sequence().load(Ordering::Acquire);
        let before = sequence();
        let slot = self.find(badge).ok()?;
        if self.is_static(slot) || self.records.get(slot) != Record::BADGED {
            return None;
        }
        let known = self.selector(slot);
        let is_equal = kernel.equal(known, source);
        let is_alive = is_equal || kernel.valid(known);
        self.slots.with(|bitmap| {
            let is_same = sequence() == before
                && self.records.get(slot) == Record::BADGED
                && self.holds_locked(self.current.get(), slot, badge);
            match (is_same, is_equal, is_alive) {
                (false, ..) => None,
                (_, true, _) => Some(self.acquire(slot).map(|()| Mapped { slot, fresh: false })),
                (_, _, true) => Some(Err(Status::Forged)),
                _ => {
                    self.remove_locked(bitmap, slot);
                    None
                }
            }
        })
    }

    /// Gives back the reference that was taken for the comparison.
    fn let_go(&self, slot: u32, kernel: &mut impl Kernel) {
        if let Ok(Released::Last(badge)) = self.release(slot) {
            if badge != 0 {
                kernel.vanished(self.selector(slot), badge);
            }
            // This cannot fail: the slot is reserved until its last holder frees it.
            let _ = self.free(slot, 1);
        }
    }
}
