//! What a run has done so far, for its report.

use std::fmt::{Display, Formatter, Result};
use std::sync::atomic::Ordering::SeqCst;

use crate::ledger::Seat;
use crate::world::World;

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
