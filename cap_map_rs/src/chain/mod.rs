//! Hash chains from a slot to the objects that stand for it, and how a thread pins
//! one of them.
//!
//! The nodes lie inside the objects. A chain serves the objects of all pools, and its
//! head is one word that belongs to the table.
//!
//! # How an object is pinned
//!
//! A thread adds one to the head. The value that this returns tells the thread the
//! mode and the first node.
//!
//! * **Single mode**: at most one node. The addition is already the pin. The users of a
//!   node are those counted in the head (arrivals) plus those counted in the node. A
//!   user departs by subtracting one from the node. The count of the node may fall
//!   below zero and wrap, because only the sum has a meaning. A thread that gives the
//!   chain another head takes the arrivals out of it in the same exchange, and then
//!   adds them to the node (transfer). In a chain without nodes, arrivals pin nothing
//!   and are dropped.
//! * **Long mode**: two nodes or more. The head counts the threads that walk the chain.
//!   A walker that has found its node pins it there, and leaves the chain. A thread
//!   that unlinks a node waits for the walkers that are there ([`grace`]), because an
//!   earlier walker may look at the node. The way back to single mode is an exchange that finds
//!   no walker. If it finds one, the chain stays long until it changes again.
//!
//! Why is no object destroyed while it is used, and each in the end?
//! * Links change under the table's private lock, and a removal is over before `drain`
//!   looks at the node. The arrivals of a removed node have been transferred by then,
//!   so the counts of the node are its users.
//! * An arriver that finds a quarter of the count's range used up transfers, too,
//!   without the lock. It adds to the node *before* it takes from the head, and takes
//!   the sum back if the exchange fails. In the other order, the node could be removed
//!   in between and seem unused although its users are on the way. Too many pins for a
//!   while only make `drain` wait, and the node stays because the arriver is a user
//!   itself. Each arriver stays until the count is low again, so as many more may
//!   arrive meanwhile as there are threads. Three quarters of the range are enough for
//!   49,152.
//! * The exchange may find the head that was read although the node was removed and
//!   inserted again since, with as many arrivals. That does no harm: arrivals do not
//!   differ from each other, and the sum is kept.
//! * For the same reason it does not matter whether the arrival of a user is
//!   transferred before or after the user departs, nor in which mode the chain is then.
//! * A thread that uses an object neither arrives nor walks. The removal of another
//!   object of the chain does not wait for it.
//!
//! # What a memory image may show
//!
//! The image of a component's memory may be taken while a thread is in the middle of a
//! change that nobody completes (see `Pool::recover`). One store decides whether a node
//! is in its chain: that of the head, or that of the link in front of it. A chain whose
//! mode was not yet changed back is long for longer than it must be. The arrivals that
//! the holder of the private lock transfers have a count of their own, for which the new
//! value is noted before the exchange. The exchange always changes the first node or the
//! mode, so the head tells whether it took place ([`settle_locked`]).
//!
//! Nothing tells on whose behalf the other counts were changed. A thread that is lost
//! between its arrival and the end of `Pool::acquire`, in `transfer`, or in front of the
//! subtraction in `release` remains a user: the object is found and can be removed, but
//! `drain` waits for ever. Counts are never too low.

#![allow(unsafe_code)]

mod grace;
mod head;

use core::ptr::NonNull;

use intrusive_collections::LinkedListLink;
use static_assertions::assert_impl_all;

pub(crate) use self::grace::Grace;
use self::head::Head;
pub(crate) use self::head::{Buckets, Chains};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering, RelaxStrategy};

/// The part of an object that makes it a member of a pool.
///
/// # Invariants
/// `slot` changes only while the node is in no chain, and no walker that came to know it
/// there is left. So does `next`, except when the successor of the node is unlinked
/// (under the table's private lock). `member` changes under the pool's lock only.
#[repr(C)]
pub struct Node {
    next: AtomicPtr<Node>,
    /// Its place in the list of the pool's members.
    pub(crate) member: LinkedListLink,
    /// The pool that it is a member of, or null. Nobody follows this pointer.
    pub(crate) pool: AtomicPtr<()>,
    pub(crate) slot: AtomicU32,
    /// Threads that use the object through `Pool::acquire`, less the arrivals that the
    /// head or `transferred` counts. The number wraps.
    pub(crate) pins: AtomicU32,
    /// Arrivals that were taken out of the head under the table's private lock. The
    /// number wraps.
    transferred: AtomicU32,
    /// What `transferred` becomes by the exchange that is about to take arrivals out of
    /// the head. Equal to it at all other times.
    announced: AtomicU32,
}

