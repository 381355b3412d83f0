//! What a monitor does, and what it costs the owner.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cap_map_ffi::*;

use crate::measure::{Effort, Figure, Spread, pin, processor_time};
use crate::operation::Pattern;
use crate::ops::{COMPONENT, CORE, FIRST_USER, Map};
use crate::subjects::ours;
use crate::workload::badges;

/// A published table with live capabilities, and a monitor attached to it.
pub(crate) struct Watched {
    pub(crate) map: Map,
    monitor: cap_map_monitor,
    live: Vec<u32>,
    spare: Vec<u32>,
}

// SAFETY: table and monitor may be used by any threads; the rest is constant.
unsafe impl Sync for Watched {}

impl Watched {
    pub(crate) fn new(size: u32, capacity: u32) -> Self {
        let map = Map::new(&ours::PUBLISHED, capacity);
        let mut live = badges(Pattern::Random, 2 * size);
        let spare = live.split_off(size as usize);
        for (badge, slot) in live.iter().zip(FIRST_USER..) {
            assert!(map.insert_at(*badge, slot) == Status::Ok, "badge not inserted");
        }
        let (base, bytes) = ours::region_of(map.owner());
        let mut monitor = cap_map_monitor { opaque: [0; 24] };
        // SAFETY: the region lives as long as the map, beside which it is kept.
        let status = unsafe { cap_map_monitor_attach(base.cast(), bytes, 64, &mut monitor) };
        assert!(status == Status::Ok, "not attached: {status}");
        Watched { map, monitor, live, spare }
    }

    fn snapshot(&self, words: &mut [u64]) -> cap_map_snapshot {
        let stamp = cap_map_stamp { sequence: 0, generation: 0 };
        let mut taken = cap_map_snapshot { stamp, attempts: 0, slots: 0, consistent: false };
        let (base, count) = (words.as_mut_ptr(), words.len());
        // SAFETY: the monitor is attached; the words are ours.
        let status = unsafe { cap_map_monitor_snapshot(&self.monitor, base, count, &mut taken) };
        assert!(status == Status::Ok, "no snapshot: {status}");
        taken
    }

    pub(crate) fn rewrite(&self, batch: &mut [Rewrite]) {
        // SAFETY: the monitor is attached; the batch is ours.
        let status = unsafe {
            cap_map_monitor_rewrite(
                &self.monitor,
                batch.as_mut_ptr(),
                batch.len(),
                std::ptr::null_mut(),
            )
        };
        assert!(status == Status::Ok, "not rewritten: {status}");
    }

    /// Gives all capabilities the spare badges, or back. The caller alternates.
    fn batch(&self, forward: bool) -> Vec<Rewrite> {
        let (from, to) =
            if forward { (&self.live, &self.spare) } else { (&self.spare, &self.live) };
        batch(from, to)
    }
}

/// The slots from the first one on, from these badges to those.
fn batch(from: &[u32], to: &[u32]) -> Vec<Rewrite> {
    let pairs = from.iter().zip(to).zip(FIRST_USER..);
    pairs.map(|((old, new), slot)| Rewrite::new(slot, *old, *new)).collect()
}

/// Copies the slot words as a monitor that does not care about consistency.
fn plain_copy(region: (*mut u8, usize), words: &mut [u64]) {
    let slots = region.0.wrapping_add(cap_map_region_size(64) - 64 * 8).cast::<AtomicU64>();
    // SAFETY: the region holds that many slots behind its header.
    let slots = unsafe { std::slice::from_raw_parts(slots, words.len()) };
    for (slot, word) in slots.iter().zip(words) {
        *word = slot.load(Ordering::Relaxed);
    }
}

/// Nanoseconds that `work` takes.
fn nanoseconds(work: impl FnOnce()) -> f64 {
    let start = processor_time();
    work();
    processor_time().saturating_sub(start).as_secs_f64() * 1e9
}

/// All figures that involve a monitor.
pub(crate) fn all(effort: &Effort, only: &str) -> Vec<Figure> {
    if !only.is_empty() && only != "monitor" {
        return Vec::new();
    }
    let mut figures = Vec::new();
    for (size, capacity) in [(3500, COMPONENT), (100_000, CORE)] {
        single(effort, size, capacity, &mut figures);
    }
    figures.push(disturbance(effort));
    figures
}

