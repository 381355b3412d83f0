//! A model of the table made of two maps, to compare random histories with.

use std::collections::BTreeMap;

use cap_map_rs::{Config, Kernel, Mapped, Released, Rewrite, Slot, Status};

use crate::common::WAIT_BUDGET;

pub(crate) const CAPACITY: u32 = 66;
pub(crate) const MAX_SLOTS: u32 = 90;
const FIRST_USER: u32 = 6;
pub(crate) const BADGE_BITS: u32 = 8;
pub(crate) const CONFIG: Config = Config {
    first_user: FIRST_USER,
    shift: 3,
    badge_bits: BADGE_BITS,
    wait_budget: WAIT_BUDGET,
    is_core: false,
};

/// The same table as two maps.
pub(crate) struct Model {
    pub(crate) capacity: u32,
    pub(crate) published: bool,
    /// Whether a dead monitor holds the claim.
    pub(crate) claimed: bool,
    /// Slots that are not free.
    pub(crate) slots: BTreeMap<u32, Slot>,
    pub(crate) references: BTreeMap<u32, u16>,
}

pub(crate) fn accepted(badge: u32) -> bool {
    badge != 0 && badge < (1 << BADGE_BITS) - 1
}

impl Model {
    pub(crate) fn new(capacity: u32) -> Self {
        let (slots, references) = (BTreeMap::new(), BTreeMap::new());
        Model { capacity, published: false, claimed: false, slots, references }
    }

    pub(crate) fn slot(&self, slot: u32) -> Slot {
        self.slots.get(&slot).copied().unwrap_or(Slot::Free)
    }

    pub(crate) fn count(&self, slot: u32) -> u16 {
        self.references.get(&slot).copied().unwrap_or(0)
    }

    pub(crate) fn find(&self, badge: u32) -> Option<u32> {
        self.slots.iter().find(|(_, slot)| **slot == Slot::Used(badge)).map(|(slot, _)| *slot)
    }

    pub(crate) fn used(&self) -> Vec<(u32, u32)> {
        let used = |(slot, state): (&u32, &Slot)| match state {
            Slot::Used(badge) => Some((*slot, *badge)),
            _ => None,
        };
        self.slots.iter().filter_map(used).collect()
    }

    pub(crate) fn alloc(&mut self, count: u32) -> Result<u32, Status> {
        if count == 0 {
            return Err(Status::BadArgument);
        }
        let first = (FIRST_USER..self.capacity)
            .find(|first| {
                first + count <= self.capacity
                    && (*first..first + count).all(|slot| !self.slots.contains_key(&slot))
            })
            .ok_or(Status::OutOfSlots)?;
        self.slots.extend((first..first + count).map(|slot| (slot, Slot::Reserved)));
        Ok(first)
    }

    pub(crate) fn free(&mut self, first: u32, count: u32) -> Result<(), Status> {
        let end = first.checked_add(count).filter(|end| *end <= self.capacity);
        let end = end.ok_or(Status::BadSlot)?;
        for slot in first..end {
            if !self.slots.contains_key(&slot) {
                return Err(Status::NotAllocated);
            }
            if self.count(slot) > 0 {
                return Err(Status::InUse);
            }
        }
        self.slots.retain(|slot, _| !(first..end).contains(slot));
        Ok(())
    }

    pub(crate) fn insert(&mut self, badge: u32) -> Result<u32, Status> {
        if !accepted(badge) {
            return Err(Status::BadBadge);
        }
        let slot = self.alloc(1)?;
        if self.find(badge).is_some() {
            self.slots.remove(&slot);
            return Err(Status::Exists);
        }
        self.slots.insert(slot, Slot::Used(badge));
        Ok(slot)
    }

    pub(crate) fn insert_at(&mut self, badge: u32, slot: u32) -> Result<(), Status> {
        if !accepted(badge) {
            return Err(Status::BadBadge);
        }
        if slot >= self.capacity {
            return Err(Status::BadSlot);
        }
        if let Some(other) = self.find(badge).filter(|other| *other != slot) {
            self.withdraw(other);
        }
        self.slots.insert(slot, Slot::Used(badge));
        Ok(())
    }

