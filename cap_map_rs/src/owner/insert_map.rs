//! Entering a received capability, as the kernel decides.

use super::Owner;
use super::record::Record;
use crate::limits::LOST_RACES;
use crate::status::Status;
use crate::sync::RelaxStrategy;

/// What the kernel is asked for. Selectors belong to the calling component.
pub trait Kernel {
    /// Whether both selectors name the same object.
    fn equal(&mut self, a: usize, b: usize) -> bool;
    /// Whether the selector names an object that still exists.
    fn valid(&mut self, selector: usize) -> bool;
    /// Moves the capability at `from` to `to`. Afterwards `from` may be empty.
    fn map(&mut self, from: usize, to: usize) -> bool;
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
    /// table did not change meanwhile.
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
            if self.is_new_and_another(badge, source, kernel) {
                return Err(Status::Forged);
            }
            match self.find_acquire_known(badge) {
                Ok((slot, referenced)) => {
                    let known = self.selector(slot);
                    if kernel.equal(known, source) {
                        return Ok(Mapped { slot, fresh: false });
                    }
                    if kernel.valid(known) {
                        self.abandon(slot, None, referenced);
                        return Err(Status::Forged);
                    }
                    self.abandon(slot, Some(badge), referenced);
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

    /// Whether `badge` is that of a living capability other than the received one, in a
    /// slot that nobody references yet.
    ///
    /// This comparison takes no reference. The thread that inserted the slot may take the
    /// first reference and give it back meanwhile. Beside a reference of this thread, its
    /// own would not be the last one, and nobody would free the slot. If the slot was
    /// inserted anew meanwhile, so was its capability, which the caller cannot have
    /// received before. Any other answer is found out again with a reference.
    fn is_new_and_another(&self, badge: u32, source: usize, kernel: &mut impl Kernel) -> bool {
        let Ok(slot) = self.find(badge) else { return false };
        if self.is_static(slot) || self.records.get(slot) != Record::BADGED {
            return false;
        }
        let known = self.selector(slot);
        // The lock orders the second look behind the kernel's answers.
        !kernel.equal(known, source)
            && kernel.valid(known)
            && self.slots.with(|_| {
                self.holds_locked(self.current.get(), slot, badge)
                    && self.records.get(slot) == Record::BADGED
            })
    }
}
