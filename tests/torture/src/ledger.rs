//! The ledger: what everybody intends and has achieved. It lies in the shared memory, so
//! that it outlives whoever writes it. And the sum of it, for a run's report.

use std::fmt::{Display, Formatter, Result};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::world::World;

/// Largest capacity in use.
pub(crate) const MAX_SLOTS: usize = 4096;
/// Owner threads at most.
pub(crate) const LANES: usize = 4;
/// Monitors at most.
pub(crate) const SEATS: usize = 2;
/// Objects that several threads insert and release.
pub(crate) const OBJECTS: usize = 48;

/// What an owner's thread or a monitor is doing.
#[repr(C)]
pub(crate) struct Lane {
    /// An [`crate::claims::Op`] in progress, or zero; its arguments follow.
    pub(crate) op: AtomicU32,
    pub(crate) slot: AtomicU32,
    pub(crate) count: AtomicU32,
    pub(crate) ident: AtomicU32,
    /// Operations finished.
    pub(crate) done: AtomicU64,
    /// The last pause that was observed.
    pub(crate) parked: AtomicU32,
    /// Most calls of the waiting strategy in one operation.
    pub(crate) waits: AtomicU32,
    /// Most processor time of one operation in microseconds.
    pub(crate) micros: AtomicU64,
}

/// What a monitor says about itself, and is asked for.
#[repr(C)]
pub(crate) struct Seat {
    pub(crate) lane: Lane,
    pub(crate) batch: Batch,
    /// Batches refused because another monitor held the claim.
    pub(crate) busy: AtomicU64,
    /// How often it was asked to take over from a dead monitor, and has.
    pub(crate) take_over: AtomicU32,
    pub(crate) taken_over: AtomicU32,
}

/// One entry of the batch that a monitor works on.
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) slot: AtomicU32,
    pub(crate) old: AtomicU32,
    pub(crate) new: AtomicU32,
    pub(crate) ident: AtomicU32,
}

/// The batch that a monitor works on, written before it begins.
#[repr(C)]
pub(crate) struct Batch {
    /// Counts the batches. It moves on before an entry changes.
    pub(crate) number: AtomicU64,
    /// One of the constants of [`status`].
    pub(crate) status: AtomicU32,
    /// 1 if its badges are exchanged among its slots, 0 if its new badges are fresh.
    pub(crate) swap: AtomicU32,
    pub(crate) len: AtomicU32,
    pub(crate) entries: [Entry; MAX_SLOTS],
}

/// States of a [`Batch`].
pub(crate) mod status {
    /// Its entries are not complete; the table knows nothing of it.
    pub(crate) const PREPARING: u32 = 0;
    /// It may or may not have been decided.
    pub(crate) const INTENDED: u32 = 1;
    /// The table says that it took place. The ledger may not know the new badges yet.
    pub(crate) const COMMITTED: u32 = 2;
    /// The ledger knows the new badges.
    pub(crate) const APPLIED: u32 = 3;
    /// Nothing has changed.
    pub(crate) const REFUSED: u32 = 4;
}

/// What everybody intends and has achieved.
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) capacity: AtomicU32,
    pub(crate) wait_budget: AtomicU32,
    pub(crate) lanes_used: AtomicU32,
    /// Monitors that live, or will again.
    pub(crate) seats_used: AtomicU32,
    /// Set by an owner that waits for the driver's go.
    pub(crate) ready: AtomicU32,
    pub(crate) go: AtomicU32,
    /// Odd: everybody pauses between two operations.
    pub(crate) pause: AtomicU32,
    /// The pause in which the first lane shall inspect the index, and has.
    pub(crate) inspect: AtomicU32,
    pub(crate) inspected: AtomicU32,
    pub(crate) next_badge: AtomicU32,
    pub(crate) next_ident: AtomicU32,
    /// Slot plus one that a restored owner is putting in order.
    pub(crate) cleaning: AtomicU32,
    pub(crate) refused_changed: AtomicU32,
    pub(crate) rewritten: AtomicU64,
    pub(crate) left_out: AtomicU64,
    /// What a stepped operation has returned.
    pub(crate) returned: AtomicU64,
    violated: AtomicU32,
    violation: [AtomicU8; 240],
    pub(crate) lanes: [Lane; LANES],
    pub(crate) seats: [Seat; SEATS],
    /// Who was handed out each slot, for what: see [`crate::claims::Claim`].
    pub(crate) claims: [AtomicU64; MAX_SLOTS],
    /// The toy kernel's capabilities: incarnation by slot.
    pub(crate) kernel: [AtomicU32; MAX_SLOTS],
    /// The living incarnation of each object.
    pub(crate) alive: [AtomicU32; OBJECTS],
    /// References that each lane holds.
    pub(crate) holds: [[AtomicU16; MAX_SLOTS]; LANES],
}

