//! Judging a restored target: each capability by table, kernel, core, and by
//! calling it from outside and from inside.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use cap_map_rs::Slot;

use super::system::System;
use crate::checkpoint::{Checkpoint, KernelEntry, Object};
use crate::control::MonitorOrder;
use crate::memory::contents;
use crate::monitor::inode_of_slot;
use crate::table::{self, Table};
use crate::wire::{Cap, Reply, answer_text, *};

/// Most findings that are kept as text.
pub(crate) const FINDINGS: usize = 20;

/// Calls without an answer until the others are not tried any more. Each took a while.
const SILENT_CALLS: u32 = 3;

/// What became of the capabilities.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// As they should be.
    pub(crate) restored: u64,
    /// Not there, not usable, or with other references.
    pub(crate) lost: u64,
    /// Leading elsewhere, or known by another badge than core says.
    pub(crate) misdirected: u64,
    /// New badges that another slot had before.
    pub(crate) overlapping: u64,
    pub(crate) findings: Vec<String>,
}

impl Verdict {
    fn note(&mut self, slot: u32, result: Result<(), Fault>) {
        let text = match result {
            Ok(()) => {
                self.restored += 1;
                return;
            }
            Err(Fault::Lost(text)) => {
                self.lost += 1;
                format!("slot {slot} lost: {text}")
            }
            Err(Fault::Misdirected(text)) => {
                self.misdirected += 1;
                format!("slot {slot} misdirected: {text}")
            }
        };
        if self.findings.len() < FINDINGS {
            self.findings.push(text);
        }
    }
}

/// What is wrong with one capability.
enum Fault {
    Lost(String),
    Misdirected(String),
}

fn lost<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Lost(text.into()))
}

fn misdirected<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Misdirected(text.into()))
}

/// Compares a restored target, which nobody calls yet, with its checkpoint.
pub(crate) fn verify(system: &mut System, checkpoint: &Checkpoint) -> Result<Verdict> {
    let refused = |status| anyhow::anyhow!("table of the target: {status}");
    let before = table::read(&checkpoint.table).map_err(refused)?;
    let memory = system.table.as_ref().context("no table")?;
    let now = table::read(&contents(memory)?).map_err(refused)?;
    let (_, fds) = system.monitor(&MonitorOrder::References)?;
    let references = contents(&fds.into_iter().next().context("no references")?.into())?;
    let (references, _) = references.as_chunks();
    let probe = system.caller.call(
        &system.tools,
        OP_LOOKUP,
        &[u64::from(COMPONENT_TARGET), NAME_PROBE],
        &[],
    );
    let oracle = Oracle {
        target: system.target()?,
        probe: probe.cap("probe of the target")?,
        calls: checkpoint.clients.objects().map(|object| (object.name, object.calls)).collect(),
        system,
        silent: 0,
    };
    let references = |slot: usize| references.get(slot).map(|count| u16::from_ne_bytes(*count));
    Ok(oracle.all(checkpoint, &before, &now, references))
}

struct Oracle<'a> {
    system: &'a mut System,
    target: u32,
    probe: Cap,
    /// Calls that the objects of the target have to remember, by name.
    calls: HashMap<u64, u64>,
    /// Calls that nobody answered.
    silent: u32,
}

