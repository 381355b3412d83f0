//! Bringing up a target from a checkpoint, in a system with other badges.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use cap_map_rs::{Rewrite, Slot};

use super::target::{Life, Target};
use super::{Session, Tools};
use crate::checkpoint::{Checkpoint, KernelEntry, Object};
use crate::memory::{TableMemory, anonymous_file, contents, file_of, image_bytes};
use crate::rpc::Cap;
use crate::wire::*;

impl Session {
    /// Brings up the target of a checkpoint, and lets it go on.
    pub(super) fn restore(mut tools: Tools, saved: &File) -> Result<Self> {
        let checkpoint = Checkpoint::decode(&contents(saved)?)?;

        let image = anonymous_file("image", image_bytes())?;
        image.write_all_at(&checkpoint.image, 0)?;
        let table = TableMemory::new(file_of("table", &checkpoint.table)?)?;

        let seed = checkpoint.meta.seed;
        let life = Life::Restored { table_address: checkpoint.meta.table_address };
        let target = Target::spawn(&image, table.file(), life)?;
        let pd = tools.pd(COMPONENT_TARGET)?;
        for entrypoint in 0..checkpoint.meta.entrypoints {
            let made = tools.caller.call(&pd, OP_ENTRYPOINT, &[u64::from(entrypoint)], &[]);
            let epoll = made.ok("entrypoint")?.kernel.context("entrypoint without descriptor")?;
            target.epoll(entrypoint, &epoll)?;
        }

        let slots = crate::table::read(&checkpoint.table);
        let slots = slots.map_err(|status| anyhow::anyhow!("{status}"))?.slots;
        let mut refill = Refill { pd, target: &target, tools: &mut tools, gates: 0, dead: vec![] };
        let mut batch = Vec::new();
        for entry in &checkpoint.kernel {
            let badge = refill.fill(entry)?;
            if let (Some(badge), Slot::Used(old)) = (badge, slots[entry.slot as usize]) {
                batch.push(Rewrite::new(entry.slot, old, badge));
            }
        }
        let dead = refill.dead;

        let rounds = checkpoint.meta.rounds.saturating_add(1);
        let left_out = rewrite(&table, &mut batch)?;
        let session =
            Session { tools, target, image, table, references: None, seed, rounds, left_out };
        session.target.start()?;
        session.bury(&dead)
    }

    /// Gives the badges of dead objects back, once they are in the table.
    fn bury(mut self, dead: &[Cap]) -> Result<Self> {
        let pd = self.tools.pd(COMPONENT_MONITOR)?;
        for cap in dead {
            let badge = [u64::from(cap.badge)];
            self.tools.caller.call(&pd, OP_FREE_GATE, &badge, &[]).ok("burying a dead object")?;
        }
        Ok(self)
    }
}

/// Changes the badges of a table that was saved. Returns the slots that kept theirs, because
/// the owner wrote them meanwhile.
fn rewrite(table: &TableMemory, batch: &mut [Rewrite]) -> Result<Vec<u32>> {
    let monitor = super::attach(table)?;
    // Whoever has claimed the right to rewrite did that in the former life of this memory.
    monitor.take_over().map_err(|status| anyhow::anyhow!("claim of the table: {status}"))?;
    monitor.rewrite(batch).map_err(|refusal| {
        let slot = refusal.slot.map_or(String::new(), |slot| format!("slot {slot}: "));
        anyhow::anyhow!("rewriting the badges: {slot}{}", refusal.status)
    })?;
    Ok(batch.iter().filter(|entry| entry.left_out != 0).map(|entry| entry.slot).collect())
}

/// Fills the slots of a new target.
struct Refill<'a> {
    pd: Cap,
    target: &'a Target,
    tools: &'a mut Tools,
    /// Server ends so far.
    gates: u32,
    /// Gates that stand for dead objects.
    dead: Vec<Cap>,
}

impl Refill<'_> {
    /// Installs the object for a slot, and returns its badge in this system
    /// unless that is the same in every system.
    fn fill(&mut self, entry: &KernelEntry) -> Result<Option<u32>> {
        let cap = match entry.object {
            Object::Thread => {
                let thread = self.tools.thread_gate(&self.pd)?;
                self.target.install(entry.slot, 0, &thread)?;
                return Ok(None);
            }
            Object::Gate { creator: COMPONENT_TARGET, entrypoint, name } => {
                let server = self.gates;
                self.gates += 1;
                let words = [u64::from(entrypoint), u64::from(server), name];
                let made = self.tools.caller.call(&self.pd, OP_ALLOC_GATE, &words, &[]);
                let mut made = made.ok("new gate")?;
                let end = made.kernel.take().context("gate without server end")?;
                self.target.server(server, &end)?;
                made.cap("new gate")?
            }
            Object::Gate {
                creator: creator @ (COMPONENT_CORE | COMPONENT_CLIENTS), name, ..
            } => self.tools.lookup(creator, name)?,
            Object::Gate { creator, .. } => bail!("object of unknown component {creator}"),
            Object::Dead => {
                let cap = self.dead_gate()?;
                self.dead.push(cap.clone());
                cap
            }
        };
        self.target.install(entry.slot, 0, &cap.fd.as_fd())?;
        Ok(Some(cap.badge))
    }

    /// A gate that leads nowhere, with a badge that nothing else has.
    fn dead_gate(&mut self) -> Result<Cap> {
        let pd = self.tools.pd(COMPONENT_MONITOR)?;
        let words = [u64::from(ENTRYPOINT_NONE), 0, self.dead.len() as u64];
        self.tools.caller.call(&pd, OP_ALLOC_GATE, &words, &[]).cap("dead gate")
    }
}
