//! The private record of a slot: how many references there are, and whether the
//! component itself gave the slot a badge.
//!
//! A hostile monitor writes what it likes into slot words. Therefore records, not
//! slot words, decide which slots may be found and which may be freed.

use core::hint::cold_path;
use core::ops::Range;

use crate::segments::{Segment, Segments};
use crate::sync::{AtomicU16, Ordering};
use crate::word::Slot;

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

    /// What becomes of the record when the table is taken up again in a restored memory
    /// image. The slot holds `slot` then, and `allocated` tells what the bitmap says.
    pub(super) fn recovered(self, slot: Slot, allocated: bool) -> Self {
        match slot {
            // Its insertion was cut off.
            Slot::Free if self == Record::BADGED && !allocated => Record::FREE,
            // The same in a slot allocated before, or the release of its last reference.
            Slot::Free if self != Record::FREE => Record(self.0 | UNBADGED),
            // The component is about to give it a badge, or a hostile monitor did.
            _ => self,
        }
    }
}

/// The records of all slots. A slot outside reads as free.
pub(super) struct Records<'m> {
    /// Those of the first slots, which the table was made with.
    first: &'m [AtomicU16],
    more: Segments<'m, &'m [AtomicU16]>,
}

impl<'m> Records<'m> {
    /// Records of slots that are all free.
    pub(super) fn new(cells: &'m [AtomicU16]) -> Self {
        let records = Records { first: cells, more: Segments::new() };
        records.clear();
        records
    }

    /// Records for slots behind all others, to be added. The slots are free.
    pub(super) fn next(&self, cells: &'m [AtomicU16]) -> Segment<'m, &'m [AtomicU16]> {
        cells.iter().for_each(|cell| Record::FREE.store(cell));
        self.more.next(u32::try_from(self.len()).unwrap_or(u32::MAX), cells)
    }

    /// Adds what came from [`Records::next`].
    pub(super) fn add(&self, next: &'m Segment<'m, &'m [AtomicU16]>) {
        self.more.add(next);
    }

    /// Makes all slots free.
    pub(super) fn clear(&self) {
        self.cells().for_each(|cell| Record::FREE.store(cell));
    }

    /// The number of records.
    pub(super) fn len(&self) -> usize {
        let more: usize = self.more.contents().map(|cells| cells.len()).sum();
        self.first.len() + more
    }

