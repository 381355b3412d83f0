//! The process `monitor`: parent of the target. It provides the target's
//! memory, looks at its table, and saves and restores it. And the process `rewriter`: a second
//! monitor of the table, which the monitor kills in the middle of a rewrite.
//!
//! The rewriter attempts the same batch again and again: a badge that nothing has for each slot,
//! where it expects a badge of the last slot that core never hands out. The table refuses
//! the batch when the new badges stand beside the old ones already, so that the target
//! never gets a badge that core does not know.

mod image;
mod target;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cap_map_rs::{Identity, Monitor, Rewrite, Slot, SlotWord, Status, layout};

pub(crate) use self::image::inode_of_slot;
use self::target::{Life, Target};
use crate::control::{Control, MonitorAnswer, MonitorOrder};
use crate::memory::{
    TableMemory, anonymous_file, contents, file_of, image_bytes, table_address, table_bytes,
};
use crate::process::Process;
use crate::table::Yield;
use crate::wire::{Caller, Cap, *};

/// Calls of the waiting strategy granted to another monitor, which is dead if there is one,
/// and to a target that asks for quiet.
const WAIT_BUDGET: u32 = 1000;

/// What the target is called.
const LABEL: &[u8] = b"init -> target";

/// Snapshots per order to observe.
const OBSERVATIONS: u64 = 20;

/// A target with all that the monitor has of it.
struct Session {
    tools: Tools,
    target: Target,
    image: File,
    table: TableMemory,
    /// References as of when the target came to rest.
    references: Option<File>,
    /// Facts for the next checkpoint.
    seed: u64,
    rounds: u32,
    /// Slots that the rewrite of a restored table left out.
    left_out: Vec<u32>,
}

/// The monitor's access to core.
struct Tools {
    caller: Caller,
    cap: Cap,
}

impl Tools {
    fn new(fds: Vec<OwnedFd>, badge: u32) -> Result<Self> {
        let fd = fds.into_iter().next().context("no tools capability")?;
        Ok(Tools { caller: Caller::new()?, cap: Cap { fd: Arc::new(fd), badge } })
    }

    fn pd(&mut self, component: u32) -> Result<Cap> {
        let words = [u64::from(component)];
        self.caller.call(&self.cap, OP_PD, &words, &[]).cap("protection domain")
    }

    fn lookup(&mut self, creator: u32, name: u64) -> Result<Cap> {
        let words = [u64::from(creator), name];
        let what = || format!("object {name:#x} of component {creator}");
        self.caller.call(&self.cap, OP_LOOKUP, &words, &[]).cap(&what())
    }
}

/// Serves the driver until it is gone; the target goes with the monitor.
pub(crate) fn run() -> Result<()> {
    let mut session = None;
    Control::servant()?.serve(|order, fds| {
        let mut reply = Vec::new();
        let answer = match (order, &mut session) {
            (MonitorOrder::Start { tools, seed }, None) => session
                .insert(Session::start(Tools::new(fds, tools)?, seed)?)
                .running(&mut reply)?,
            (MonitorOrder::Restore { tools }, None) => {
                let mut fds = fds.into_iter();
                let own = fds.next().into_iter().collect();
                let saved = fds.next().context("no checkpoint")?;
                let restored = Session::restore(Tools::new(own, tools)?, &saved.into())?;
                session.insert(restored).running(&mut reply)?
            }
            (MonitorOrder::ProvideSlots, Some(session)) => session.provide_slots(&mut reply)?,
            (MonitorOrder::LoseRewriter, Some(session)) => {
                session.lose_rewriter()?;
                MonitorAnswer::Done
            }
            (MonitorOrder::Observe, Some(session)) => session.observe()?,
            (MonitorOrder::Freeze, Some(session)) => {
                session.freeze()?;
                MonitorAnswer::Done
            }
            (MonitorOrder::Save { clients }, Some(session)) => {
                let saved = session.save(clients)?.encode()?;
                reply.push(file_of("checkpoint", &saved)?.into());
                MonitorAnswer::Done
            }
            (MonitorOrder::References, Some(session)) => {
                reply.push(session.target.references()?.into());
                MonitorAnswer::Done
            }
            _ => bail!("order at the wrong time"),
        };
        Ok((answer, reply))
    })
}

