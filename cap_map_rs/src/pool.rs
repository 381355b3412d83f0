//! Object pools: from a badge to an object, without badges in the pool.
//!
//! A pool knows its objects by slot. Dispatch first looks up the badge in the table,
//! without a lock. It then looks up the slot in the hash chains of [`crate::chain`],
//! which serve all pools of the component. A monitor that rewrites badges therefore
//! changes where all pools lead without touching a pool.
//!
//! The slot may be freed and used again between the two steps. Dispatch compares the
//! badge once more after it has pinned the object. A caller that knows the slot, and
//! holds a reference to it, needs no badge: [`Pool::acquire_slot`].
//!
//! The chains say which nodes are members. The pool's own list only leads to some member
//! ([`Pool::first`]). [`Pool::recover`] makes it anew from the chains.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

pub use crate::chain::Node;
use crate::chain::{acquire, fits, link_locked, settle_locked, unlink_locked, visit_locked};
use crate::limits::DISPATCHES;
use crate::owner::Owner;
use crate::status::Status;
use crate::sync::{AtomicPtr, Lock, Ordering, RelaxStrategy};

/// The slot does not carry the badge any more. Another slot may carry it.
struct Moved;

intrusive_adapter!(Members = UnsafeRef<Node>: Node { member => LinkedListLink });

