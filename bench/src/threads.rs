//! Several threads at once: object dispatch, references, and windows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use cap_map_ffi::{Rewrite, Status};
use fastrand::Rng;

use crate::measure::{Effort, More, Scaling, Spread, pin, processor_time};
use crate::monitor::Watched;
use crate::operation::Pattern;
use crate::ops::{COMPONENT, FIRST_USER, Map, PoolOps};
use crate::subjects::{BARE, ours, subjects};
use crate::workload::{Objects, badges};

/// Objects per thread, as an entrypoint has.
const OBJECTS: u32 = 64;
const THREADS: u32 = 4;

/// How objects are spread over pools and threads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Each thread has a pool and objects of its own, as entrypoints do.
    Own,
    /// One pool, but each thread uses objects of its own.
    Pool,
    /// One pool, all threads use all objects.
    Objects,
}

/// A map, its pools, and the badges of each thread.
struct Scene<'a> {
    map: &'a Map,
    pools: Vec<Objects>,
    badges: Vec<Vec<u32>>,
}

// SAFETY: the maps and pools chosen in `all` may be used by several threads.
unsafe impl Sync for Scene<'_> {}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let map = self.map;
        self.pools.iter_mut().for_each(|pool| pool.clear(map));
    }
}

impl<'a> Scene<'a> {
    fn new(map: &'a Map, ops: &'static PoolOps, all: &[u32], sharing: Sharing) -> Self {
        let slots: Vec<_> = (FIRST_USER..).take(all.len()).collect();
        let pools = match sharing {
            Sharing::Own => {
                slots.chunks(OBJECTS as usize).map(|slots| Objects::new(ops, map, slots)).collect()
            }
            _ => vec![Objects::new(ops, map, &slots)],
        };
        let badges = match sharing {
            Sharing::Objects => vec![all.to_vec(); THREADS as usize],
            _ => all.chunks(OBJECTS as usize).map(<[u32]>::to_vec).collect(),
        };
        Scene { map, pools, badges }
    }

    /// Rate of threads that dispatch, in objects, as [`rate`].
    fn rate(&self, effort: &Effort, threads: u32) -> (f64, f64) {
        let orders: Vec<Vec<u32>> =
            (0..threads as usize).map(|thread| self.order(thread)).collect();
        rate(effort, threads, |thread| {
            let pool = &self.pools[thread % self.pools.len()];
            for badge in &orders[thread] {
                assert!(pool.dispatch(self.map, *badge).is_some(), "badge without object");
            }
        })
    }

    /// The badges of a thread in the order in which it uses them.
    fn order(&self, thread: usize) -> Vec<u32> {
        let badges = &self.badges[thread];
        let mut random = Rng::with_seed(thread as u64 + 1);
        (0..BATCH).map(|_| badges[random.usize(..badges.len())]).collect()
    }
}

/// Operations between two looks whether to stop.
const BATCH: usize = 4096;

/// Works until told to stop, [`BATCH`] operations at a time; returns operations per microsecond of
/// processor time, and the part of the wall time that this was.
fn work(thread: usize, batch: &impl Fn(usize), stop: &AtomicBool) -> (f64, f64) {
    pin(thread % 2);
    let (wall, start) = (Instant::now(), processor_time());
    let mut count = 0u64;
    while !stop.load(Ordering::Relaxed) {
        batch(thread);
        count += BATCH as u64;
    }
    let time = (processor_time() - start).as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    (count / time / 1e6, time / wall.elapsed().as_secs_f64())
}

/// The threads' rate on two processors, and the part of these that they had.
fn rate(effort: &Effort, threads: u32, batch: impl Fn(usize) + Sync) -> (f64, f64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as usize)
            .map(|thread| {
                let (batch, stop) = (&batch, &stop);
                scope.spawn(move || work(thread, batch, stop))
            })
            .collect();
        std::thread::sleep(effort.threaded);
        stop.store(true, Ordering::Relaxed);
        let rates: Vec<_> = workers.into_iter().filter_map(|w| w.join().ok()).collect();
        // Rates per processor time, so what else runs on the machine does
        // not count, and more threads than processors take turns.
        let sum: f64 = rates.iter().map(|(rate, _)| rate).sum();
        let share: f64 = rates.iter().map(|(_, share)| share).sum();
        let threads = f64::from(threads);
        (sum / threads * threads.min(2.0), share / threads.min(2.0))
    })
}

/// A table whose slots several threads use.
struct Slots(Map);

// SAFETY: the table that it is made of may be used by several threads.
unsafe impl Sync for Slots {}

impl Slots {
    /// One slot of each thread, `distance` slots apart, with a reference that stays.
    fn new(all: &[u32], distance: u32) -> Self {
        let map = Map::new(&ours::PUBLISHED, COMPONENT);
        for (badge, slot) in all.iter().zip((FIRST_USER..).step_by(distance as usize)) {
            assert!(map.insert_at(*badge, slot) == Status::Ok, "badge not inserted");
            assert!(map.acquire(slot), "no reference");
        }
        Slots(map)
    }