impl Session {
    /// Starts a new target.
    fn start(mut tools: Tools, seed: u64) -> Result<Self> {
        let image = anonymous_file("image", image_bytes())?;
        let table = TableMemory::new(anonymous_file("table", table_bytes(TARGET_SLOTS) as u64)?)?;
        let target = Target::spawn(&image, table.file(), Life::First { seed })?;
        let parent = tools.lookup(COMPONENT_CORE, NAME_PARENT)?;
        target.install(PARENT_SLOT, parent.badge, &parent.fd)?;
        let pd = tools.pd(COMPONENT_TARGET)?;
        let identity = Identity {
            boot: fastrand::u64(1..),
            instance: 1,
            pd: pd.badge,
            parent: parent.badge,
            ..Identity::labelled(LABEL).map_err(|status| anyhow::anyhow!("label: {status}"))?
        };
        prepare(&table, &identity)?;
        target.install(MAIN_THREAD_SLOT, MAIN_THREAD_BADGE, &tools.thread_gate(&pd)?)?;
        target.install(FIRST_SLOT, pd.badge, &pd.fd)?;
        target.start()?;
        let left_out = Vec::new();
        Ok(Session { tools, target, image, table, references: None, seed, rounds: 0, left_out })
    }

    fn running(&self, reply: &mut Vec<OwnedFd>) -> Result<MonitorAnswer> {
        reply.push(self.table.file().try_clone()?.into());
        Ok(MonitorAnswer::Running { target: self.target.id(), left_out: self.left_out.clone() })
    }

    fn attach(&self) -> Result<Monitor<'_, Yield>> {
        attach(&self.table)
    }

    /// Gives the target a table of twice the size if most of its slots were used, and is asked
    /// while the target goes on.
    fn provide_slots(&mut self, reply: &mut Vec<OwnedFd>) -> Result<MonitorAnswer> {
        let monitor = self.attach()?;
        let (capacity, identity) = (monitor.geometry().capacity, monitor.header().identity);
        let mut words = vec![SlotWord::FREE; capacity as usize];
        let snapshot = monitor.snapshot(&mut words);
        let written = snapshot.map_err(|status| anyhow::anyhow!("snapshot: {status}"))?.slots;
        if written < capacity / 4 * 3 {
            return Ok(MonitorAnswer::Done);
        }
        let slots = 2 * capacity;
        let address = table_address(slots).context("the target has all slots that it can have")?;
        let table = TableMemory::new(anonymous_file("table", table_bytes(slots) as u64)?)?;
        prepare(&table, &identity)?;
        self.target.grow(slots, address, table.file())?;
        reply.push(table.file().try_clone()?.into());
        self.table = table;
        Ok(MonitorAnswer::Grown)
    }

    /// Takes snapshots while the target goes on.
    fn observe(&self) -> Result<MonitorAnswer> {
        let monitor = self.attach()?;
        let mut words = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
        let mut consistent = 0;
        for _ in 0..OBSERVATIONS {
            let snapshot = monitor
                .snapshot(&mut words)
                .map_err(|status| anyhow::anyhow!("snapshot: {status}"))?;
            if snapshot.consistent {
                consistent += 1;
                check_unique(&words)?;
            }
        }
        Ok(MonitorAnswer::Observed { consistent, other: OBSERVATIONS - consistent })
    }

    fn freeze(&mut self) -> Result<()> {
        self.target.rest()?;
        self.references = Some(self.target.references()?);
        self.target.stop()
    }
}

fn attach(table: &TableMemory) -> Result<Monitor<'_, Yield>> {
    let attached = Monitor::attach(table.region()?, WAIT_BUDGET);
    attached.map_err(|status| anyhow::anyhow!("table of the target: {status}"))
}

/// Leaves the target's identity in memory for its table. The target puts it into the header.
fn prepare(table: &TableMemory, identity: &Identity) -> Result<()> {
    let prepared = table.region()?.prepare(identity);
    prepared.map_err(|status| anyhow::anyhow!("memory for the table: {status}"))
}

/// No badge stands in two slots at one instant.
fn check_unique(words: &[SlotWord]) -> Result<()> {
    let mut seen = HashSet::new();
    for (slot, word) in words.iter().enumerate() {
        if let Slot::Used(badge) = word.meaning() {
            ensure!(seen.insert(badge), "slot {slot}: badge {badge} stands in another slot, too");
        }
    }
    Ok(())
}

impl Tools {
    /// A descriptor for the slot of the target's first thread.
    fn thread_gate(&mut self, pd: &Cap) -> Result<OwnedFd> {
        let made = self.caller.call(pd, OP_THREAD_GATE, &[], &[]).ok("thread")?;
        made.kernel.context("thread without descriptor")
    }
}

/// Rewrites of one batch, which the target makes outdated.
const ATTEMPTS: u32 = 200;

