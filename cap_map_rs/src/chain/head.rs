//! Heads of object chains: as values, encoded and decoded, and those of a table.
//!
//! A head holds the address of the first node (48 bits, of which the lowest two
//! are free as nodes are aligned), a mode and a turn (these bits) and a count. The
//! count is on top, so that it wraps without a change of anything else.
//! [`crate::chain`] says what mode and count mean, [`crate::chain::grace`] what the
//! turn is for.

use crate::segments::{Segment, Segments};
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering};

/// Bits of the count. Few in models, which cannot count far.
const COUNT_BITS: u32 = if cfg!(loom) { 2 } else { 16 };
const COUNT_SHIFT: u32 = u64::BITS - COUNT_BITS;
const ADDRESS: u64 = (1 << 48) - 4;
const LONG: u64 = 1;
const TURN: u64 = 2;
const COUNT: u64 = u64::MAX << COUNT_SHIFT;

/// The head of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(pub(crate) u64);

impl Head {
    /// What an arrival or a walker adds to a head.
    pub(crate) const ONE: u64 = 1 << COUNT_SHIFT;

    /// Whether a head can hold that address.
    #[inline]
    pub(crate) fn holds(address: u64) -> bool {
        address & !ADDRESS == 0
    }

    /// Whether the chain is in long mode.
    #[inline]
    pub(crate) fn is_long(self) -> bool {
        self.0 & LONG != 0
    }

    /// The address of the first node; zero for none.
    #[inline]
    pub(crate) fn address(self) -> u64 {
        self.0 & ADDRESS
    }

    /// Arrivals in single mode, walkers in long mode.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 16 bits
    pub(crate) fn count(self) -> u32 {
        (self.0 >> COUNT_SHIFT) as u32
    }

    /// Whether the count has used up a quarter of its range.
    #[inline]
    pub(crate) fn is_filling(self) -> bool {
        self.0 >= 1 << (u64::BITS - 2)
    }

    /// Whether threads walk the chain.
    #[inline]
    pub(crate) fn is_walked(self) -> bool {
        self.is_long() && self.count() != 0
    }

    /// The turn, which changes with each grace period.
    #[inline]
    pub(crate) fn turn(self) -> bool {
        self.0 & TURN != 0
    }

    /// What is added to a head to change its turn, and nothing else of it.
    pub(crate) fn next_turn(self) -> u64 {
        if self.turn() { TURN.wrapping_neg() } else { TURN }
    }

    /// The same with a count of zero.
    #[inline]
    pub(crate) fn uncounted(self) -> Self {
        Head(self.0 & !COUNT)
    }

    /// What becomes of the head when the node at `address` comes first. `alone` says
    /// whether it is the only one, or there is none. Walkers stay counted, and keep the
    /// mode. Arrivals do not. The turn stays.
    #[inline]
    pub(crate) fn led_by(self, address: u64, alone: bool) -> Self {
        let walkers = if self.is_long() { self.0 & COUNT } else { 0 };
        let mode = if alone && walkers == 0 { 0 } else { LONG };
        Head(walkers | address & ADDRESS | mode | self.0 & TURN)
    }

    /// What is left of the head when the threads that walked the chain are gone
    /// for good.
    pub(crate) fn deserted(self) -> Self {
        if self.is_long() { self.uncounted() } else { self }
    }
}

/// The heads of chains that serve some slots.
pub(crate) struct Chains<'m> {
    heads: &'m [AtomicU64],
    /// All bits of a chain's number.
    mask: u32,
}

impl<'m> Chains<'m> {
    /// The chains with these heads, which are zero.
    fn new(heads: &'m [AtomicU64]) -> Result<Self, Status> {
        let count = u32::try_from(heads.len()).map_err(|_| Status::BadArgument)?;
        Ok(Chains { heads, mask: u32::MAX.wrapping_shr(count.leading_zeros()) })
    }

    /// The head of the chain for objects at `slot`.
    ///
    /// Objects of one pool mostly have neighbouring slots, so the slot itself spreads
    /// best. The nodes of a chain tell their pools apart. The number of chains is no
    /// power of two. As in linear hashing (W. Litwin, VLDB 1980), numbers beyond the
    /// last chain are folded back.
    #[inline]
    fn of(&self, slot: u32) -> Option<&'m AtomicU64> {
        let at = (slot & self.mask) as usize;
        let folded = (slot & self.mask >> 1) as usize;
        self.heads.get(if at < self.heads.len() { at } else { folded })
    }
}

/// The heads of all chains. Slots that a table got when it grew have chains of their own,
/// so that no object changes its chain.
pub(crate) struct Buckets<'m> {
    first: Chains<'m>,
    /// Number of slots that `first` serves.
    slots: u32,
    more: Segments<'m, Chains<'m>>,
}

