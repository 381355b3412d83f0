//! Object pools: from a badge to an object, without badges in the pool.
//!
//! A pool knows its objects by slot. Dispatch first looks up the badge in the table,
//! without a lock. It then looks up the slot in the hash chains of [`crate::chain`],
//! which serve all pools of the component. A monitor that rewrites badges therefore
//! changes where all pools lead without touching a pool.
//!
//! The slot may be freed and used again between the two steps. Dispatch compares the
//! badge once more after it has pinned the object.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

pub use crate::chain::Node;
use crate::chain::{acquire, link_locked, outlast_walkers, unlink_locked};
use crate::limits::DISPATCHES;
use crate::owner::Owner;
use crate::status::Status;
use crate::sync::{Lock, Ordering, RelaxStrategy};

/// The slot does not carry the badge any more. Another slot may carry it.
struct Moved;

intrusive_adapter!(Members = UnsafeRef<Node>: Node { member => LinkedListLink });

/// One pool, such as that of an entrypoint.
pub struct Pool<R> {
    members: Lock<LinkedList<Members>, R>,
    relax: PhantomData<fn() -> R>,
}

// SAFETY: the list is only used under its lock, its nodes are Send and Sync.
unsafe impl<R> Sync for Pool<R> {}
// SAFETY: as above.
unsafe impl<R> Send for Pool<R> {}

impl<R: RelaxStrategy> Default for Pool<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: RelaxStrategy> Pool<R> {
    /// An empty pool.
    pub fn new() -> Self {
        Pool { members: Lock::new(LinkedList::new(Members::new())), relax: PhantomData }
    }

    fn identity(&self) -> *mut () {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.with(|members| members.is_empty())
    }

    /// Makes the object of `node` the one for the capability at `slot`.
    ///
    /// # Errors
    /// [`Status::BadSlot`]; [`Status::InUse`] if the node is a member already.
    ///
    /// # Safety
    /// 1. The node stays where it is, alive, until it has been removed.
    /// 2. The pool stays where it is as long as it has members.
    pub unsafe fn insert(
        &self,
        owner: &Owner<'_, R>,
        node: NonNull<Node>,
        slot: u32,
    ) -> Result<(), Status> {
        if slot >= owner.capacity() {
            return Err(Status::BadSlot);
        }
        let bucket = owner.bucket(slot).ok_or(Status::BadSlot)?;
        // SAFETY: duty 1.
        let shared = unsafe { node.as_ref() };
        self.members.with(|members| {
            let free = core::ptr::null_mut();
            let claim = shared.pool.compare_exchange(
                free,
                self.identity(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            // The second condition follows from the first. The compiler must see it to
            // drop the list's own check, which would panic.
            if claim.is_err() || shared.member.is_linked() {
                return Err(Status::InUse);
            }
            shared.slot.store(slot, Ordering::Relaxed);
            // SAFETY: duty 1; the claim makes sure that it is in no list.
            members.push_back(unsafe { UnsafeRef::from_raw(node.as_ptr()) });
            owner.locked(|| link_locked(bucket, node));
            Ok(())
        })
    }

    /// Takes the node out. This does not wait for the users of the object, but no new
    /// user comes afterwards.
    ///
    /// # Errors
    /// [`Status::NotFound`] if it is not a member of this pool.
    pub fn remove(&self, owner: &Owner<'_, R>, node: &Node) -> Result<(), Status> {
        let bucket = self.members.with(|members| {
            if node.pool.load(Ordering::Relaxed) != self.identity() {
                return Err(Status::NotFound);
            }
            // SAFETY: the node is a member of this list, whose lock is held.
            let mut cursor = unsafe { members.cursor_mut_from_ptr(node) };
            cursor.remove();
            let bucket = owner.bucket(node.slot.load(Ordering::Relaxed));
            if let Some(bucket) = bucket {
                owner.locked(|| unlink_locked(bucket, node));
            }
            node.pool.store(core::ptr::null_mut(), Ordering::Relaxed);
            Ok(bucket)
        })?;
        if let Some(bucket) = bucket {
            outlast_walkers::<R>(bucket);
        }
        Ok(())
    }

    /// The object for `badge`, pinned, so that it is not destroyed until it is
    /// released. `None` for a badge that leads to no object of this pool.
    #[inline]
    pub fn acquire(&self, owner: &Owner<'_, R>, badge: u32) -> Option<NonNull<Node>> {
        if let Some(slot) = owner.find_fast(badge)
            && let Ok(found) = self.acquire_at(owner, slot, badge)
        {
            return found;
        }
        self.acquire_slow(owner, badge)
    }

    /// Like [`Pool::acquire`], for a badge that is not filed at its home place, or moves.
    #[inline(never)]
    fn acquire_slow(&self, owner: &Owner<'_, R>, badge: u32) -> Option<NonNull<Node>> {
        for _ in 0..DISPATCHES {
            let slot = owner.find(badge).ok()?;
            if let Ok(found) = self.acquire_at(owner, slot, badge) {
                return found;
            }
        }
        None
    }

    /// The object for `slot`, pinned, where `badge` was found.
    #[inline]
    fn acquire_at(
        &self,
        owner: &Owner<'_, R>,
        slot: u32,
        badge: u32,
    ) -> Result<Option<NonNull<Node>>, Moved> {
        let found = self.acquire_slot(owner, slot);
        if owner.carries(slot, badge) {
            return Ok(found);
        }
        if let Some(node) = found {
            // SAFETY: pinned until here.
            unsafe { node.as_ref() }.release();
        }
        Err(Moved)
    }

    /// The object for `slot`, pinned.
    #[inline]
    fn acquire_slot(&self, owner: &Owner<'_, R>, slot: u32) -> Option<NonNull<Node>> {
        acquire(owner.bucket(slot)?, self.identity(), slot)
    }

    /// Some member, pinned; `None` if there is none.
    pub fn first(&self) -> Option<NonNull<Node>> {
        self.members.with(|members| {
            let node = members.front().get()?;
            node.pins.fetch_add(1, Ordering::Relaxed);
            Some(NonNull::from(node))
        })
    }
}