/// One pool, such as that of an entrypoint.
pub struct Pool<R> {
    members: Lock<LinkedList<Members>, R>,
    /// The node that the holder of the lock lets join or leave, or null.
    pending: AtomicPtr<Node>,
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
        Pool {
            members: Lock::new(LinkedList::new(Members::new())),
            pending: AtomicPtr::new(core::ptr::null_mut()),
            relax: PhantomData,
        }
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
    /// [`Status::BadSlot`]; [`Status::Misaligned`] for a node at an address that none can
    /// have; [`Status::BadArgument`] for one above 48 bits; [`Status::InUse`] if the node
    /// is a member already, or its removal is not over yet.
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
        if !node.addr().get().is_multiple_of(align_of::<Node>()) {
            return Err(Status::Misaligned);
        }
        if !fits(node) {
            return Err(Status::BadArgument);
        }
        let bucket = owner.bucket(slot).ok_or(Status::BadSlot)?;
        // SAFETY: duty 1.
        let shared = unsafe { node.as_ref() };
        self.members.with(|members| {
            self.pending.store(node.as_ptr(), Ordering::Relaxed);
            // Acquire pairs with the release at the end of `remove`: no list and no walker
            // knows the node. Release puts `pending` first.
            let claim = shared.pool.compare_exchange(
                core::ptr::null_mut(),
                self.identity(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            // The second condition follows from the first. The compiler must see it to
            // drop the list's own check, which would panic.
            let result = if claim.is_err() || shared.member.is_linked() {
                Err(Status::InUse)
            } else {
                shared.slot.store(slot, Ordering::Relaxed);
                // SAFETY: duty 1; the claim makes sure that it is in no list.
                members.push_back(unsafe { UnsafeRef::from_raw(node.as_ptr()) });
                owner.locked(|| link_locked(bucket, node));
                Ok(())
            };
            self.pending.store(core::ptr::null_mut(), Ordering::Release);
            result
        })
    }

    /// Takes the node out. This does not wait for the users of the object, but no new
    /// user comes afterwards.
    ///
    /// The pool is locked until the threads that walk the chain at this time have left it,
    /// which takes them a few loads. Until then, the node cannot be inserted again.
    ///
    /// # Errors
    /// [`Status::NotFound`] if it is not a member of this pool.
    pub fn remove(&self, owner: &Owner<'_, R>, node: &Node) -> Result<(), Status> {
        self.members.with(|members| {
            if node.pool.load(Ordering::Relaxed) != self.identity() {
                return Err(Status::NotFound);
            }
            self.pending.store(core::ptr::from_ref(node).cast_mut(), Ordering::Relaxed);
            // SAFETY: the node is a member of this list, whose lock is held.
            let mut cursor = unsafe { members.cursor_mut_from_ptr(node) };
            cursor.remove();
            if let Some(bucket) = owner.bucket(node.slot.load(Ordering::Relaxed)) {
                owner.locked(|| unlink_locked(bucket, node));
                owner.grace().outlast_walkers(bucket);
            }
            // Release pairs with the acquire in `insert`, also of another pool.
            node.pool.store(core::ptr::null_mut(), Ordering::Release);
            self.pending.store(core::ptr::null_mut(), Ordering::Release);
            Ok(())
        })
    }

    /// Takes up the pool again after the component's memory was restored from an image,
    /// which may have been taken at any moment. [`Owner::recover`] comes first. Objects
    /// that were being inserted or removed are members or not, as if that had happened
    /// before the image was taken, or had never begun.
    ///
    /// Threads that use an object may go on with it. A thread that was lost inside
    /// [`Pool::acquire`], [`Pool::first`] or [`Node::release`] may remain a user of the
    /// object for ever: then [`Node::drain`] does not end.
    ///
    /// # Safety
    /// 1. No thread is inside a function of this pool, nor will one resume there.
    /// 2. Nor inside one of its table, or of another pool of that table, but for threads
    ///    that entered it after [`Owner::recover`], and after the recovery of that pool.
    /// 3. The table was not reset since a member was inserted. Its chains know all of them.
    pub unsafe fn recover(&self, owner: &Owner<'_, R>) {
        // SAFETY: duty 1.
        unsafe { self.members.force_open() };
        self.members.with(|members| {
            members.fast_clear();
            owner.locked(|| self.recover_locked(owner, members));
        });
    }

    fn recover_locked(&self, owner: &Owner<'_, R>, members: &mut LinkedList<Members>) {
        let pending = NonNull::new(self.pending.load(Ordering::Relaxed));
        let mut joined = false;
        for slot in 0..owner.capacity() {
            let Some(bucket) = owner.bucket(slot) else { continue };
            visit_locked(bucket, |node| {
                // SAFETY: members of a chain are alive.
                let shared = unsafe { node.as_ref() };
                // A node of another pool may have lost its arrivals to a node of this one.
                settle_locked(bucket, shared);
                if shared.stands_for(self.identity(), slot) {
                    joined |= Some(node) == pending;
                    // SAFETY: the list that it was in has just been emptied.
                    unsafe { shared.member.force_unlink() };
                    // SAFETY: alive until it is removed.
                    members.push_back(unsafe { UnsafeRef::from_raw(node.as_ptr()) });
                }
            });
        }
        if let Some(node) = pending.filter(|_| !joined) {
            // SAFETY: the thread that was lost had it in its hands, so it is alive.
            let shared = unsafe { node.as_ref() };
            if shared.pool.load(Ordering::Relaxed) == self.identity() {
                if let Some(bucket) = owner.bucket(shared.slot.load(Ordering::Relaxed)) {
                    settle_locked(bucket, shared);
                }
                // SAFETY: as above.
                unsafe { shared.member.force_unlink() };
                shared.pool.store(core::ptr::null_mut(), Ordering::Release);
            }
        }
        self.pending.store(core::ptr::null_mut(), Ordering::Release);
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

    /// The object for `slot`, pinned as by [`Pool::acquire`]. The caller holds a reference
    /// to the slot, which otherwise may be used for something else by now.
    #[inline]
    pub fn acquire_slot(&self, owner: &Owner<'_, R>, slot: u32) -> Option<NonNull<Node>> {
        acquire(owner.bucket(slot)?, owner.grace(), self.identity(), slot)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::boxed::Box;
    use std::cell::Cell;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::layout;
    use crate::memory::{Private, PrivateSizes, region_at};
    use crate::owner::Config;

    std::thread_local! {
        static MEANWHILE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    }

    /// Waits once at most, for what happens meanwhile.
    struct Once;

    impl RelaxStrategy for Once {
        fn relax() {
            MEANWHILE.take().expect("nobody else is here")();
        }
    }

    fn words(bytes: usize) -> *mut u8 {
        // One line more, to begin at a multiple of 64.
        let words: Vec<AtomicU64> = (0..bytes / 8 + 8).map(|_| AtomicU64::new(0)).collect();
        let begin = words.leak().as_mut_ptr().cast::<u8>();
        begin.wrapping_add(begin.align_offset(layout::REGION_ALIGN))
    }

    fn owner() -> Owner<'static, Once> {
        let (slots, size) = (64, layout::SLOTS + 64 * layout::WORD_BYTES);
        let private = PrivateSizes::new(slots).expect("a capacity of the layout").bytes();
        // SAFETY: leaked, aligned, and used for nothing else.
        let private = unsafe { Private::at(words(private), private, slots) }.expect("fits");
        // SAFETY: as above.
        let region = unsafe { region_at(words(size), size) }.expect("fits");
        let config =
            Config { first_user: 8, shift: 12, badge_bits: 28, is_core: false, wait_budget: 4 };
        Owner::new(config, private, region).expect("valid")
    }

    /// Between the look-up of the badge and that of the object, the slot is given to
    /// another badge with another object.
    #[test]
    fn a_slot_used_again_does_not_answer_to_its_old_badge() {
        let (owner, pool, node) = (owner(), Pool::<Once>::new(), Node::new());
        assert_eq!(owner.insert(40), Ok(8));
        let found = owner.find_fast(40).expect("carries it");
        owner.remove(8).expect("allocated");
        assert_eq!(owner.insert(44), Ok(8));
        // SAFETY: node and pool outlive its membership.
        unsafe { pool.insert(&owner, NonNull::from(&node), 8) }.expect("free");
        assert!(pool.acquire_at(&owner, found, 40).is_err());
        assert!(matches!(pool.acquire_at(&owner, found, 44), Ok(Some(_))));
        node.release();
        pool.remove(&owner, &node).expect("a member");
        // The object that was found by mistake was given back.
        node.drain::<Once>();
    }

    /// A walker may still look at a node that has been unlinked.
    #[test]
    fn a_node_is_not_inserted_again_before_the_walkers_have_left() {
        let owner: &Owner<'_, Once> = Box::leak(Box::new(owner()));
        let [first, second] = [(); 2].map(|()| &*Box::leak(Box::new(Pool::<Once>::new())));
        let [a, b] = [(); 2].map(|()| &*Box::leak(Box::new(Node::new())));
        let insert = |pool: &Pool<Once>, node: &Node, slot| {
            // SAFETY: leaked.
            unsafe { pool.insert(owner, NonNull::from(node), slot) }
        };
        // They share one of 13 chains.
        assert_eq!((owner.insert_at(40, 8), owner.insert_at(44, 24)), (Ok(()), Ok(())));
        assert_eq!((insert(first, b, 24), insert(first, a, 8)), (Ok(()), Ok(())));
        let leave = owner.grace().walker(owner.bucket(8).expect("inside"));
        MEANWHILE.set(Some(Box::new(move || {
            assert_eq!(insert(second, a, 9), Err(Status::InUse));
            assert_eq!(second.remove(owner, a), Err(Status::NotFound));
            leave();
        })));
        assert_eq!(first.remove(owner, a), Ok(()));
        assert!(MEANWHILE.take().is_none(), "it has waited");
        assert_eq!(insert(second, a, 9), Ok(()));
        assert!(first.acquire(owner, 40).is_none() && first.acquire(owner, 44).is_some());
    }
}
