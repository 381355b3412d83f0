//! A second monitor of the table, the process `rewriter`, which the monitor kills in the
//! middle of a rewrite.
//!
//! It attempts the same batch again and again: a badge that nothing has for each slot,
//! where it expects a badge of the last slot that core never hands out. The table refuses
//! the batch when the new badges stand beside the old ones already, so that the target
//! never gets a badge that core does not know.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cap_map_rs::{Monitor, Rewrite, Slot, SlotWord, Status, layout};

use super::{Session, attach};
use crate::memory::{TableMemory, contents};
use crate::process::Process;
use crate::table::Yield;
use crate::wire::*;

/// Rewrites of one batch, which the target makes outdated.
const ATTEMPTS: u32 = 200;

/// Most rewriters until one dies in the middle. About every third one does.
const REWRITERS: u32 = 100;

/// Serves as the rewriter; ends by being killed.
pub(crate) fn run() -> Result<()> {
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    ensure!(wait_readable(&[control.as_fd()], Some(TIMEOUT))?.is_some(), "no table to rewrite");
    let (_, fds) = receive(control.as_fd()).context("order to the rewriter")?;
    let table = TableMemory::new(fds.into_iter().next().context("no table")?.into())?;
    let monitor = attach(&table)?;
    let mut words = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
    attempt(&monitor, &mut refused_batch(&monitor, &mut words)?)?;
    send(control.as_fd(), Message::new(ANSWER_OK, &[]), &[]).context("answer of the rewriter")?;
    loop {
        // Most of the time shall be that of rewrites.
        let mut batch = refused_batch(&monitor, &mut words)?;
        for _ in 0..ATTEMPTS {
            attempt(&monitor, &mut batch)?;
        }
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
