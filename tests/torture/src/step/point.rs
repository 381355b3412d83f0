//! What may happen while one side has stopped in front of an instruction: it is dead,
//! or wakes up after the other side has acted. Each case is verified to its end.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::OFF_BATCH;
use cap_map_rs::{Slot, Status};

use crate::fixture::{SHIFT, State, Verdict, badge, code, left_out, word};
use crate::ptrace::Stepped;
use crate::step::expect::{bounded, equal, go_on, heir, rival, shift_badges, shifted, tidy};
use crate::step::paths::Path;
use crate::world::{FIRST_USER, World, waits};

/// An instruction of a path, in front of which its process has stopped.
pub(crate) struct Point<'a> {
    pub(crate) world: World,
    pub(crate) path: &'a Path,
    pub(crate) child: &'a mut Stepped,
    /// What the slots mean now.
    pub(crate) state: State,
    /// Whether that is the last state of the path, and not the first one.
    pub(crate) is_decided: bool,
    /// Slots that the monitor that comes by rewrites.
    pub(crate) shifting: &'a [u32],
}

fn failed(status: Status) -> u64 {
    code::<u32>(Err(status))
}

/// The badge of a detached slot is one that the slot carried during the call.
fn forget_detached(state: &mut State) {
    for (slot, entry) in (FIRST_USER..).zip(state.iter_mut().skip(FIRST_USER as usize)) {
        if let Slot::Detached(seen) = entry
            && (*seen == 0 || *seen % SHIFT == badge(slot))
        {
            *seen = badge(slot);
        }
    }
}

