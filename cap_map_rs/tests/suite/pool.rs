//! Object pools: from badge to object, whatever happens to either.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::pool::{Node, Pool};
use cap_map_rs::{Rewrite, Status};

use crate::common::{
    Random, Relax, Stop, Table, TestOwner, goes_on, meanwhile, region, region_words, waits,
};

pub(crate) type TestPool = Pool<Relax>;

pub(crate) fn node() -> &'static Node {
    Box::leak(Box::new(Node::new()))
}

pub(crate) fn pool() -> &'static TestPool {
    Box::leak(Box::new(Pool::new()))
}

pub(crate) fn insert(
    pool: &'static TestPool,
    owner: &TestOwner,
    node: &'static Node,
    slot: u32,
) -> Result<(), Status> {
    // SAFETY: node and pool are leaked.
    unsafe { pool.insert(owner, NonNull::from(node), slot) }
}

/// Whether the badge leads to the node; nobody keeps it.
pub(crate) fn leads(pool: &TestPool, owner: &TestOwner, badge: u32, node: &Node) -> bool {
    let Some(found) = pool.acquire(owner, badge) else { return false };
    // SAFETY: all nodes of these tests are leaked.
    unsafe { found.as_ref() }.release();
    assert!(std::ptr::eq(found.as_ptr(), node), "another object");
    true
}

#[test]
fn insert_acquire_remove() {
    let table = Table::new(100);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    assert!(pool.is_empty() && pool.first().is_none());
    assert!(pool.acquire(owner, 40).is_none());
    assert_eq!(insert(pool, owner, object, 100), Err(Status::BadSlot));
    assert_eq!(insert(pool, owner, object, u32::MAX), Err(Status::BadSlot));
    assert_eq!(insert(pool, owner, object, slot), Ok(()));
    assert_eq!(insert(pool, owner, object, slot), Err(Status::InUse));
    assert!(!pool.is_empty());
    assert!(leads(pool, owner, 40, object));
    assert!(pool.acquire(owner, 44).is_none() && pool.acquire(owner, 0).is_none());
    assert_eq!(pool.remove(owner, object), Ok(()));
    assert_eq!(pool.remove(owner, object), Err(Status::NotFound));
    object.drain::<Relax>();
    assert!(pool.is_empty() && pool.acquire(owner, 40).is_none());
    assert_eq!(insert(pool, owner, object, slot), Ok(()), "once more");
    assert!(leads(pool, owner, 40, object));
}

#[test]
fn pinned_objects_are_waited_for() {
    let table = Table::new(100);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    insert(pool, owner, object, slot).unwrap();
    assert!(pool.acquire(owner, 40).is_some() && pool.acquire(owner, 40).is_some());
    pool.remove(owner, object).unwrap();
    let drained = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            object.drain::<Relax>();
            drained.store(true, Ordering::SeqCst);
        });
        object.release();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!drained.load(Ordering::SeqCst), "one user is left");
        object.release();
    });
    assert!(drained.load(Ordering::SeqCst));
}

#[test]
fn first_empties_a_pool() {
    let table = Table::new(200);
    let (owner, pool) = (&table.owner, pool());
    for i in 0..100 {
        let slot = owner.insert(40 + 4 * i).unwrap();
        insert(pool, owner, node(), slot).unwrap();
    }
    let mut count = 0;
    while let Some(first) = pool.first() {
        // SAFETY: all nodes of these tests are leaked.
        let first = unsafe { first.as_ref() };
        pool.remove(owner, first).unwrap();
        first.release();
        first.drain::<Relax>();
        count += 1;
    }
    assert_eq!(count, 100);
    assert!((0..100).all(|i| pool.acquire(owner, 40 + 4 * i).is_none()));
}

