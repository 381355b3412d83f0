//! Messages between the processes: 80 bytes and up to six descriptors over
//! sequenced-packet sockets. `cpp/wire.hpp` is the same for the C++ part.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

pub(crate) use abi::*;

/// Constants of `cpp/wire.hpp`.
#[allow(dead_code)] // some matter to the C++ part only
mod abi {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

const MESSAGE_BYTES: usize = 80;
const FDS: usize = FDS_MAX as usize;

/// Time is counted in pieces of this length.
const PIECE: Duration = Duration::from_millis(250);

/// Longest wait for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(CALL_TIMEOUT_MS as u64);

/// One message; see `struct Message` in `cpp/wire.hpp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Operation, or result of the call.
    pub(crate) opcode: u32,
    pub(crate) id: u32,
    pub(crate) caps: u32,
    pub(crate) kernel: u32,
    pub(crate) badge: [u32; WINDOW_SLOTS as usize],
    pub(crate) word: [u64; WORDS as usize],
}

impl Message {
    /// A message with an operation and its first words.
    pub(crate) fn new(opcode: u32, words: &[u64]) -> Self {
        let mut message = Message { opcode, ..Self::default() };
        message.word[..words.len()].copy_from_slice(words);
        message
    }

    fn to_bytes(self) -> [u8; MESSAGE_BYTES] {
        let mut bytes = [0; MESSAGE_BYTES];
        let head = [self.opcode, self.id, self.caps, self.kernel];
        let (small, large) = bytes.split_at_mut(32);
        for (at, value) in small.chunks_exact_mut(4).zip(head.iter().chain(&self.badge)) {
            at.copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in large.chunks_exact_mut(8).zip(&self.word) {
            at.copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; MESSAGE_BYTES]) -> Self {
        let (small, large) = bytes.split_at(32);
        let (small, _) = small.as_chunks::<4>();
        let (large, _) = large.as_chunks::<8>();
        let small = |i: usize| u32::from_ne_bytes(small[i]);
        Message {
            opcode: small(0),
            id: small(1),
            caps: small(2),
            kernel: small(3),
            badge: std::array::from_fn(|i| small(4 + i)),
            word: std::array::from_fn(|i| u64::from_ne_bytes(large[i])),
        }
    }
}

/// A pair of connected sockets.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message; the receiver gets copies of the descriptors.
pub(crate) fn send(to: BorrowedFd<'_>, message: Message, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = message.to_bytes();
    let bytes = [io::IoSlice::new(&bytes)];
    retry_on_intr(|| sendmsg(to, &bytes, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Receives a message if there is one; `WouldBlock` otherwise.
pub(crate) fn receive(from: BorrowedFd<'_>) -> io::Result<(Message, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; MESSAGE_BYTES];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(from, &mut [io::IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    let cut = got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match got.bytes {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        MESSAGE_BYTES if !cut => Ok((Message::from_bytes(&bytes), fds)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Waits until one of the descriptors is readable (or closed at the other end)
/// and returns its position; `None` when the time is over.
///
/// Time in which the process was stopped, as by Ctrl-Z, hardly counts: whoever has to answer
/// was probably stopped, too.
pub(crate) fn wait_readable(
    fds: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> io::Result<Option<usize>> {
    let mut entries: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let mut left = timeout;
    loop {
        let piece = left.map_or(PIECE, |left| left.min(PIECE));
        match poll(&mut entries, Timespec::try_from(piece).ok().as_ref()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => {
                left = left.map(|left| left.saturating_sub(piece));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(None);
                }
            }
            Ok(_) => return Ok(entries.iter().position(|entry| !entry.revents().is_empty())),
        }
    }
}

/// Descriptor of a slot, in the process whose slot it is.
pub(crate) const fn slot_fd(slot: u32) -> u32 {
    slot.saturating_mul(2).saturating_add(FD_BASE)
}

/// Number that Linux knows the object behind a descriptor by.
pub(crate) fn inode(fd: &impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(fd)?.st_ino)
}

/// A capability: what the kernel knows, and the badge.
#[derive(Clone, Debug)]
pub(crate) struct Cap {
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) badge: u32,
}

/// What a call returned.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// One of `ANSWER_*`.
    pub(crate) answer: u32,
    pub(crate) word: [u64; WORDS as usize],
    pub(crate) caps: Vec<Cap>,
    /// A descriptor that is no capability.
    pub(crate) kernel: Option<OwnedFd>,
}

impl Reply {
    fn failed(answer: u32) -> Self {
        Reply { answer, ..Self::default() }
    }

    /// The reply, if the call succeeded.
    pub(crate) fn ok(self, what: &str) -> Result<Self> {
        if self.answer != ANSWER_OK {
            bail!("{what}: {}", answer_text(self.answer));
        }
        Ok(self)
    }

    /// The capability that came with a successful call.
    pub(crate) fn cap(self, what: &str) -> Result<Cap> {
        self.ok(what)?.caps.pop().with_context(|| format!("{what}: no capability"))
    }
}

/// A result of a call in words.
pub(crate) fn answer_text(answer: u32) -> &'static str {
    match answer {
        ANSWER_OK => "done",
        ANSWER_NO_OBJECT => "no object",
        ANSWER_DEAD => "object is gone",
        ANSWER_INVALID => "invalid argument",
        ANSWER_NO_SLOT => "no room",
        ANSWER_EMPTY => "nothing there",
        ANSWER_TIMEOUT => "timeout",
        _ => "failed",
    }
}

/// One thread's means to call objects: where its answers arrive.
#[derive(Debug)]
pub(crate) struct Caller {
    answers: OwnedFd,
    reply: OwnedFd,
    id: u32,
}

impl Caller {
    pub(crate) fn new() -> Result<Self> {
        let (answers, reply) = pair().context("socket for answers")?;
        Ok(Caller { answers, reply, id: 0 })
    }