    /// All records.
    pub(super) fn cells(&self) -> impl Iterator<Item = &'m AtomicU16> {
        self.parts(0..self.len()).flat_map(|(_, cells)| cells)
    }

    /// Calls `f` for the records of a run of slots. Those that do not lie side by side come
    /// by several calls. Slots outside the table have none.
    #[inline]
    pub(super) fn each_part(
        &self,
        slots: Range<usize>,
        mut f: impl FnMut(Range<usize>, &'m [AtomicU16]),
    ) {
        match self.first.get(slots.clone()) {
            Some(cells) => f(slots, cells),
            None => self.each_part_beyond(slots, f),
        }
    }

    #[cold]
    #[inline(never)]
    fn each_part_beyond(
        &self,
        slots: Range<usize>,
        mut f: impl FnMut(Range<usize>, &'m [AtomicU16]),
    ) {
        self.parts(slots).for_each(|(slots, cells)| f(slots, cells));
    }

    /// The records of a run of slots, as far as they lie side by side.
    fn parts(&self, slots: Range<usize>) -> impl Iterator<Item = (Range<usize>, &'m [AtomicU16])> {
        let mut next = slots.start;
        core::iter::from_fn(move || {
            let (cells, begin) = match u32::try_from(next).map(|slot| self.more.of(slot)) {
                Ok(Some((cells, begin))) => (*cells, begin),
                _ => (self.first, next),
            };
            let cells = cells.get(begin..).unwrap_or_default();
            let cells = cells.get(..slots.end.saturating_sub(next)).unwrap_or(cells);
            let first = next;
            next += cells.len();
            if cells.is_empty() { None } else { Some((first..next, cells)) }
        })
    }

    #[inline]
    pub(super) fn cell(&self, slot: u32) -> Option<&'m AtomicU16> {
        match self.first.get(slot as usize) {
            None => self.cell_beyond(slot),
            cell => cell,
        }
    }

    #[cold]
    #[inline(never)]
    fn cell_beyond(&self, slot: u32) -> Option<&'m AtomicU16> {
        let (cells, at) = self.more.of(slot)?;
        cells.get(at)
    }

    /// Acquire pairs with the release of [`Records::change`].
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Record {
        match self.first.get(slot as usize) {
            Some(cell) => Record::load(cell, Ordering::Acquire),
            None => self.get_beyond(slot),
        }
    }

    #[cold]
    #[inline(never)]
    fn get_beyond(&self, slot: u32) -> Record {
        self.cell_beyond(slot).map_or(Record::FREE, |cell| Record::load(cell, Ordering::Acquire))
    }

    /// As [`Record::store`].
    #[inline]
    pub(super) fn set(&self, slot: u32, record: Record) {
        match self.first.get(slot as usize) {
            Some(cell) => record.store(cell),
            None => self.set_beyond(slot, record),
        }
    }

    #[cold]
    #[inline(never)]
    fn set_beyond(&self, slot: u32, record: Record) {
        if let Some(cell) = self.cell_beyond(slot) {
            record.store(cell);
        }
    }

    /// Notes that the component gives the slot a badge. References stay.
    pub(super) fn set_badged(&self, slot: u32) {
        if let Some(cell) = self.cell(slot) {
            cell.fetch_and(COUNT, Ordering::Relaxed);
        }
    }

    /// Notes that the component gave the slot no badge. References stay.
    pub(super) fn set_unbadged(&self, slot: u32) {
        if let Some(cell) = self.cell(slot) {
            cell.fetch_or(UNBADGED, Ordering::Relaxed);
        }
    }

    /// Applies `change` to a record unless it returns `None`; returns the value
    /// that it was applied to or refused for.
    #[inline]
    pub(super) fn change(
        &self,
        slot: u32,
        change: impl Fn(Record) -> Option<Record>,
    ) -> Result<Record, Record> {
        let cell = match self.first.get(slot as usize) {
            Some(cell) => cell,
            None => {
                // Inline, as a call would cost the path without it several registers.
                cold_path();
                let (cells, at) = self.more.of(slot).ok_or(Record::FREE)?;
                cells.get(at).ok_or(Record::FREE)?
            }
        };
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

    fn cells(count: usize) -> &'static [AtomicU16] {
        (0..count).map(|_| AtomicU16::new(0)).collect::<Vec<_>>().leak()
    }

    /// Records that lie apart are used as if they lay side by side.
    #[test]
    fn runs_go_on_in_the_next_segment() {
        let records = Records::new(cells(64));
        for count in [6, 1, 29] {
            records.add(Box::leak(Box::new(records.next(cells(count)))));
        }
        assert_eq!((records.len(), records.cells().count()), (100, 100));
        assert!((0..100).all(|slot| records.get(slot) == Record::FREE));
        (0_u16..).zip(records.cells()).for_each(|(slot, cell)| Record(slot).store(cell));
        for slot in 0..100 {
            assert_eq!(u32::from(records.get(slot).0), slot);
        }
        assert_eq!((records.get(100), records.get(u32::MAX)), (Record::FREE, Record::FREE));
        for begin in 0..102 {
            for end in begin..102 {
                let mut run = Vec::new();
                records.each_part(begin..end, |slots, cells| {
                    assert_eq!(slots.len(), cells.len());
                    run.extend(slots.zip(cells).map(|(slot, cell)| {
                        assert_eq!(cell.load(Ordering::Relaxed) as usize, slot);
                        slot
                    }));
                });
                let expected: Vec<_> = (begin..end).filter(|slot| *slot < 100).collect();
                assert_eq!(run, expected);
            }
        }
        records.clear();
        assert!((0..100).all(|slot| records.get(slot) == Record::FREE));
    }

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
        assert_eq!(free.recovered(Slot::Used(4), false), free);
    }

    #[test]
    fn what_was_cut_off_is_finished_or_taken_back() {
        assert_eq!(Record::BADGED.recovered(Slot::Free, false), Record::FREE);
        assert_eq!(Record::BADGED.recovered(Slot::Free, true), Record::UNBADGED);
        assert_eq!(Record::BADGED_ONCE.recovered(Slot::Free, true).references(), 1);
        assert!(!Record::BADGED_ONCE.recovered(Slot::Free, true).is_badged());
        assert_eq!(Record::UNBADGED.recovered(Slot::Free, true), Record::UNBADGED);
        for record in [Record::FREE, Record::BADGED, Record::BADGED_ONCE] {
            assert_eq!(record.recovered(Slot::Used(4), true), record);
            assert_eq!(record.recovered(Slot::Detached(4), true), record);
        }
    }
}
