//! An owner whose region a hostile monitor rewrites.
//!
//! What the component was given is its own business, whatever the region says:
//! a model of slots and counts is compared after each call. The model is exact
//! but for slots that the table's hits may have removed, see [`State::Maybe`].

use std::cell::OnceCell;
use std::sync::atomic::Ordering;

use cap_map_rs::layout::*;
use cap_map_rs::limits::LOST_RACES;
use cap_map_rs::{Config, Identity, Kernel, Mapped, Owner, Publication, Released, Slot, Status};

use crate::hostile::Input;
use crate::hostile::{Relax, Script, bounded, hook, under_attack};
use crate::memory::{Block, Guarded, Place};

thread_local! {
    static MEMORY: OnceCell<[Guarded; 2]> = const { OnceCell::new() };
}

const FIRST_USER: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    Allocated,
    /// Not referenced, and maybe removed for the badge that the peer gave it.
    Maybe,
}

struct Model {
    states: Vec<State>,
    counts: Vec<u16>,
    /// Whether the component itself gave the slot a badge. If not, the peer's
    /// badges do not let it be found or removed.
    badged: Vec<bool>,
}

impl Model {
    fn new(slots: usize) -> Self {
        Model {
            states: vec![State::Free; slots],
            counts: vec![0; slots],
            badged: vec![false; slots],
        }
    }

    fn grow(&mut self, slots: usize) {
        self.states.resize(slots, State::Free);
        self.counts.resize(slots, 0);
        self.badged.resize(slots, false);
    }

    fn state(&self, slot: u32) -> Option<State> {
        self.states.get(slot as usize).copied()
    }

    fn capacity(&self) -> u32 {
        u32::try_from(self.states.len()).expect("few")
    }

    fn set(&mut self, slot: u32, state: State, count: u16) {
        self.states[slot as usize] = state;
        self.counts[slot as usize] = count;
    }

    /// The slots were handed out just now, with a badge or without one.
    fn given(&mut self, first: u32, number: u32, count: u16, badged: bool) {
        for slot in first..first + number {
            assert!(slot < self.capacity(), "slot {slot} does not exist");
            assert_ne!(
                self.state(slot),
                Some(State::Allocated),
                "slot {slot} was handed out twice"
            );
            self.set(slot, State::Allocated, count);
            self.badged[slot as usize] = badged;
        }
    }

    fn is_counted(slot: u32) -> bool {
        slot >= FIRST_USER
    }

    /// A reference was taken to a slot that the component has.
    fn referenced(&mut self, slot: u32) {
        assert_ne!(self.state(slot), Some(State::Free), "slot {slot} was never handed out");
        let count = self.counts[slot as usize] + u16::from(Self::is_counted(slot));
        self.set(slot, State::Allocated, count);
    }

    /// The slot was found by a badge, and a reference was taken.
    fn found(&mut self, slot: u32) {
        assert!(self.badged[slot as usize], "slot {slot} was given no badge");
        self.referenced(slot);
    }

    /// The slot may have been removed for its badge if nobody refers to it.
    fn doubt(&mut self, slot: u32) {
        let at = slot as usize;
        if self.state(slot) == Some(State::Allocated) && self.counts[at] == 0 && self.badged[at] {
            self.states[at] = State::Maybe;
        }
    }
}

/// Answers as the input says, and notes whose slots it was asked about.
struct Moody<'a, 'b> {
    input: &'a mut Input<'b>,
    model: &'a mut Model,
    mapped: Option<u32>,
    shift: u32,
}

impl Moody<'_, '_> {
    fn slot(&self, selector: usize) -> u32 {
        u32::try_from(selector >> self.shift).expect("a slot's selector")
    }
}

impl Kernel for Moody<'_, '_> {
    fn equal(&mut self, known: usize, _: usize) -> bool {
        hook();
        let slot = self.slot(known);
        let free = self.model.state(slot) == Some(State::Free) && self.mapped != Some(slot);
        assert!(!free, "asked about slot {slot}, which was never handed out");
        assert!(self.model.badged[slot as usize], "asked about slot {slot}, given no badge");
        !self.input.byte().is_multiple_of(3)
    }

