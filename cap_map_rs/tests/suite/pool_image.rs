//! Object pools in memory as a checkpoint may find it: threads that walk a chain, or hold
//! the lock of a pool, and do not go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

use cap_map_rs::Status;
use cap_map_rs::memory::{Private, PrivateSizes};
use cap_map_rs::pool::Node;

use crate::common::{Relax, Table, TestOwner, meanwhile, waits};
use crate::pool::{TestPool, insert, leads, node, pool};

/// A table with the heads of its chains, of which there are 13. Slots 8 and 24 share
/// chain 8.
fn with_chains() -> (&'static TestOwner, &'static [AtomicU64]) {
    let sizes = PrivateSizes::new(64).unwrap();
    let buckets = crate::common::zeroed_words(sizes.buckets);
    let masks = |count| (0..count).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
    let halves = |count| (0..count).map(|_| AtomicU16::new(0)).collect::<Vec<_>>().leak();
    let private = Private::from_parts(
        halves(sizes.index),
        halves(sizes.refs),
        masks(sizes.bitmap),
        masks(sizes.summary),
        buckets,
    );
    let words = crate::common::region_words(64);
    let owner = TestOwner::new(crate::common::CONFIG, private, crate::common::region(words));
    let owner = Box::leak(Box::new(owner.unwrap()));
    owner.insert_at(40, 8).unwrap();
    owner.insert_at(44, 24).unwrap();
    (owner, buckets)
}

/// A thread that walks a chain, as its head counts it.
const WALKER: u64 = 1 << 48;

/// Lets a thread remove a node, and stops it for good while it holds the lock of the pool,
/// as a thread that does not exist any more in a restored image.
fn stop_in_removal(pool: &'static TestPool, owner: &'static TestOwner, node: &'static Node) {
    let stopped = Arc::new(AtomicBool::new(false));
    let here = Arc::clone(&stopped);
    std::thread::spawn(move || {
        meanwhile(move || {
            here.store(true, Ordering::SeqCst);
            loop {
                std::thread::park();
            }
        });
        pool.remove(owner, node)
    });
    while !stopped.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
}

#[test]
fn walkers_that_died_are_not_waited_for() {
    let ((owner, buckets), pool, a, b) = (with_chains(), pool(), node(), node());
    insert(pool, owner, a, 8).unwrap();
    assert!(leads(pool, owner, 40, a));
    assert!(pool.acquire(owner, 40).is_some());
    // SAFETY: this is the only thread.
    unsafe { owner.recover() };
    insert(pool, owner, b, 24).unwrap();
    // Two threads began to walk the chain; their memory was saved and restored.
    buckets[8].fetch_add(2 * WALKER, Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { owner.recover() };
    assert!(leads(pool, owner, 40, a) && leads(pool, owner, 44, b));
    for object in [b, a] {
        assert_eq!(waits(|| pool.remove(owner, object)), (Ok(()), 0));
    }
    b.drain::<Relax>();
    // Who used an object when the memory was saved goes on with it.
    a.release();
    assert_eq!(waits(|| a.drain::<Relax>()).1, 0);
}

/// The memory is saved while a thread removes a node, and holds the lock of the pool.
#[test]
fn a_pool_is_usable_in_a_restored_image() {
    let ((owner, buckets), pool) = (with_chains(), pool());
    let (a, b) = (node(), node());
    insert(pool, owner, b, 24).unwrap();
    insert(pool, owner, a, 8).unwrap();
    assert!(pool.acquire(owner, 40).is_some());
    buckets[8].fetch_add(WALKER, Ordering::Relaxed);
    stop_in_removal(pool, owner, a);
    // SAFETY: the other thread stays where it is for good.
    unsafe { owner.recover() };
    // SAFETY: as above.
    unsafe { pool.recover(owner) };
    assert!(pool.acquire(owner, 40).is_none() && leads(pool, owner, 44, b));
    assert_eq!(pool.remove(owner, a), Err(Status::NotFound), "it has left");
    a.release();
    assert_eq!(waits(|| a.drain::<Relax>()).1, 0);
    assert_eq!(insert(pool, owner, a, 8), Ok(()));
    assert!(leads(pool, owner, 40, a));
    for object in [a, b] {
        assert_eq!(waits(|| pool.remove(owner, object)), (Ok(()), 0));
    }
    assert!(pool.is_empty());
}

/// A pool is in use already when the next one is recovered. They share a chain, which was
/// being changed.
#[test]
fn a_recovered_pool_is_used_before_the_next_one_is_recovered() {
    let ((owner, buckets), first, second) = (with_chains(), pool(), pool());
    let (a, b, c) = (node(), node(), node());
    insert(first, owner, a, 8).unwrap();
    insert(second, owner, b, 24).unwrap();
    buckets[8].fetch_add(WALKER, Ordering::Relaxed);
    stop_in_removal(second, owner, b);
    // SAFETY: the other thread stays where it is for good.
    unsafe { owner.recover() };
    // SAFETY: as above.
    unsafe { first.recover(owner) };
    insert(first, owner, c, 24).unwrap();
    assert!(leads(first, owner, 40, a) && leads(first, owner, 44, c));
    assert_eq!(waits(|| first.remove(owner, a)), (Ok(()), 0));
    let in_use = first.acquire(owner, 44).is_some();
    // SAFETY: as above; nobody else is inside the table or the first pool.
    unsafe { second.recover(owner) };
    assert!(in_use && second.is_empty() && leads(first, owner, 44, c));
    assert_eq!(insert(second, owner, b, 8), Ok(()));
    assert!(leads(second, owner, 40, b));
    c.release();
    for (pool, object) in [(first, c), (second, b)] {
        assert_eq!(waits(|| pool.remove(owner, object)), (Ok(()), 0));
        assert_eq!(waits(|| object.drain::<Relax>()).1, 0);
    }
}

#[test]
fn recovering_a_pool_that_is_in_order_changes_nothing() {
    let table = Table::new(100);
    let (owner, first, second) = (&table.owner, pool(), pool());
    let objects: Vec<_> = (0..60).map(|_| node()).collect();
    for (object, i) in objects.iter().zip(0..) {
        let slot = owner.insert(40 + 4 * i).unwrap();
        let pool = if i % 3 == 0 { second } else { first };
        // Some have no capability.
        insert(pool, owner, object, if i % 5 == 0 { 0 } else { slot }).unwrap();
    }
    // SAFETY: this is the only thread.
    unsafe { owner.recover() };
    for pool in [first, second] {
        // SAFETY: as above.
        unsafe { pool.recover(owner) };
    }
    for (object, i) in objects.iter().zip(0..) {
        let (pool, other) = if i % 3 == 0 { (second, first) } else { (first, second) };
        assert_eq!(leads(pool, owner, 40 + 4 * i, object), i % 5 != 0);
        assert!(other.acquire(owner, 40 + 4 * i).is_none());
        assert_eq!(insert(other, owner, object, 20), Err(Status::InUse));
        assert_eq!(pool.remove(owner, object), Ok(()));
    }
    assert!(first.is_empty() && second.is_empty());
}