    pub(crate) fn withdraw(&mut self, slot: u32) {
        if self.count(slot) == 0 {
            self.slots.remove(&slot);
        } else if let Slot::Used(badge) = self.slot(slot) {
            self.slots.insert(slot, Slot::Detached(badge));
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Result<(), Status> {
        if slot >= self.capacity {
            return Err(Status::BadSlot);
        }
        if !self.slots.contains_key(&slot) {
            return Err(Status::NotAllocated);
        }
        self.withdraw(slot);
        Ok(())
    }

    pub(crate) fn acquire(&mut self, slot: u32, times: u16) {
        if slot >= FIRST_USER && times > 0 {
            self.references.insert(slot, self.count(slot).saturating_add(times));
        }
    }

    pub(crate) fn release(&mut self, slot: u32) -> Result<Released, Status> {
        if slot < FIRST_USER {
            return Ok(Released::Kept);
        }
        match self.count(slot) {
            0 => Err(Status::NotAllocated),
            1 => {
                self.references.remove(&slot);
                let badge = match self.slots.insert(slot, Slot::Reserved) {
                    Some(Slot::Used(badge)) => badge,
                    _ => 0,
                };
                Ok(Released::Last(badge))
            }
            u16::MAX => Ok(Released::Kept),
            count => {
                self.references.insert(slot, count - 1);
                Ok(Released::Kept)
            }
        }
    }

    pub(crate) fn insert_map(&mut self, badge: u32, answers: &Answers) -> Result<Mapped, Status> {
        if !accepted(badge) {
            return Err(Status::BadBadge);
        }
        if let Some(slot) = self.find(badge) {
            if answers.equal {
                self.acquire(slot, 1);
                return Ok(Mapped { slot, fresh: false });
            }
            if answers.valid {
                return Err(Status::Forged);
            }
            self.withdraw(slot);
        }
        let slot = self.alloc(1)?;
        if !answers.map {
            self.slots.remove(&slot);
            return Err(Status::MapFailed);
        }
        self.slots.insert(slot, Slot::Used(badge));
        self.references.insert(slot, 1);
        Ok(Mapped { slot, fresh: true })
    }

    /// All that is wrong with a batch.
    pub(crate) fn faults(&self, batch: &[Rewrite]) -> Vec<(Status, u32)> {
        let mut faults = Vec::new();
        for (i, entry) in batch.iter().enumerate() {
            let mut fault = |status| faults.push((status, entry.slot));
            if entry.slot >= self.capacity {
                fault(Status::BadSlot);
            }
            if !accepted(entry.replacement) {
                fault(Status::BadBadge);
            }
            match self.slot(entry.slot) {
                Slot::Used(badge) if badge == entry.expected => {}
                Slot::Used(_) => fault(Status::UnexpectedBadge),
                _ => fault(Status::NotRewritable),
            }
            let mut others = batch.iter().enumerate().filter(|(j, _)| i != *j);
            if others.clone().any(|(_, other)| other.slot == entry.slot) {
                fault(Status::DuplicateSlot);
            }
            let outside = self
                .find(entry.replacement)
                .is_some_and(|slot| batch.iter().all(|entry| entry.slot != slot));
            if outside || others.any(|(_, other)| other.replacement == entry.replacement) {
                fault(Status::DuplicateBadge);
            }
        }
        faults
    }
}

pub(crate) struct Answers {
    pub(crate) equal: bool,
    pub(crate) valid: bool,
    pub(crate) map: bool,
}

impl Kernel for Answers {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        self.equal
    }
    fn valid(&mut self, _: usize) -> bool {
        self.valid
    }
    fn map(&mut self, _: usize, _: usize) -> bool {
        self.map
    }
    fn vanished(&mut self, _: usize, _: u32) {}
}