fn single(effort: &Effort, size: u32, capacity: u32, figures: &mut Vec<Figure>) {
    let watched = Watched::new(size, capacity);
    let region = ours::region_of(watched.map.owner());
    let mut words = vec![0; capacity as usize];
    let mut samples: [Vec<f64>; 8] = Default::default();
    for _ in 0..effort.repetitions * 2 {
        let rounds = 20;
        let copy = nanoseconds(|| {
            (0..rounds).for_each(|_| plain_copy(region, black_box(&mut words)));
        });
        let snapshot = nanoseconds(|| {
            for _ in 0..rounds {
                assert!(watched.snapshot(black_box(&mut words)).consistent);
            }
        });
        samples[0].push(snapshot / copy);
        samples[1].push(snapshot / f64::from(rounds) / 1000.0);

        let middle = size / 2;
        let (slot, old, new) =
            (FIRST_USER + middle, watched.live[middle as usize], watched.spare[middle as usize]);
        let time = nanoseconds(|| {
            for _ in 0..rounds {
                watched.rewrite(&mut [Rewrite::new(slot, old, new)]);
                watched.rewrite(&mut [Rewrite::new(slot, new, old)]);
            }
        });
        samples[2].push(time / f64::from(2 * rounds));

        // New objects have ascending badges.
        let mut ascending = watched.spare.clone();
        ascending.sort_unstable();
        let mut there = batch(&watched.live, &ascending);
        samples[3].push(nanoseconds(|| watched.rewrite(&mut there)) / f64::from(size));
        watched.rewrite(&mut batch(&ascending, &watched.live));
        assert_eq!(watched.map.find(watched.live[0]), Some(FIRST_USER));

        let mut batch = watched.batch(true);
        samples[4].push(nanoseconds(|| watched.rewrite(&mut batch)) / f64::from(size));
        let first = batch[0].replacement;
        samples[5].push(
            nanoseconds(|| assert_eq!(watched.map.find(first), Some(FIRST_USER))) / f64::from(size),
        );
        for entry in batch.iter().step_by(97) {
            assert_eq!(watched.map.find(entry.replacement), Some(entry.slot));
            assert_eq!(watched.map.find(entry.expected), None);
        }

        let mut saved = Vec::with_capacity(size as usize);
        samples[6].push(
            nanoseconds(|| {
                watched.snapshot(&mut words);
                for (word, slot) in words.iter().zip(0u32..) {
                    let mut badge = 0;
                    // SAFETY: `badge` is valid.
                    let state = unsafe { cap_map_word_entry(*word, &mut badge) };
                    if state == cap_map_state::Used {
                        saved.push((slot, badge));
                    }
                }
            }) / f64::from(size),
        );
        assert_eq!(saved.len(), size as usize);
        let mut back = watched.batch(false);
        samples[7].push(
            nanoseconds(|| {
                // SAFETY: no other thread uses this table.
                let status = unsafe { cap_map_owner_recover(watched.map.owner()) };
                assert!(status == Status::Ok, "not recovered: {status}");
                watched.rewrite(&mut back);
                assert_eq!(watched.map.find(back[0].replacement), Some(FIRST_USER));
            }) / f64::from(size),
        );
    }
    let names = [
        ("snapshot / relaxed copy", "ratio", "at most 1.5"),
        ("snapshot", "us", ""),
        ("rewrite of one badge", "ns", ""),
        ("rewrite of all, ascending", "ns per badge", "at most 10"),
        ("rewrite of all, random", "ns per badge", "at most 10"),
        ("rebuild of the index", "ns per slot", "at most 8"),
        ("checkpoint", "ns per badge", ""),
        ("restore: recover, rewrite all, look up", "ns per badge", ""),
    ];
    for ((name, unit, asked), samples) in names.into_iter().zip(samples) {
        let name = format!("{name}, {size} of {capacity}");
        figures.push(Figure { name, value: Spread::of(samples), unit, asked });
    }
}

/// How much a monitor that takes snapshots back to back slows the owner's
/// insert + remove; the same thread without snapshots is the comparison.
fn disturbance(effort: &Effort) -> Figure {
    let watched = Watched::new(1024, COMPONENT);
    let (stop, snapshots) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut ratios = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(0);
            let mut words = vec![0; COMPONENT as usize];
            while !stop.load(Ordering::Relaxed) {
                if snapshots.load(Ordering::Relaxed) {
                    watched.snapshot(&mut words);
                } else {
                    (0..200).for_each(|_| std::hint::spin_loop());
                }
            }
        });
        pin(1);
        let churn = |on: bool| {
            snapshots.store(on, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(100));
            nanoseconds(|| {
                for i in 0..2000 {
                    let badge = watched.spare[i % watched.spare.len()];
                    let slot = watched.map.insert(badge);
                    assert!(slot.is_some_and(|slot| watched.map.remove(slot)));
                }
            })
        };
        for _ in 0..effort.repetitions * 4 {
            let alone = churn(false);
            ratios.push((churn(true) / alone - 1.0) * 100.0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    Figure {
        name: "insert + remove slowed by snapshots".to_owned(),
        value: Spread::of(ratios),
        unit: "percent",
        asked: "at most 10",
    }
}