#[cfg(not(loom))]
static_assertions::const_assert!(size_of::<Node>() <= 6 * size_of::<u64>());

// SAFETY: all parts but `member` are atomic, and that is used under a lock.
unsafe impl Sync for Node {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Node {}

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
            transferred: AtomicU32::new(0),
            announced: AtomicU32::new(0),
        }
    }

    /// Whether this is the node of that pool's object for `slot`.
    #[inline]
    pub(crate) fn stands_for(&self, pool: *mut (), slot: u32) -> bool {
        self.slot.load(Ordering::Relaxed) == slot && self.pool.load(Ordering::Relaxed) == pool
    }

    /// Gives up the use of the object that `Pool::acquire` granted.
    pub fn release(&self) {
        // Release pairs with the acquire in `drain`: the use is over.
        self.pins.fetch_sub(1, Ordering::Release);
    }

    /// Waits until no thread uses the object any more. The object must have left its
    /// pool, so that no new user can come.
    pub fn drain<R: RelaxStrategy>(&self) {
        while self.pins.load(Ordering::Acquire) != self.untransferred() {
            R::relax();
        }
    }

    /// What `pins` is when nobody uses the object, whose head counts no arrivals.
    ///
    /// Relaxed: the thread that drains the node has seen the lock given back under which
    /// `transferred` changed last.
    fn untransferred(&self) -> u32 {
        self.transferred.load(Ordering::Relaxed).wrapping_neg()
    }

    /// Whether `head` counts arrivals of this node.
    fn is_alone_behind(&self, head: Head) -> bool {
        !head.is_long() && core::ptr::eq(first(head), self)
    }
}

assert_impl_all!(Node: Send, Sync);

/// The object of `pool` for `slot`, pinned.
#[inline]
pub(crate) fn acquire<R: RelaxStrategy>(
    bucket: &AtomicU64,
    grace: &Grace<R>,
    pool: *mut (),
    slot: u32,
) -> Option<NonNull<Node>> {
    // Acquire pairs with the release in `lead_locked`: the nodes of this chain are
    // complete, and stay while this arrival is counted.
    let head = Head(bucket.fetch_add(Head::ONE, Ordering::Acquire));
    if head.is_long() {
        return acquire_walking(bucket, head, grace, pool, slot);
    }
    let node = NonNull::new(first(head))?;
    // SAFETY: pinned by the arrival.
    let shared = unsafe { node.as_ref() };
    if head.is_filling() {
        transfer(bucket, node);
    }
    if shared.stands_for(pool, slot) {
        return Some(node);
    }
    shared.release();
    None
}

/// Like [`acquire`], in a chain in long mode. Its `head` says that this thread is
/// counted as a walker.
#[inline(never)]
fn acquire_walking<R: RelaxStrategy>(
    bucket: &AtomicU64,
    head: Head,
    grace: &Grace<R>,
    pool: *mut (),
    slot: u32,
) -> Option<NonNull<Node>> {
    let mut at = first(head);
    let mut found = None;
    while let Some(node) = NonNull::new(at) {
        // SAFETY: nodes that a counted walker can reach are alive.
        let shared = unsafe { node.as_ref() };
        if shared.stands_for(pool, slot) {
            shared.pins.fetch_add(1, Ordering::Relaxed);
            found = Some(node);
            break;
        }
        at = shared.next.load(Ordering::Acquire);
    }
    grace.depart(bucket, head);
    found
}

/// The first node of a chain, or null.
fn first(head: Head) -> *mut Node {
    // Addresses of nodes are exposed in `lead_locked`.
    core::ptr::with_exposed_provenance_mut(usize::try_from(head.address()).unwrap_or(0))
}

/// Gives the chain another first node, or the same one if the chain changed behind
/// it. `alone` says whether there is no other node.
fn lead_locked(bucket: &AtomicU64, node: *mut Node, alone: bool) {
    let address = node.expose_provenance() as u64;
    let mut old = Head(bucket.load(Ordering::Relaxed));
    loop {
        // SAFETY: a member of the chain until the exchange. Its removal cannot end before
        // the lock is given back.
        let counted = unsafe { first(old).as_ref() }.filter(|node| node.is_alone_behind(old));
        let moved = counted.map(|node| {
            let sum = node.transferred.load(Ordering::Relaxed).wrapping_add(old.count());
            node.announced.store(sum, Ordering::Relaxed);
            (node, sum)
        });
        // Release pairs with the acquire of an arrival, and puts the announcement first.
        // Acquire, like those in `outlast_walkers`, pairs with the release in `transfer`.
        let led = old.led_by(address, alone);
        match bucket.compare_exchange(old.0, led.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                if let Some((node, sum)) = moved {
                    node.transferred.store(sum, Ordering::Relaxed);
                }
                return;
            }
            Err(now) => old = Head(now),
        }
    }
}

