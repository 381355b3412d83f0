//! The target as its monitor sees it: a process with an agent that puts
//! descriptors where the monitor says.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::wire::{answer_text, *};

/// Where a target's memory comes from.
pub(super) enum Life {
    /// It is new.
    First { seed: u64 },
    /// It was saved. The table was at that address.
    Restored { table_address: u64 },
}

/// A target process.
pub(super) struct Target {
    process: Process,
    agent: std::os::fd::OwnedFd,
}

impl Target {
    /// Starts a target with its memory.
    pub(super) fn spawn(image: &File, table: &File, life: Life) -> Result<Self> {
        let (agent, theirs) = pair()?;
        let process = Process::spawn("target", &[], theirs)?;
        let target = Target { process, agent };
        let words = match life {
            Life::First { seed } => [0, seed, TABLE_ADDRESS],
            Life::Restored { table_address } => [1, 0, table_address],
        };
        target.order("taking up its memory", OP_INIT, &words, &[image.as_fd(), table.as_fd()])?;
        Ok(target)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Gives an order that is answered.
    fn order(&self, what: &str, opcode: u32, words: &[u64], fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.tell(opcode, words, fds)?;
        let answered = wait_readable(&[self.agent.as_fd()], Some(TIMEOUT))?;
        answered.with_context(|| format!("the target does not answer, {what}"))?;
        let (answer, _) =
            receive(self.agent.as_fd()).with_context(|| format!("answer of the target, {what}"))?;
        if answer.opcode != ANSWER_OK {
            bail!("the target fails {what}: {}", answer_text(answer.opcode));
        }
        Ok(())
    }

    /// Gives an order whose failure shows at [`Self::start`].
    fn tell(&self, opcode: u32, words: &[u64], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let mut message = Message::new(opcode, words);
        message.kernel = u32::try_from(fds.len())?;
        send(self.agent.as_fd(), message, fds).context("order to the target")
    }

    /// Puts a descriptor into a slot; with a badge, also enters it in the table.
    pub(super) fn install(&self, slot: u32, badge: u32, fd: &impl AsFd) -> Result<()> {
        self.tell(OP_INSTALL, &[u64::from(slot), u64::from(badge)], &[fd.as_fd()])
    }

    /// Puts the server end of a gate to its place.
    pub(super) fn server(&self, index: u32, fd: &impl AsFd) -> Result<()> {
        self.tell(OP_SERVER, &[u64::from(index)], &[fd.as_fd()])
    }

    /// Puts the epoll object of an entrypoint to its place.
    pub(super) fn epoll(&self, entrypoint: u32, fd: &impl AsFd) -> Result<()> {
        self.tell(OP_EPOLL, &[u64::from(entrypoint)], &[fd.as_fd()])
    }

    /// Lets the application begin, or go on.
    pub(super) fn start(&self) -> Result<()> {
        self.order("starting its application", OP_START, &[], &[])
    }

    /// Brings all threads of the application to rest.
    pub(super) fn rest(&self) -> Result<()> {
        self.order("bringing its threads to rest", OP_REST, &[], &[])
    }

    /// Stops the process.
    pub(super) fn stop(&self) -> Result<()> {
        self.process.stop()
    }

    /// Lets the table go on in larger memory.
    pub(super) fn grow(&self, slots: u32, address: u64, table: &File) -> Result<()> {
        self.order(
            "moving its table to larger memory",
            OP_GROW,
            &[u64::from(slots), address],
            &[table.as_fd()],
        )
    }

    /// The reference counts of all slots, 16 bits each, in a file.
    pub(super) fn references(&self) -> Result<File> {
        let file = crate::memory::anonymous_file("references", 0)?;
        self.order("counting its references", OP_REFERENCES, &[], &[file.as_fd()])?;
        Ok(file)
    }
}
