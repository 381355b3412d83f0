//! A monitor's process: snapshots and rewrites of all sizes, each batch written to the
//! ledger before it begins.

use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cap_map_rs::limits::ATTEMPTS;
use cap_map_rs::{Monitor, Rewrite, Slot, SlotWord, Status};
use fastrand::Rng;

use crate::claims::SWAPPED;
use crate::ledger::{Batch, Seat, status};
use crate::oracle::{Side, side, sides};
use crate::world::{BADGES, FIRST_BADGE, Relax, World, processor_micros, waits};

/// A monitor of the table in region 0.
pub(crate) struct Work {
    world: World,
    seat: usize,
    monitor: Monitor<'static, Relax>,
    words: Vec<SlotWord>,
    rng: Rng,
}

impl Work {
    /// Attaches to the table.
    pub(crate) fn attach(world: World, seat: usize, seed: u64) -> Result<Self, Status> {
        let ledger = world.ledger();
        let monitor = Monitor::attach(world.region(0), ledger.wait_budget.load(SeqCst))?;
        let words = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
        Ok(Work { world, seat, monitor, words, rng: Rng::with_seed(seed) })
    }

    fn me(&self) -> &'static Seat {
        &self.world.ledger().seats[self.seat]
    }

    /// Takes the claim away from a monitor that is dead.
    pub(crate) fn take_over(&self) -> Result<(), String> {
        self.monitor.take_over().map_err(|status| format!("take_over: {status:?}"))
    }

    /// Whether other monitors live beside this one.
    fn is_alone(&self) -> bool {
        self.world.ledger().seats_used.load(SeqCst) < 2
    }

    /// A snapshot. One of a single instant shows no badge twice, and the batch of another
    /// monitor as a whole or not at all.
    pub(crate) fn snapshot(&mut self) -> Result<(), String> {
        let others: Vec<(&Batch, u64)> = self.others();
        let taken = self
            .monitor
            .snapshot(&mut self.words)
            .map_err(|status| format!("snapshot: {status:?}"))?;
        // Slots behind the copied ones carry no badge.
        self.words[taken.slots as usize..].fill(SlotWord::FREE);
        if !taken.consistent {
            return Ok(());
        }
        for (batch, number) in others {
            let entries: Vec<Slot> = self.words.iter().map(|word| word.meaning()).collect();
            let (old_ones, new_ones) = sides(self.world, batch, &entries);
            let same = batch.number.load(SeqCst) == number;
            if same && old_ones > 0 && new_ones > 0 {
                let (status, len) = (batch.status.load(SeqCst), batch.len.load(SeqCst));
                return Err(format!(
                    "half a batch in a snapshot: {old_ones} old, {new_ones} new of {len}, batch \
                     {number} in status {status}, {taken:?}"
                ));
            }
        }
        if self.rng.u8(0..8) == 0 {
            let mut badges: Vec<u32> = self.used().map(|(_, badge)| badge).collect();
            badges.sort_unstable();
            if let Some(pair) = badges.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("badge {} twice in a snapshot", pair[0]));
            }
        }
        Ok(())
    }

    /// The batches that other monitors work on, and their numbers.
    fn others(&self) -> Vec<(&'static Batch, u64)> {
        let ledger = self.world.ledger();
        let seats = ledger.seats.iter().take(ledger.seats_used.load(SeqCst) as usize).enumerate();
        seats
            .filter(|(seat, _)| *seat != self.seat)
            .map(|(_, seat)| (&seat.batch, seat.batch.number.load(SeqCst)))
            .filter(|(batch, _)| batch.status.load(SeqCst) != status::PREPARING)
            .collect()
    }

    fn used(&self) -> impl Iterator<Item = (u32, u32)> {
        (0u32..).zip(&self.words).filter_map(|(slot, word)| match word.meaning() {
            Slot::Used(badge) => Some((slot, badge)),
            _ => None,
        })
    }

    /// Writes a batch of random size and kind to the ledger. `None` for an empty table.
    fn intend(&mut self) -> Option<Vec<Rewrite>> {
        let ledger = self.world.ledger();
        let journal = &self.me().batch;
        let idents = self.world.idents();
        let mut used: Vec<(u32, u32)> = self.used().collect();
        // Slots of different instants may show an object twice that moved meanwhile.
        let mut seen = HashSet::new();
        used.retain(|(_, badge)| seen.insert(*badge));
        if used.is_empty() {
            return None;
        }
        // Sizes of all orders of magnitude alike.
        let bits = self.rng.u32(0..=used.len().ilog2());
        let size = self.rng.usize(1..=1 << bits).min(used.len());
        for at in 0..size {
            let other = self.rng.usize(at..used.len());
            used.swap(at, other);
        }
        used.truncate(size);
        if self.rng.bool() {
            used.sort_unstable();
        }
        // The batch before is over, so the ledger knows all badges. Whoever has read the new
        // number, and then another status, reads entries that are complete.
        journal.status.store(status::PREPARING, SeqCst);
        journal.number.fetch_add(1, SeqCst);
        let fresh = u32::try_from(size).unwrap_or(0);
        // Beside another monitor, the ledger could not tell whose exchange came last.
        let swap = self.is_alone() && self.rng.u8(0..3) == 0;
        let first = if swap { 0 } else { ledger.next_badge.fetch_add(fresh, SeqCst) };
        let spent = first as usize + size >= BADGES;
        let movable: Vec<usize> = (0..size).filter(|at| used[*at].1 >= FIRST_BADGE).collect();
        let mut batch = Vec::with_capacity(size);
        for (at, (slot, old)) in used.iter().copied().enumerate() {
            let new = match movable.binary_search(&at) {
                Ok(rank) if swap => used[movable[(rank + 1) % movable.len()]].1,
                Ok(_) if !spent => first + u32::try_from(at).unwrap_or(0),
                _ => old,
            };
            let known = &idents[old as usize];
            let ident = known.load(SeqCst) & !SWAPPED;
            if swap && old != new {
                known.fetch_or(SWAPPED, SeqCst);
            } else if old != new {
                idents[new as usize].store(ident, SeqCst);
                self.world.predecessors()[new as usize].store(old, SeqCst);
            }
            let entry = &journal.entries[at];
            entry.slot.store(slot, SeqCst);
            entry.old.store(old, SeqCst);
            entry.new.store(new, SeqCst);
            entry.ident.store(ident, SeqCst);
            batch.push(Rewrite::new(slot, old, new));
        }
        journal.swap.store(u32::from(swap), SeqCst);
        journal.len.store(fresh, SeqCst);
        journal.status.store(status::INTENDED, SeqCst);
        Some(batch)
    }

    /// One batch; `Ok(true)` if it was carried out.
    pub(crate) fn rewrite(&mut self) -> Result<bool, String> {
        let ledger = self.world.ledger();
        let Some(mut batch) = self.intend() else { return Ok(false) };
        let me = self.me();
        waits();
        let result = self.monitor.rewrite(&mut batch);
        // The claim of another monitor, and a request for quiet at each attempt.
        let (waited, bound) = (waits(), (1 + ATTEMPTS) * ledger.wait_budget.load(SeqCst));
        if waited > bound {
            return Err(format!("rewrite waited {waited} times, bound {bound}"));
        }
        me.lane.waits.fetch_max(waited, SeqCst);
        match result {
            Ok(()) => {
                me.batch.status.store(status::COMMITTED, SeqCst);
                self.check_left_out(&batch)?;
                apply(self.world, &me.batch);
                let left_out = batch.iter().map(|entry| u64::from(entry.left_out)).sum();
                ledger.rewritten.fetch_add(batch.len() as u64, SeqCst);
                ledger.left_out.fetch_add(left_out, SeqCst);
                Ok(true)
            }
            Err(refusal) => {
                me.batch.status.store(status::REFUSED, SeqCst);
                match refusal.status {
                    Status::Changed => _ = ledger.refused_changed.fetch_add(1, SeqCst),
                    Status::Busy if !self.is_alone() => _ = me.busy.fetch_add(1, SeqCst),
                    Status::UnexpectedBadge | Status::NotRewritable => {}
                    // The owner has entered an object again, in another slot.
                    Status::DuplicateBadge if names_object(&batch, refusal.slot) => {}
                    _ => return Err(format!("rewrite: {refusal:?}")),
                }
                Ok(false)
            }
        }
    }

    /// No slot of a batch that took place carries the old badge, and no slot that was left
    /// out carries the new one.
    fn check_left_out(&self, batch: &[Rewrite]) -> Result<(), String> {
        let swap = self.me().batch.swap.load(SeqCst) != 0;
        for entry in batch {
            let found = self.monitor.entry(entry.slot).unwrap_or(Slot::Free);
            let side = side(self.world, swap, found, entry.expected, entry.replacement);
            let is_used = matches!(found, Slot::Used(_));
            if side == Side::Old || side == Side::New && is_used && entry.left_out != 0 {
                return Err(format!("after the batch: {entry:?}, but {found:?} in the slot"));
            }
        }
        Ok(())
    }
}

