//! Taking a checkpoint of a stopped target, and bringing one up in a system with other badges.

use std::fs;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};
use cap_map_rs::{Rewrite, Slot, SlotWord};

use super::target::{Life, Target};
use super::{Session, Tools};
use crate::checkpoint::{Checkpoint, ClientState, KernelEntry, Meta, Object, RESERVED};
use crate::memory::{TableMemory, anonymous_file, contents, file_of, image_bytes, table_address};
use crate::process::this_program;
use crate::wire::{Cap, answer_text, *};

const _: () = assert!(RESERVED as u32 == REFERENCES_RESERVED, "the target writes what files hold");

impl Session {
    /// The checkpoint of the target, which was stopped before.
    pub(super) fn save(&mut self, clients: ClientState) -> Result<Checkpoint> {
        let references = self.references.take().context("target was not stopped")?;
        let references = contents(&references)?;
        let (counts, _) = references.as_chunks();
        let table = self.table_bytes()?;
        let slots = crate::table::read(&table).map_err(|status| anyhow::anyhow!("{status}"))?.slots;
        let kernel = kernel_view(&mut self.tools, self.target.id(), &slots)?;
        Ok(Checkpoint {
            meta: Meta {
                program: this_program()?,
                image_address: IMAGE_ADDRESS,
                table_address: table_address(u32::try_from(slots.len())?)
                    .context("size of the table")?,
                entrypoints: u32::try_from(TARGET_ENTRYPOINTS)?,
                rounds: self.rounds,
                seed: self.seed,
            },
            table,
            image: without_zeros(contents(&self.image)?),
            references: counts.iter().map(|count| u16::from_ne_bytes(*count)).collect(),
            kernel,
            clients,
        })
    }

    /// The region, with whatever a monitor that died has left in it.
    fn table_bytes(&self) -> Result<Vec<u8>> {
        let monitor = self.attach()?;
        let mut words = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
        let snapshot =
            monitor.snapshot(&mut words).map_err(|status| anyhow::anyhow!("snapshot: {status}"))?;
        ensure!(snapshot.consistent, "the table of a stopped target changes");
        contents(self.table.file())
    }
}

/// The bytes in front of the zeros at the end.
fn without_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

/// What the slots with badges lead to, according to kernel and core. The badge
/// in the table has to agree.
fn kernel_view(tools: &mut Tools, target: u32, slots: &[Slot]) -> Result<Vec<KernelEntry>> {
    let mut view = Vec::new();
    for (slot, content) in (0u32..).zip(slots) {
        let object = match *content {
            Slot::Free | Slot::Reserved => continue,
            Slot::Corrupt => bail!("slot {slot} is corrupt"),
            Slot::Used(MAIN_THREAD_BADGE) if slot == MAIN_THREAD_SLOT => Object::Thread,
            Slot::Used(_) | Slot::Detached(_) => {
                let inode = inode_of_slot(target, slot)?
                    .with_context(|| format!("slot {slot} is in use, but holds nothing"))?;
                resolve(tools, inode, slot, *content)?
            }
        };
        let (Slot::Used(badge) | Slot::Detached(badge)) = *content else { continue };
        view.push(KernelEntry { slot, badge, object });
    }
    Ok(view)
}

fn resolve(tools: &mut Tools, inode: u64, slot: u32, content: Slot) -> Result<Object> {
    let known = tools.caller.call(&tools.cap, OP_RESOLVE, &[inode], &[]);
    match (known.answer, known.caps.first(), content) {
        // Core forgets gates when they are destroyed.
        (ANSWER_EMPTY, ..) => Ok(Object::Dead),
        (ANSWER_OK, Some(cap), Slot::Used(badge)) => {
            ensure!(
                cap.badge == badge,
                "slot {slot} has badge {badge}, but its object has {}",
                cap.badge
            );
            Ok(Object::Gate {
                creator: u32::try_from(known.word[0])?,
                entrypoint: u32::try_from(known.word[2])?,
                name: known.word[1],
            })
        }
        (ANSWER_OK, ..) => bail!("detached slot {slot} leads to a living object"),
        (answer, ..) => bail!("object behind slot {slot}: {}", answer_text(answer)),
    }
}

/// Number of the kernel object in a slot of a process, whatever the table says.
pub(crate) fn inode_of_slot(process: u32, slot: u32) -> Result<Option<u64>> {
    let path = format!("/proc/{process}/fd/{}", slot_fd(slot));
    match fs::read_link(&path) {
        Ok(object) => {
            let number = object
                .to_str()
                .and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            Ok(Some(number.with_context(|| format!("{path} is {}", object.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(path),
    }
}

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
