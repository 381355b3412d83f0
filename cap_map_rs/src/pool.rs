//! Object pools: from badge to object without badges in the pool.
//!
//! A pool knows its objects by slot. Dispatch looks the badge up in the table
//! (lock-free), then the slot in hash chains that run through nodes inside the
//! objects. The heads of the chains belong to the table and serve all pools of
//! the component. A head also counts the threads that walk its chain, so
//! walking takes no lock, and whoever unlinks a node waits until no walker is
//! left that may have seen it. A monitor that rewrites badges changes where all
//! pools lead to without touching one.
//!
//! The slot may be freed and used again between both steps; so the badge is
//! compared once more when the object is pinned.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};
use static_assertions::assert_impl_all;

use crate::owner::Owner;
use crate::status::Status;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Lock, Ordering, RelaxStrategy};

/// Bits of a chain head that hold the address of the first node.
const ADDRESS_BITS: u32 = 48;
const ADDRESS: u64 = (1 << ADDRESS_BITS) - 1;
const ONE_WALKER: u64 = 1 << ADDRESS_BITS;

/// Look-ups of one dispatch; each but the first means that a badge moved.
const ATTEMPTS: u32 = if cfg!(loom) { 2 } else { 8 };

/// The part of an object that makes it a member of a pool.
///
/// # Invariants
/// `next` and `slot` change only while the node is in no chain, but for `next`
/// when its successor is unlinked (under the table's private lock). `member`
/// changes under the pool's lock only.
#[repr(C)]
pub struct Node {
    next: AtomicPtr<Node>,
    member: LinkedListLink,
    /// The pool it is a member of, or null. Identity only.
    pool: AtomicPtr<()>,
    slot: AtomicU32,
    /// Threads that use the object through [`Pool::acquire`].
    pins: AtomicU32,
}

#[cfg(not(loom))]
static_assertions::const_assert!(size_of::<Node>() <= 5 * size_of::<u64>());

// SAFETY: all parts but `member` are atomic, and that is used under a lock.
unsafe impl Sync for Node {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Node {}

intrusive_adapter!(Members = UnsafeRef<Node>: Node { member => LinkedListLink });

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A node that is a member of no pool.
    pub fn new() -> Self {
        Node {
            next: AtomicPtr::new(core::ptr::null_mut()),
            member: LinkedListLink::new(),
            pool: AtomicPtr::new(core::ptr::null_mut()),
            slot: AtomicU32::new(0),
            pins: AtomicU32::new(0),
        }
    }

    /// Gives up the use of the object that [`Pool::acquire`] granted.
    pub fn release(&self) {
        // Release pairs with the acquire in `drain`: the use is over.
        self.pins.fetch_sub(1, Ordering::Release);
    }

    /// Waits until nobody uses the object any more. It must have left its pool,
    /// so no new user can come.
    pub fn drain<R: RelaxStrategy>(&self) {
        while self.pins.load(Ordering::Acquire) != 0 {
            R::relax();
        }
    }
}

/// One pool, such as that of an entrypoint.
pub struct Pool<R> {
    members: Lock<LinkedList<Members>, R>,
    relax: PhantomData<fn() -> R>,
}

// SAFETY: the list is only used under its lock, its nodes are Send and Sync.
unsafe impl<R> Sync for Pool<R> {}
// SAFETY: as above.
unsafe impl<R> Send for Pool<R> {}

