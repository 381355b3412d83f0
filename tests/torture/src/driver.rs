//! The driver: starts owner and monitor, stops and kills them at random
//! moments, and asks the oracle about the table after each round.

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::monitor::Work;
use crate::oracle::{settle, verify};
use crate::world::{BADGES, FIRST_BADGE, LANES, World};

/// Nothing takes this long unless somebody waits for somebody.
const HANGS: Duration = Duration::from_secs(120);
/// Processor time that one operation may take, lock and all.
const MICROS: u64 = 2_000_000;
/// Yields that one operation of several threads may take, mostly for the lock.
const YIELDS: u32 = 20_000_000;

/// A process of this program.
struct Process {
    child: Child,
    stopped: bool,
}

impl Process {
    fn start(arguments: &[String]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child =
            Command::new(program).args(arguments).spawn().map_err(|error| error.to_string())?;
        Ok(Process { child, stopped: false })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Stops it; returns once all its threads stand still.
    fn stop(&mut self) -> Result<(), String> {
        if self.stopped {
            return Ok(());
        }
        kill(self.pid(), Signal::SIGSTOP).map_err(|error| error.to_string())?;
        match waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Stopped(..)) => {
                self.stopped = true;
                Ok(())
            }
            other => Err(format!("a process ended by itself: {other:?}")),
        }
    }

    fn resume(&mut self) -> Result<(), String> {
        self.stopped = false;
        kill(self.pid(), Signal::SIGCONT).map_err(|error| error.to_string())
    }
}

/// Kills it; returns once it is gone.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run has done so far.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) rounds: u64,
    pub(crate) operations: u64,
    pub(crate) batches: u64,
    pub(crate) rewritten: u64,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) tables: u64,
    pub(crate) changed: u64,
    pub(crate) busy: u64,
    pub(crate) most_waits: u32,
    pub(crate) most_micros: u64,
}

/// The world of the moment, and who lives in it.
pub(crate) struct Driver {
    world: World,
    memory: OwnedFd,
    owner: Option<Process>,
    monitor: Option<Process>,
    rng: Rng,
    rounds_left: u32,
    /// What this world has contributed to the totals already.
    counted: (u64, u64, u64),
    pub(crate) totals: Totals,
}

impl Driver {
    pub(crate) fn new(seed: u64) -> Result<Self, String> {
        let (world, memory) = World::create().map_err(|error| error.to_string())?;
        let rng = Rng::with_seed(seed);
        let (owner, monitor, totals) = (None, None, Totals::default());
        Ok(Driver {
            world,
            memory,
            owner,
            monitor,
            rng,
            rounds_left: 0,
            counted: (0, 0, 0),
            totals,
        })
    }

    /// A table of random size in memory of its own.
    fn found(&mut self) -> Result<(), String> {
        self.count();
        (self.owner, self.monitor) = (None, None);
        (self.world, self.memory) = World::create().map_err(|error| error.to_string())?;
        self.counted = (0, 0, 0);
        let ledger = self.world.ledger();
        let capacity = [64, 100, 512, 2048, 4096, 4096][self.rng.usize(0..6)];
        ledger.capacity.store(capacity, SeqCst);
        ledger.patience.store([0, 4, 100, 2000][self.rng.usize(0..4)], SeqCst);
        let lanes = self.rng.u32(1..=u32::try_from(LANES).unwrap_or(1));
        ledger.lanes_used.store(lanes, SeqCst);
        ledger.next_badge.store(FIRST_BADGE, SeqCst);
        ledger.next_ident.store(1, SeqCst);
        self.rounds_left = self.rng.u32(5..40);
        self.totals.tables += 1;
        self.start_owner(false)?;
        self.await_owner()?;
        verify(self.world)?;
        self.let_go();
        self.start_monitor()
    }

    fn start_owner(&mut self, restored: bool) -> Result<(), String> {
        self.world.ledger().ready.store(0, SeqCst);
        self.world.ledger().go.store(0, SeqCst);
        let mut arguments = self.arguments("owner");
        if restored {
            arguments.push("--restored".to_owned());
        }
        if self.monitor.as_ref().is_none_or(|monitor| monitor.stopped) {
            arguments.push("--alone".to_owned());
        }
        self.owner = Some(Process::start(&arguments)?);
        Ok(())
    }

    fn start_monitor(&mut self) -> Result<(), String> {
        self.monitor = Some(Process::start(&self.arguments("monitor"))?);
        Ok(())
    }

    fn arguments(&mut self, role: &str) -> Vec<String> {
        let seed = self.rng.u64(..);
        [
            role.to_owned(),
            format!("--memory={}", self.memory.as_raw_fd()),
            format!("--role-seed={seed}"),
        ]
        .into()
    }