impl Ledger {
    /// Records the first violation; a process that finds one stands still.
    pub(crate) fn violate(&self, text: &str) -> ! {
        if self.violated.compare_exchange(0, 1, SeqCst, SeqCst).is_ok() {
            for (byte, value) in self.violation.iter().zip(text.bytes()) {
                byte.store(value, SeqCst);
            }
            self.violated.store(2, SeqCst);
        }
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// What was violated, if anything; the beginning of the text if whoever
    /// wrote it was killed.
    pub(crate) fn violation(&self) -> Option<String> {
        match self.violated.load(SeqCst) {
            0 => return None,
            2 => {}
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
        let bytes: Vec<u8> = self.violation.iter().map(|byte| byte.load(SeqCst)).collect();
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    /// References to a slot that the ledger knows of.
    pub(crate) fn held(&self, slot: usize) -> u32 {
        self.holds.iter().map(|lane| u32::from(lane[slot].load(SeqCst))).sum()
    }
}

/// What a run has done so far.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) rounds: u64,
    pub(crate) operations: u64,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) take_overs: u64,
    pub(crate) tables: u64,
    pub(crate) two_monitors: u64,
    pub(crate) most_waits: u32,
    pub(crate) most_micros: u64,
    batches: u64,
    rewritten: u64,
    left_out: u64,
    changed: u64,
    busy: u64,
    /// What the world of the moment has contributed already.
    counted: [u64; 6],
}

impl Totals {
    /// Adds what this world has seen since the last call.
    pub(crate) fn count(&mut self, world: World) {
        let ledger = world.ledger();
        let over_seats =
            |number: fn(&Seat) -> u64| -> u64 { ledger.seats.iter().map(number).sum() };
        let now = [
            ledger.lanes.iter().map(|lane| lane.done.load(SeqCst)).sum(),
            over_seats(|seat| seat.batch.number.load(SeqCst)),
            over_seats(|seat| seat.busy.load(SeqCst)),
            ledger.rewritten.load(SeqCst),
            ledger.left_out.load(SeqCst),
            u64::from(ledger.refused_changed.load(SeqCst)),
        ];
        let totals = [
            &mut self.operations,
            &mut self.batches,
            &mut self.busy,
            &mut self.rewritten,
            &mut self.left_out,
            &mut self.changed,
        ];
        for ((total, now), before) in totals.into_iter().zip(now).zip(self.counted) {
            *total += now - before;
        }
        self.counted = now;
    }

    /// Another world begins.
    pub(crate) fn forget(&mut self) {
        self.counted = [0; 6];
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{} rounds, {} tables ({} with two monitors), {} kills, {} stops, {} take-overs; \
             {} operations, {} batches with {} badges rewritten ({} left out; {} batches changed, \
             {} busy); at most {} yields and {} us in one operation",
            self.rounds,
            self.tables,
            self.two_monitors,
            self.kills,
            self.stops,
            self.take_overs,
            self.operations,
            self.batches,
            self.rewritten,
            self.left_out,
            self.changed,
            self.busy,
            self.most_waits,
            self.most_micros,
        )
    }
}
