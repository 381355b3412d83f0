//! Calls to objects behind gates.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::wire::*;

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
