//! Object dispatch by several threads.

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

    /// Dispatches until told to stop; returns objects per microsecond of
    /// processor time, and the part of the wall time that this was.
    fn work(&self, thread: usize, stop: &AtomicBool) -> (f64, f64) {
        pin(thread % 2);
        let pool = &self.pools[thread % self.pools.len()];
        let badges = &self.badges[thread];
        let mut random = Rng::with_seed(thread as u64 + 1);
        let order: Vec<_> = (0..4096).map(|_| badges[random.usize(..badges.len())]).collect();
        let (wall, start) = (Instant::now(), processor_time());
        let mut count = 0u64;
        while !stop.load(Ordering::Relaxed) {
            for badge in &order {
                assert!(pool.dispatch(self.map, *badge).is_some(), "badge without object");
            }
            count += order.len() as u64;
        }
        let time = (processor_time() - start).as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let count = count as f64;
        (count / time / 1e6, time / wall.elapsed().as_secs_f64())
    }

    /// The threads' rate on two processors, and the part of these that they had.
    fn rate(&self, effort: &Effort, threads: u32) -> (f64, f64) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads as usize)
                .map(|thread| {
                    scope.spawn({
                        let stop = &stop;
                        move || self.work(thread, stop)
                    })
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
            scalings.push(scale(effort, format!("{}, {name}", subject.name), &scene));
        }
    }
    scalings.extend(rewriting(effort, &all));
    scalings
}

fn scale(effort: &Effort, name: String, scene: &Scene<'_>) -> Scaling {
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..effort.repetitions {
        let (alone, _) = scene.rate(effort, 1);
        let (both, share) = scene.rate(effort, 2);
        samples[0].push(alone);
        samples[1].push(both / alone);
        samples[2].push(scene.rate(effort, 4).0 / alone);
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
