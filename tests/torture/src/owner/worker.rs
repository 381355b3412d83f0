//! One thread of the owner. It says before each operation what it is up to, and
//! afterwards what came of it.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cap_map_rs::{Kernel, Released, Status};
use fastrand::Rng;

use crate::claims::{Claim, Op, fresh, is_dead, living, object_badge, object_of};
use crate::ledger::{Ledger, OBJECTS};
use crate::owner::inspect;
use crate::world::{FIRST_BADGE, Table, World, processor_micros, waits};

/// The kernel's answers, from a table of what each selector names.
struct Toy {
    ledger: &'static Ledger,
}

impl Toy {
    fn named(&self, selector: usize) -> u32 {
        self.ledger.kernel.get(selector >> 12).map_or(0, |name| name.load(SeqCst))
    }
}

impl Kernel for Toy {
    fn equal(&mut self, a: usize, b: usize) -> bool {
        self.named(a) == self.named(b)
    }

    fn valid(&mut self, selector: usize) -> bool {
        self.named(selector) != 0 && !is_dead(self.ledger, self.named(selector))
    }

    fn map(&mut self, from: usize, to: usize) -> bool {
        self.ledger.kernel[to >> 12].store(self.named(from), SeqCst);
        true
    }

    fn vanished(&mut self, _: usize, _: u32) {}
}

/// One thread of the owner.
pub(crate) struct Worker {
    world: World,
    ledger: &'static Ledger,
    table: &'static Table,
    lane: u32,
    rng: Rng,
    /// Slots of this lane's capabilities, and first slots of its windows.
    mine: Vec<u32>,
    windows: Vec<(u32, u32)>,
    /// Slots of objects that this lane holds, once per reference.
    objects: Vec<u32>,
    before: u64,
}

impl Worker {
    pub(crate) fn new(world: World, table: &'static Table, lane: u32, seed: u64) -> Self {
        let ledger = world.ledger();
        let mut worker = Worker {
            world,
            ledger,
            table,
            lane,
            rng: Rng::with_seed(seed ^ u64::from(lane)),
            mine: Vec::new(),
            windows: Vec::new(),
            objects: Vec::new(),
            before: processor_micros(),
        };
        for slot in 0..table.capacity() {
            match Claim::decode(ledger.claims[slot as usize].load(SeqCst)) {
                Claim::Used(lane, _) | Claim::Detached(lane, _) if lane == worker.lane => {
                    worker.mine.push(slot);
                }
                Claim::Window(lane) if lane == worker.lane => worker.windows.push((slot, 1)),
                Claim::Object(_) => {
                    let held = ledger.holds[worker.lane as usize][slot as usize].load(SeqCst);
                    worker.objects.extend((0..held).map(|_| slot));
                }
                _ => {}
            }
        }
        worker
    }

    fn begin(&self, op: u32, slot: u32, count: u32, ident: u32) {
        let lane = &self.ledger.lanes[self.lane as usize];
        lane.slot.store(slot, SeqCst);
        lane.count.store(count, SeqCst);
        lane.ident.store(ident, SeqCst);
        lane.op.store(op, SeqCst);
    }

    fn end(&mut self) {
        let lane = &self.ledger.lanes[self.lane as usize];
        lane.op.store(0, SeqCst);
        lane.done.fetch_add(1, SeqCst);
        lane.waits.fetch_max(waits(), SeqCst);
        let now = processor_micros();
        lane.micros.fetch_max(now.saturating_sub(self.before), SeqCst);
        self.before = now;
    }

    fn claim(&self, slot: u32, claim: Claim) {
        self.ledger.claims[slot as usize].store(claim.encode(), SeqCst);
    }

    fn claim_of(&self, slot: u32) -> Claim {
        Claim::decode(self.ledger.claims[slot as usize].load(SeqCst))
    }

    /// Claims a slot that the table has just handed out.
    fn take(&self, slot: u32, claim: Claim) {
        let Some(word) = self.ledger.claims.get(slot as usize) else {
            self.ledger.violate(&format!("slot {slot} handed out"));
        };
        let before = Claim::decode(word.swap(claim.encode(), SeqCst));
        // The table itself frees the slot of an object when its dead capability
        // is replaced, or its last holder goes while it is compared.
        let unused = matches!(before, Claim::None | Claim::Object(_));
        // Others may hold an object before it is claimed here.
        let shared = matches!(claim, Claim::Object(_));
        let held = if shared { 0 } else { self.ledger.held(slot as usize) };
        if !unused || held != 0 {
            let ledger = self.ledger;
            ledger.violate(&format!(
                "slot {slot} handed out twice: {before:?}, then {claim:?}; {held} held"
            ));
        }
    }

    fn unexpected(&self, what: &str, status: impl std::fmt::Debug) -> ! {
        self.ledger.violate(&format!("lane {}: {what}: {status:?}", self.lane))
    }