impl<'m> Buckets<'m> {
    /// The chains with these heads, which are zero, for the first `slots` slots.
    pub(crate) fn new(heads: &'m [AtomicU64], slots: usize) -> Result<Self, Status> {
        let slots = u32::try_from(slots).map_err(|_| Status::BadArgument)?;
        Ok(Buckets { first: Chains::new(heads)?, slots, more: Segments::new() })
    }

    /// Chains with these heads, which are zero, to be added for slots from `from` on.
    pub(crate) fn next(
        &self,
        heads: &'m [AtomicU64],
        from: usize,
    ) -> Result<Segment<'m, Chains<'m>>, Status> {
        let from = u32::try_from(from).map_err(|_| Status::BadArgument)?;
        Ok(self.more.next(from, Chains::new(heads)?))
    }

    /// Adds what came from [`Buckets::next`].
    pub(crate) fn add(&self, next: &'m Segment<'m, Chains<'m>>) {
        self.more.add(next);
    }

    /// The head of the chain for objects at `slot`.
    #[inline]
    pub(crate) fn of(&self, slot: u32) -> Option<&'m AtomicU64> {
        if slot < self.slots { self.first.of(slot) } else { self.beyond(slot) }
    }

    #[cold]
    #[inline(never)]
    fn beyond(&self, slot: u32) -> Option<&'m AtomicU64> {
        let (chains, _) = self.more.of(slot)?;
        chains.of(slot)
    }

    /// The heads of all chains.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &'m AtomicU64> {
        self.first.heads.iter().chain(self.more.contents().flat_map(|chains| chains.heads))
    }

    /// Forgets the threads that walked a chain, which never leave it. Threads that use
    /// an object are not inside a function of the table. They stay, and give the object
    /// back.
    pub(crate) fn desert(&self) {
        for cell in self.heads() {
            let head = Head(cell.load(Ordering::Relaxed));
            cell.store(head.deserted().0, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ONE: u64 = Head::ONE;
    const NODE: u64 = 0xffff_ffff_fff8;

    #[test]
    fn arrivals_wrap_in_their_field() {
        let mut head = Head(0).led_by(NODE, true);
        assert_eq!((head.is_long(), head.address(), head.count()), (false, NODE, 0));
        for count in 0..1 << COUNT_BITS {
            assert_eq!((head.count(), head.is_filling()), (count, count >= 0x4000));
            head.0 = head.0.wrapping_add(ONE);
        }
        assert_eq!(head, Head(NODE));
    }

    #[test]
    fn walkers_keep_the_mode() {
        let arrived = Head(NODE + 5 * ONE);
        let long = arrived.led_by(8, false);
        assert_eq!((long.is_long(), long.address(), long.count()), (true, 8, 0));
        let walked = Head(long.0 + 2 * ONE);
        assert!(walked.is_walked() && !arrived.is_walked() && !long.is_walked());
        assert_eq!(walked.led_by(NODE, true), Head(NODE + 1 + 2 * ONE));
        assert_eq!(long.led_by(NODE, true), Head(NODE));
        assert_eq!(walked.deserted(), long);
        assert_eq!(arrived.deserted(), arrived, "its users may be alive");
        assert_eq!(arrived.uncounted(), Head(NODE));
    }

    #[test]
    fn a_turn_changes_nothing_else() {
        for head in [Head(NODE + 5 * ONE), Head(NODE + 1 + ONE), Head(u64::MAX - 6)] {
            let next = Head(head.0.wrapping_add(head.next_turn()));
            assert_ne!(next.turn(), head.turn());
            assert_eq!((next.count(), next.address()), (head.count(), head.address()));
            assert_eq!((next.is_long(), next.is_walked()), (head.is_long(), head.is_walked()));
            assert_eq!(Head(next.0.wrapping_add(next.next_turn())), head);
            for other in [next.uncounted(), next.deserted(), next.led_by(8, true)] {
                assert_eq!(other.turn(), next.turn());
            }
        }
    }

    /// Chains of a growth are apart from all others, and are deserted like them.
    #[test]
    fn slots_that_came_later_have_their_own_chains() {
        let words =
            |count| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak() as &[_];
        let buckets = Buckets::new(words(13), 64).expect("few");
        assert!(buckets.of(63).is_some() && buckets.of(64).is_none());
        let before: Vec<_> =
            (0..64).map(|slot| buckets.of(slot).map(core::ptr::from_ref)).collect();
        let heads = words(26);
        buckets.add(Box::leak(Box::new(buckets.next(heads, 64).expect("few"))));
        for (slot, before) in (0..64).zip(&before) {
            assert_eq!(buckets.of(slot).map(core::ptr::from_ref), *before);
        }
        for slot in 64..150 {
            let head = buckets.of(slot).expect("inside");
            assert!(heads.as_ptr_range().contains(&core::ptr::from_ref(head)));
            head.store(LONG + 2 * ONE + 8, Ordering::Relaxed);
        }
        buckets.desert();
        assert!(heads.iter().all(|head| [0, LONG + 8].contains(&head.load(Ordering::Relaxed))));
    }
}
