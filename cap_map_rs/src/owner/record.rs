//! The private record of a slot: how many references there are, and whether the
//! component itself gave the slot a badge.
//!
//! A hostile monitor writes what it likes into slot words. Therefore records, not
//! slot words, decide which slots may be found and which may be freed.

use core::ops::Range;

use crate::sync::{AtomicU16, Ordering};

/// Set in the record of a slot to which the component gave no badge.
const UNBADGED: u16 = 1 << 15;

/// The part of a record that counts references.
const COUNT: u16 = UNBADGED - 1;

/// A count that stays, so that counting never frees the slot.
const SATURATED: u16 = COUNT - 1;

/// What a component knows about one of its slots.
///
/// # Invariants
/// All bits of the count are set in the record of a free slot only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record(u16);

impl Record {
    /// The slot is free.
    pub(super) const FREE: Self = Record(u16::MAX);

    /// The slot is allocated, without a badge and without references.
    pub(super) const UNBADGED: Self = Record(UNBADGED);

    /// The slot was given a badge, and has no references.
    pub(super) const BADGED: Self = Record(0);

    /// The slot was given a badge, and has one reference.
    pub(super) const BADGED_ONCE: Self = Record(1);

    #[inline]
    pub(super) fn load(cell: &AtomicU16, order: Ordering) -> Self {
        Record(cell.load(order))
    }

    /// Overwrites a record that no other thread counts at the same time. The order is
    /// therefore relaxed.
    #[inline]
    pub(super) fn store(self, cell: &AtomicU16) {
        cell.store(self.0, Ordering::Relaxed);
    }

    /// Whether the component gave the slot a badge that has not gone since.
    #[inline]
    pub(super) fn is_badged(self) -> bool {
        self.0 & UNBADGED == 0
    }

    /// Whether there are references. A free slot looks referenced.
    #[inline]
    pub(super) fn is_referenced(self) -> bool {
        self.0 & COUNT != 0
    }

    /// Whether the slot is never freed by counting.
    #[inline]
    pub(super) fn is_saturated(self) -> bool {
        self.0 & COUNT == SATURATED
    }

    /// Whether a reference can be given back.
    #[inline]
    pub(super) fn is_counted(self) -> bool {
        (1..SATURATED).contains(&(self.0 & COUNT))
    }

    /// Whether there is exactly one reference.
    #[inline]
    pub(super) fn is_last(self) -> bool {
        self.0 & COUNT == 1
    }

    /// The number of references; 65535 stands for "too many to count".
    pub(super) fn references(self) -> u16 {
        match self {
            Record::FREE => 0,
            record if record.is_saturated() => u16::MAX,
            record => record.0 & COUNT,
        }
    }

    /// With one reference more; `None` for a saturated count and for a free slot.
    #[inline]
    pub(super) fn one_more(self) -> Option<Self> {
        if self.0 & COUNT < SATURATED { Some(Record(self.0 + 1)) } else { None }
    }

    /// With one reference less; `None` if there is none to give back.
    #[inline]
    pub(super) fn one_less(self) -> Option<Self> {
        if self.is_counted() { Some(Record(self.0 - 1)) } else { None }
    }

    /// With one reference less; `None` if that is the last one, or not counted.
    #[inline]
    pub(super) fn one_of_many(self) -> Option<Self> {
        if (2..SATURATED).contains(&(self.0 & COUNT)) { Some(Record(self.0 - 1)) } else { None }
    }

    /// The references alone, for a slot that is not free; a free one has none. The
    /// table says whether it has a badge.
    pub(super) fn recovered(self, badged: bool) -> Self {
        let references = if self == Record::FREE { 0 } else { self.0 & COUNT };
        Record(references | if badged { 0 } else { UNBADGED })
    }
}

/// The records of all slots. A slot outside reads as free.
#[derive(Clone, Copy)]
pub(super) struct Records<'m>(&'m [AtomicU16]);

impl<'m> Records<'m> {
    /// Records of slots that are all free.
    pub(super) fn new(cells: &'m [AtomicU16]) -> Self {
        let records = Records(cells);
        records.clear();
        records
    }

    /// Makes all slots free.
    pub(super) fn clear(self) {
        self.0.iter().for_each(|cell| Record::FREE.store(cell));
    }

    /// The number of records.
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn cells(self) -> &'m [AtomicU16] {
        self.0
    }

    /// The records of a run of slots; none if the run leaves the table.
    #[inline]
    pub(super) fn run(self, slots: Range<usize>) -> &'m [AtomicU16] {
        self.0.get(slots).unwrap_or_default()
    }

    #[inline]
    pub(super) fn cell(self, slot: u32) -> Option<&'m AtomicU16> {
        self.0.get(slot as usize)
    }

    /// Acquire pairs with the release of [`Records::change`].
    #[inline]
    pub(super) fn get(self, slot: u32) -> Record {
        self.cell(slot).map_or(Record::FREE, |cell| Record::load(cell, Ordering::Acquire))
    }

    /// As [`Record::store`].
    #[inline]
    pub(super) fn set(self, slot: u32, record: Record) {
        if let Some(cell) = self.cell(slot) {
            record.store(cell);
        }
    }

    /// Notes that the component gives the slot a badge. References stay.
    pub(super) fn set_badged(self, slot: u32) {
        if let Some(cell) = self.cell(slot) {
            cell.fetch_and(COUNT, Ordering::Relaxed);
        }
    }

    /// Applies `change` to a record unless it returns `None`; returns the value
    /// that it was applied to or refused for.
    #[inline]
    pub(super) fn change(
        self,
        slot: u32,
        change: impl Fn(Record) -> Option<Record>,
    ) -> Result<Record, Record> {
        let Some(cell) = self.cell(slot) else { return Err(Record::FREE) };
        // Release and acquire as for any reference count: what was done under
        // one reference is visible to the thread that drops the last one.
        cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |record| {
            change(Record(record)).map(|record| record.0)
        })
        .map(Record)
        .map_err(Record)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_count_stays_within_its_bits() {
        for first in [Record::BADGED, Record::UNBADGED] {
            let mut record = first;
            for count in 1..SATURATED {
                let more = record.one_more().expect("not saturated yet");
                assert_eq!((more.references(), more.is_badged()), (count, first.is_badged()));
                assert_eq!(more.one_less(), Some(record));
                assert_eq!(more.one_of_many(), (count > 1).then_some(record));
                assert_eq!(more.is_last(), count == 1);
                record = more;
            }
            let record = record.one_more().expect("the last one");
            assert!(record.is_saturated() && record.is_badged() == first.is_badged());
            assert_eq!(record.references(), u16::MAX);
            let changed = [record.one_more(), record.one_less(), record.one_of_many()];
            assert_eq!(changed, [None; 3]);
        }
    }

    #[test]
    fn a_free_slot_cannot_be_counted() {
        let free = Record::FREE;
        assert_eq!([free.one_more(), free.one_less(), free.one_of_many()], [None; 3]);
        assert!(free.is_referenced() && !free.is_badged() && !free.is_saturated());
        assert_eq!(free.references(), 0);
        assert_eq!(free.recovered(true), Record::BADGED);
        assert_eq!(Record::BADGED_ONCE.recovered(false).references(), 1);
    }
}
