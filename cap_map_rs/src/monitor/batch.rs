//! A batch of badges to change: what it says, and its check for duplicates.
//!
//! The check needs no memory of its own, and does not look at the table.

use crate::header::Geometry;
use crate::status::Status;

/// End of a chain of [`Rewrite::next`].
const END: u32 = u32::MAX;

/// One badge to change.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rewrite {
    /// Slot to change.
    pub slot: u32,
    /// Badge that it must carry now.
    pub expected: u32,
    /// Badge that it shall carry.
    pub replacement: u32,
    /// Scratch memory of the duplicate check: first entry of a hash chain.
    pub head: u32,
    /// Scratch memory of the duplicate check: next entry of the chain.
    pub next: u32,
}

impl Rewrite {
    /// To change `slot` from badge `expected` to `replacement`.
    pub const fn new(slot: u32, expected: u32, replacement: u32) -> Self {
        Rewrite { slot, expected, replacement, head: END, next: END }
    }
}

/// Why a batch changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub status: Status,
    /// The slot that it is about, unless it concerns the whole table.
    pub slot: Option<u32>,
}

impl Refusal {
    /// A refusal because of one slot.
    pub(super) fn of(status: Status, slot: u32) -> Self {
        Refusal { status, slot: Some(slot) }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal { status, slot: None }
    }
}

/// A batch without duplicates among its new badges.
pub(super) enum Batch<'b> {
    /// In the order of the new badges.
    Ascending(&'b [Rewrite]),
    /// With the new badges in hash chains.
    Chained(&'b [Rewrite]),
}

impl<'b> Batch<'b> {
    /// Checks what can be checked without the table, and makes the new badges easy
    /// to find. Badges that ascend, as those of new objects do, stay as they are. All
    /// others go to hash chains that live in the batch itself.
    pub(super) fn checked(batch: &'b mut [Rewrite], geometry: &Geometry) -> Result<Self, Refusal> {
        let len = u32::try_from(batch.len()).map_err(|_| Status::BadArgument)?;
        let (mut previous, mut ascend) = (0, true);
        for entry in batch.iter() {
            if entry.slot >= geometry.capacity {
                return Err(Refusal::of(Status::BadSlot, entry.slot));
            }
            if !geometry.accepts(entry.replacement) {
                return Err(Refusal::of(Status::BadBadge, entry.slot));
            }
            ascend &= entry.replacement > previous;
            previous = entry.replacement;
        }
        if ascend {
            return Ok(Batch::Ascending(batch));
        }
        for entry in batch.iter_mut() {
            (entry.head, entry.next) = (END, END);
        }
        for i in 0..len {
            let Some(&Rewrite { slot, replacement, .. }) = batch.get(i as usize) else { break };
            let home = chain(replacement, len);
            let first = batch.get(home).map_or(END, |bucket| bucket.head);
            if find_behind(batch, first, replacement).is_some() {
                return Err(Refusal::of(Status::DuplicateBadge, slot));
            }
            if let Some(bucket) = batch.get_mut(home) {
                bucket.head = i;
            }
            if let Some(entry) = batch.get_mut(i as usize) {
                entry.next = first;
            }
        }
        Ok(Batch::Chained(batch))
    }

    /// All entries.
    pub(super) fn entries(&self) -> &'b [Rewrite] {
        let (Batch::Ascending(entries) | Batch::Chained(entries)) = self;
        entries
    }

    /// The entry with that new badge.
    pub(super) fn find(&self, replacement: u32) -> Option<&'b Rewrite> {
        match self {
            Batch::Ascending(entries) => {
                let at = entries.binary_search_by_key(&replacement, |entry| entry.replacement);
                entries.get(at.ok()?)
            }
            Batch::Chained(entries) => {
                let len = u32::try_from(entries.len()).ok()?;
                find_behind(entries, entries.get(chain(replacement, len))?.head, replacement)
            }
        }
    }
}

/// The entry whose `head` begins the hash chain of a badge.
fn chain(badge: u32, len: u32) -> usize {
    // Fibonacci hashing (Knuth 3, 6.4). The product is scaled to the number of chains.
    let hash = u64::from(badge.wrapping_mul(0x9e37_79b1));
    usize::try_from((hash * u64::from(len)) >> 32).unwrap_or(0)
}

/// The entry with that badge in the chain from `at` on.
fn find_behind(batch: &[Rewrite], mut at: u32, replacement: u32) -> Option<&Rewrite> {
    for _ in batch {
        let entry = batch.get(at as usize)?;
        if entry.replacement == replacement {
            return Some(entry);
        }
        at = entry.next;
    }
    None
}
