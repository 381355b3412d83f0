//! One client thread: what it does, and what it expects of each answer.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::{OwnObjects, Shared};
use crate::checkpoint::{CellState, ObjectState, ThreadState};
use crate::wire::{Caller, Cap, Reply, answer_text, *};

/// Objects of the target that are given capabilities. They call other objects,
/// but never each other: that might make them wait in a circle.
const HOLDERS: usize = 24;

/// Most sessions, and most own objects, of one thread.
const MOST: usize = 12;

/// A client thread's private state.
pub(super) struct Worker {
    index: usize,
    caller: Caller,
    sessions: Vec<(Cap, ObjectState)>,
    own: Vec<(u64, Cap)>,
    own_created: u64,
    cells: Vec<CellState>,
}

/// The thread was told to stop before the answer came.
struct Stopped;

type Step = Result<(), Stopped>;

impl Worker {
    /// A worker that continues from `state`; its own objects are created again.
    pub(super) fn new(
        index: usize,
        state: &ThreadState,
        own: &OwnObjects,
        caller: &mut Caller,
    ) -> Result<Self> {
        let mut objects = Vec::new();
        for name in &state.own {
            objects.push((*name, own.create(caller, *name)?));
        }
        Ok(Worker {
            index,
            caller: Caller::new()?,
            sessions: Vec::new(),
            own: objects,
            own_created: state.own_created,
            cells: state.cells.clone(),
        })
    }

    pub(super) fn add_session(&mut self, cap: Cap, state: ObjectState) {
        self.sessions.push((cap, state));
    }

    pub(super) fn state(&self) -> ThreadState {
        ThreadState {
            sessions: self.sessions.iter().map(|(_, state)| *state).collect(),
            own: self.own.iter().map(|(name, _)| *name).collect(),
            own_created: self.own_created,
            cells: self.cells.clone(),
        }
    }