impl Oracle<'_> {
    fn all(
        mut self,
        checkpoint: &Checkpoint,
        before: &Table,
        now: &Table,
        references: impl Fn(usize) -> Option<u16>,
    ) -> Verdict {
        let mut verdict = Verdict { overlapping: overlapping(before, now), ..Verdict::default() };
        let mut entries = checkpoint.kernel.iter();
        for (slot, old) in (0u32..).zip(&before.slots) {
            let at = slot as usize;
            let new = now.slots.get(at).copied().unwrap_or(Slot::Corrupt);
            let counted = references(at) == checkpoint.references.get(at).copied();
            if matches!(old, Slot::Free | Slot::Reserved) {
                // Receive windows and the like are allocated slots without a badge.
                if *old != new {
                    verdict.note(slot, lost(format!("was {old:?}, is {new:?}")));
                } else if !counted {
                    verdict.note(slot, lost("was allocated and is free, or the reverse"));
                }
                continue;
            }
            let result = match entries.next() {
                Some(entry) if counted => self.slot(entry, *old, new),
                Some(_) => lost("has another number of references"),
                None => lost("its object is missing in the checkpoint"),
            };
            verdict.note(slot, result);
            if self.silent >= SILENT_CALLS {
                let text = format!(
                    "slots behind {slot} not looked at: {SILENT_CALLS} calls had no answer"
                );
                verdict.findings.push(text);
                break;
            }
        }
        verdict
    }

    /// One slot that carries a badge.
    fn slot(&mut self, entry: &KernelEntry, old: Slot, new: Slot) -> Result<(), Fault> {
        let badge = match (old, new) {
            (Slot::Used(_), Slot::Used(badge)) => badge,
            // The badge of a detached slot does not mean anything any more.
            (Slot::Detached(_), Slot::Detached(badge)) if old == new => badge,
            _ => return lost(format!("was {old:?}, is {new:?}")),
        };
        let inode = match inode_of_slot(self.target, entry.slot) {
            Ok(Some(inode)) => inode,
            Ok(None) => return lost("kernel has nothing in it"),
            Err(error) => return lost(format!("{error:#}")),
        };
        match entry.object {
            Object::Thread if badge == MAIN_THREAD_BADGE => Ok(()),
            Object::Thread => misdirected(format!("badge {badge} for a thread")),
            Object::Dead => self.dead(entry.slot, inode),
            Object::Gate { creator, name, .. } => {
                self.gate(entry.slot, badge, inode, (u64::from(creator), name))
            }
        }
    }

    fn dead(&mut self, slot: u32, inode: u64) -> Result<(), Fault> {
        let known = self.call(None, OP_RESOLVE, &[inode]);
        if known.answer != ANSWER_EMPTY {
            return misdirected("leads to a living object, but was dead");
        }
        match self.probe(slot).answer {
            ANSWER_DEAD => Ok(()),
            answer => misdirected(format!("was dead, is: {}", answer_text(answer))),
        }
    }

    fn gate(&mut self, slot: u32, badge: u32, inode: u64, who: (u64, u64)) -> Result<(), Fault> {
        // What core has recorded for the object that the kernel has in the slot.
        let mut known = self.call(None, OP_RESOLVE, &[inode]);
        let Some(cap) = known.caps.pop() else { return lost("core does not know its object") };
        if cap.badge != badge {
            return misdirected(format!("has badge {badge}, but core says {}", cap.badge));
        }
        if (known.word[0], known.word[1]) != who {
            return misdirected(format!("leads to {:#x} instead of {:#x}", known.word[1], who.1));
        }
        // Who answers, from outside.
        let reply = self.call(Some(&cap), OP_IDENTIFY, &[]);
        if reply.answer != ANSWER_OK {
            return lost(answer_text(reply.answer));
        }
        if reply.word[0] != who.1 {
            return misdirected(format!("{:#x} answers for {:#x}", reply.word[0], who.1));
        }
        if self.calls.get(&who.1).is_some_and(|calls| *calls != reply.word[1]) {
            return misdirected(format!("object {:#x} forgot how often it was called", who.1));
        }
        // Who answers, from inside.
        let reply = self.probe(slot);
        if reply.answer != ANSWER_OK {
            return lost(format!("within the target: {}", answer_text(reply.answer)));
        }
        if (reply.word[0], reply.word[1]) != (who.1, u64::from(badge)) {
            return misdirected(format!("within the target leads to {:#x}", reply.word[0]));
        }
        Ok(())
    }

    fn probe(&mut self, slot: u32) -> Reply {
        let probe = self.probe.clone();
        self.call(Some(&probe), OP_PROBE, &[u64::from(slot)])
    }

    /// Calls an object, or core.
    fn call(&mut self, to: Option<&Cap>, opcode: u32, words: &[u64]) -> Reply {
        let System { caller, tools, .. } = &mut *self.system;
        let reply = caller.call(to.unwrap_or(tools), opcode, words, &[]);
        self.silent += u32::from(reply.answer == ANSWER_TIMEOUT);
        reply
    }
}

/// Slots whose badge belonged to another slot before.
fn overlapping(before: &Table, now: &Table) -> u64 {
    let badge = |slot: &Slot| match *slot {
        Slot::Used(badge) => Some(badge),
        _ => None,
    };
    let old: HashSet<_> = before.slots.iter().filter_map(badge).collect();
    let pairs = before.slots.iter().zip(&now.slots);
    pairs
        .filter(|(before, now)| before != now)
        .filter_map(|(_, now)| badge(now))
        .filter(|badge| old.contains(badge))
        .count() as u64
}
