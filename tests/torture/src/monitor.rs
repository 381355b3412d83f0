//! The monitor's process: snapshots and rewrites of all sizes, each batch
//! written to the ledger before it begins.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cap_map_rs::limits::BATCHES;
use cap_map_rs::{Monitor, Rewrite, Slot, SlotWord, Status};
use fastrand::Rng;

use crate::world::{BADGES, FIRST_BADGE, Relax, World, processor_micros, status, waits};

/// A monitor of the table in region 0.
pub(crate) struct Work {
    world: World,
    monitor: Monitor<'static, Relax>,
    words: Vec<SlotWord>,
    rng: Rng,
}

impl Work {
    /// Attaches to the table.
    pub(crate) fn attach(world: World, seed: u64) -> Result<Self, Status> {
        let ledger = world.ledger();
        let monitor = Monitor::attach(world.region(0), ledger.patience.load(SeqCst))?;
        let words = vec![SlotWord(0); monitor.geometry().capacity as usize];
        Ok(Work { world, monitor, words, rng: Rng::with_seed(seed) })
    }

    /// A snapshot; one of a single instant shows no badge twice.
    pub(crate) fn snapshot(&mut self) -> Result<(), String> {
        let taken = self
            .monitor
            .snapshot(&mut self.words)
            .map_err(|status| format!("snapshot: {status:?}"))?;
        if taken.consistent && self.rng.u8(0..8) == 0 {
            let mut badges: Vec<u32> = self.used().map(|(_, badge)| badge).collect();
            badges.sort_unstable();
            if let Some(pair) = badges.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("badge {} twice in a snapshot", pair[0]));
            }
        }
        Ok(())
    }

    fn used(&self) -> impl Iterator<Item = (u32, u32)> {
        (0u32..).zip(&self.words).filter_map(|(slot, word)| match word.meaning() {
            Slot::Used(badge) => Some((slot, badge)),
            _ => None,
        })
    }

    /// One batch of random size and kind; `Ok(true)` if it was carried out.
    pub(crate) fn rewrite(&mut self) -> Result<bool, String> {
        let ledger = self.world.ledger();
        let journal = &ledger.batch;
        let idents = self.world.idents();
        let mut used: Vec<(u32, u32)> = self.used().collect();
        if used.is_empty() {
            return Ok(false);
        }
        // Sizes of all orders of magnitude alike.
        let bits = self.rng.u32(0..=used.len().ilog2());
        let size = self.rng.usize(1..=1 << bits).min(used.len());
        for at in 0..size {
            let other = self.rng.usize(at..used.len());
            used.swap(at, other);
        }
        used.truncate(size);
        // The batch before is over, so the ledger knows all badges.
        journal.number.fetch_add(1, SeqCst);
        journal.status.store(status::PREPARING, SeqCst);
        let fresh = u32::try_from(size).unwrap_or(0);
        let swap = self.rng.u8(0..3) == 0;
        let first = if swap { 0 } else { ledger.next_badge.fetch_add(fresh, SeqCst) };
        let swap = swap || first as usize + size >= BADGES;
        let movable: Vec<usize> = (0..size).filter(|at| used[*at].1 >= FIRST_BADGE).collect();
        let mut batch = Vec::with_capacity(size);
        for (at, (slot, old)) in used.iter().copied().enumerate() {
            let new = match movable.binary_search(&at) {
                Err(_) => old,
                Ok(rank) if swap => used[movable[(rank + 1) % movable.len()]].1,
                Ok(_) => first + u32::try_from(at).unwrap_or(0),
            };
            let entry = &journal.entries[at];
            entry.slot.store(slot, SeqCst);
            entry.old.store(old, SeqCst);
            entry.new.store(new, SeqCst);
            entry.ident.store(idents[old as usize].load(SeqCst), SeqCst);
            batch.push(Rewrite::new(slot, old, new));
        }
        journal.len.store(fresh, SeqCst);
        journal.status.store(status::INTENDED, SeqCst);
        waits();
        let result = self.monitor.rewrite(&mut batch);
        // Another monitor's batch may be waited for at each attempt.
        let (waited, bound) = (waits(), BATCHES * ledger.patience.load(SeqCst));
        if waited > bound {
            return Err(format!("rewrite waited {waited} times, bound {bound}"));
        }
        ledger.monitor.waits.fetch_max(waited, SeqCst);
        match result {
            Ok(()) => {
                journal.status.store(status::COMMITTED, SeqCst);
                apply(self.world);
                ledger.rewritten.fetch_add(u64::from(fresh), SeqCst);
                Ok(true)
            }
            Err(refusal) => {
                journal.status.store(status::REFUSED, SeqCst);
                match refusal.status {
                    Status::Changed => ledger.refused_changed.fetch_add(1, SeqCst),
                    Status::Busy => ledger.refused_busy.fetch_add(1, SeqCst),
                    Status::UnexpectedBadge | Status::NotRewritable => 0,
                    _ => return Err(format!("rewrite: {refusal:?}")),
                };
                Ok(false)
            }
        }
    }
}

/// Tells the ledger the new badges of a batch that was carried out.
pub(crate) fn apply(world: World) {
    let journal = &world.ledger().batch;
    for entry in journal.entries.iter().take(journal.len.load(SeqCst) as usize) {
        world.idents()[entry.new.load(SeqCst) as usize].store(entry.ident.load(SeqCst), SeqCst);
    }
    journal.status.store(status::APPLIED, SeqCst);
}

/// The monitor's process. Never returns; the driver kills it.
pub(crate) fn main(world: World, seed: u64) {
    let ledger = world.ledger();
    let lane = &ledger.monitor;
    let mut work = match Work::attach(world, seed) {
        Ok(work) => work,
        Err(status) => ledger.violate(&format!("attach: {status:?}")),
    };
    let mut before = processor_micros();
    loop {
        let pause = ledger.pause.load(SeqCst);
        if pause % 2 == 1 {
            lane.parked.store(pause, SeqCst);
            std::thread::sleep(Duration::from_micros(20));
            before = processor_micros();
            continue;
        }
        let result = work.snapshot().and_then(|()| work.rewrite());
        if let Err(text) = result {
            ledger.violate(&format!("monitor: {text}"));
        }
        lane.done.fetch_add(1, SeqCst);
        let now = processor_micros();
        lane.micros.fetch_max(now.saturating_sub(before), SeqCst);
        before = now;
    }
}
