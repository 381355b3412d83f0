//! The driver: starts owner and monitors, stops and kills them at random
//! moments, and asks the oracle about the table after each round.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use cap_map_rs::limits::ATTEMPTS;
use fastrand::Rng;

use crate::ledger::Totals;
use crate::ledger::{LANES, SEATS};
use crate::monitor::Work;
use crate::oracle::{settle, verify, verify_rest};
use crate::ptrace::Process;
use crate::world::{BADGES, FIRST_BADGE, World};

/// Nothing takes this long unless somebody waits for somebody.
const HANGS: Duration = Duration::from_secs(120);
/// Processor time that one operation may take, lock and all.
const MICROS: u64 = 2_000_000;
/// Yields that one operation of several threads may take, mostly for the lock.
const YIELDS: u32 = 20_000_000;

/// The world of the moment, and who lives in it.
pub(crate) struct Driver {
    world: World,
    memory: OwnedFd,
    owner: Option<Process>,
    monitors: [Option<Process>; SEATS],
    /// Whether a monitor died that may have held the claim.
    widowed: bool,
    rng: Rng,
    rounds_left: u32,
    pub(crate) totals: Totals,
}

impl Driver {
    pub(crate) fn new(seed: u64) -> Result<Self, String> {
        let (world, memory) = World::create().map_err(|error| error.to_string())?;
        let rng = Rng::with_seed(seed);
        Ok(Driver {
            world,
            memory,
            owner: None,
            monitors: [None, None],
            widowed: false,
            rng,
            rounds_left: 0,
            totals: Totals::default(),
        })
    }

    /// A table of random size in memory of its own.
    fn found(&mut self) -> Result<(), String> {
        self.totals.count(self.world);
        (self.owner, self.monitors, self.widowed) = (None, [None, None], false);
        (self.world, self.memory) = World::create().map_err(|error| error.to_string())?;
        self.totals.forget();
        let ledger = self.world.ledger();
        let capacity = [64, 100, 512, 2048, 4096, 4096][self.rng.usize(0..6)];
        ledger.capacity.store(capacity, SeqCst);
        ledger.wait_budget.store([0, 4, 100, 2000][self.rng.usize(0..4)], SeqCst);
        let lanes = self.rng.u32(1..=u32::try_from(LANES).unwrap_or(1));
        ledger.lanes_used.store(lanes, SeqCst);
        let seats = if self.rng.u8(0..3) == 0 { 2 } else { 1 };
        ledger.seats_used.store(seats, SeqCst);
        self.totals.two_monitors += u64::from(seats > 1);
        ledger.next_badge.store(FIRST_BADGE, SeqCst);
        ledger.next_ident.store(1, SeqCst);
        self.rounds_left = self.rng.u32(5..40);
        self.totals.tables += 1;
        self.start_owner(false)?;
        self.await_owner()?;
        verify(self.world)?;
        self.let_go();
        self.start_monitors()
    }

    fn start_owner(&mut self, restored: bool) -> Result<(), String> {
        self.world.ledger().ready.store(0, SeqCst);
        self.world.ledger().go.store(0, SeqCst);
        let mut arguments = self.arguments("owner");
        if restored {
            arguments.push("--restored".to_owned());
        }
        if self.running().is_empty() {
            arguments.push("--alone".to_owned());
        }
        self.owner = Some(Process::start(&arguments)?);
        Ok(())
    }

    /// The monitors that are neither dead nor stopped.
    fn running(&self) -> Vec<usize> {
        let runs =
            |seat: &usize| self.monitors[*seat].as_ref().is_some_and(|monitor| !monitor.stopped);
        (0..SEATS).filter(runs).collect()
    }

    /// Starts all monitors that do not live. The first one takes over from the dead.
    fn start_monitors(&mut self) -> Result<(), String> {
        if let (true, Some(heir)) = (self.widowed, self.running().first()) {
            self.take_over(*heir, self.ask_to_take_over(*heir))?;
        }
        for seat in 0..self.world.ledger().seats_used.load(SeqCst) as usize {
            if self.monitors[seat].is_some() {
                continue;
            }
            let arguments = [self.arguments("monitor"), vec![format!("--seat={seat}")]].concat();
            // It is asked before it exists, as its first rewrite finds the claim otherwise.
            let asked = self.widowed.then(|| self.ask_to_take_over(seat));
            self.monitors[seat] = Some(Process::start(&arguments)?);
            asked.map_or(Ok(()), |asked| self.take_over(seat, asked))?;
        }
        Ok(())
    }

