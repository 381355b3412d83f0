//! Taking a checkpoint of a stopped target.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use cap_map_rs::{Slot, SlotWord};

use super::{Session, Tools};
use crate::checkpoint::{Checkpoint, KernelEntry, Meta, Object, RESERVED};
use crate::memory::{contents, table_address};
use crate::process::this_program;
use crate::rpc::answer_text;
use crate::state::ClientState;
use crate::wire::*;

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