    fn step(&mut self) {
        let limit =
            self.table.capacity() as usize * 6 / 10 / self.ledger.lanes_used.load(SeqCst) as usize;
        let full = self.mine.len() >= limit;
        match self.rng.u32(0..100) {
            0..20 => self.find_mine(),
            20..30 => self.find_object(),
            30..34 => self.find_nothing(),
            34..46 if !full => self.insert(),
            46..53 if !full => self.insert_at(),
            34..66 => self.give_up(),
            66..74 => self.window(),
            74..86 => self.insert_map(),
            86..99 => self.release_object(),
            _ => {
                let object = self.rng.usize(0..OBJECTS);
                self.ledger.alive[object].fetch_add(1, SeqCst);
            }
        }
    }

    /// The number of batches that were decided.
    fn decided(&self) -> u64 {
        self.world.batch_word(0).generation()
    }

    /// A capability of mine is where I left it, under whatever badge.
    fn find_mine(&mut self) {
        let Some(&slot) = self.rng.choice(&self.mine) else { return };
        let Claim::Used(..) = self.claim_of(slot) else { return };
        self.begin(Op::LOOK, slot, 0, 0);
        for _ in 0..64 {
            let before = self.decided();
            let badge = self.table.badge(slot);
            let found = self.table.find(badge);
            if found == Ok(slot) {
                break;
            }
            if self.decided() == before {
                self.unexpected(&format!("slot {slot} carries {badge}, but find says"), found);
            }
        }
        self.end();
    }

    /// An object that I hold a reference to is found while it lives.
    fn find_object(&mut self) {
        let Some(&slot) = self.rng.choice(&self.objects) else { return };
        let Claim::Object(incarnation) = self.claim_of(slot) else { return };
        self.begin(Op::LOOK, slot, 0, 0);
        let found = self.table.find(object_badge(object_of(incarnation)));
        if found != Ok(slot) && !is_dead(self.ledger, incarnation) {
            self.unexpected(&format!("object {incarnation:x} in slot {slot}: find says"), found);
        }
        self.end();
    }

    fn find_nothing(&mut self) {
        self.begin(Op::LOOK, 0, 0, 0);
        // Odd badges below the first are nobody's.
        let badge = self.rng.u32(0..FIRST_BADGE / 2) * 2 + 1;
        let found = self.table.find(badge);
        if found != Err(Status::NotFound) {
            self.unexpected("a badge that never was", found);
        }
        self.end();
    }

    fn insert(&mut self) {
        let Some((badge, ident)) = fresh(self.world) else { return };
        self.begin(Op::INSERT, 0, 0, ident);
        match self.table.insert(badge) {
            Ok(slot) => {
                self.take(slot, Claim::Used(self.lane, ident));
                self.mine.push(slot);
            }
            Err(Status::OutOfSlots | Status::Busy) => {}
            Err(status) => self.unexpected("insert", status),
        }
        self.end();
    }

    /// Gives a badge to a slot allocated before.
    fn insert_at(&mut self) {
        let Some(slot) = self.alloc(1) else { return };
        let Some((badge, ident)) = fresh(self.world) else {
            self.windows.push((slot, 1));
            return;
        };
        self.begin(Op::INSERT_AT, slot, 1, ident);
        self.claim(slot, Claim::Used(self.lane, ident));
        match self.table.insert_at(badge, slot) {
            Ok(()) => self.mine.push(slot),
            Err(Status::Busy) => {
                self.claim(slot, Claim::Window(self.lane));
                self.windows.push((slot, 1));
            }
            Err(status) => self.unexpected("insert_at", status),
        }
        self.end();
    }

    fn alloc(&mut self, count: u32) -> Option<u32> {
        self.begin(Op::ALLOC, 0, count, 0);
        let first = match self.table.alloc(count) {
            Ok(first) => {
                (first..first + count).for_each(|slot| self.take(slot, Claim::Window(self.lane)));
                Some(first)
            }
            Err(Status::OutOfSlots) => None,
            Err(status) => self.unexpected("alloc", status),
        };
        self.end();
        first
    }

    fn free(&mut self, first: u32, count: u32) {
        self.begin(Op::FREE, first, count, 0);
        (first..first + count).for_each(|slot| self.claim(slot, Claim::None));
        if let Err(status) = self.table.free(first, count) {
            self.unexpected("free", status);
        }
        self.end();
    }

    fn window(&mut self) {
        if self.windows.len() > 4 {
            let at = self.rng.usize(1..self.windows.len());
            let (first, count) = self.windows.swap_remove(at);
            self.free(first, count);
        } else {
            let count = [1, 2, 4, 4, 8][self.rng.usize(0..5)];
            if let Some(first) = self.alloc(count) {
                self.windows.push((first, count));
            }
        }
    }