/// Whether the batch leaves the badge of an object in this slot as it is.
fn names_object(batch: &[Rewrite], slot: Option<u32>) -> bool {
    let named = |entry: &&Rewrite| Some(entry.slot) == slot;
    batch.iter().find(named).is_some_and(|entry| entry.replacement < FIRST_BADGE)
}

/// Tells the ledger the new badges of a batch that was carried out.
pub(crate) fn apply(world: World, batch: &Batch) {
    if batch.swap.load(SeqCst) != 0 {
        for entry in batch.entries.iter().take(batch.len.load(SeqCst) as usize) {
            if entry.old.load(SeqCst) != entry.new.load(SeqCst) {
                let ident = entry.ident.load(SeqCst) | SWAPPED;
                world.idents()[entry.new.load(SeqCst) as usize].store(ident, SeqCst);
            }
        }
    }
    batch.status.store(status::APPLIED, SeqCst);
}

/// The monitor's process. Never returns; the driver kills it.
pub(crate) fn main(world: World, seat: usize, seed: u64) {
    let ledger = world.ledger();
    let me = &ledger.seats[seat];
    let mut work = match Work::attach(world, seat, seed) {
        Ok(work) => work,
        Err(status) => ledger.violate(&format!("attach: {status:?}")),
    };
    let mut before = processor_micros();
    loop {
        let asked = me.take_over.load(SeqCst);
        if asked != me.taken_over.load(SeqCst) {
            if let Err(text) = work.take_over() {
                ledger.violate(&format!("monitor: {text}"));
            }
            me.taken_over.store(asked, SeqCst);
        }
        let pause = ledger.pause.load(SeqCst);
        if pause % 2 == 1 {
            me.lane.parked.store(pause, SeqCst);
            std::thread::sleep(Duration::from_micros(20));
            before = processor_micros();
            continue;
        }
        let result = work.snapshot().and_then(|()| work.rewrite());
        if let Err(text) = result {
            ledger.violate(&format!("monitor {seat}: {text}"));
        }
        me.lane.done.fetch_add(1, SeqCst);
        let now = processor_micros();
        me.lane.micros.fetch_max(now.saturating_sub(before), SeqCst);
        before = now;
    }
}