    fn valid(&mut self, known: usize) -> bool {
        hook();
        self.model.doubt(self.slot(known));
        self.input.byte().is_multiple_of(2)
    }

    fn map(&mut self, _: usize, to: usize) -> bool {
        hook();
        let slot = self.slot(to);
        assert_ne!(self.model.state(slot), Some(State::Allocated), "mapped over a capability");
        self.mapped = Some(slot);
        !self.input.byte().is_multiple_of(8)
    }

    fn vanished(&mut self, gone: usize, _: u32) {
        hook();
        let slot = self.slot(gone);
        assert!(self.model.badged[slot as usize], "slot {slot} was given no badge");
    }
}

struct Test<'a> {
    owner: Owner<'a, Relax>,
    model: Model,
    shift: u32,
    /// Waits that one insertion may take.
    wait_budget: u64,
    threaded: bool,
}

/// The target.
pub fn run(data: &[u8]) {
    let memory = MEMORY.with(|memory| *memory.get_or_init(|| [Guarded::new(), Guarded::new()]));
    let mut input = Input::new(data);
    let mode = input.byte();
    let place = if mode & 2 == 0 { Place::Back } else { Place::Front };
    let slots = MIN_CAPACITY + 8 * usize::from(input.byte() % 8);
    let max_slots = slots + 8 * usize::from(mode >> 6);
    let size = |slots: usize| SLOTS + slots * WORD_BYTES;
    let wait_budget = u32::from(mode >> 2 & 7);
    let config =
        Config { first_user: FIRST_USER, shift: 12, badge_bits: 28, wait_budget, is_core: false };
    let mut block = Block::for_slots(max_slots);
    let owner =
        Owner::<Relax>::new(config, block.arrays(max_slots), memory[0].region(place, size(slots)));
    let owner = owner.expect("valid");
    owner.publish(&Identity::UNKNOWN).expect("not published yet");
    let script = Script::decode(&mut input, memory[0].words(place, size(slots)));
    let threaded = mode & 5 == 1;
    let model = Model::new(slots);
    let wait_budget = u64::from(wait_budget);
    let mut test = Test { owner, model, shift: config.shift, wait_budget, threaded };
    under_attack(&script, threaded, || {
        for _ in 0..96 {
            if input.is_empty() {
                break;
            }
            test.step(&mut input);
            test.compare();
        }
    });
    // The peer is gone, and everything can be used.
    if mode & 32 != 0 {
        memory[1].all().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let larger = memory[1].region(place, size(max_slots));
        let publication = Publication::from(Identity::UNKNOWN);
        let moved = bounded(0, || test.owner.move_to(larger, Some(&publication)));
        assert!(moved.is_ok(), "a table can move away from its peer, {moved:?}");
        test.model.grow(max_slots);
        test.compare();
    }
    test.give_back();
}

