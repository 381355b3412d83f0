//! What a table keeps for each of its slots, and got piece by piece as it grew.
//!
//! The first piece is not in here: its users look into it themselves, and come here when
//! a slot is beyond it. There are few segments ([`MAX_SEGMENTS`]), the newest one first.

use core::iter::successors;

use crate::memory::Latest;

/// How often a table can grow.
pub const MAX_SEGMENTS: u32 = 8;

/// What there is for the slots from `from` up to the next segment. It does not change.
pub(crate) struct Segment<'m, T> {
    from: u32,
    pub(crate) content: T,
    older: Option<&'m Segment<'m, T>>,
}

/// All segments. Readers take no lock while the owner adds one.
pub(crate) struct Segments<'m, T> {
    newest: Latest<'m, Segment<'m, T>>,
}

impl<'m, T> Segments<'m, T> {
    pub(crate) fn new() -> Self {
        Segments { newest: Latest::new() }
    }

    /// A segment for slots from `from` on, which is to become the newest one by
    /// [`Segments::add`].
    pub(crate) fn next(&self, from: u32, content: T) -> Segment<'m, T> {
        Segment { from, content, older: self.newest.get() }
    }

    /// Lets all see a segment, which came from [`Segments::next`].
    pub(crate) fn add(&self, newest: &'m Segment<'m, T>) {
        self.newest.publish(newest);
    }

    /// All contents, the newest first.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &'m T> {
        successors(self.newest.get(), |segment| segment.older).map(|segment| &segment.content)
    }

    /// What there is for `slot`, and the number of the slot in there. `None` for a slot in
    /// front of all segments. A slot behind all of them counts to the newest one.
    #[inline]
    pub(crate) fn of(&self, slot: u32) -> Option<(&'m T, usize)> {
        successors(self.newest.get(), |segment| segment.older)
            .find(|segment| segment.from <= slot)
            .map(|segment| (&segment.content, (slot - segment.from) as usize))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_its_segment() {
        let segments = Segments::new();
        assert!(segments.of(0).is_none() && segments.contents().next().is_none());
        for (from, name) in [(64, 'a'), (100, 'b'), (1000, 'c')] {
            segments.add(Box::leak(Box::new(segments.next(from, name))));
        }
        let of = |slot| segments.of(slot).map(|(name, at)| (*name, at));
        assert_eq!((of(0), of(63)), (None, None));
        assert_eq!((of(64), of(99)), (Some(('a', 0)), Some(('a', 35))));
        assert_eq!((of(100), of(999)), (Some(('b', 0)), Some(('b', 899))));
        assert_eq!(
            (of(1000), of(u32::MAX)),
            (Some(('c', 0)), Some(('c', u32::MAX as usize - 1000)))
        );
        assert_eq!(segments.contents().collect::<Vec<_>>(), [&'c', &'b', &'a']);
    }
}