/// Completes what a thread announced that was lost with the private lock in its hands,
/// if its exchange took place.
pub(crate) fn settle_locked(bucket: &AtomicU64, node: &Node) {
    let head = Head(bucket.load(Ordering::Relaxed));
    let (from, to) = if node.is_alone_behind(head) {
        (&node.transferred, &node.announced)
    } else {
        (&node.announced, &node.transferred)
    };
    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Calls `visit` for each node of a chain.
pub(crate) fn visit_locked(bucket: &AtomicU64, mut visit: impl FnMut(NonNull<Node>)) {
    let mut at = first(Head(bucket.load(Ordering::Relaxed)));
    while let Some(node) = NonNull::new(at) {
        visit(node);
        // SAFETY: members of a chain are alive, and the lock keeps them there.
        at = unsafe { node.as_ref() }.next.load(Ordering::Relaxed);
    }
}

/// Whether a head can hold the address of a node.
pub(crate) fn fits(node: NonNull<Node>) -> bool {
    Head::holds(node.addr().get() as u64)
}

/// Moves the arrivals of a chain in single mode to its node, which the caller
/// has pinned by one of them.
#[cold]
#[inline(never)]
fn transfer(bucket: &AtomicU64, node: NonNull<Node>) {
    // SAFETY: pinned.
    let pins = &unsafe { node.as_ref() }.pins;
    let mut head = Head(bucket.load(Ordering::Relaxed));
    // Another thread may have transferred the arrivals, or unlinked the node.
    while head.is_filling() && !head.is_long() && core::ptr::eq(first(head), node.as_ptr()) {
        pins.fetch_add(head.count(), Ordering::Relaxed);
        // Release pairs with the acquire in `lead_locked`: a thread that finds the
        // arrivals gone finds them in the node.
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

/// Puts a node in front of its chain.
pub(crate) fn link_locked(bucket: &AtomicU64, node: NonNull<Node>) {
    let next = first(Head(bucket.load(Ordering::Relaxed)));
    // SAFETY: the caller's node is alive.
    unsafe { node.as_ref() }.next.store(next, Ordering::Relaxed);
    lead_locked(bucket, node.as_ptr(), next.is_null());
}

/// Takes a node out of its chain.
pub(crate) fn unlink_locked(bucket: &AtomicU64, node: &Node) {
    let this = core::ptr::from_ref(node).cast_mut();
    let next = node.next.load(Ordering::Relaxed);
    let begin = first(Head(bucket.load(Ordering::Relaxed)));
    if core::ptr::eq(begin, this) {
        lead_locked(bucket, next, is_last_locked(next));
        return;
    }
    let mut at = begin;
    while let Some(previous) = NonNull::new(at) {
        // SAFETY: members of a chain are alive, and the lock keeps them there.
        let previous = unsafe { previous.as_ref() };
        at = previous.next.load(Ordering::Relaxed);
        if core::ptr::eq(at, this) {
            previous.next.store(next, Ordering::Release);
            // Walkers that came before this exchange are counted in what the caller
            // loads next. Later walkers see the store above.
            lead_locked(bucket, begin, is_last_locked(begin));
            return;
        }
    }
}

/// Empties a chain whose table starts anew in a forked component. The nodes stay members of
/// their pools, and keep their users, of whom the caller may be one.
pub(crate) fn disband_locked(bucket: &AtomicU64) {
    // SAFETY: members of a chain are alive.
    visit_locked(bucket, |node| settle_locked(bucket, unsafe { node.as_ref() }));
    lead_locked(bucket, core::ptr::null_mut(), true);
    // The threads that walked it do not exist here.
    bucket.store(0, Ordering::Relaxed);
}

/// Whether no node comes behind the given one, or none was given.
fn is_last_locked(node: *mut Node) -> bool {
    // SAFETY: null, or a member of a chain.
    unsafe { node.as_ref() }.is_none_or(|node| node.next.load(Ordering::Relaxed).is_null())
}