assert_impl_all!(Node: Send, Sync);

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
        let bucket = self.bucket(owner, slot).ok_or(Status::BadSlot)?;
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
            // The second condition follows from the first; the compiler has to
            // see it to drop the list's own check, which would panic.
            if claim.is_err() || shared.member.is_linked() {
                return Err(Status::InUse);
            }
            shared.slot.store(slot, Ordering::Relaxed);
            // SAFETY: duty 1; the claim makes sure that it is in no list.
            members.push_back(unsafe { UnsafeRef::from_raw(node.as_ptr()) });
            owner.locked(|| link(bucket, node));
            Ok(())
        })
    }

    /// Takes the node out. Users of the object are not waited for, but no new
    /// one comes after this.
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
            let bucket = self.bucket(owner, node.slot.load(Ordering::Relaxed));
            if let Some(bucket) = bucket {
                owner.locked(|| unlink(bucket, node));
            }
            node.pool.store(core::ptr::null_mut(), Ordering::Relaxed);
            Ok(bucket)
        })?;
        // Walkers stay for a few loads only. Acquire pairs with the release of
        // their departure: all they did with the node is done.
        while bucket.is_some_and(|bucket| bucket.load(Ordering::Acquire) >> ADDRESS_BITS != 0) {
            R::relax();
        }
        Ok(())
    }

    /// The object for `badge`, pinned: it is not destroyed until released.
    /// `None` for a badge that leads to no object of this pool.
    #[inline]
    pub fn acquire(&self, owner: &Owner<'_, R>, badge: u32) -> Option<NonNull<Node>> {
        for _ in 0..ATTEMPTS {
            let slot = owner.find(badge).ok()?;
            let found = self.acquire_slot(owner, slot);
            if owner.carries(slot, badge) {
                return found;
            }
            // The slot changed hands, and the badge may be in another one.
            if let Some(node) = found {
                // SAFETY: pinned until here.
                unsafe { node.as_ref() }.release();
            }
        }
        None
    }

    /// The object for `slot`, pinned.
    #[inline]
    fn acquire_slot(&self, owner: &Owner<'_, R>, slot: u32) -> Option<NonNull<Node>> {
        let bucket = self.bucket(owner, slot)?;
        // Acquire pairs with the release in `link` and `unlink`: the nodes of
        // this chain are complete, and stay while this walker is counted.
        let head = bucket.fetch_add(ONE_WALKER, Ordering::Acquire);
        let mut at = address(head);
        let mut found = None;
        while let Some(node) = NonNull::new(at) {
            // SAFETY: nodes that a counted walker can reach are alive.
            let shared = unsafe { node.as_ref() };
            if shared.slot.load(Ordering::Relaxed) == slot
                && shared.pool.load(Ordering::Relaxed) == self.identity()
            {
                shared.pins.fetch_add(1, Ordering::Relaxed);
                found = Some(node);
                break;
            }
            at = shared.next.load(Ordering::Acquire);
        }
        // Release pairs with the acquire in `remove`: the pin is visible.
        bucket.fetch_sub(ONE_WALKER, Ordering::Release);
        found
    }

    /// Some member, pinned; `None` if there is none.
    pub fn first(&self) -> Option<NonNull<Node>> {
        self.members.with(|members| {
            let node = members.front().get()?;
            node.pins.fetch_add(1, Ordering::Relaxed);
            Some(NonNull::from(node))
        })
    }

    #[inline]
    fn bucket<'m>(&self, owner: &Owner<'m, R>, slot: u32) -> Option<&'m AtomicU64> {
        // Objects of one pool have neighbouring slots more often than not, so
        // the slot itself spreads best; pools are told apart in the chain.
        owner.buckets.get(slot as usize & owner.buckets.len().wrapping_sub(1))
    }
}

fn address(head: u64) -> *mut Node {
    // Addresses of nodes are exposed in `link`.
    core::ptr::with_exposed_provenance_mut(usize::try_from(head & ADDRESS).unwrap_or(0))
}

fn expose(node: *mut Node) -> u64 {
    node.expose_provenance() as u64 & ADDRESS
}

/// Replaces the address in a head, whatever walkers come and go.
fn set_head(bucket: &AtomicU64, node: *mut Node) {
    let address = expose(node);
    // Release pairs with the acquire of a walker's arrival. The closure never
    // refuses, so the result is not an error.
    let _ = bucket
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |head| Some(head & !ADDRESS | address));
}

/// Puts a node in front of its chain. Under the table's private lock.
fn link(bucket: &AtomicU64, node: NonNull<Node>) {
    let first = address(bucket.load(Ordering::Relaxed));
    // SAFETY: the caller's node is alive.
    unsafe { node.as_ref() }.next.store(first, Ordering::Relaxed);
    set_head(bucket, node.as_ptr());
}

/// Takes a node out of its chain. Under the table's private lock.
fn unlink(bucket: &AtomicU64, node: &Node) {
    let this = core::ptr::from_ref(node).cast_mut();
    let next = node.next.load(Ordering::Relaxed);
    let mut at = address(bucket.load(Ordering::Relaxed));
    if core::ptr::eq(at, this) {
        set_head(bucket, next);
        return;
    }
    while let Some(previous) = NonNull::new(at) {
        // SAFETY: members of a chain are alive, and the lock keeps them there.
        let previous = unsafe { previous.as_ref() };
        at = previous.next.load(Ordering::Relaxed);
        if core::ptr::eq(at, this) {
            previous.next.store(next, Ordering::Release);
            // Walkers that came before this are counted in what the caller
            // loads next; those that come behind it see the store above.
            bucket.fetch_add(0, Ordering::Release);
            return;
        }
    }
}
