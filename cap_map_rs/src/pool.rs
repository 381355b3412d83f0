//! Object pools: from badge to object without badges in the pool.
//!
//! A pool knows its objects by slot. Dispatch looks the badge up in the table
//! (lock-free), then the slot in hash chains that run through nodes inside the
//! objects. The heads of the chains belong to the table and serve all pools of
//! the component. A monitor that rewrites badges changes where all pools lead to
//! without touching one.
//!
//! The slot may be freed and used again between both steps; so the badge is
//! compared once more when the object is pinned.
//!
//! # How an object is pinned
//!
//! One addition to the head counts a thread in, and tells it mode and first node.
//!
//! * **Single mode**, at most one node. The addition is the pin already: the
//!   users of a node are those counted in the head (arrivals) plus those counted
//!   in the node. A user departs by subtracting from the node, whose count so may
//!   fall below zero and wraps; only the sum has a meaning. Whoever gives the
//!   chain another head takes the arrivals out of it in the same exchange, and
//!   then adds them to the node (transfer). In a chain without nodes arrivals
//!   pin nothing, and are dropped.
//! * **Long mode**, two nodes or more. The head counts the threads that walk the
//!   chain; one that has found its node pins it there and leaves. Whoever unlinks
//!   a node waits for an instant without walkers, as one that came before may
//!   look at it. The way back to single mode is an exchange that finds no walker;
//!   if there is one, a chain of one node or none stays long until it is changed.
//!
//! Why an object is not destroyed while it is used, and is in the end:
//! * Links change under the table's private lock, and removal is over before
//!   `drain` looks at the node. The arrivals of a removed node were transferred
//!   then, and its pins are its users.
//! * An arriver that finds a quarter of the count's range used up transfers, too,
//!   without the lock. It adds to the node *before* it takes from the head, and
//!   takes that back if the exchange fails. The other way round, the node could be
//!   removed in between, and seem unused although its users are as many as are
//!   on the way. Too many pins for a while only mean that `drain` waits; and the
//!   node stays, as the arriver is a user itself. Each arriver stays until the
//!   count is low again, so as many more as there are threads may arrive
//!   meanwhile: three quarters of the range are enough for 49,152.
//! * The exchange may find the head it has read although the node was removed
//!   and inserted again since, with as many arrivals: arrivals do not differ from
//!   each other, and the sum is kept.
//! * It does not matter whether a user's arrival was transferred before or after
//!   it departs, nor in which mode the chain is then, for the same reason.
//! * A thread that uses an object is neither arriving nor walking: whoever removes
//!   another object of the chain does not wait for it.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};
use static_assertions::assert_impl_all;

use crate::head::{Head, ONE};
use crate::limits::DISPATCHES;
use crate::owner::Owner;
use crate::status::Status;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Lock, Ordering, RelaxStrategy};

