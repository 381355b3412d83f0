//! The process `clients`: several threads that call the objects of the target,
//! give it capabilities and take them away again.

mod worker;

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::epoll::{Event, EventFlags, wait};
use rustix::event::{EventfdFlags, eventfd};

use self::worker::Worker;
use crate::checkpoint::{ClientState, ObjectState, THREADS, ThreadState};
use crate::control::{ClientAnswer, ClientOrder, Control};
use crate::wire::{Caller, Cap, *};

/// Longest time without an answer to the order.
const RUN_TIMEOUT: Duration = Duration::from_millis(CALL_TIMEOUT_MS as u64);

/// An object of the target that all threads call.
struct Permanent {
    cap: Cap,
    name: u64,
    calls: AtomicU64,
}

/// What the threads have in common.
struct Shared {
    factory: Cap,
    services: Vec<(u64, Cap)>,
    permanent: Vec<Permanent>,
    own: Arc<OwnObjects>,
    /// Whether the threads shall stop after the calls that they make.
    pausing: AtomicBool,
    /// Readable when the threads shall stop at once.
    stop: OwnedFd,
    seed: u64,
    calls: AtomicU64,
    wrong: AtomicU64,
    first_wrong: Mutex<Option<String>>,
}

impl Shared {
    fn report_wrong(&self, text: String) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_wrong.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(text);
    }
}

/// The process, between two orders.
struct Clients {
    caller: Caller,
    tools: Cap,
    own: Arc<OwnObjects>,
    seed: u64,
    state: ClientState,
    /// Capabilities of the objects in the state, in the same order.
    permanent: Vec<Cap>,
    workers: Vec<Worker>,
    running: Option<(Arc<Shared>, Vec<JoinHandle<Worker>>)>,
}

/// Serves the driver until it is gone.
pub(crate) fn run() -> Result<()> {
    let mut clients = None;
    Control::servant()?.serve(|order, fds| {
        let answer = match order {
            ClientOrder::Setup { tools, seed, state } => {
                let fd = fds.into_iter().next().context("no tools capability")?;
                let tools = Cap { fd: Arc::new(fd), badge: tools };
                clients = Some(Clients::new(tools, seed, state)?);
                ClientAnswer::Done
            }
            order => clients.as_mut().context("not set up")?.obey(order)?,
        };
        Ok((answer, Vec::new()))
    })
}

impl Clients {
    fn new(tools: Cap, seed: u64, mut state: ClientState) -> Result<Self> {
        let mut caller = Caller::new()?;
        let component = u64::from(COMPONENT_CLIENTS);
        let pd = caller.call(&tools, OP_PD, &[component], &[]).cap("own protection domain")?;
        let own = OwnObjects::start(&mut caller, pd)?;
        state.threads.resize(THREADS, ThreadState::default());
        let mut workers = Vec::new();
        for (index, thread) in state.threads.iter().enumerate() {
            workers.push(Worker::new(index, thread, &own, &mut caller)?);
        }
        let permanent = Vec::new();
        Ok(Clients { caller, tools, own, seed, state, permanent, workers, running: None })
    }

    fn obey(&mut self, order: ClientOrder) -> Result<ClientAnswer> {
        match order {
            ClientOrder::Setup { .. } => anyhow::bail!("set up already"),
            ClientOrder::Attach => self.attach()?,
            ClientOrder::Populate { objects } => self.populate(objects)?,
            ClientOrder::Run { calls } => return self.run(calls),
            ClientOrder::Pause => return self.stop(false),
            ClientOrder::Stop => return self.stop(true),
        }
        Ok(ClientAnswer::Done)
    }

    fn lookup(&mut self, creator: u32, name: u64) -> Result<Cap> {
        let words = [u64::from(creator), name];
        self.caller.call(&self.tools, OP_LOOKUP, &words, &[]).cap("looking up an object")
    }

    fn attach(&mut self) -> Result<()> {
        for object in self.state.permanent.clone() {
            let cap = self.lookup(COMPONENT_TARGET, object.name)?;
            self.permanent.push(cap);
        }
        for (index, thread) in self.state.threads.clone().iter().enumerate() {
            for session in &thread.sessions {
                let cap = self.lookup(COMPONENT_TARGET, session.name)?;
                self.workers[index].add_session(cap, *session);
            }
        }
        Ok(())
    }

    fn populate(&mut self, objects: u32) -> Result<()> {
        let factory = self.lookup(COMPONENT_TARGET, NAME_FACTORY)?;
        for _ in 0..objects {
            let made = self.caller.call(&factory, OP_CREATE, &[], &[]).ok("new object")?;
            self.state.permanent.push(ObjectState { name: made.word[0], calls: 0 });
            self.permanent.push(made.cap("new object")?);
        }
        Ok(())
    }

    fn run(&mut self, calls: u64) -> Result<ClientAnswer> {
        if self.running.is_none() {
            self.start()?;
        }
        let (shared, _) = self.running.as_ref().context("not running")?;
        let begin = Instant::now();
        loop {
            let made = shared.calls.load(Ordering::Relaxed);
            let wrong = shared.wrong.load(Ordering::Relaxed);
            if made >= calls || wrong > 0 || begin.elapsed() >= RUN_TIMEOUT {
                return Ok(ClientAnswer::Running { calls: made, wrong });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn start(&mut self) -> Result<()> {
        let factory = self.lookup(COMPONENT_TARGET, NAME_FACTORY)?;
        let mut services = Vec::new();
        for name in NAME_SERVICE..NAME_SERVICE + SERVICES {
            services.push((name, self.lookup(COMPONENT_CORE, name)?));
        }
        let permanent = self.state.permanent.iter().zip(&self.permanent);
        let shared = Arc::new(Shared {
            factory,
            services,
            permanent: permanent
                .map(|(object, cap)| Permanent {
                    cap: cap.clone(),
                    name: object.name,
                    calls: AtomicU64::new(object.calls),
                })
                .collect(),
            own: Arc::clone(&self.own),
            pausing: AtomicBool::new(false),
            stop: eventfd(0, EventfdFlags::CLOEXEC)?,
            seed: self.seed,
            calls: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            first_wrong: Mutex::default(),
        });
        let mut threads = Vec::new();
        for worker in self.workers.drain(..) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("client".into());
            threads.push(thread.spawn(move || worker.run(&shared))?);
        }
        self.running = Some((shared, threads));
        Ok(())
    }

    fn stop(&mut self, at_once: bool) -> Result<ClientAnswer> {
        let (shared, threads) = self.running.take().context("not running")?;
        shared.pausing.store(true, Ordering::Relaxed);
        if at_once {
            rustix::io::write(shared.stop.as_fd(), &1u64.to_ne_bytes())?;
        }
        for thread in threads {
            let worker = thread.join().map_err(|_| anyhow::anyhow!("a client thread panicked"))?;
            self.workers.push(worker);
        }
        for (object, shared) in self.state.permanent.iter_mut().zip(&shared.permanent) {
            object.calls = shared.calls.load(Ordering::Relaxed);
        }
        self.state.threads = self.workers.iter().map(Worker::state).collect();
        let mut first = shared.first_wrong.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ClientAnswer::Stopped {
            state: self.state.clone(),
            calls: shared.calls.load(Ordering::Relaxed),
            wrong: shared.wrong.load(Ordering::Relaxed),
            first_wrong: first.take(),
        })
    }
}

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