/// Most rewriters until one dies in the middle. About every third one does.
const REWRITERS: u32 = 100;

/// Serves as the rewriter; ends by being killed.
pub(crate) fn run_rewriter() -> Result<()> {
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    ensure!(wait_readable(&[control.as_fd()], Some(TIMEOUT))?.is_some(), "no table to rewrite");
    let (_, fds) = receive(control.as_fd()).context("order to the rewriter")?;
    let table = TableMemory::new(fds.into_iter().next().context("no table")?.into())?;
    let monitor = attach(&table)?;
    let mut words = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
    let mut batch = refused_batch(&monitor, &mut words)?;
    attempt(&monitor, &mut batch)?;
    send(control.as_fd(), Message::new(ANSWER_OK, &[]), &[]).context("answer of the rewriter")?;
    // From the answer on it may die. So most of its time is that of rewrites, and the first ones
    // follow at once: on a slow machine, or under an instrument, it dies before a new batch is made.
    loop {
        for _ in 0..ATTEMPTS {
            attempt(&monitor, &mut batch)?;
        }
        batch = refused_batch(&monitor, &mut words)?;
    }
}

/// A batch for what the table holds now, which has to be refused.
fn refused_batch(monitor: &Monitor<'_, Yield>, words: &mut [SlotWord]) -> Result<Vec<Rewrite>> {
    monitor.snapshot(words).map_err(|status| anyhow::anyhow!("snapshot: {status}"))?;
    let mut batch: Vec<_> = (0u32..)
        .zip(&*words)
        .filter_map(|(slot, word)| match word.meaning() {
            Slot::Used(badge) => Some(Rewrite::new(slot, badge, 4 * slot + 3)),
            _ => None,
        })
        .collect();
    // Core hands out multiples of four.
    batch.last_mut().context("nothing to rewrite")?.expected = 2;
    Ok(batch)
}

fn attempt(monitor: &Monitor<'_, Yield>, batch: &mut [Rewrite]) -> Result<()> {
    match monitor.rewrite(batch) {
        Ok(()) => bail!("a rewrite of a badge that no slot has was done"),
        Err(refusal) => match refusal.status {
            // The first is for the last slot. All are for slots that the target has written
            // since the snapshot.
            Status::UnexpectedBadge | Status::NotRewritable | Status::Changed => Ok(()),
            status => bail!("rewriter: {status}"),
        },
    }
}

impl Session {
    /// Lets a rewriter die while it holds the claim and new badges stand beside old ones.
    pub(super) fn lose_rewriter(&self) -> Result<()> {
        let monitor = self.attach()?;
        let refused = |status| anyhow::anyhow!("claim of the table: {status}");
        for _ in 0..REWRITERS {
            self.start_and_kill_rewriter()?;
            if is_in_the_middle(&contents(self.table.file())?) {
                return Ok(());
            }
            // It may have died with the claim, but in front of the first new badge.
            monitor.take_over().map_err(refused)?;
        }
        bail!("none of {REWRITERS} monitors died in the middle of a rewrite")
    }

    fn start_and_kill_rewriter(&self) -> Result<()> {
        let (ours, theirs) = pair()?;
        let rewriter = Process::spawn("rewriter", &[], theirs)?;
        let mut order = Message::new(OP_REWRITE, &[]);
        order.kernel = 1;
        send(ours.as_fd(), order, &[self.table.file().as_fd()]).context("order to a rewriter")?;
        let answered = wait_readable(&[ours.as_fd()], Some(TIMEOUT))?;
        answered.context("a rewriter does not answer")?;
        receive(ours.as_fd()).context("answer of a rewriter")?;
        // Otherwise it is likely to have come no further than to its answer.
        std::thread::sleep(Duration::from_micros(fastrand::u64(200..2000)));
        drop(rewriter);
        Ok(())
    }
}

/// Whether somebody holds the claim of the table in these bytes, and badges are to change.
fn is_in_the_middle(table: &[u8]) -> bool {
    let (words, _) = table.as_chunks::<{ layout::WORD_BYTES }>();
    let word = |at: usize| words.get(at / layout::WORD_BYTES).map(|word| u64::from_ne_bytes(*word));
    let is_claimed = word(layout::OFF_BATCH).is_some_and(|word| word & layout::BATCH_CLAIMED != 0);
    let slots = words.iter().skip(layout::SLOTS / layout::WORD_BYTES);
    let mut slots = slots.map(|word| SlotWord(u64::from_ne_bytes(*word)));
    is_claimed && slots.any(|word| word.is_used() && !word.is_settled())
}