    /// Waits for something that must come without the help of who is stopped.
    fn until(&self, what: &str, done: impl Fn() -> bool) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        while !done() {
            if let Some(text) = self.world.ledger().violation() {
                return Err(text);
            }
            if waited > HANGS {
                return Err(format!("wait over the bound: {what}"));
            }
            let start = Instant::now();
            std::thread::sleep(Duration::from_micros(20));
            // A driver that was stopped itself has seen nobody wait.
            waited += start.elapsed().min(Duration::from_millis(10));
        }
        Ok(())
    }

    fn await_owner(&self) -> Result<(), String> {
        let ledger = self.world.ledger();
        self.until("start of the owner", || ledger.ready.load(SeqCst) == 1)
    }

    fn let_go(&self) {
        self.world.ledger().go.store(1, SeqCst);
    }

    /// Short pauses more often than long ones.
    fn delay(&mut self) {
        let bits = self.rng.u32(3..12);
        let micros = self.rng.u64(0..1 << bits);
        std::thread::sleep(Duration::from_micros(micros));
    }

    /// Each thread of the owner finishes an operation.
    fn owner_goes_on(&self) -> Result<(), String> {
        let ledger = self.world.ledger();
        let lanes = &ledger.lanes[..ledger.lanes_used.load(SeqCst) as usize];
        let before: Vec<u64> = lanes.iter().map(|lane| lane.done.load(SeqCst)).collect();
        // Two, since the first may have been as good as done.
        let moved =
            || lanes.iter().zip(&before).all(|(lane, before)| lane.done.load(SeqCst) >= before + 2);
        self.until("owner beside a stopped monitor", moved)
    }

    fn monitor_goes_on(&self) -> Result<(), String> {
        let done = &self.world.ledger().monitor.done;
        let before = done.load(SeqCst);
        self.until("monitor beside a stopped owner", || done.load(SeqCst) >= before + 2)
    }

    fn stop_owner(&mut self) -> Result<(), String> {
        self.totals.stops += 1;
        self.owner.as_mut().map_or(Ok(()), Process::stop)
    }

    fn stop_monitor(&mut self) -> Result<(), String> {
        self.totals.stops += 1;
        self.monitor.as_mut().map_or(Ok(()), Process::stop)
    }

    fn resume_all(&mut self) -> Result<(), String> {
        let monitor_first = self.rng.bool();
        let (owner, monitor) = (&mut self.owner, &mut self.monitor);
        let order = if monitor_first { [monitor, owner] } else { [owner, monitor] };
        for process in order.into_iter().flatten().filter(|process| process.stopped) {
            process.resume()?;
            if self.rng.bool() {
                std::thread::sleep(Duration::from_micros(self.rng.u64(0..300)));
            }
        }
        Ok(())
    }

    /// Stops everybody and asks the oracle.
    fn stop_and_verify(&mut self) -> Result<(), String> {
        self.stop_owner()?;
        self.stop_monitor()?;
        verify(self.world)
    }

    /// Has everybody pause between operations; the owner inspects its index.
    fn inspect(&mut self) -> Result<(), String> {
        let ledger = self.world.ledger();
        let pause = ledger.pause.load(SeqCst) + 1;
        ledger.pause.store(pause, SeqCst);
        let lanes = &ledger.lanes[..ledger.lanes_used.load(SeqCst) as usize];
        self.until("pause of the owner", || {
            lanes.iter().all(|lane| lane.parked.load(SeqCst) == pause)
        })?;
        if self.monitor.as_ref().is_some_and(|monitor| !monitor.stopped) {
            self.until("pause of the monitor", || ledger.monitor.parked.load(SeqCst) == pause)?;
        }
        ledger.inspect.store(pause, SeqCst);
        self.until("inspection", || ledger.inspected.load(SeqCst) == pause)?;
        verify(self.world)?;
        self.check_bounds()?;
        ledger.pause.store(pause + 1, SeqCst);
        Ok(())
    }

    fn check_bounds(&mut self) -> Result<(), String> {
        let ledger = self.world.ledger();
        let patience = ledger.patience.load(SeqCst);
        for lane in ledger.lanes.iter().chain([&ledger.monitor]) {
            let (waits, micros) = (lane.waits.load(SeqCst), lane.micros.load(SeqCst));
            // Alone, an owner's thread waits for staged batches only: of each
            // write of the operation.
            let alone = ledger.lanes_used.load(SeqCst) == 1;
            let bound = if alone { 16 * (patience + 8) } else { YIELDS };
            if waits > bound || micros > MICROS {
                return Err(format!("wait over the bound: {waits} yields of {bound}, {micros} us"));
            }
            self.totals.most_waits = self.totals.most_waits.max(waits);
            self.totals.most_micros = self.totals.most_micros.max(micros);
        }
        Ok(())
    }

    fn kill_monitor(&mut self) {
        self.totals.kills += u64::from(self.monitor.take().is_some());
    }

    fn kill_owner(&mut self) {
        self.totals.kills += u64::from(self.owner.take().is_some());
    }

    /// The owner is dead: a monitor of the driver's own takes over.
    fn attach_and_rewrite(&mut self) -> Result<(), String> {
        let seed = self.rng.u64(..);
        let mut work =
            Work::attach(self.world, seed).map_err(|status| format!("attach: {status:?}"))?;
        work.snapshot()?;
        for _ in 0..self.rng.u32(1..4) {
            if !work.rewrite()? && self.world.ledger().batch.len.load(SeqCst) > 0 {
                return Err("a batch was refused beside a dead owner".to_owned());
            }
            work.snapshot()?;
            verify(self.world)?;
        }
        Ok(())
    }

    /// A new process goes on where the dead owner stopped; it may be killed
    /// while it takes up the table, and the next one with it.
    fn restore_owner(&mut self) -> Result<(), String> {
        while self.rng.u8(0..3) == 0 {
            self.start_owner(true)?;
            let ready = &self.world.ledger().ready;
            // Not before it lives: half of the kills hit the start-up itself.
            if self.rng.bool() {
                let cleaning = &self.world.ledger().cleaning;
                let ops = &self.world.ledger().lanes[0].op;
                self.until("recovery", || {
                    ready.load(SeqCst) == 1 || cleaning.load(SeqCst) > 0 || ops.load(SeqCst) > 0
                })?;
            } else {
                std::thread::sleep(Duration::from_micros(self.rng.u64(500..2500)));
            }
            self.kill_owner();
            let running = self.monitor.as_ref().is_some_and(|monitor| !monitor.stopped);
            self.stop_monitor()?;
            verify(self.world)?;
            if running && let Some(monitor) = &mut self.monitor {
                monitor.resume()?;
            }
        }
        self.start_owner(true)?;
        self.await_owner()?;
        let running = self.monitor.as_ref().is_some_and(|monitor| !monitor.stopped);
        self.stop_monitor()?;
        verify(self.world)?;
        if running && let Some(monitor) = &mut self.monitor {
            monitor.resume()?;
        }
        self.let_go();
        Ok(())
    }

    /// One round: something happens to somebody, and all must be in order.
    pub(crate) fn round(&mut self) -> Result<(), String> {
        let spent = self.world.ledger().next_badge.load(SeqCst) as usize > BADGES / 2;
        if self.rounds_left == 0 || spent {
            self.found()?;
        }
        self.rounds_left -= 1;
        self.totals.rounds += 1;
        self.delay();
        match self.rng.u8(0..12) {
            0 | 1 => {
                self.stop_monitor()?;
                self.owner_goes_on()?;
                self.delay();
                self.stop_and_verify()?;
                self.resume_all()?;
            }
            2 | 3 => {
                self.stop_owner()?;
                self.monitor_goes_on()?;
                self.delay();
                self.stop_and_verify()?;
                self.resume_all()?;
            }
            4 | 5 => {
                self.kill_monitor();
                self.owner_goes_on()?;
                self.delay();
                self.stop_and_verify()?;
                settle(self.world);
                self.resume_all()?;
                self.start_monitor()?;
            }
            6..9 => {
                self.kill_owner();
                if self.rng.bool() {
                    self.monitor_goes_on()?;
                    self.delay();
                }
                self.stop_and_verify()?;
                if self.rng.bool() {
                    self.kill_monitor();
                    settle(self.world);
                    self.attach_and_rewrite()?;
                } else {
                    self.resume_all()?;
                }
                self.restore_owner()?;
                if self.monitor.is_none() {
                    self.start_monitor()?;
                }
            }
            9 | 10 => {
                self.kill_owner();
                self.kill_monitor();
                self.stop_and_verify()?;
                settle(self.world);
                if self.rng.bool() {
                    self.attach_and_rewrite()?;
                }
                self.restore_owner()?;
                self.start_monitor()?;
            }
            _ => {
                self.stop_and_verify()?;
                self.resume_all()?;
            }
        }
        self.inspect()?;
        self.count();
        Ok(())
    }

    /// Adds to the totals what this world has seen.
    fn count(&mut self) {
        let ledger = self.world.ledger();
        let operations = ledger.lanes.iter().map(|lane| lane.done.load(SeqCst)).sum::<u64>();
        let now = (operations, ledger.batch.number.load(SeqCst), ledger.rewritten.load(SeqCst));
        self.totals.operations += now.0 - self.counted.0;
        self.totals.batches += now.1 - self.counted.1;
        self.totals.rewritten += now.2 - self.counted.2;
        self.totals.changed += u64::from(ledger.refused_changed.swap(0, SeqCst));
        self.totals.busy += u64::from(ledger.refused_busy.swap(0, SeqCst));
        self.counted = now;
    }
}