/// More objects than chains, taken out in another order.
#[test]
fn chains_of_objects() {
    let table = Table::new(200);
    let (owner, pool) = (&table.owner, pool());
    let objects: Vec<_> = (0..192).map(|_| node()).collect();
    for (object, i) in objects.iter().zip(0..) {
        assert_eq!(owner.insert(40 + 4 * i), Ok(8 + i));
        insert(pool, owner, object, 8 + i).unwrap();
    }
    let mut gone = [false; 192];
    for step in 0..192_u32 {
        let i = (step * 77 + 5) % 192;
        pool.remove(owner, objects[i as usize]).unwrap();
        gone[i as usize] = true;
        if step % 16 == 0 {
            for (object, i) in objects.iter().zip(0..) {
                assert_eq!(leads(pool, owner, 40 + 4 * i, object), !gone[i as usize]);
            }
        }
    }
    assert!(pool.is_empty());
}

/// More uses than the head of a chain can count.
#[test]
fn an_object_used_very_often() {
    let table = Table::new(100);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    // As many arrivals at the chain while it is empty leave nothing behind.
    assert!((0..100_000).all(|_| pool.acquire(owner, 40).is_none()));
    insert(pool, owner, object, slot).unwrap();
    for _ in 0..200_000 {
        assert!(leads(pool, owner, 40, object));
    }
    assert!(pool.acquire(owner, 40).is_some());
    for _ in 0..200_000 {
        assert!(leads(pool, owner, 40, object));
    }
    let drained = AtomicBool::new(false);
    pool.remove(owner, object).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            object.drain::<Relax>();
            drained.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!drained.load(Ordering::SeqCst), "one user is left");
        object.release();
    });
}

/// A forked component starts anew while its only thread uses an object. The uses before, and
/// this one, are not forgotten.
#[test]
fn a_table_that_starts_anew_keeps_the_users_of_objects() {
    for in_use in [0, 1, 2] {
        for neighbour in [false, true] {
            let mut table = Table::new(64);
            let (pool, object) = (pool(), node());
            table.owner.insert_at(40, 8).unwrap();
            insert(pool, &table.owner, object, 8).unwrap();
            assert!((0..5).all(|_| leads(pool, &table.owner, 40, object)));
            if neighbour {
                insert(pool, &table.owner, node(), 24).unwrap();
            }
            assert!((0..in_use).all(|_| pool.acquire(&table.owner, 40).is_some()));
            table.owner.reset(region(region_words(64))).unwrap();
            table.owner.insert_at(40, 8).unwrap();
            assert!(pool.acquire(&table.owner, 40).is_none(), "not found any more");
            pool.remove(&table.owner, object).unwrap();
            for _ in 1..in_use {
                object.release();
            }
            if in_use > 0 {
                meanwhile(|| object.release());
            }
            assert_eq!(waits(|| object.drain::<Relax>()).1, u64::from(in_use > 0));
            insert(pool, &table.owner, object, 8).unwrap();
            assert!(leads(pool, &table.owner, 40, object));
        }
    }
}

/// Removal waits neither for users of the object nor for those of others.
#[test]
fn removal_does_not_wait_for_users() {
    let table = Table::new(64);
    let (owner, pool) = (&table.owner, pool());
    // All in one chain: there are 13, and 16 slots are folded onto them.
    let objects: Vec<_> = (0..3).map(|_| node()).collect();
    let badge = |i: u32| 40 + 4 * i;
    for i in 0..3 {
        owner.insert_at(badge(i), 8 + 16 * i).unwrap();
    }
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        for pinned_at in 1..=3 {
            for (object, i) in objects.iter().zip(0..) {
                insert(pool, owner, object, 8 + 16 * i).unwrap();
                if i + 1 == pinned_at {
                    (0..=i).for_each(|i| assert!(pool.acquire(owner, badge(i)).is_some()));
                }
            }
            let ((), waited) = waits(|| {
                for i in order {
                    pool.remove(owner, objects[i as usize]).unwrap();
                    assert!(pool.acquire(owner, badge(i)).is_none());
                }
            });
            assert_eq!(waited, 0, "{order:?}");
            for i in 0..pinned_at {
                objects[i as usize].release();
            }
            let ((), waited) = waits(|| objects.iter().for_each(|object| object.drain::<Relax>()));
            assert_eq!(waited, 0, "{order:?}");
        }
    }
}

