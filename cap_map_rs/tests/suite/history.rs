//! Long random histories of owner and monitor, compared with a model made of
//! maps. A failing history is shrunk to a minimal one.

use cap_map_rs::layout::*;
use cap_map_rs::{Area, Kind, Monitor, Owner, Refusal, Rewrite, Slot, SlotWord, Status};
use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;

use crate::common::{
    Relax, Table, TestMonitor, WAIT_BUDGET, named, private, region, region_words, shown, snapshot,
    waits,
};
use crate::model::{Answers, BADGE_BITS, CAPACITY, CONFIG, MAX_SLOTS, Model, accepted};

/// What can happen. Slots and badges are taken as they are, valid or not.
#[derive(Clone, Debug)]
enum Op {
    Alloc(u32),
    AllocAt(u32),
    Free(u32, u32),
    Insert(u32),
    InsertAt(u32, u32),
    InsertMap {
        badge: u32,
        equal: bool,
        valid: bool,
        map: bool,
    },
    Remove(u32),
    Acquire(u32),
    AcquireToTheEnd(u32),
    Release(u32),
    FindAcquire(u32),
    Publish,
    /// Slots (with their true badge unless told otherwise) and new badges.
    Rewrite(Vec<(u32, Option<u32>, u32)>),
    /// Turns the badges of used slots round by one.
    Cycle(u32),
    /// A monitor that dies in a batch over used slots: with so many of them staged, or
    /// all, and behind the flip with so many settled.
    DeadMonitor {
        flipped: bool,
        slots: u32,
        done: u32,
    },
    TakeOver,
    /// An owner that dies while it gives a slot another badge, and comes back.
    DeadOwner {
        slot: u32,
        badge: u32,
        written: bool,
    },
    /// To so many slots, for monitors or not.
    Move(u32, bool),
    Describe,
    Reset,
    Recover,
}

fn slot() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0..14_u32,
        4 => 0..MAX_SLOTS + 2,
        1 => Just(u32::MAX),
    ]
}