    /// Asks a monitor to take the claim away from the dead ones.
    fn ask_to_take_over(&self, heir: usize) -> u32 {
        self.world.ledger().seats[heir].take_over.fetch_add(1, SeqCst) + 1
    }

    /// Waits until a monitor has taken over.
    fn take_over(&mut self, heir: usize, asked: u32) -> Result<(), String> {
        let seat = &self.world.ledger().seats[heir];
        self.until("take-over", || seat.taken_over.load(SeqCst) == asked)?;
        self.widowed = false;
        self.totals.take_overs += 1;
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

    /// Each monitor that runs finishes a batch, or is refused.
    fn monitors_go_on(&self) -> Result<(), String> {
        for seat in self.running() {
            let done = &self.world.ledger().seats[seat].lane.done;
            let before = done.load(SeqCst);
            self.until("monitor beside stopped ones", || done.load(SeqCst) >= before + 2)?;
        }
        Ok(())
    }

    fn stop_owner(&mut self) -> Result<(), String> {
        self.totals.stops += 1;
        self.owner.as_mut().map_or(Ok(()), Process::stop)
    }

    fn stop_monitors(&mut self) -> Result<(), String> {
        self.totals.stops += self.running().len() as u64;
        self.monitors.iter_mut().flatten().try_for_each(Process::stop)
    }

    /// Asks the oracle while the monitors that run have stopped. The owner is dead, or waits.
    fn verify_aside(&mut self) -> Result<(), String> {
        let running = self.running();
        self.stop_monitors()?;
        verify(self.world)?;
        for (seat, monitor) in self.monitors.iter_mut().enumerate() {
            if let (true, Some(monitor)) = (running.contains(&seat), monitor) {
                monitor.resume()?;
            }
        }
        Ok(())
    }

    fn resume_all(&mut self) -> Result<(), String> {
        let mut order: Vec<&mut Process> =
            self.monitors.iter_mut().chain([&mut self.owner]).flatten().collect();
        self.rng.shuffle(&mut order);
        for process in order.into_iter().filter(|process| process.stopped) {
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
        self.stop_monitors()?;
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
        for seat in self.running() {
            let parked = &ledger.seats[seat].lane.parked;
            self.until("pause of a monitor", || parked.load(SeqCst) == pause)?;
        }
        ledger.inspect.store(pause, SeqCst);
        self.until("inspection", || ledger.inspected.load(SeqCst) == pause)?;
        verify(self.world)?;
        verify_rest(self.world)?;
        self.check_bounds()?;
        ledger.pause.store(pause + 1, SeqCst);
        Ok(())
    }

    fn check_bounds(&mut self) -> Result<(), String> {
        let ledger = self.world.ledger();
        let wait_budget = ledger.wait_budget.load(SeqCst);
        // Alone, a thread of the owner waits for attempts of monitors only, in front of
        // each badge that it puts into a slot.
        let alone = ledger.lanes_used.load(SeqCst) == 1;
        let owners = if alone { 16 * (wait_budget + 8) } else { YIELDS };
        // The claim of another monitor, and a request for quiet in front of each attempt.
        let monitors = (1 + ATTEMPTS) * wait_budget;
        let lanes = ledger.lanes.iter().map(|lane| (lane, owners));
        for (lane, bound) in lanes.chain(ledger.seats.iter().map(|seat| (&seat.lane, monitors))) {
            let (waits, micros) = (lane.waits.load(SeqCst), lane.micros.load(SeqCst));
            if waits > bound || micros > MICROS {
                return Err(format!("wait over the bound: {waits} yields of {bound}, {micros} us"));
            }
            self.totals.most_waits = self.totals.most_waits.max(waits);
            self.totals.most_micros = self.totals.most_micros.max(micros);
        }
        Ok(())
    }

    fn kill_monitor(&mut self, seat: usize) {
        let killed = self.monitors[seat].take().is_some();
        self.totals.kills += u64::from(killed);
        self.widowed |= killed;
    }

    fn kill_monitors(&mut self) {
        (0..SEATS).for_each(|seat| self.kill_monitor(seat));
    }

    /// The ledger gets to know what became of the batches of dead monitors.
    fn settle(&self) {
        let dead = (0..SEATS).filter(|seat| self.monitors[*seat].is_none());
        dead.for_each(|seat| settle(self.world, seat));
    }

    fn kill_owner(&mut self) {
        self.totals.kills += u64::from(self.owner.take().is_some());
    }

    /// The owner is dead: a monitor of the driver's own takes over.
    fn attach_and_rewrite(&mut self) -> Result<(), String> {
        let seed = self.rng.u64(..);
        let mut work =
            Work::attach(self.world, 0, seed).map_err(|status| format!("attach: {status:?}"))?;
        work.take_over()?;
        self.widowed = false;
        self.totals.take_overs += 1;
        work.snapshot()?;
        for _ in 0..self.rng.u32(1..4) {
            if !work.rewrite()? && self.world.ledger().seats[0].batch.len.load(SeqCst) > 0 {
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
            self.verify_aside()?;
        }
        self.start_owner(true)?;
        self.await_owner()?;
        self.verify_aside()?;
        verify_rest(self.world)?;
        self.let_go();
        Ok(())
    }

    /// One of two monitors stops or dies beside the other one, which takes over then.
    fn lose_a_monitor(&mut self) -> Result<(), String> {
        let lost = self.rng.usize(0..SEATS);
        let Some(monitor) = &mut self.monitors[lost] else { return Ok(()) };
        monitor.stop()?;
        self.totals.stops += 1;
        self.monitors_go_on()?;
        if self.rng.bool() {
            return self.resume_all();
        }
        self.kill_monitor(lost);
        let Some(heir) = self.running().first().copied() else { return Ok(()) };
        self.take_over(heir, self.ask_to_take_over(heir))?;
        let busy = &self.world.ledger().seats[heir].busy;
        let before = busy.load(SeqCst);
        self.monitors_go_on()?;
        if busy.load(SeqCst) != before {
            return Err("busy, although the claim of the dead was taken over".to_owned());
        }
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
        match self.rng.u8(0..14) {
            0 | 1 => {
                self.stop_monitors()?;
                self.owner_goes_on()?;
                self.delay();
                self.stop_and_verify()?;
                self.resume_all()?;
            }
            2 | 3 => {
                self.stop_owner()?;
                self.monitors_go_on()?;
                self.delay();
                self.stop_and_verify()?;
                self.resume_all()?;
            }
            4 | 5 => {
                self.kill_monitors();
                self.owner_goes_on()?;
                self.delay();
                self.stop_and_verify()?;
                self.settle();
                self.resume_all()?;
                self.start_monitors()?;
            }
            6..9 => {
                self.kill_owner();
                if self.rng.bool() {
                    self.monitors_go_on()?;
                    self.delay();
                }
                self.stop_and_verify()?;
                if self.rng.bool() {
                    self.kill_monitors();
                    self.settle();
                    self.attach_and_rewrite()?;
                } else {
                    self.resume_all()?;
                }
                self.restore_owner()?;
                self.start_monitors()?;
            }
            9 | 10 => {
                self.kill_owner();
                self.kill_monitors();
                self.stop_and_verify()?;
                self.settle();
                if self.rng.bool() {
                    self.attach_and_rewrite()?;
                }
                self.restore_owner()?;
                self.start_monitors()?;
            }
            11 | 12 => {
                self.lose_a_monitor()?;
                self.delay();
                self.stop_and_verify()?;
                self.settle();
                self.resume_all()?;
                self.start_monitors()?;
            }
            _ => {
                self.stop_and_verify()?;
                self.resume_all()?;
            }
        }
        self.inspect()?;
        self.totals.count(self.world);
        Ok(())
    }
}
