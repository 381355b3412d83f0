//! Orders that the driver gives to monitor and clients: JSON with descriptors over a
//! stream socket. One order, one answer.

use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checkpoint::ClientState;
use crate::wire::{CALL_TIMEOUT_MS, wait_readable};

/// Orders to a monitor.
#[derive(Serialize, Deserialize)]
pub(crate) enum MonitorOrder {
    /// Start a new target. Comes with the tools capability of core.
    Start { tools: u32, seed: u64 },
    /// Bring up the target from a checkpoint. Comes with the tools capability and a file
    /// with the bytes of the checkpoint.
    Restore { tools: u32 },
    /// Give the target a larger table if it is about to run out of slots.
    ProvideSlots,
    /// Let another monitor die in the middle of a rewrite while the target uses the table.
    LoseRewriter,
    /// Look at the table while the target uses it.
    Observe,
    /// Bring the target to rest, and stop it.
    Freeze,
    /// Save the stopped target. The answer comes with a file with the bytes of the
    /// checkpoint.
    Save { clients: ClientState },
    /// Read the reference counts. The answer comes with a file of them.
    References,
}

/// Answers of a monitor.
#[derive(Serialize, Deserialize)]
pub(crate) enum MonitorAnswer {
    /// The target runs. Comes with the memory of the table.
    Running {
        target: u32,
        /// Slots that a rewrite of its table left out.
        left_out: Vec<u32>,
    },
    /// The table has grown. Comes with its memory.
    Grown,
    /// How many snapshots were of one instant, and how many were not.
    Observed { consistent: u64, other: u64 },
    /// Done.
    Done,
}

/// Orders to the clients.
#[derive(Serialize, Deserialize)]
pub(crate) enum ClientOrder {
    /// Begin. Objects that clients served before are created again. Comes with
    /// the tools capability of core.
    Setup { tools: u32, seed: u64, state: ClientState },
    /// Get capabilities of the objects in the state.
    Attach,
    /// Let the target create this many objects.
    Populate { objects: u32 },
    /// Call objects. Answered after so many calls since they began, or after a while. The threads go on.
    Run { calls: u64 },
    /// Stop calling, after the answers to all calls.
    Pause,
    /// Stop calling a target at rest. A call without an answer does not count.
    Stop,
}

/// Answers of the clients.
#[derive(Serialize, Deserialize)]
pub(crate) enum ClientAnswer {
    /// Done.
    Done,
    /// So many calls were made, and so many of their answers were not the expected ones.
    Running { calls: u64, wrong: u64 },
    /// The threads stand still.
    Stopped {
        /// What they expect from now on.
        state: ClientState,
        /// Calls that were answered.
        calls: u64,
        /// Answers that were not the expected ones.
        wrong: u64,
        /// The first of them.
        first_wrong: Option<String>,
    },
}

/// Longest wait for the answer to an order, which takes many calls.
const TIMEOUT: Duration = Duration::from_millis(6 * CALL_TIMEOUT_MS as u64);

/// Longest order or answer in bytes; a few dozen bytes per object.
const MAX_BYTES: u32 = 16 << 20;

/// Descriptors per order.
const FDS: usize = 2;

/// One end of the connection.
pub(crate) struct Control {
    socket: UnixStream,
    /// Longest wait for the other side.
    timeout: Option<Duration>,
}

impl Control {
    /// The end of a process that gives orders: waits for each answer, but not
    /// for ever.
    pub(crate) fn master(socket: UnixStream) -> Result<Self> {
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(Control { socket, timeout: Some(TIMEOUT) })
    }

    /// The end of a process that takes orders: its standard input.
    pub(crate) fn servant() -> Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
        Ok(Control { socket: UnixStream::from(input), timeout: None })
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn order<A: DeserializeOwned>(
        &self,
        order: &impl Serialize,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(A, Vec<OwnedFd>)> {
        self.send(order, fds)?;
        let (answer, fds): (Result<A, String>, _) =
            self.receive()?.context("it ended without an answer")?;
        Ok((answer.map_err(anyhow::Error::msg)?, fds))
    }

    /// Takes orders until the other side is gone.
    pub(crate) fn serve<O: DeserializeOwned, A: Serialize>(
        &self,
        mut handle: impl FnMut(O, Vec<OwnedFd>) -> Result<(A, Vec<OwnedFd>)>,
    ) -> Result<()> {
        while let Some((order, fds)) = self.receive()? {
            let (answer, fds) = match handle(order, fds) {
                Ok((answer, fds)) => (Ok(answer), fds),
                Err(error) => (Err(format!("{error:#}")), Vec::new()),
            };
            let fds: Vec<_> = fds.iter().map(std::os::fd::AsFd::as_fd).collect();
            self.send(&answer, &fds)?;
        }
        Ok(())
    }

    fn send(&self, value: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<()> {
        let text = serde_json::to_vec(value)?;
        let length = u32::try_from(text.len())?.to_ne_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            bail!("too many descriptors");
        }
        let length = [IoSlice::new(&length)];
        retry_on_intr(|| sendmsg(&self.socket, &length, &mut control, SendFlags::NOSIGNAL))?;
        (&self.socket).write_all(&text)?;
        Ok(())
    }

    /// `None` if the other side is gone.
    fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut length = [0; 4];
        let buffer = &mut [IoSliceMut::new(&mut length)];
        self.wait()?;
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = match retry_on_intr(|| recvmsg(&self.socket, buffer, &mut control, flags)) {
            Err(Errno::CONNRESET) => return Ok(None),
            other => other?,
        };
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights);
            }
        }
        if got.bytes == 0 {
            return Ok(None);
        }
        self.fill(&mut length[got.bytes..])?;
        let length = u32::from_ne_bytes(length);
        if length > MAX_BYTES {
            bail!("order of {length} bytes");
        }
        let mut text = vec![0; length as usize];
        self.fill(&mut text)?;
        Ok(Some((serde_json::from_slice(&text)?, fds)))
    }

    fn fill(&self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            self.wait()?;
            let got = retry_on_intr(|| rustix::io::read(&self.socket, &mut *buffer))?;
            ensure!(got > 0, "it ended within an order or an answer");
            buffer = buffer.split_at_mut(got).1;
        }
        Ok(())
    }

    /// Waits until the other side has said something, or is gone.
    fn wait(&self) -> Result<()> {
        let is_over = wait_readable(&[self.socket.as_fd()], self.timeout)?.is_none();
        ensure!(!is_over, "no answer for {} s", self.timeout.unwrap_or_default().as_secs());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_answered_and_end_with_their_giver() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let servant = std::thread::spawn(move || {
            let servant = Control { socket: theirs, timeout: None };
            servant.serve(|order: String, fds| match order.as_str() {
                "fail" => bail!("no"),
                _ => Ok((order.len() as u64 + fds.len() as u64, fds)),
            })
        });
        let master = Control::master(ours).unwrap();
        let long = "x".repeat(500_000);
        let (answer, fds): (u64, _) = master.order(&long, &[std::io::stdin().as_fd()]).unwrap();
        assert_eq!((answer, fds.len()), (500_001, 1));
        let failed = master.order::<u64>(&"fail", &[]).unwrap_err();
        assert_eq!(failed.to_string(), "no");
        drop(master);
        servant.join().unwrap().unwrap();
    }
}
