//! A filled map of one subject, and the operations that are measured on it.

use std::collections::HashSet;
use std::ffi::c_void;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use cap_map_ffi::{Status, cap_map_kernel, cap_map_node, cap_map_pool};
use fastrand::Rng;

use crate::operation::{self, Operation, Pattern};
use crate::ops::{FIRST_USER, Map, PoolOps, Subject};

/// Length of the order in which badges are used: longer than what a branch
/// predictor learns by heart.
const ORDER: u32 = 1 << 15;

/// An object: its node first, the lock that is held while it is used, a value.
#[repr(C, align(64))]
pub(crate) struct Object {
    node: [u64; 8],
    lock: AtomicU32,
    value: AtomicU32,
}

/// A pool with an object for each capability.
pub(crate) struct Objects {
    ops: &'static PoolOps,
    pool: *mut cap_map_pool,
    objects: Vec<Object>,
}

impl Objects {
    pub(crate) fn new(ops: &'static PoolOps, map: &Map, slots: &[u32]) -> Self {
        // SAFETY: creation has no duties.
        let pool = unsafe { (ops.create)() };
        let object = |slot: &u32| Object {
            node: [0; 8],
            lock: AtomicU32::new(0),
            value: AtomicU32::new(*slot),
        };
        // The vector is never changed, so the objects keep their addresses.
        let mut objects: Vec<_> = slots.iter().map(object).collect();
        for (object, slot) in objects.iter_mut().zip(slots) {
            let node: *mut cap_map_node = (&raw mut *object).cast();
            // SAFETY: valid memory for a node; the pool is of the same kind.
            let status = unsafe { (ops.insert)(pool, map.owner(), node, *slot) };
            assert!(status == Status::Ok, "object not inserted: {status}");
        }
        Objects { ops, pool, objects }
    }

    /// Runs a function of the object for `badge` under the object's lock, as an
    /// entrypoint does for each request. Returns the object's value.
    #[inline]
    pub(crate) fn dispatch(&self, map: &Map, badge: u32) -> Option<u32> {
        // SAFETY: map and pool are alive.
        let node = unsafe { (self.ops.acquire)(self.pool, map.owner(), badge) };
        // SAFETY: the pool holds nodes of `Object` only, and this one is pinned.
        let object = unsafe { node.cast::<Object>().as_ref() }?;
        while object.lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            std::hint::spin_loop();
        }
        let value = object.value.load(Ordering::Relaxed);
        object.lock.store(0, Ordering::Release);
        // SAFETY: acquired above, once.
        unsafe { (self.ops.release)(node) };
        Some(value)
    }

    pub(crate) fn clear(&mut self, map: &Map) {
        for object in &self.objects {
            let node: *const cap_map_node = (&raw const *object).cast();
            // SAFETY: a member of this pool.
            unsafe { (self.ops.remove)(self.pool, map.owner(), node) };
        }
        // SAFETY: has no members any more, and is not used any more.
        unsafe { (self.ops.destroy)(self.pool) };
    }
}

/// A map with live capabilities.
pub(crate) struct Workload {
    pub(crate) map: Map,
    /// Live capabilities: badge and slot.
    pub(crate) live: Vec<(u32, u32)>,
    /// Badges that are not in the map.
    spare: Vec<u32>,
    /// Indices into `live`.
    order: Vec<u32>,
    /// What an operation is applied to, in that order: badge, slot or index.
    keys: Vec<u32>,
    at: usize,
    objects: Option<Objects>,
}

extern "C" fn always(_: *mut c_void, _: usize, _: usize) -> bool {
    true
}

extern "C" fn always_valid(_: *mut c_void, _: usize) -> bool {
    true
}

extern "C" fn nothing(_: *mut c_void, _: usize, _: u32) {}

/// Agrees with everything.
static KERNEL: Kernel = Kernel(cap_map_kernel {
    context: std::ptr::null_mut(),
    equal: Some(always),
    valid: Some(always_valid),
    map: Some(always),
    vanished: Some(nothing),
});

struct Kernel(cap_map_kernel);
// SAFETY: the context is null and constant.
unsafe impl Sync for Kernel {}

/// `count` different badges.
pub(crate) fn badges(pattern: Pattern, count: u32) -> Vec<u32> {
    let mut random = Rng::with_seed(u64::from(count));
    if pattern == Pattern::Clustered {
        let mut badge = 0;
        let next = |_| {
            let hole = if random.u32(..8) == 0 { 1 + random.u32(..15) } else { 0 };
            badge += 4 * (1 + hole);
            badge
        };
        return (0..count).map(next).collect();
    }
    let mut seen = HashSet::new();
    std::iter::repeat_with(|| 4 + 4 * random.u32(..(1 << 26) - 2))
        .filter(|badge| seen.insert(*badge))
        .take(count as usize)
        .collect()
}

fn order(pattern: Pattern, count: u32) -> Vec<u32> {
    let mut random = Rng::with_seed(7);
    let recent = count.min(8);
    (0..ORDER)
        .map(|i| match pattern {
            Pattern::Sequential => i % count,
            Pattern::Recent if i % 16 != 0 => count - 1 - random.u32(..recent),
            _ => random.u32(..count),
        })
        .collect()
}

impl Workload {
    pub(crate) fn new(subject: &Subject, size: u32, capacity: u32, pattern: Pattern) -> Self {
        let map = Map::new(subject.map, capacity);
        let mut live = badges(pattern, 2 * size);
        let spare = live.split_off(size as usize);
        let live: Vec<_> = live.into_iter().zip(FIRST_USER..).collect();
        for (badge, slot) in &live {
            assert!(map.insert_at(*badge, *slot) == Status::Ok, "badge not inserted");
        }
        let order = order(pattern, size);
        let objects = None;
        let mut workload = Workload { map, live, spare, order, keys: Vec::new(), at: 0, objects };
        workload.verify();
        workload.live.shrink_to_fit();
        workload
    }