impl Point<'_> {
    fn finish(&mut self) -> Result<u64, String> {
        self.child.finish()?;
        Ok(self.world.ledger().returned.load(SeqCst))
    }

    /// The path has returned what it must, and the table says so. `seen` is what a monitor
    /// left.
    fn verify_end(&self, seen: &State, returned: u64, when: &str) -> Verdict {
        if !(self.path.result)(returned) {
            return Err(format!("{when}: returned {returned}"));
        }
        let last =
            |(slot, entry): (u32, &Slot)| (self.path.finally)(slot, *entry).unwrap_or(*entry);
        let mut expected: State = (0u32..).zip(seen).map(last).collect();
        let found = self.world.meanings(0);
        let mut comparable = found.clone();
        forget_detached(&mut expected);
        forget_detached(&mut comparable);
        equal(when, &comparable, &expected)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, found)
    }

    /// Another life of the owner begins, and its table is in order.
    fn recover(&self) -> Verdict {
        let before = self.world.meanings(0);
        waits();
        self.world.recovered();
        bounded("recovery", 0)?;
        let found = self.world.meanings(0);
        for (slot, (before, found)) in (0u32..).zip(before.iter().zip(&found)) {
            let possible = (self.path.recovered)(slot, *before);
            let is_possible =
                if possible.is_empty() { found == before } else { possible.contains(found) };
            if !is_possible {
                return Err(format!("recovery makes {found:?} of {before:?} in slot {slot}"));
            }
        }
        tidy(self.world, 0)?;
        // What the dead owner was about to insert stands in nobody's way.
        if let Some((badge, _)) = self.path.contested
            && !found.contains(&Slot::Used(badge))
        {
            let returned = rival(self.world, badge)?;
            if returned != 0 {
                return Err(format!("recovered, but badge {badge} refused: {returned}"));
            }
        }
        go_on(self.world, 0, self.world.meanings(0))
    }

    /// Nothing happens to the path.
    pub(crate) fn undisturbed(&mut self) -> Verdict {
        let returned = self.finish()?;
        self.verify_end(&self.state, returned, "undisturbed")
    }

    /// The owner is dead: a monitor comes by, then another life of the owner.
    pub(crate) fn owner_dies(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, self.shifting)?;
        equal("monitor after death", &seen, &shifted(&self.state, self.shifting))?;
        self.recover()
    }

    /// The owner is dead and lives again before any monitor comes.
    pub(crate) fn owner_lives_again(&mut self) -> Verdict {
        self.recover()
    }

    /// The owner dies once more while another life of it begins.
    pub(crate) fn owner_dies_twice(&mut self) -> Verdict {
        self.world.recovered();
        self.recover()
    }

    /// The owner wakes up after so many batches.
    pub(crate) fn owner_wakes_up(&mut self, batches: u32) -> Verdict {
        let mut seen = self.state.clone();
        for batch in 0..batches {
            let shifting = if batch == 0 { self.shifting } else { &[11] };
            let expected = shifted(&seen, shifting);
            seen = shift_badges(self.world, 0, shifting)?;
            equal("monitor beside a sleeper", &seen, &expected)?;
        }
        let returned = self.finish()?;
        self.verify_end(&seen, returned, "late owner")
    }

    /// The owner wakes up after a monitor has tried to give its badge to another slot.
    pub(crate) fn owner_finds_a_rival(&mut self) -> Verdict {
        let Some((wanted, instead)) = self.path.contested else { return Ok(()) };
        let answer = rival(self.world, wanted)?;
        let is_there = self.state.contains(&Slot::Used(wanted));
        let is_coming =
            word(self.world, cap_map_rs::layout::OFF_COMING).load(SeqCst) == u64::from(wanted);
        let expected = if is_there || is_coming { failed(Status::DuplicateBadge) } else { 0 };
        if answer != expected {
            return Err(format!("rival got {answer}, not {expected}"));
        }
        let mut seen = self.world.meanings(0);
        let returned = self.finish()?;
        if answer != 0 {
            return self.verify_end(&seen, returned, "beside a rival that was refused");
        }
        if instead == Status::Ok {
            // The owner takes the badge away from slot 11.
            seen[11] = Slot::Free;
            return self.verify_end(&seen, returned, "behind a rival");
        }
        if returned != failed(instead) {
            return Err(format!("behind a rival: returned {returned}"));
        }
        equal("behind a rival", &self.world.meanings(0), &seen)?;
        go_on(self.world, 0, seen)
    }

    /// The monitor is dead: the owner goes on as if nothing were.
    pub(crate) fn monitor_dies(&mut self) -> Verdict {
        go_on(self.world, 0, self.state.clone())
    }

    /// The monitor is dead: another one takes over, and then the owner is dead, too.
    pub(crate) fn another_monitor(&mut self) -> Verdict {
        let shifting = [8, 9, 11];
        let seen = shift_badges(self.world, 0, &shifting)?;
        equal("another monitor", &seen, &shifted(&self.state, &shifting))?;
        self.recover()
    }

    /// The monitor is dead, and another life of the owner begins.
    pub(crate) fn both_die(&mut self) -> Verdict {
        self.recover()
    }

    /// The monitor wakes up after the owner has inserted a badge and removed slot 9, or
    /// one of both.
    pub(crate) fn monitor_wakes_up(&mut self, inserting: bool, removing: bool) -> Verdict {
        let mut state = self.state.clone();
        let table = self.world.table();
        waits();
        if inserting {
            let slot = table
                .insert(7004)
                .map_err(|status| format!("insert beside a sleeper: {status:?}"))?;
            bounded("insert beside a sleeper", 1)?;
            state[slot as usize] = Slot::Used(7004);
        }
        if removing {
            table.remove(9).map_err(|status| format!("remove beside a sleeper: {status:?}"))?;
            bounded("remove beside a sleeper", 0)?;
            state[9] = Slot::Free;
        }
        equal("owner beside a sleeper", &self.world.meanings(0), &state)?;
        let returned = self.finish()?;
        let usual = (self.path.result)(returned);
        let possible = match (self.is_decided, removing) {
            (_, false) => usual,
            // The slot may have been looked at before, but not settled.
            (true, true) => usual || returned == left_out(1),
            (false, true) => {
                // An insertion has it look at the slot again.
                returned == failed(Status::NotRewritable)
                    || !inserting && returned == left_out(1)
                    || self.path.states.len() == 1 && usual
            }
        };
        if !possible {
            return Err(format!("late monitor returned {returned}"));
        }
        if returned < failed(Status::Ok) && !self.is_decided {
            // All changes but those of slots that the owner has written since.
            let last = self.path.states.last().unwrap_or(&state).clone();
            for (slot, entry) in last.into_iter().enumerate() {
                if state[slot] == self.state[slot] {
                    state[slot] = entry;
                }
            }
        }
        equal("late monitor", &self.world.meanings(0), &state)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, state)
    }

    /// The monitor wakes up after the owner has entered a badge of its batch.
    pub(crate) fn monitor_finds_a_rival(&mut self) -> Verdict {
        let Some((wanted, instead)) = self.path.contested else { return Ok(()) };
        let answer = self.world.table().insert(wanted);
        let mut state = self.state.clone();
        match answer {
            Err(Status::Exists) if self.is_decided => {}
            Ok(slot) if !self.is_decided => state[slot as usize] = Slot::Used(wanted),
            other => return Err(format!("insertion of the contested badge: {other:?}")),
        }
        let returned = self.finish()?;
        let expected = if answer.is_ok() { failed(instead) } else { 0 };
        if returned != expected {
            return Err(format!("the owner was told {answer:?}, but the monitor {returned}"));
        }
        equal("contested", &self.world.meanings(0), &state)?;
        go_on(self.world, 0, state)
    }

    /// Whether the path has yet to take the claim away from a dead monitor.
    fn takes_over(&self) -> bool {
        let batch = self.world.batch_word(0);
        self.path.takes_over && batch.is_claimed() && batch.claim() == 1
    }

    /// The monitor wakes up after its claim went to another one, which has not decided
    /// anything yet.
    pub(crate) fn monitor_loses_its_claim(&mut self) -> Verdict {
        if self.takes_over() {
            // It would take the claim away from a living monitor.
            return Ok(());
        }
        heir(self.world, 0)?;
        let another = self.world.batch_word(0).claimed();
        word(self.world, OFF_BATCH).store(another.0, SeqCst);
        let returned = self.finish()?;
        let now = self.world.batch_word(0);
        if now != another {
            return Err(format!("the claim {another:x?} became {now:x?}"));
        }
        let is_over = self.is_decided || self.path.states.len() == 1;
        let possible = returned == failed(Status::Busy) || is_over && (self.path.result)(returned);
        if !possible {
            return Err(format!("without its claim, the monitor returned {returned}"));
        }
        equal("lost claim", &self.world.meanings(0), &self.state)?;
        go_on(self.world, 0, self.state.clone())
    }

    /// The monitor wakes up after another one has taken over and decided two batches.
    pub(crate) fn monitor_is_replaced(&mut self) -> Verdict {
        let holds = self.world.batch_word(0).is_claimed() && !self.takes_over();
        let mut seen = self.state.clone();
        for _ in 0..2 {
            seen = shifted(&seen, &[11]);
            let found = shift_badges(self.world, 0, &[11])?;
            equal("another monitor beside a sleeper", &found, &seen)?;
        }
        let returned = self.finish()?;
        let is_over = self.is_decided || self.path.states.len() == 1;
        let lost = returned == failed(Status::Busy);
        // Another one has settled its slots, which looks as if the owner had written them.
        let left_out = self.is_decided && returned < failed(Status::Ok);
        if lost != holds && !is_over || !lost && !left_out && !(self.path.result)(returned) {
            return Err(format!("replaced monitor returned {returned}"));
        }
        if lost {
            equal("replaced monitor", &self.world.meanings(0), &seen)?;
            return go_on(self.world, 0, seen);
        }
        let last = self.path.states.last().unwrap_or(&seen);
        let last = shifted(&shifted(last, &[11]), &[11]);
        equal("replaced monitor", &self.world.meanings(0), &last)?;
        go_on(self.world, 0, last)
    }
}