    fn references(&self, slot: u32) {
        for _ in 0..BATCH {
            assert!(self.0.acquire(slot), "no reference");
            assert!(self.0.release(slot) == Some(false), "the last reference");
        }
    }

    fn windows(&self) {
        for _ in 0..BATCH {
            let first = self.0.alloc(4).unwrap_or_default();
            assert!(self.0.free(first, 4), "no window");
        }
    }
}

/// What threads share without using the same capabilities: lines of the cache, and the lock.
fn sharing(effort: &Effort, all: &[u32]) -> Vec<Scaling> {
    let all = &all[..THREADS as usize];
    let references = |name: &str, distance: u32| {
        let slots = Slots::new(all, distance);
        scale(effort, name.to_owned(), |threads| {
            rate(effort, threads, |thread| {
                let thread = u32::try_from(thread).unwrap_or_default();
                slots.references(FIRST_USER + thread * distance);
            })
        })
    };
    let slots = Slots::new(all, 1);
    vec![
        references("ours, references of neighbours", 1),
        references("ours, references a line apart", 64),
        scale(effort, "ours, windows".to_owned(), |threads| {
            rate(effort, threads, |_| slots.windows())
        }),
    ]
}

/// All figures of several threads.
pub(crate) fn all(effort: &Effort, only: &str) -> Vec<Scaling> {
    if !only.is_empty() && only != "threads" {
        return Vec::new();
    }
    let mut scalings = Vec::new();
    let all = badges(Pattern::Random, OBJECTS * THREADS);
    // The others are not made for several threads.
    let chosen = subjects(COMPONENT)
        .into_iter()
        .filter(|subject| subject.pool.is_some() && !["hash", BARE].contains(&subject.name));
    for subject in chosen {
        let map = Map::new(subject.map, COMPONENT);
        for (badge, slot) in all.iter().zip(FIRST_USER..) {
            assert!(map.insert_at(*badge, slot) == Status::Ok, "badge not inserted");
        }
        let Some(ops) = subject.pool else { continue };
        for (name, sharing) in [
            ("own pools", Sharing::Own),
            ("one pool", Sharing::Pool),
            ("shared objects", Sharing::Objects),
        ] {
            let scene = Scene::new(&map, ops, &all, sharing);
            let name = format!("{}, {name}", subject.name);
            scalings.push(scale(effort, name, |threads| scene.rate(effort, threads)));
        }
    }
    scalings.extend(sharing(effort, &all));
    scalings.extend(rewriting(effort, &all));
    scalings
}

fn scale(effort: &Effort, name: String, rate: impl Fn(u32) -> (f64, f64)) -> Scaling {
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..effort.repetitions {
        let (alone, _) = rate(1);
        let (both, share) = rate(2);
        samples[0].push(alone);
        samples[1].push(both / alone);
        samples[2].push(rate(4).0 / alone);
        samples[3].push(share * 100.0);
    }
    let [one, two, four, share] = samples.map(Spread::of);
    Scaling { name, two, asked: "", more: More::Rates { one, four, share } }
}

/// Two threads dispatch while a monitor rewrites badges back to back: of other
/// capabilities, or of the very objects (swapping two of them).
fn rewriting(effort: &Effort, all: &[u32]) -> Vec<Scaling> {
    let watched = Watched::new(1024, COMPONENT);
    for (badge, slot) in all.iter().zip(FIRST_USER + 1024..) {
        assert!(watched.map.insert_at(*badge, slot) == Status::Ok, "badge not inserted");
    }
    let slots: Vec<_> = (FIRST_USER + 1024..).take(all.len()).collect();
    let scene = Scene {
        map: &watched.map,
        pools: slots
            .chunks(OBJECTS as usize)
            .map(|slots| Objects::new(&ours::POOL, &watched.map, slots))
            .collect(),
        badges: all.chunks(OBJECTS as usize).map(<[u32]>::to_vec).collect(),
    };
    let (mut quiet, mut rewritten, rewrites) = (Vec::new(), Vec::new(), AtomicU64::new(0));
    for _ in 0..effort.repetitions {
        let (alone, _) = scene.rate(effort, 1);
        quiet.push(scene.rate(effort, 2).0 / alone);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let badges = badges(Pattern::Random, 2 * 1024);
                let (live, spare) = badges.split_at(1024);
                while !stop.load(Ordering::Relaxed) {
                    for (from, to) in [(live, spare), (spare, live)] {
                        let pairs = from.iter().zip(to).zip(FIRST_USER..).take(16);
                        let mut batch: Vec<_> = pairs
                            .map(|((old, new), slot)| Rewrite::new(slot, *old, *new))
                            .collect();
                        watched.rewrite(&mut batch);
                        rewrites.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            rewritten.push(scene.rate(effort, 2).0 / alone);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let [quiet, rewritten] = [quiet, rewritten].map(Spread::of);
    let scaling = |name: &str, two, asked, batches| Scaling {
        name: name.to_owned(),
        two,
        asked,
        more: More::Batches(batches),
    };
    let batches = rewrites.load(Ordering::Relaxed);
    vec![
        scaling("ours, monitor quiet", quiet, "at least 1.7", 0),
        scaling("ours, monitor rewriting", rewritten, "at least 1.5", batches),
    ]
}