    /// Makes the state that an operation needs.
    pub(crate) fn prepare(&mut self, operation: Operation, subject: &Subject) {
        match operation {
            Operation::InsertMapHit | Operation::References => {
                // One reference is held, so that none is the last.
                self.live.iter().for_each(|(_, slot)| assert!(self.map.acquire(*slot)));
            }
            Operation::WindowHoles => {
                let (gone, stay) = self.live.iter().partition(|(_, slot)| slot % 8 == 0);
                self.live = stay;
                let gone: Vec<(u32, u32)> = gone;
                gone.iter().for_each(|(_, slot)| assert!(self.map.remove(*slot)));
            }
            Operation::Dispatch => {
                let slots: Vec<_> = self.live.iter().map(|(_, slot)| *slot).collect();
                self.objects = subject.pool.map(|ops| Objects::new(ops, &self.map, &slots));
                for (badge, slot) in &self.live {
                    let value = self.objects.as_ref().and_then(|o| o.dispatch(&self.map, *badge));
                    assert_eq!(value, Some(*slot), "{} dispatches wrongly", subject.name);
                }
            }
            _ => {}
        }
        let key = |i: &u32| {
            let at = *i as usize % self.live.len();
            match operation {
                Operation::FindMiss | Operation::InsertMapNew => self.spare[at],
                Operation::References => self.live[at].1,
                Operation::InsertRemove => *i,
                _ => self.live[at].0,
            }
        };
        self.keys = self.order.iter().map(key).collect();
    }

    /// Checks that exactly the live badges are found, where they should be.
    pub(crate) fn verify(&self) {
        for (badge, slot) in &self.live {
            assert_eq!(self.map.find(*badge), Some(*slot), "badge {badge}");
        }
        for badge in &self.spare {
            assert_eq!(self.map.find(*badge), None, "badge {badge}");
        }
    }

    /// Undoes [`Self::prepare`], and checks the map.
    pub(crate) fn finish(&mut self, operation: Operation) {
        match operation {
            Operation::InsertMapHit | Operation::References => {
                // Back to maps without references, which `remove` frees at once.
                for (badge, slot) in &mut self.live {
                    assert_eq!(self.map.release(*slot), Some(true), "one reference is left");
                    assert!(self.map.free(*slot, 1), "the slot is reserved");
                    assert!(self.map.insert_at(*badge, *slot) == Status::Ok, "badge not inserted");
                }
            }
            Operation::Dispatch => {
                if let Some(mut objects) = self.objects.take() {
                    objects.clear(&self.map);
                }
            }
            _ => {}
        }
        self.verify();
    }

    /// Runs an operation `count` times and returns a sum that depends on each.
    #[inline(never)]
    pub(crate) fn run(&mut self, operation: Operation, count: usize) -> u32 {
        let start = self.at;
        self.at = self.at.wrapping_add(count);
        let keys = std::mem::take(&mut self.keys);
        let picks = (start..start.wrapping_add(count)).map(|i| keys[i % ORDER as usize]);
        let sum = self.run_on(operation, picks);
        self.keys = keys;
        black_box(sum)
    }

    /// Runs the lower bound of an operation; false if it has none.
    #[inline(never)]
    pub(crate) fn run_lower_bound(&self, operation: Operation, count: usize) -> bool {
        operation::run_lower_bound(operation, (0..count).map(|i| self.keys[i % ORDER as usize]))
    }

    #[inline(always)]
    fn run_on(&mut self, operation: Operation, picks: impl Iterator<Item = u32>) -> u32 {
        let map = &self.map;
        let add = |sum: u32, slot: Option<u32>| sum.wrapping_add(slot.unwrap_or(0));
        match operation {
            Operation::FindHit | Operation::FindMiss => {
                picks.fold(0, |sum, badge| add(sum, map.find(badge)))
            }
            Operation::FindDependent => picks.fold(0, |sum, badge| {
                // Slots are far below this bit: nothing is added, but waited for.
                map.find(badge + (sum >> 31)).unwrap_or(0)
            }),
            Operation::InsertMapHit => picks.fold(0, |sum, badge| {
                let slot = map.insert_map(badge, &KERNEL.0);
                slot.map(|slot| map.release(slot));
                add(sum, slot)
            }),
            Operation::InsertMapNew => picks.fold(0, |sum, badge| {
                let slot = map.insert_map(badge, &KERNEL.0);
                if let Some(slot) = slot {
                    map.release(slot);
                    map.free(slot, 1);
                }
                add(sum, slot)
            }),
            Operation::InsertRemove => {
                let (live, spare) = (&mut self.live, &mut self.spare);
                picks.fold(0, |sum, i| {
                    let i = i as usize;
                    let (gone, slot) = live[i];
                    map.remove(slot);
                    let slot = map.insert(spare[i]);
                    live[i] = (std::mem::replace(&mut spare[i], gone), slot.unwrap_or(0));
                    add(sum, slot)
                })
            }
            Operation::References => picks.fold(0, |sum, slot| {
                sum.wrapping_add(u32::from(map.acquire(slot)))
                    .wrapping_add(u32::from(map.release(slot).is_some()))
            }),
            Operation::Window | Operation::WindowHoles => picks.fold(0, |sum, _| {
                let first = map.alloc(4);
                first.map(|first| map.free(first, 4));
                add(sum, first)
            }),
            Operation::Dispatch => match &self.objects {
                Some(objects) => picks.fold(0, |sum, badge| add(sum, objects.dispatch(map, badge))),
                None => 0,
            },
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        if let Some(mut objects) = self.objects.take() {
            objects.clear(&self.map);
        }
    }
}
