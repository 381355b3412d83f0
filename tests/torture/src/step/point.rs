//! What may happen while one side has stopped in front of an instruction: it is dead,
//! or wakes up after the other side has acted. Each case is verified to its end.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::OFF_CONTROL;
use cap_map_rs::word::{Control, Phase};
use cap_map_rs::{Slot, Status};

use crate::fixture::{SHIFT, State, Verdict, word};
use crate::ptrace::Stepped;
use crate::step::expect::{
    bounded, difference, equal, go_on, meanings, no_stray, shift_badges, shifted, tidy,
};
use crate::step::paths::Path;
use crate::world::{World, waits};

/// Instructions within which a monitor that has looked at a slot stages it.
const LATE: u32 = 48;

/// An instruction of a path, in front of which its process has stopped.
pub(crate) struct Point<'a> {
    pub(crate) world: World,
    pub(crate) path: &'a Path,
    pub(crate) child: &'a mut Stepped,
    /// The states that the path may be in, once somebody has helped.
    pub(crate) possible: &'a [State],
    /// Slots that the monitor that comes by rewrites.
    pub(crate) shifting: &'a [u32],
}

impl Point<'_> {
    fn one_of(&self, what: &str, found: &State, shifting: &[u32]) -> Verdict {
        let mut last = String::new();
        for (number, state) in self.possible.iter().enumerate() {
            // What changed by helping may not have been part of the batch.
            let before = &self.possible[number.saturating_sub(1)];
            let known = |slot: &u32| state[*slot as usize] == before[*slot as usize];
            let known: Vec<u32> = shifting.iter().copied().filter(known).collect();
            for shifting in [shifting, &known] {
                let expected = shifted(state, shifting);
                if *found == expected {
                    return Ok(());
                }
                last = difference(found, &expected);
            }
        }
        Err(format!("{what}: {last}"))
    }

    pub(crate) fn result(&self, seen: &State, when: &str) -> Verdict {
        let result = self.world.ledger().batch.number.load(SeqCst);
        if !(self.path.result)(result) {
            return Err(format!("{when}: returned {result}"));
        }
        let last =
            |(slot, entry): (u32, &Slot)| (self.path.finally)(slot, *entry).unwrap_or(*entry);
        let expected: State = (0u32..).zip(seen).map(last).collect();
        equal(when, &meanings(self.world, 0), &expected)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, expected)
    }

    /// The owner is dead: a monitor comes by, then another life of the owner.
    pub(crate) fn owner_dies(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, self.shifting)?;
        self.one_of("monitor after death", &seen, self.shifting)?;
        waits();
        self.world.recovered();
        bounded("recovery", 1)?;
        equal("recovery", &meanings(self.world, 0), &seen)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, seen)
    }

    /// The owner is dead and lives again before any monitor comes.
    pub(crate) fn owner_lives_again(&mut self) -> Verdict {
        waits();
        self.world.recovered();
        bounded("recovery", 1)?;
        let seen = meanings(self.world, 0);
        self.one_of("recovery at once", &seen, &[])?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, seen)
    }

    /// The owner wakes up after so many visits of a monitor.
    pub(crate) fn owner_wakes_up(&mut self, visits: u32) -> Verdict {
        let mut seen = shift_badges(self.world, 0, self.shifting)?;
        self.one_of("monitor beside a sleeper", &seen, self.shifting)?;
        for visit in 1..visits {
            let completed =
                |slot: &u32| matches!(seen[*slot as usize], Slot::Used(badge) if badge < SHIFT);
            // The second one rewrites what the first one has completed.
            let mut slots = vec![11];
            if visit == 1 {
                slots.extend(self.shifting.iter().copied().filter(completed));
            }
            seen = shift_badges(self.world, 0, &slots)?;
        }
        self.child.finish()?;
        // Each section may find a batch to wait for, but there is none.
        self.result(&seen, "late owner")
    }

    /// The monitor is dead: the owner goes on as if nothing were.
    pub(crate) fn monitor_dies(&mut self) -> Verdict {
        let state = meanings(self.world, 0);
        self.one_of("at the death of the monitor", &state, &[])?;
        go_on(self.world, 0, self.helped(state)?)
    }

    /// The state after recovery, if the path began with a dead owner's section.
    fn helped(&self, state: State) -> Result<State, String> {
        let control = Control(word(self.world, OFF_CONTROL).load(SeqCst));
        if control.phase() == Phase::Writing || self.path.name == "rewrite_helping" {
            self.world.recovered();
            let seen = meanings(self.world, 0);
            self.one_of("helping", &seen, &[])?;
            return Ok(seen);
        }
        Ok(state)
    }

    /// The monitor is dead: another one takes over.
    pub(crate) fn another_monitor(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, &[8, 9, 11])?;
        self.one_of("another monitor", &seen, &[8, 9, 11])?;
        self.world.recovered();
        go_on(self.world, 0, seen)
    }

    /// The monitor wakes up after the owner has written. With `touching`, the
    /// owner has removed a slot of the batch meanwhile.
    pub(crate) fn monitor_wakes_up(&mut self, touching: bool) -> Verdict {
        let state = meanings(self.world, 0);
        let mut state = self.helped(state)?;
        let table = self.world.table();
        waits();
        let slot =
            table.insert(7000).map_err(|status| format!("insert beside a sleeper: {status:?}"))?;
        bounded("insert beside a sleeper", 1)?;
        state[slot as usize] = Slot::Used(7000);
        let begun = self
            .path
            .states
            .last()
            .is_some_and(|last| (0..slot as usize).all(|slot| state[slot] == last[slot]));
        let victim = self.victim();
        if touching {
            table
                .remove(victim)
                .map_err(|status| format!("remove beside a sleeper: {status:?}"))?;
            bounded("remove beside a sleeper", 1)?;
            state[victim as usize] = Slot::Free;
        }
        equal("owner beside a sleeper", &meanings(self.world, 0), &state)?;
        // It may be stopped for good once more.
        let watched = if touching { 0 } else { LATE };
        for _ in 0..watched {
            if !self.child.step()? {
                break;
            }
            no_stray(self.world)?;
        }
        self.child.finish()?;
        let result = self.world.ledger().batch.number.load(SeqCst);
        let refused = self.path.name == "rewrite_refused";
        let not_rewritable = 1_000_000 + u64::from(Status::NotRewritable as u32);
        let changes = !begun && !touching && !refused;
        let as_should = match (refused, begun, touching) {
            (false, false, true) => result == not_rewritable,
            (true, _, true) => result == not_rewritable || (self.path.result)(result),
            _ => (self.path.result)(result),
        };
        if !as_should {
            return Err(format!("late monitor returned {result}, committed before: {begun}"));
        }
        if changes && let Some(last) = self.path.states.last() {
            let changed = (0..slot as usize).filter(|slot| state[*slot] != last[*slot]);
            for slot in changed.collect::<Vec<_>>() {
                state[slot] = last[slot];
            }
        }
        equal("late monitor", &meanings(self.world, 0), &state)?;
        tidy(self.world, 0)?;
        table.remove(slot).map_err(|status| format!("remove: {status:?}"))?;
        state[slot as usize] = Slot::Free;
        go_on(self.world, 0, state)
    }

    /// A slot that the batch of the path is about.
    fn victim(&self) -> u32 {
        if self.path.name == "rewrite_helping" { 8 } else { 9 }
    }

    /// The monitor wakes up after another one has taken its place.
    pub(crate) fn monitor_is_replaced(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, &[11])?;
        self.one_of("another monitor beside a sleeper", &seen, &[11])?;
        self.child.finish()?;
        let result = self.world.ledger().batch.number.load(SeqCst);
        if !(self.path.result)(result) {
            return Err(format!("replaced monitor returned {result}"));
        }
        let last = self.path.states.last().map(|last| shifted(last, &[11])).unwrap_or_default();
        equal("replaced monitor", &meanings(self.world, 0), &last)?;
        tidy(self.world, 0)?;
        self.world.recovered();
        go_on(self.world, 0, last)
    }
}
