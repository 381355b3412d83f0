//! Messages between the processes: 80 bytes and up to six descriptors over
//! sequenced-packet sockets. `cpp/wire.hpp` is the same for the C++ part.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// Constants of `cpp/wire.hpp`.
#[allow(dead_code)] // some matter to the C++ part only
mod abi {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}
pub(crate) use abi::*;

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
