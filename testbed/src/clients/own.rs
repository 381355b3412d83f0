//! Objects that the clients serve, so that the target has something foreign to
//! hold capabilities of.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::event::epoll::{Event, EventFlags, wait};

use crate::rpc::{Caller, Cap};
use crate::wire::*;

/// The one entrypoint of the clients.
const ENTRYPOINT: u64 = 0;

struct Gate {
    name: u64,
    label: u32,
    server: OwnedFd,
}

/// All objects that the clients serve.
pub(crate) struct OwnObjects {
    pd: Cap,
    epoll: OwnedFd,
    /// By number of the server end.
    gates: Mutex<HashMap<u32, Gate>>,
    created: AtomicU32,
}

impl OwnObjects {
    /// No objects yet; a thread serves them until the process ends.
    pub(crate) fn start(caller: &mut Caller, pd: Cap) -> Result<Arc<Self>> {
        let made = caller.call(&pd, OP_ENTRYPOINT, &[ENTRYPOINT], &[]).ok("entrypoint")?;
        let epoll = made.kernel.context("entrypoint without descriptor")?;
        let gates = Mutex::default();
        let own = Arc::new(OwnObjects { pd, epoll, gates, created: AtomicU32::new(0) });
        let serving = Arc::clone(&own);
        std::thread::Builder::new().name("own".into()).spawn(move || serving.serve())?;
        Ok(own)
    }

    /// Creates an object.
    pub(crate) fn create(&self, caller: &mut Caller, name: u64) -> Result<Cap> {
        let server = self.created.fetch_add(1, Ordering::Relaxed);
        let words = [ENTRYPOINT, u64::from(server), name];
        let mut made = caller.call(&self.pd, OP_ALLOC_GATE, &words, &[]).ok("new gate")?;
        let end = made.kernel.take().context("gate without server end")?;
        let cap = made.cap("new gate")?;
        self.lock().insert(server, Gate { name, label: cap.badge, server: end });
        Ok(cap)
    }

    /// Destroys an object. Its capabilities are dead when this returns.
    pub(crate) fn destroy(&self, caller: &mut Caller, cap: &Cap) -> Result<()> {
        caller.call(&self.pd, OP_FREE_GATE, &[u64::from(cap.badge)], &[]).ok("free gate")?;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut events = Vec::with_capacity(16);
        loop {
            events.clear();
            if wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None).is_ok() {
                events.iter().for_each(|event| self.handle(event));
            }
        }
    }

    fn handle(&self, event: &Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        #[allow(clippy::cast_possible_truncation)] // two halves
        let [label, server] = [data as u32, (data >> 32) as u32];
        let mut gates = self.lock();
        let Some(gate) = gates.get(&server) else { return };
        // The label is what core gave; it must be the one it told us about.
        let answer = if gate.label == label { ANSWER_OK } else { ANSWER_FAILED };
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            while answer_one(gate, ANSWER_DEAD) {}
            gates.remove(&server);
        } else {
            answer_one(gate, answer);
        }
    }
}

/// Answers a request with the name of the object, if there is a request.
fn answer_one(gate: &Gate, answer: u32) -> bool {
    let Ok((request, fds)) = receive(gate.server.as_fd()) else { return false };
    let mut message = Message::new(answer, &[gate.name]);
    message.id = request.id;
    if let Some(reply) = fds.first() {
        // Who has given up does not get it.
        let _ = send(reply.as_fd(), message, &[]);
    }
    true
}