/// An object put in again while it is still used counts all its users.
#[test]
fn users_from_before_a_removal_count() {
    let table = Table::new(100);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    for round in 0..4 {
        insert(pool, owner, object, slot).unwrap();
        assert!(leads(pool, owner, 40, object));
        assert!(pool.acquire(owner, 40).is_some());
        pool.remove(owner, object).unwrap();
        if round % 2 == 1 {
            object.release();
            object.release();
            assert_eq!(waits(|| object.drain::<Relax>()).1, 0);
        }
    }
}

#[test]
fn addresses_that_no_head_can_hold_are_refused() {
    let table = Table::new(100);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    let at = |address: usize| NonNull::new(std::ptr::without_provenance_mut(address)).unwrap();
    let address = std::ptr::from_ref(object).addr();
    for odd in [1, 2, align_of::<Node>() - 1] {
        // SAFETY: nobody looks at a node that is refused.
        let result = unsafe { pool.insert(owner, at(address + odd), slot) };
        assert_eq!(result, Err(Status::Misaligned));
    }
    if let Some(beyond) = 1_usize.checked_shl(48) {
        for address in [beyond, beyond + address, usize::MAX - 7] {
            // SAFETY: as above.
            let result = unsafe { pool.insert(owner, at(address), slot) };
            assert_eq!(result, Err(Status::BadArgument));
        }
    }
    assert!(pool.is_empty() && pool.acquire(owner, 40).is_none());
    assert_eq!(insert(pool, owner, object, slot), Ok(()));
}

#[test]
fn two_pools_with_the_same_slot() {
    let table = Table::new(100);
    let owner = &table.owner;
    let (first, second, a, b) = (pool(), pool(), node(), node());
    let slot = owner.insert(40).unwrap();
    insert(first, owner, a, slot).unwrap();
    insert(second, owner, b, slot).unwrap();
    assert!(leads(first, owner, 40, a) && leads(second, owner, 40, b));
    assert_eq!(first.remove(owner, b), Err(Status::NotFound));
    assert_eq!(insert(second, owner, a, slot), Err(Status::InUse));
    first.remove(owner, a).unwrap();
    assert!(first.acquire(owner, 40).is_none() && leads(second, owner, 40, b));
}

#[test]
fn dispatch_follows_rewritten_badges() {
    let table = Table::new(100);
    let owner = &table.owner;
    let (pool, a, b) = (pool(), node(), node());
    let (slot_a, slot_b) = (owner.insert(40).unwrap(), owner.insert(44).unwrap());
    insert(pool, owner, a, slot_a).unwrap();
    insert(pool, owner, b, slot_b).unwrap();
    let monitor = table.monitor();
    let mut swap = [Rewrite::new(slot_a, 40, 44), Rewrite::new(slot_b, 44, 40)];
    monitor.rewrite(&mut swap).unwrap();
    assert!(leads(pool, owner, 44, a) && leads(pool, owner, 40, b));
    monitor.rewrite_one(slot_a, 44, 400).unwrap();
    assert!(leads(pool, owner, 400, a) && pool.acquire(owner, 44).is_none());
}

#[test]
fn a_slot_without_the_badge_is_not_dispatched_to() {
    let table = Table::new(100);
    let (owner, pool, a, b) = (&table.owner, pool(), node(), node());
    let slot = owner.insert(40).unwrap();
    insert(pool, owner, a, slot).unwrap();
    owner.remove(slot).unwrap();
    assert!(pool.acquire(owner, 40).is_none());
    pool.remove(owner, a).unwrap();
    assert_eq!(owner.insert(44), Ok(slot));
    insert(pool, owner, b, slot).unwrap();
    assert!(pool.acquire(owner, 40).is_none() && leads(pool, owner, 44, b));
    // A detached slot is not dispatched to, either, except by who holds it.
    owner.acquire(slot).unwrap();
    owner.remove(slot).unwrap();
    assert!(pool.acquire(owner, 44).is_none());
    assert_eq!(pool.acquire_slot(owner, slot), Some(NonNull::from(b)));
    b.release();
    assert!(pool.acquire_slot(owner, slot + 1).is_none());
    assert!(pool.acquire_slot(owner, u32::MAX).is_none());
}