impl Test<'_> {
    /// Waits of one call: a look-up waits at most 8 times, an insertion `wait_budget`
    /// times, and a call makes at most 9 attempts at 9 of both.
    fn bound(&self) -> u64 {
        81 * (8 + self.wait_budget)
    }

    fn call<T>(&self, f: impl FnOnce(&Owner<'_, Relax>) -> T) -> T {
        bounded(self.bound(), || f(&self.owner))
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let capacity = self.model.capacity();
        let (kind, slot) = (input.byte() % 16, u32::from(input.byte()) % (capacity + 2));
        let badge = match input.byte() {
            255 => input.number(),
            small => 4 * u32::from(small % 64),
        };
        match kind {
            0 => self.alloc(1 + slot % 40),
            1 => self.alloc_at(slot),
            2 | 3 => self.insert(badge),
            4 | 5 => self.insert_at(badge, slot),
            6 | 7 => self.insert_map(badge, input),
            8 => self.free(slot, 1 + u32::from(input.byte() % 4)),
            9 => self.remove(slot),
            10 => self.acquire(slot),
            11 | 12 => self.release(slot),
            13 => {
                if let Ok(slot) = self.call(|owner| owner.find_acquire(badge)) {
                    self.model.found(slot);
                }
            }
            14 => {
                let found = self.call(|owner| owner.find(badge));
                assert!(found.map_or(true, |slot| slot < capacity));
                let entry = self.call(|owner| owner.entry(slot));
                assert_eq!(slot >= capacity, entry == Err(Status::BadSlot));
            }
            _ if slot.is_multiple_of(4) => self.recover(),
            _ => {
                let again = self.call(|owner| owner.publish(&Identity::UNKNOWN));
                assert_eq!(again, Err(Status::InUse), "published twice");
                self.call(|owner| owner.badge(slot));
            }
        }
    }

    /// Another life begins. What the peer has written frees no slot and lets none out.
    #[allow(unsafe_code)]
    fn recover(&mut self) {
        // SAFETY: this is the only thread of the component.
        bounded(0, || unsafe { self.owner.recover() });
    }

    fn alloc(&mut self, count: u32) {
        match self.call(|owner| owner.alloc(count)) {
            Ok(first) => {
                assert!(first >= FIRST_USER, "static slots are not handed out");
                self.model.given(first, count, 0, false);
            }
            Err(status) => {
                assert_eq!(status, Status::OutOfSlots);
                let user = &self.model.states[FIRST_USER as usize..];
                let room =
                    user.windows(count as usize).any(|run| run.iter().all(|s| *s == State::Free));
                assert!(!room, "{count} slots are free");
            }
        }
    }

    fn alloc_at(&mut self, slot: u32) {
        let result = self.call(|owner| owner.alloc_at(slot));
        match (self.model.state(slot), result) {
            (None, Err(Status::BadSlot)) | (Some(State::Allocated), Err(Status::InUse)) => {}
            (Some(State::Free | State::Maybe), Ok(())) => {
                self.model.set(slot, State::Allocated, 0);
                self.model.badged[slot as usize] = false;
            }
            (Some(State::Maybe), Err(Status::InUse)) => self.model.set(slot, State::Allocated, 0),
            other => panic!("alloc_at: {other:?}"),
        }
    }

    fn insert(&mut self, badge: u32) {
        match self.call(|owner| owner.insert(badge)) {
            Ok(slot) => self.model.given(slot, 1, 0, true),
            Err(Status::BadBadge | Status::Exists | Status::OutOfSlots | Status::Busy) => {}
            Err(status) => panic!("insert: {status}"),
        }
    }

    fn insert_at(&mut self, badge: u32, slot: u32) {
        let result = self.call(|owner| owner.insert_at(badge, slot));
        let known = self.model.state(slot);
        if !matches!(result, Err(Status::BadBadge | Status::BadSlot)) {
            // The badge may have been found anywhere.
            (0..self.model.capacity()).for_each(|slot| self.model.doubt(slot));
        }
        match (known, result) {
            (None, Err(Status::BadSlot)) | (_, Err(Status::BadBadge)) => {}
            (Some(_), Err(Status::Busy)) => {}
            (Some(_), Ok(())) => {
                let count = self.model.counts[slot as usize];
                self.model.set(slot, State::Allocated, count);
                self.model.badged[slot as usize] = true;
            }
            other => panic!("insert_at: {other:?}"),
        }
    }

    fn insert_map(&mut self, badge: u32, input: &mut Input<'_>) {
        let bound = u64::from(LOST_RACES) * self.bound();
        let owner = &self.owner;
        let model = &mut self.model;
        let mut kernel = Moody { input, model, mapped: None, shift: self.shift };
        match bounded(bound, || owner.insert_map(badge, 99 << self.shift, &mut kernel)) {
            Ok(Mapped { slot, fresh: true }) => self.model.given(slot, 1, 1, true),
            Ok(Mapped { slot, fresh: false }) => self.model.found(slot),
            Err(
                Status::BadBadge
                | Status::Forged
                | Status::OutOfSlots
                | Status::MapFailed
                | Status::Busy,
            ) => {}
            Err(status) => panic!("insert_map: {status}"),
        }
    }

    fn free(&mut self, first: u32, count: u32) {
        let result = self.call(|owner| owner.free(first, count));
        let slots = first..first + count;
        let states: Vec<_> = slots.clone().filter_map(|slot| self.model.state(slot)).collect();
        let used =
            slots.clone().any(|slot| self.model.counts.get(slot as usize).is_some_and(|c| *c > 0));
        let sure = !states.contains(&State::Maybe);
        match result {
            Ok(()) => {
                assert!(!states.contains(&State::Free) && !used && states.len() == count as usize);
                slots.for_each(|slot| self.model.set(slot, State::Free, 0));
            }
            Err(Status::BadSlot) => assert!(states.len() < count as usize),
            Err(Status::NotAllocated) => {
                assert!(!sure || states.contains(&State::Free), "slot {first} is allocated");
                if count == 1 {
                    self.model.set(first, State::Free, 0);
                }
            }
            Err(Status::InUse) => assert!(used, "slot {first} is not referenced"),
            Err(status) => panic!("free: {status}"),
        }
    }

    fn remove(&mut self, slot: u32) {
        let result = self.call(|owner| owner.remove(slot));
        match (self.model.state(slot), result) {
            (None, Err(Status::BadSlot)) | (Some(State::Free), Err(Status::NotAllocated)) => {}
            (Some(State::Maybe), _) => self.model.set(slot, State::Free, 0),
            (Some(State::Allocated), Ok(())) => {
                if self.model.counts[slot as usize] == 0 {
                    self.model.set(slot, State::Free, 0);
                }
            }
            other => panic!("remove: {other:?}"),
        }
    }

    /// Only who has the slot takes a reference.
    fn acquire(&mut self, slot: u32) {
        if self.model.state(slot) == Some(State::Allocated) {
            assert_eq!(self.owner.acquire(slot), Ok(()));
            self.model.referenced(slot);
        } else if self.model.state(slot).is_none() {
            assert_eq!(self.owner.acquire(slot), Err(Status::BadSlot));
        }
    }

    fn release(&mut self, slot: u32) {
        let result = self.call(|owner| owner.release(slot));
        let count = self.model.counts.get(slot as usize).copied().unwrap_or(0);
        match result {
            Ok(Released::Kept) => assert!(slot < FIRST_USER || count > 1),
            Ok(Released::Last(_)) => assert_eq!(count, 1),
            Err(status) => assert_eq!((status, count), (Status::NotAllocated, 0)),
        }
        if count > 0 {
            self.model.counts[slot as usize] -= 1;
            // With its last reference a slot loses its badge.
            self.model.badged[slot as usize] &= count > 1;
        }
    }

    fn compare(&self) {
        for (slot, count) in (0..).zip(&self.model.counts) {
            assert_eq!(self.owner.references(slot), *count, "references of slot {slot}");
        }
    }

    /// Frees everything, and uses all of it once more.
    fn give_back(&mut self) {
        for slot in 0..self.model.capacity() {
            let count = self.model.counts[slot as usize];
            (0..count).for_each(|_| self.release(slot));
            self.free(slot, 1);
        }
        let capacity = self.model.capacity();
        assert_eq!(self.owner.alloc(capacity - FIRST_USER), Ok(FIRST_USER), "no slot is lost");
        assert_eq!(self.owner.free(FIRST_USER, capacity - FIRST_USER), Ok(()));
        if !self.threaded {
            let clean = (FIRST_USER..capacity).all(|slot| self.owner.entry(slot) == Ok(Slot::Free));
            assert!(clean, "a slot that is free says so");
        }
    }
}