    /// Calls the object behind `to`. That it is gone or silent is an answer.
    pub(crate) fn call(&mut self, to: &Cap, opcode: u32, words: &[u64], caps: &[&Cap]) -> Reply {
        self.call_unless(None, to, opcode, words, caps)
            .unwrap_or_else(|| Reply::failed(ANSWER_FAILED))
    }

    /// Like [`Self::call`]; `None` if there is no answer yet when `stop`
    /// becomes readable.
    pub(crate) fn call_unless(
        &mut self,
        stop: Option<BorrowedFd<'_>>,
        to: &Cap,
        opcode: u32,
        words: &[u64],
        caps: &[&Cap],
    ) -> Option<Reply> {
        self.id = self.id.wrapping_add(1);
        let mut message = Message::new(opcode, words);
        message.id = self.id;
        let mut fds = vec![self.reply.as_fd()];
        for (cap, badge) in caps.iter().zip(&mut message.badge) {
            *badge = cap.badge;
            message.caps += 1;
            fds.push(cap.fd.as_fd());
        }
        if let Err(error) = send(to.fd.as_fd(), message, &fds) {
            return Some(Reply::failed(match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ANSWER_DEAD,
                io::ErrorKind::WouldBlock => ANSWER_TIMEOUT,
                _ => ANSWER_FAILED,
            }));
        }
        self.answer(stop)
    }

    fn answer(&self, stop: Option<BorrowedFd<'_>>) -> Option<Reply> {
        let mut sources = vec![self.answers.as_fd()];
        sources.extend(stop);
        loop {
            match wait_readable(&sources, Some(TIMEOUT)) {
                Ok(Some(0)) => {}
                Ok(Some(_)) => return None,
                Ok(None) => return Some(Reply::failed(ANSWER_TIMEOUT)),
                Err(_) => return Some(Reply::failed(ANSWER_FAILED)),
            }
            let Ok((message, fds)) = receive(self.answers.as_fd()) else {
                return Some(Reply::failed(ANSWER_FAILED));
            };
            // Otherwise the late answer to a call that was given up.
            if message.id == self.id {
                return Some(unpack(&message, fds));
            }
        }
    }
}

fn unpack(message: &Message, fds: Vec<OwnedFd>) -> Reply {
    let mut fds = fds.into_iter();
    let caps = message.badge.iter().take(message.caps as usize);
    let caps = caps.zip(&mut fds).map(|(badge, fd)| Cap { fd: Arc::new(fd), badge: *badge });
    Reply {
        answer: message.opcode,
        word: message.word,
        caps: caps.collect(),
        kernel: fds.next().filter(|_| message.kernel != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive() {
        let (a, b) = pair().unwrap();
        let mut message = Message::new(OP_LOOKUP, &[2, u64::MAX]);
        message.badge[3] = 7;
        message.id = 9;
        send(a.as_fd(), message, &[a.as_fd(), b.as_fd()]).unwrap();
        let (got, fds) = receive(b.as_fd()).unwrap();
        assert_eq!(got, message);
        assert_eq!(inode(&fds[1]).unwrap(), inode(&b).unwrap());
        assert_eq!(receive(b.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop((a, fds));
        assert_eq!(receive(b.as_fd()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