    /// Removes a capability in one of three ways.
    fn give_up(&mut self) {
        if self.mine.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.mine.len());
        let slot = self.mine[at];
        match (self.claim_of(slot), self.rng.u32(0..3)) {
            (Claim::Used(_, ident), 0 | 1) if self.ledger.held(slot as usize) == 0 => {
                if self.rng.bool() {
                    self.mine.swap_remove(at);
                    self.remove(slot, ident, Claim::None);
                } else {
                    self.acquire(slot);
                }
            }
            (Claim::Used(_, ident), 1) => {
                self.remove(slot, ident, Claim::Detached(self.lane, ident));
            }
            (Claim::Used(_, ident) | Claim::Detached(_, ident), _)
                if self.ledger.held(slot as usize) != 0 =>
            {
                self.mine.swap_remove(at);
                self.release(slot, ident);
                self.free(slot, 1);
            }
            _ => {}
        }
    }

    fn acquire(&mut self, slot: u32) {
        self.begin(Op::ACQUIRE, slot, 1, 0);
        if let Err(status) = self.table.acquire(slot) {
            self.unexpected("acquire", status);
        }
        self.ledger.holds[self.lane as usize][slot as usize].fetch_add(1, SeqCst);
        self.end();
    }

    fn remove(&mut self, slot: u32, ident: u32, after: Claim) {
        self.begin(Op::REMOVE, slot, 1, ident);
        self.claim(slot, after);
        if let Err(status) = self.table.remove(slot) {
            self.unexpected("remove", status);
        }
        self.end();
    }

    fn release(&mut self, slot: u32, ident: u32) {
        self.begin(Op::RELEASE, slot, 1, ident);
        self.ledger.holds[self.lane as usize][slot as usize].fetch_sub(1, SeqCst);
        // A detached slot has lost its badge already.
        let badged = matches!(self.claim_of(slot), Claim::Used(..));
        match self.table.release(slot) {
            Ok(Released::Last(badge)) if (badge != 0) == badged => {
                self.claim(slot, Claim::Window(self.lane));
            }
            other => self.unexpected("release", other),
        }
        self.end();
    }

    fn insert_map(&mut self) {
        if self.windows.is_empty() {
            match self.alloc(1) {
                Some(slot) => self.windows.push((slot, 1)),
                None => return,
            }
        }
        // The first window is never given up while the lane lives.
        let window = self.windows[0].0;
        let object = self.rng.u32(0..u32::try_from(OBJECTS).unwrap_or(1));
        let incarnation = living(self.ledger, object);
        self.ledger.kernel[window as usize].store(incarnation, SeqCst);
        self.begin(Op::INSERT_MAP, window, 1, incarnation);
        let mut toy = Toy { ledger: self.ledger };
        let source = self.table.selector(window);
        match self.table.insert_map(object_badge(object), source, &mut toy) {
            Ok(mapped) => {
                let named = toy.named(self.table.selector(mapped.slot));
                if named != incarnation {
                    self.unexpected(&format!("{incarnation:x} entered as {named:x}"), mapped);
                }
                if mapped.fresh {
                    self.take(mapped.slot, Claim::Object(incarnation));
                }
                self.ledger.holds[self.lane as usize][mapped.slot as usize].fetch_add(1, SeqCst);
                self.objects.push(mapped.slot);
            }
            Err(Status::OutOfSlots | Status::Busy) => {}
            Err(Status::Forged) if is_dead(self.ledger, incarnation) => {}
            Err(status) => self.unexpected("insert_map", status),
        }
        self.end();
    }

    fn release_object(&mut self) {
        if self.objects.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.objects.len());
        let slot = self.objects.swap_remove(at);
        let kernel = self.ledger.kernel[slot as usize].load(SeqCst);
        self.begin(Op::RELEASE_OBJECT, slot, 1, kernel);
        self.ledger.holds[self.lane as usize][slot as usize].fetch_sub(1, SeqCst);
        match self.table.release(slot) {
            Ok(Released::Kept) => {}
            Ok(Released::Last(badge))
                if badge == object_badge(object_of(kernel))
                    // Detached when a living one took the badge over.
                    || badge == 0 && is_dead(self.ledger, kernel) =>
            {
                self.claim(slot, Claim::None);
                if let Err(status) = self.table.free(slot, 1) {
                    self.unexpected("free of the last reference", status);
                }
            }
            other => self.unexpected("release of an object", other),
        }
        self.end();
    }

    pub(crate) fn run(mut self) {
        let lane = &self.ledger.lanes[self.lane as usize];
        loop {
            let pause = self.ledger.pause.load(SeqCst);
            if pause % 2 == 1 {
                lane.parked.store(pause, SeqCst);
                if self.lane == 0
                    && self.ledger.inspect.load(SeqCst) == pause
                    && self.ledger.inspected.load(SeqCst) != pause
                {
                    self.begin(Op::ALLOC, 0, u32::MAX, 0);
                    inspect(self.world, self.table, &mut self.rng);
                    self.end();
                    self.ledger.inspected.store(pause, SeqCst);
                }
                std::thread::sleep(Duration::from_micros(20));
                self.before = processor_micros();
                continue;
            }
            self.step();
        }
    }
}