fn badge() -> impl Strategy<Value = u32> {
    prop_oneof![
        16 => 1..20_u32,
        4 => 1..(1 << BADGE_BITS) - 1_u32,
        1 => prop_oneof![Just(0), Just((1 << BADGE_BITS) - 1), Just(1 << 28), Just(u32::MAX)],
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let member = (slot(), proptest::option::weighted(0.05, badge()), badge());
    prop_oneof![
        3 => (0..5_u32).prop_map(Op::Alloc),
        1 => (0..80_u32).prop_map(Op::Alloc),
        2 => slot().prop_map(Op::AllocAt),
        4 => (slot(), 0..4_u32).prop_map(|(slot, count)| Op::Free(slot, count)),
        8 => badge().prop_map(Op::Insert),
        5 => (badge(), slot()).prop_map(|(badge, slot)| Op::InsertAt(badge, slot)),
        5 => (badge(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(badge, equal, valid, map)| Op::InsertMap { badge, equal, valid, map }),
        4 => slot().prop_map(Op::Remove),
        5 => slot().prop_map(Op::Acquire),
        1 => slot().prop_map(Op::AcquireToTheEnd),
        6 => slot().prop_map(Op::Release),
        3 => badge().prop_map(Op::FindAcquire),
        1 => Just(Op::Publish),
        5 => prop::collection::vec(member, 0..4).prop_map(Op::Rewrite),
        3 => (2..40_u32).prop_map(Op::Cycle),
        3 => (any::<bool>(), 1..12_u32, 0..12_u32)
            .prop_map(|(flipped, slots, done)| Op::DeadMonitor { flipped, slots, done }),
        3 => Just(Op::TakeOver),
        2 => (slot(), badge(), any::<bool>())
            .prop_map(|(slot, badge, written)| Op::DeadOwner { slot, badge, written }),
        1 => (60..MAX_SLOTS + 4, prop::bool::weighted(0.8))
            .prop_map(|(capacity, shown)| Op::Move(capacity, shown)),
        1 => Just(Op::Describe),
        1 => prop::bool::weighted(0.2)
            .prop_map(|reset| if reset { Op::Reset } else { Op::Recover }),
        1 => Just(Op::Recover),
    ]
}

/// Table and model side by side.
struct Pair {
    table: Table,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let table = Table::unpublished(CAPACITY, MAX_SLOTS, CONFIG);
        Pair { table, model: Model::new(CAPACITY) }
    }

    fn monitor(&self) -> TestMonitor {
        self.table.monitor()
    }

    fn rewrite(&mut self, batch: &mut [Rewrite]) {
        let faults = self.model.faults(batch);
        let (result, waited) = waits(|| self.monitor().rewrite(batch));
        let free = self.model.published && !self.model.claimed;
        match result {
            Ok(()) => {
                assert_eq!(faults, [], "a bad batch was accepted");
                assert!(free || self.model.published && batch.is_empty());
                assert_eq!(waited, 0);
                for entry in batch {
                    assert_eq!(entry.left_out, 0);
                    self.model.slots.insert(entry.slot, Slot::Used(entry.replacement));
                }
            }
            Err(Refusal { status: Status::Unpublished, slot: None }) => {
                assert!(!self.model.published);
            }
            Err(Refusal { status: Status::Busy, slot: None }) => {
                assert_eq!((self.model.claimed, waited), (true, WAIT_BUDGET.into()));
            }
            Err(Refusal { status, slot }) => {
                let fault = (status, slot.expect("names the slot"));
                assert!(faults.contains(&fault), "{fault:?} is none of {faults:?}");
            }
        }
    }

    fn dead_monitor(&mut self, flipped: bool, slots: u32, done: u32) {
        if !self.model.published || self.model.claimed {
            return;
        }
        self.model.claimed = true;
        let table = &self.table;
        table.set_batch(table.batch().claimed());
        let used = self.model.used();
        let fresh: Vec<u32> =
            (100..).filter(|badge| self.model.find(*badge).is_none()).take(used.len()).collect();
        let members: Vec<_> = used.iter().zip(fresh).take(slots as usize).collect();
        let staged = if flipped { slots } else { done };
        for ((slot, _), new) in members.iter().take(staged as usize) {
            table.stage(*slot, *new);
        }
        if !flipped {
            return;
        }
        // It has looked at all slots, and settled those that are not in the batch.
        for slot in
            (0..self.model.capacity).filter(|slot| !members.iter().any(|(of, _)| of.0 == *slot))
        {
            table.set_word(slot, table.word(slot).settled(table.batch().bank()));
        }
        table.flip();
        for (i, (&(slot, _), new)) in (0..).zip(members) {
            if i < done {
                table.set_word(slot, SlotWord::used(new));
            }
            self.model.slots.insert(slot, Slot::Used(new));
        }
    }

    fn dead_owner(&mut self, slot: u32, badge: u32, written: bool) {
        let Slot::Used(_) = self.model.slot(slot) else { return };
        if !accepted(badge) || self.model.find(badge).is_some() {
            return;
        }
        let table = &self.table;
        table.set_header(OFF_COMING, badge.into());
        table.set_header(OFF_SEQUENCE, table.header(OFF_SEQUENCE) + 1);
        if written {
            table.set_word(slot, SlotWord::used(badge));
            self.model.slots.insert(slot, Slot::Used(badge));
        }
        self.recover();
    }

    fn recover(&self) {
        // SAFETY: there is only this thread.
        unsafe { self.table.owner.recover() };
    }

    fn apply(&mut self, op: &Op) {
        let owner = &self.table.owner;
        let model = &mut self.model;
        match *op {
            Op::Alloc(count) => assert_eq!(owner.alloc(count), model.alloc(count)),
            Op::AllocAt(slot) => {
                let expected = match model.slot(slot) {
                    _ if slot >= model.capacity => Err(Status::BadSlot),
                    Slot::Free => Ok(()),
                    _ => Err(Status::InUse),
                };
                if expected.is_ok() {
                    model.slots.insert(slot, Slot::Reserved);
                }
                assert_eq!(owner.alloc_at(slot), expected);
            }
            Op::Free(slot, count) => assert_eq!(owner.free(slot, count), model.free(slot, count)),
            Op::Insert(badge) => assert_eq!(owner.insert(badge), model.insert(badge)),
            Op::InsertAt(badge, slot) => {
                assert_eq!(owner.insert_at(badge, slot), model.insert_at(badge, slot));
            }
            Op::InsertMap { badge, equal, valid, map } => {
                let mut answers = Answers { equal, valid, map };
                let expected = model.insert_map(badge, &answers);
                assert_eq!(owner.insert_map(badge, 5, &mut answers), expected);
            }
            Op::Remove(slot) => assert_eq!(owner.remove(slot), model.remove(slot)),
            // The caller has the slot, by contract.
            Op::Acquire(slot) if model.slots.contains_key(&slot) => {
                assert_eq!(owner.acquire(slot), Ok(()));
                model.acquire(slot, 1);
            }
            Op::AcquireToTheEnd(slot) if model.slots.contains_key(&slot) => {
                // Only now and then, as it takes long.
                if slot == 9 && model.count(slot) < u16::MAX {
                    (0..u16::MAX).for_each(|_| owner.acquire(slot).expect("allocated"));
                    model.acquire(slot, u16::MAX);
                }
            }
            Op::Acquire(_) | Op::AcquireToTheEnd(_) => {}
            Op::Release(slot) => assert_eq!(owner.release(slot), model.release(slot)),
            Op::FindAcquire(badge) => {
                let expected = match model.find(badge) {
                    _ if !accepted(badge) => Err(Status::BadBadge),
                    None => Err(Status::NotFound),
                    Some(slot) => {
                        model.acquire(slot, 1);
                        Ok(slot)
                    }
                };
                assert_eq!(owner.find_acquire(badge), expected);
            }
            Op::Publish => {
                let expected = if model.published { Err(Status::InUse) } else { Ok(()) };
                assert_eq!(owner.publish(&named("model")), expected);
                model.published = true;
            }
            Op::Describe => {
                let expected = if model.published { Err(Status::InUse) } else { Ok(()) };
                assert_eq!(owner.describe(&named("described")), expected);
            }
            Op::TakeOver => {
                let expected = if model.published { Ok(()) } else { Err(Status::Unpublished) };
                assert_eq!(self.table.monitor().take_over(), expected);
                model.claimed &= !model.published;
            }
            Op::Rewrite(ref members) => {
                let badge = |slot| match model.slot(slot) {
                    Slot::Used(badge) => badge,
                    _ => 1,
                };
                let mut batch: Vec<_> = members
                    .iter()
                    .map(|(slot, expected, new)| {
                        Rewrite::new(*slot, expected.unwrap_or(badge(*slot)), *new)
                    })
                    .collect();
                self.rewrite(&mut batch);
            }
            Op::Cycle(count) => {
                let used = model.used();
                let used = &used[..used.len().min(count as usize)];
                let next = used.iter().cycle().skip(1);
                let entry = |(&(slot, from), &(_, to)): (&(u32, u32), &(u32, u32))| {
                    Rewrite::new(slot, from, to)
                };
                self.rewrite(&mut used.iter().zip(next).map(entry).collect::<Vec<_>>());
            }
            Op::DeadMonitor { flipped, slots, done } => self.dead_monitor(flipped, slots, done),
            Op::DeadOwner { slot, badge, written } => self.dead_owner(slot, badge, written),
            Op::Move(capacity, publish) => {
                let words = region_words(capacity);
                let publication = publish.then(|| shown("moved"));
                let result = owner.move_to(region(words), publication.as_ref());
                if capacity < 64 || capacity < model.capacity {
                    assert_eq!(result, Err(Status::TooSmall));
                    return;
                }
                if model.published && !publish {
                    assert_eq!(result, Err(Status::InUse));
                    return;
                }
                assert_eq!(result, Ok(Area::NONE));
                let old = Monitor::<Relax>::attach(region(self.table.words), 0);
                assert_eq!(old.err(), Some(Status::Retired));
                self.table.words = words;
                model.published |= publish;
                model.claimed = false;
                model.capacity = capacity.min(MAX_SLOTS);
            }
            Op::Reset => {
                let words = region_words(CAPACITY);
                self.table.owner.reset(region(words)).unwrap();
                self.table.words = words;
                *model = Model::new(CAPACITY);
            }
            Op::Recover => self.recover(),
        }
    }

    /// Everything that can be seen is as in the model.
    fn check(&self) {
        let (owner, model) = (&self.table.owner, &self.model);
        assert_eq!(owner.capacity(), model.capacity);
        let expected: Vec<_> = (0..model.capacity).map(|slot| model.slot(slot)).collect();
        for (slot, state) in (0..).zip(&expected) {
            assert_eq!(owner.entry(slot), Ok(*state), "slot {slot}");
            assert_eq!(owner.references(slot), model.count(slot), "references of slot {slot}");
        }
        for badge in 1..24 {
            assert_eq!(owner.find(badge).ok(), model.find(badge), "badge {badge}");
        }
        for (slot, badge) in model.used() {
            assert_eq!(owner.find(badge), Ok(slot), "badge {badge}");
        }
        // A word does not tell a reserved slot from a free one.
        let seen = expected.into_iter().map(|slot| match slot {
            Slot::Reserved => Slot::Free,
            slot => slot,
        });
        assert_eq!(snapshot(&self.monitor()), seen.collect::<Vec<_>>());
        let kind = if model.published { Kind::Published } else { Kind::Private };
        assert_eq!(self.monitor().header().kind, kind);
        assert_eq!(self.table.batch().is_claimed(), model.claimed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        // Without optimisation, the default takes longer than all the rest.
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    })]

    #[test]
    fn histories_agree_with_the_model(
        published in any::<bool>(),
        history in prop::collection::vec(op(), 150..250),
    ) {
        let mut pair = Pair::new();
        if published {
            pair.apply(&Op::Publish);
        }
        for (op, i) in history.iter().zip(1_u32..) {
            pair.apply(op);
            if i.is_multiple_of(4) {
                pair.check();
            }
        }
        pair.check();
    }
}

/// The capacity that the private arrays allow is part of the model, too.
#[test]
fn the_model_starts_like_the_table() {
    let owner = Owner::<Relax>::new(CONFIG, private(MAX_SLOTS), region(region_words(400)));
    assert_eq!(owner.map(|owner| owner.capacity()).ok(), Some(MAX_SLOTS));
    Pair::new().check();
}