/// The slot changed hands; the badge may be in another one.
struct Moved;

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
    /// Threads that use the object through [`Pool::acquire`], less the arrivals
    /// counted in the head; wraps.
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
            let bucket = owner.bucket(node.slot.load(Ordering::Relaxed));
            if let Some(bucket) = bucket {
                owner.locked(|| unlink(bucket, node));
            }
            node.pool.store(core::ptr::null_mut(), Ordering::Relaxed);
            Ok(bucket)
        })?;
        // Walkers stay for a few loads only. Acquire pairs with the release of
        // their departure: all they did with the node is done.
        while bucket.is_some_and(|bucket| Head(bucket.load(Ordering::Acquire)).is_walked()) {
            R::relax();
        }
        Ok(())
    }

    /// The object for `badge`, pinned: it is not destroyed until released.
    /// `None` for a badge that leads to no object of this pool.
    #[inline]
    pub fn acquire(&self, owner: &Owner<'_, R>, badge: u32) -> Option<NonNull<Node>> {
        if let Some(slot) = owner.find_fast(badge)
            && let Ok(found) = self.acquire_at(owner, slot, badge)
        {
            return found;
        }
        self.acquire_far(owner, badge)
    }

    /// Like [`Pool::acquire`], for badges that are not where they belong, or move.
    #[inline(never)]
    fn acquire_far(&self, owner: &Owner<'_, R>, badge: u32) -> Option<NonNull<Node>> {
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
        let bucket = owner.bucket(slot)?;
        // Acquire pairs with the release in `lead`: the nodes of this chain are
        // complete, and stay while this arrival is counted.
        let head = Head(bucket.fetch_add(ONE, Ordering::Acquire));
        if head.is_long() {
            return self.acquire_walking(bucket, head, slot);
        }
        let node = NonNull::new(first(head))?;
        // SAFETY: pinned by the arrival.
        let shared = unsafe { node.as_ref() };
        if head.is_filling() {
            transfer(bucket, node);
        }
        if self.holds(shared, slot) {
            return Some(node);
        }
        shared.release();
        None
    }

    /// The object for `slot` in a chain in long mode, whose `head` says that this
    /// thread is counted as a walker.
    #[inline(never)]
    fn acquire_walking(&self, bucket: &AtomicU64, head: Head, slot: u32) -> Option<NonNull<Node>> {
        let mut at = first(head);
        let mut found = None;
        while let Some(node) = NonNull::new(at) {
            // SAFETY: nodes that a counted walker can reach are alive.
            let shared = unsafe { node.as_ref() };
            if self.holds(shared, slot) {
                shared.pins.fetch_add(1, Ordering::Relaxed);
                found = Some(node);
                break;
            }
            at = shared.next.load(Ordering::Acquire);
        }
        // Release pairs with the acquire in `remove`: the pin is visible.
        bucket.fetch_sub(ONE, Ordering::Release);
        found
    }

    #[inline]
    fn holds(&self, node: &Node, slot: u32) -> bool {
        node.slot.load(Ordering::Relaxed) == slot
            && node.pool.load(Ordering::Relaxed) == self.identity()
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

fn first(head: Head) -> *mut Node {
    // Addresses of nodes are exposed in `lead`.
    core::ptr::with_exposed_provenance_mut(usize::try_from(head.address()).unwrap_or(0))
}

/// Gives the chain another first node, or the same if it changed behind that;
/// `alone` tells whether there is no other. Under the table's private lock.
fn lead(bucket: &AtomicU64, node: *mut Node, alone: bool) {
    let address = node.expose_provenance() as u64;
    // Release pairs with the acquire of an arrival; acquire, like that of the
    // load in `remove`, with the release in `transfer`. The closure never refuses.
    let (Ok(old) | Err(old)) = bucket.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |head| {
        Some(Head(head).led_by(address, alone).0)
    });
    let old = Head(old);
    if let Some(node) = NonNull::new(first(old))
        && !old.is_long()
        && old.count() != 0
    {
        // SAFETY: it was a member until now, and its removal cannot end before
        // the lock is given back. Relaxed: so it is visible to who drains it.
        unsafe { node.as_ref() }.pins.fetch_add(old.count(), Ordering::Relaxed);
    }
}

/// Moves the arrivals of a chain in single mode to its node, which the caller
/// has pinned by one of them.
#[cold]
#[inline(never)]
fn transfer(bucket: &AtomicU64, node: NonNull<Node>) {
    // SAFETY: pinned.
    let pins = &unsafe { node.as_ref() }.pins;
    let mut head = Head(bucket.load(Ordering::Relaxed));
    // Somebody else may have transferred, or unlinked the node.
    while head.is_filling() && !head.is_long() && core::ptr::eq(first(head), node.as_ptr()) {
        pins.fetch_add(head.count(), Ordering::Relaxed);
        // Release pairs with the acquire in `lead`: who finds the arrivals gone
        // finds them in the node.
        match bucket.compare_exchange(
            head.0,
            head.uncounted().0,
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => return,
            Err(now) => {
                pins.fetch_sub(head.count(), Ordering::Relaxed);
                head = Head(now);
            }
        }
    }
}

/// Puts a node in front of its chain. Under the table's private lock.
fn link(bucket: &AtomicU64, node: NonNull<Node>) {
    let next = first(Head(bucket.load(Ordering::Relaxed)));
    // SAFETY: the caller's node is alive.
    unsafe { node.as_ref() }.next.store(next, Ordering::Relaxed);
    lead(bucket, node.as_ptr(), next.is_null());
}

/// Takes a node out of its chain. Under the table's private lock.
fn unlink(bucket: &AtomicU64, node: &Node) {
    let this = core::ptr::from_ref(node).cast_mut();
    let next = node.next.load(Ordering::Relaxed);
    let begin = first(Head(bucket.load(Ordering::Relaxed)));
    if core::ptr::eq(begin, this) {
        lead(bucket, next, is_last(next));
        return;
    }
    let mut at = begin;
    while let Some(previous) = NonNull::new(at) {
        // SAFETY: members of a chain are alive, and the lock keeps them there.
        let previous = unsafe { previous.as_ref() };
        at = previous.next.load(Ordering::Relaxed);
        if core::ptr::eq(at, this) {
            previous.next.store(next, Ordering::Release);
            // Walkers that came before this are counted in what the caller
            // loads next; those that come behind it see the store above.
            lead(bucket, begin, is_last(begin));
            return;
        }
    }
}

/// Whether no node comes behind the given one, or there is none. Under the
/// table's private lock.
fn is_last(node: *mut Node) -> bool {
    // SAFETY: null, or a member of a chain.
    unsafe { node.as_ref() }.is_none_or(|node| node.next.load(Ordering::Relaxed).is_null())
}
