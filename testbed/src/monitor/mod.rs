//! The process `monitor`: parent of the target. It provides the target's
//! memory, looks at its table, and saves and restores it.

mod restore;
mod save;
mod target;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cap_map_rs::{Monitor, Slot, SlotWord};

pub(crate) use self::save::inode_of_slot;
use self::target::Target;
use crate::control::{Control, MonitorAnswer, MonitorOrder};
use crate::memory::{TABLE_BYTES, TableMemory, anonymous_file, image_bytes};
use crate::rpc::{Caller, Cap};
use crate::table::Yield;
use crate::wire::*;

/// Waits granted to another monitor's batch. There is no other monitor.
const PATIENCE: u32 = 1000;

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
            (MonitorOrder::Restore { tools, file }, None) => {
                let restored = Session::restore(Tools::new(fds, tools)?, &file)?;
                session.insert(restored).running(&mut reply)?
            }
            (MonitorOrder::Observe, Some(session)) => session.observe()?,
            (MonitorOrder::Freeze, Some(session)) => {
                session.freeze()?;
                MonitorAnswer::Done
            }
            (MonitorOrder::Save { file, clients }, Some(session)) => {
                session.save(clients)?.save(Path::new(&file))?;
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
        let table = TableMemory::new(anonymous_file("table", TABLE_BYTES as u64)?)?;
        let target = Target::spawn(&image, table.file(), false, seed)?;
        let parent = tools.lookup(COMPONENT_CORE, NAME_PARENT)?;
        target.install(PARENT_SLOT, parent.badge, &parent.fd)?;
        let pd = tools.pd(COMPONENT_TARGET)?;
        target.install(MAIN_THREAD_SLOT, MAIN_THREAD_BADGE, &tools.thread_gate(&pd)?)?;
        target.install(FIRST_SLOT, pd.badge, &pd.fd)?;
        target.start()?;
        Ok(Session { tools, target, image, table, references: None, seed, rounds: 0 })
    }

    fn running(&self, reply: &mut Vec<OwnedFd>) -> Result<MonitorAnswer> {
        reply.push(self.table.file().try_clone()?.into());
        Ok(MonitorAnswer::Running { target: self.target.id() })
    }

    fn attach(&self) -> Result<Monitor<'_, Yield>> {
        let attached = Monitor::attach(self.table.region()?, PATIENCE);
        attached.map_err(|status| anyhow::anyhow!("table of the target: {status}"))
    }

    /// Takes snapshots while the target goes on.
    fn observe(&self) -> Result<MonitorAnswer> {
        let monitor = self.attach()?;
        let mut words = vec![SlotWord(0); TARGET_SLOTS as usize];
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