    /// Calls the target until told to stop.
    pub(super) fn run(mut self, shared: &Shared) -> Self {
        let mut random = fastrand::Rng::with_seed(shared.seed ^ (self.index as u64) << 32);
        while !shared.pausing.load(Ordering::Relaxed) && self.step(shared, &mut random).is_ok() {
            shared.calls.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    fn step(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        let holders = HOLDERS.min(shared.permanent.len() / 2);
        match random.u32(..100) {
            _ if holders == 0 => self.call_permanent(shared, random),
            0..50 => self.call_permanent(shared, random),
            50..60 => self.call_session(shared, random),
            60..68 => self.give(shared, random, holders),
            68..72 => self.drop_held(shared, random),
            72..76 => self.take(shared, random),
            76..88 => self.call_held(shared, random),
            88..91 => self.create_session(shared),
            91..94 => self.destroy_session(shared, random),
            94..97 => self.create_own(shared),
            _ => self.destroy_own(shared, random),
        }
    }

    /// Calls an object of the target; an interruption comes before the answer,
    /// and then the target has not seen the request.
    fn call(
        &mut self,
        shared: &Shared,
        to: &Cap,
        opcode: u32,
        words: &[u64],
        caps: &[&Cap],
    ) -> Result<Reply, Stopped> {
        let stop = Some(shared.stop.as_fd());
        self.caller.call_unless(stop, to, opcode, words, caps).ok_or(Stopped)
    }

    fn call_permanent(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        let Some(object) = random.choice(&shared.permanent) else { return Ok(()) };
        let reply = self.call(shared, &object.cap, OP_CALL, &[], &[])?;
        object.calls.fetch_add(1, Ordering::Relaxed);
        // Other threads call it, too, so the count is checked at the end only.
        expect(shared, "call", &reply, ANSWER_OK, object.name);
        Ok(())
    }

    fn call_session(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        if self.sessions.is_empty() {
            return Ok(());
        }
        let at = random.usize(..self.sessions.len());
        let (cap, _) = self.sessions[at].clone();
        let reply = self.call(shared, &cap, OP_CALL, &[], &[])?;
        let state = &mut self.sessions[at].1;
        state.calls += 1;
        expect(shared, "call", &reply, ANSWER_OK, state.name);
        if reply.word[1] != state.calls {
            shared.report_wrong(format!("call {} counted as {}", state.calls, reply.word[1]));
        }
        Ok(())
    }

    fn create_session(&mut self, shared: &Shared) -> Step {
        if self.sessions.len() >= MOST {
            return Ok(());
        }
        let reply = self.call(shared, &shared.factory, OP_CREATE, &[], &[])?;
        let name = reply.word[0];
        match (reply.answer, reply.caps.into_iter().next()) {
            (ANSWER_OK, Some(cap)) => self.sessions.push((cap, ObjectState { name, calls: 0 })),
            // A full capability space is no mistake.
            (ANSWER_NO_SLOT, _) => {}
            (answer, _) => shared.report_wrong(format!("create: {}", answer_text(answer))),
        }
        Ok(())
    }

    fn destroy_session(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        if self.sessions.is_empty() {
            return Ok(());
        }
        let at = random.usize(..self.sessions.len());
        let (cap, state) = self.sessions[at].clone();
        let reply = self.call(shared, &shared.factory, OP_DESTROY, &[], &[&cap])?;
        self.sessions.swap_remove(at);
        self.bury(state.name);
        if reply.answer != ANSWER_OK {
            shared.report_wrong(format!("destroy: {}", answer_text(reply.answer)));
        }
        Ok(())
    }

    fn create_own(&mut self, shared: &Shared) -> Step {
        if self.own.len() >= MOST {
            return Ok(());
        }
        self.own_created += 1;
        let name = NAME_OBJECT + ((self.index as u64) << 40) + self.own_created;
        match shared.own.create(&mut self.caller, name) {
            Ok(cap) => self.own.push((name, cap)),
            Err(error) => shared.report_wrong(format!("own object: {error:#}")),
        }
        Ok(())
    }

    fn destroy_own(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        if self.own.is_empty() {
            return Ok(());
        }
        let (name, cap) = self.own.swap_remove(random.usize(..self.own.len()));
        if let Err(error) = shared.own.destroy(&mut self.caller, &cap) {
            shared.report_wrong(format!("own object: {error:#}"));
        }
        self.bury(name);
        Ok(())
    }

    /// The object is gone: capabilities that the target keeps of it are dead.
    fn bury(&mut self, name: u64) {
        for cell in self.cells.iter_mut().filter(|cell| cell.held == name) {
            cell.alive = false;
        }
    }

    fn cell_word(&self) -> [u64; 1] {
        [self.index as u64]
    }

    /// Gives one of many kinds of capabilities to an object of the target.
    fn give(&mut self, shared: &Shared, random: &mut fastrand::Rng, holders: usize) -> Step {
        let others = &shared.permanent[holders..];
        let gift = match random.u32(..4) {
            0 => random.choice(&shared.services).cloned(),
            1 => random.choice(others).map(|object| (object.name, object.cap.clone())),
            2 => random.choice(&self.sessions).map(|(cap, state)| (state.name, cap.clone())),
            _ => random.choice(&self.own).cloned(),
        };
        let Some((held, gift)) = gift else { return Ok(()) };
        let holder = random.usize(..holders);
        let object = &shared.permanent[holder];
        let reply = self.call(shared, &object.cap, OP_GIVE, &self.cell_word(), &[&gift])?;
        // A capability space without room refuses the gift.
        if reply.answer != ANSWER_INVALID {
            expect(shared, "give", &reply, ANSWER_OK, object.name);
            self.cells.retain(|cell| cell.holder != holder);
            self.cells.push(CellState { holder, held, alive: true });
        }
        Ok(())
    }

    fn drop_held(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        if self.cells.is_empty() {
            return Ok(());
        }
        let at = random.usize(..self.cells.len());
        let object = &shared.permanent[self.cells[at].holder];
        let reply = self.call(shared, &object.cap, OP_DROP, &self.cell_word(), &[])?;
        self.cells.swap_remove(at);
        expect(shared, "drop", &reply, ANSWER_OK, object.name);
        Ok(())
    }

    /// Gets back a capability, which must be the one that was given.
    fn take(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        let Some(cell) = random.choice(&self.cells).copied() else { return Ok(()) };
        let object = &shared.permanent[cell.holder];
        let reply = self.call(shared, &object.cap, OP_TAKE, &self.cell_word(), &[])?;
        expect(shared, "take", &reply, ANSWER_OK, object.name);
        let known = self.own.iter().find(|(name, _)| *name == cell.held);
        let Some((_, known)) = known else { return Ok(()) };
        let same = reply.caps.first().is_some_and(|cap| {
            cap.badge == known.badge && inode(&cap.fd).ok() == inode(&known.fd).ok()
        });
        if !same {
            shared.report_wrong("take: another capability than was given".into());
        }
        Ok(())
    }

    /// Lets the target call through a capability that it keeps.
    fn call_held(&mut self, shared: &Shared, random: &mut fastrand::Rng) -> Step {
        let Some(cell) = random.choice(&self.cells).copied() else { return Ok(()) };
        let object = &shared.permanent[cell.holder];
        let reply = self.call(shared, &object.cap, OP_CALL_HELD, &self.cell_word(), &[])?;
        if cell.alive {
            expect(shared, "call of a held capability", &reply, ANSWER_OK, cell.held);
        } else if reply.answer != ANSWER_DEAD {
            let answer = answer_text(reply.answer);
            shared.report_wrong(format!("call of a dead capability: {answer}"));
        }
        Ok(())
    }
}

fn expect(shared: &Shared, what: &str, reply: &Reply, answer: u32, name: u64) {
    if reply.answer != answer {
        shared.report_wrong(format!("{what}: {}", answer_text(reply.answer)));
    } else if reply.word[0] != name {
        shared.report_wrong(format!("{what}: object {:#x} answered for {name:#x}", reply.word[0]));
    }
}
