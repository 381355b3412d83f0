//! The heads of a table's chains.

use super::head::Head;
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering};

/// One head for each chain.
pub(crate) struct Buckets<'m> {
    heads: &'m [AtomicU64],
    /// All bits of a chain's number.
    mask: u32,
}

impl<'m> Buckets<'m> {
    /// The chains with these heads, which are zero.
    pub(crate) fn new(heads: &'m [AtomicU64]) -> Result<Self, Status> {
        let count = u32::try_from(heads.len()).map_err(|_| Status::BadArgument)?;
        Ok(Buckets { heads, mask: u32::MAX.wrapping_shr(count.leading_zeros()) })
    }

    /// The head of the chain for objects at `slot`.
    ///
    /// Objects of one pool mostly have neighbouring slots, so the slot itself spreads
    /// best. The nodes of a chain tell their pools apart. The number of chains is no
    /// power of two. As in linear hashing (W. Litwin, VLDB 1980), numbers beyond the
    /// last chain are folded back.
    #[inline]
    pub(crate) fn of(&self, slot: u32) -> Option<&'m AtomicU64> {
        let at = (slot & self.mask) as usize;
        let folded = (slot & self.mask >> 1) as usize;
        self.heads.get(if at < self.heads.len() { at } else { folded })
    }

    /// Empties all chains.
    pub(crate) fn clear(&self) {
        self.heads.iter().for_each(|head| head.store(0, Ordering::Relaxed));
    }

    /// Forgets the threads that walked a chain, which never leave it. Threads that use
    /// an object are not inside a function of the table. They stay, and give the object
    /// back.
    pub(crate) fn desert(&self) {
        for cell in self.heads {
            let head = Head(cell.load(Ordering::Relaxed));
            cell.store(head.deserted().0, Ordering::Relaxed);
        }
    }
}