#[test]
fn pools_stay_when_the_table_moves() {
    let table = Table::unpublished(64, 200, crate::common::CONFIG);
    let (owner, pool, object) = (&table.owner, pool(), node());
    let slot = owner.insert(40).unwrap();
    insert(pool, owner, object, slot).unwrap();
    let words = crate::common::region_words(200);
    owner.move_to(crate::common::region(words), Some(&crate::common::shown(""))).unwrap();
    assert!(leads(pool, owner, 40, object));
    let other = node();
    assert_eq!(owner.insert_at(44, 199), Ok(()));
    insert(pool, owner, other, 199).unwrap();
    assert!(leads(pool, owner, 44, other));
}

/// An object that knows whether it may be called, and by which badge.
#[repr(C)]
struct Object {
    node: Node,
    alive: AtomicBool,
    badge: AtomicU32,
}

/// Two threads make and destroy objects, one rewrites badges, two dispatch.
#[test]
fn dispatch_while_objects_come_and_go() {
    const EACH: u32 = 24;
    let table = &Table::new(128);
    let (owner, pool) = (&table.owner, pool());
    let objects: Vec<&'static Object> = (0..2 * EACH)
        .map(|_| {
            let (alive, badge) = (AtomicBool::new(false), AtomicU32::new(0));
            &*Box::leak(Box::new(Object { node: Node::new(), alive, badge }))
        })
        .collect();
    let (done, objects) = (&AtomicBool::new(false), &objects);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for maker in 0..2 {
            scope.spawn(move || {
                let _stop = Stop(done);
                let mut random = Random::new(u64::from(maker) + 50);
                let mut slots = [None; EACH as usize];
                while !done.load(Ordering::Relaxed) {
                    let i = random.below(EACH) as usize;
                    let object = objects[(maker * EACH) as usize + i];
                    if let Some(slot) = slots[i].take() {
                        pool.remove(owner, &object.node).unwrap();
                        object.node.drain::<Relax>();
                        object.alive.store(false, Ordering::Relaxed);
                        owner.remove(slot).unwrap();
                    } else {
                        let badge = 4 * (1 + maker * 1000 + random.below(100));
                        match owner.insert(badge) {
                            Ok(slot) => {
                                object.badge.store(badge, Ordering::Relaxed);
                                object.alive.store(true, Ordering::Relaxed);
                                // SAFETY: object and pool are leaked.
                                unsafe { pool.insert(owner, NonNull::from(&object.node), slot) }
                                    .unwrap();
                                slots[i] = Some(slot);
                            }
                            Err(status) => assert_eq!(status, Status::Exists),
                        }
                    }
                }
            });
        }
        scope.spawn(move || {
            // Keeps the table busy with batches that change nothing.
            let _stop = Stop(done);
            let monitor = table.monitor();
            let mut from = 0;
            while !done.load(Ordering::Relaxed) {
                if let Some((slot, badge)) = monitor.next_used(from) {
                    let _ = monitor.rewrite_one(slot, badge, badge);
                    std::thread::sleep(Duration::from_micros(50));
                    from = slot + 1;
                } else {
                    from = 0;
                    std::thread::yield_now();
                }
            }
        });
        let dispatchers = [0, 1].map(|maker| {
            scope.spawn(move || {
                let stop = Stop(done);
                let mut random = Random::new(u64::from(maker) + 60);
                let mut hits = 0_u32;
                while goes_on(begin, Duration::from_millis(1000), hits > 50) {
                    for _ in 0..64 {
                        let badge = 4 * (1 + maker * 1000 + random.below(100));
                        let Some(found) = pool.acquire(owner, badge) else { continue };
                        // SAFETY: the node is the first field of a leaked object.
                        let object = unsafe { found.cast::<Object>().as_ref() };
                        assert!(object.alive.load(Ordering::Relaxed), "dispatched to a dead one");
                        assert_eq!(object.badge.load(Ordering::Relaxed), badge, "misdirected");
                        object.node.release();
                        hits += 1;
                    }
                }
                drop(stop);
            })
        });
        dispatchers.into_iter().for_each(|dispatcher| dispatcher.join().unwrap());
    });
}
