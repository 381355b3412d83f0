//! More slots for a table in use: what is refused, long histories across growths, and
//! threads that go on meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cap_map_rs::memory::{GROWTH_HEADER_BYTES, PrivateSizes};
use cap_map_rs::pool::{Node, Pool};
use cap_map_rs::{Config, Growth, Identity, MAX_SEGMENTS, Owner, Released, Slot, Status};

use crate::common::{
    CONFIG, Obedient, Random, Relax, Stop, Table, private, region, region_words, shown,
};
use crate::model::{self, Model};

/// Memory of a growth, filled with ones.
fn memory(from: u32, to: u32) -> &'static mut [u64] {
    let sizes = PrivateSizes::growth(from as usize, to as usize).expect("more slots");
    vec![u64::MAX; (GROWTH_HEADER_BYTES + sizes.bytes()) / 8].leak()
}

fn growth(from: u32, to: u32) -> Growth<'static> {
    let memory = memory(from, to);
    let size = size_of_val(memory);
    // SAFETY: the memory is leaked, and nothing else refers to it.
    unsafe { Growth::at(memory.as_mut_ptr().cast(), size, from as usize, to as usize) }
        .expect("as large as it says")
}

fn recover(owner: &Owner<'static, Relax>) {
    // SAFETY: the callers have one thread, which is not inside of a function of the owner.
    unsafe { owner.recover() };
}

#[test]
fn raw_memory_of_a_growth_is_checked() {
    let memory = memory(64, 100);
    let (base, size) = (memory.as_mut_ptr().cast::<u8>(), size_of_val(memory));
    let at = |base: *mut u8, size, from, to| {
        // SAFETY: within leaked memory, used by nobody else, or refused.
        unsafe { Growth::at(base, size, from, to) }.err()
    };
    assert_eq!(at(base, size, 64, 100), None);
    assert_eq!(at(base, size - 1, 64, 100), Some(Status::TooSmall));
    assert_eq!(at(base, GROWTH_HEADER_BYTES - 1, 64, 100), Some(Status::TooSmall));
    assert_eq!(at(base.wrapping_add(4), size - 4, 64, 100), Some(Status::Misaligned));
    assert_eq!(at(std::ptr::null_mut(), size, 64, 100), Some(Status::BadArgument));
    assert_eq!(at(base, size, 100, 100), Some(Status::TooSmall));
    assert_eq!(at(base, size, 100, 64), Some(Status::TooSmall));
    assert_eq!(at(base, size, 63, 100), Some(Status::BadArgument));
    assert_eq!(at(base, usize::MAX, 64, 131_073), Some(Status::BadArgument));
    assert!(memory.iter().all(|word| *word == u64::MAX), "written to before it was asked to");
}

/// A refused growth changes neither the table nor the memory that was handed in.
#[test]
fn growths_that_do_not_fit_are_refused() {
    let table = Table::unpublished(64, 64, CONFIG);
    let owner = &table.owner;
    owner.insert_at(40, 9).unwrap();
    let refused = |from, to, status| {
        let memory = memory(from, to);
        let (base, size) = (memory.as_mut_ptr().cast::<u8>(), size_of_val(memory));
        // SAFETY: the memory is leaked, and used again only as it is refused.
        let growth = unsafe { Growth::at(base, size, from as usize, to as usize) };
        let slots = owner.max_slots();
        assert_eq!(owner.grow(growth.expect("large enough")), Err(status));
        assert!(memory.iter().all(|word| *word == u64::MAX), "a refused growth wrote");
        assert_eq!((owner.max_slots(), owner.find(40)), (slots, Ok(9)));
    };
    assert_eq!(owner.grow(growth(64, 100)), Ok(()));
    refused(64, 100, Status::TooSmall);
    refused(64, 99, Status::TooSmall);
    refused(64, 200, Status::Changed);
    refused(101, 200, Status::Changed);
    for number in 1..MAX_SEGMENTS {
        assert_eq!(owner.grow(growth(99 + number, 100 + number)), Ok(()));
    }
    refused(99 + MAX_SEGMENTS, 1000, Status::OutOfSlots);
    // The last slot is in the last segment.
    owner.move_to(region(region_words(1000)), Some(&shown(""))).unwrap();
    assert_eq!(owner.capacity(), 99 + MAX_SEGMENTS);
    for slot in 64..owner.capacity() {
        assert_eq!(owner.insert_at(1000 + slot, slot), Ok(()));
        assert_eq!(owner.find_acquire(1000 + slot), Ok(slot));
        assert_eq!(owner.release(slot), Ok(Released::Last(1000 + slot)));
        assert_eq!(owner.free(slot, 1), Ok(()));
    }
    assert_eq!(owner.acquire(owner.capacity()), Err(Status::BadSlot));
}

/// An owner that is refused does not write to its memory.
#[test]
fn refused_owners_leave_memory_alone() {
    let sizes = PrivateSizes::new(64).unwrap();
    let memory = vec![u64::MAX; sizes.bytes() / 8].leak();
    let words = region_words(64);
    words.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    let bad = [
        Config { first_user: 64, ..CONFIG },
        Config { shift: 33, ..CONFIG },
        Config { badge_bits: 0, ..CONFIG },
        Config { badge_bits: 29, ..CONFIG },
    ];
    for config in bad {
        let base = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: the memory is leaked, and used again only as it is refused.
        let private = unsafe { cap_map_rs::memory::Private::at(base, sizes.bytes(), 64) };
        assert!(Owner::<Relax>::new(config, private.unwrap(), region(words)).is_err());
        assert!(memory.iter().all(|word| *word == u64::MAX));
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == u64::MAX));
    }
}

/// Random operations, compared with a model, while the table grows twice. The second
/// growth makes the entries of its index wider.
#[test]
fn histories_across_growths_agree_with_the_model() {
    for published in [false, true] {
        let mut table = Table::unpublished(64, 64, model::CONFIG);
        let mut model = Model::new(64);
        if published {
            table.owner.publish(&Identity::UNKNOWN).unwrap();
        }
        let mut random = Random::new(11 + u64::from(published));
        for capacity in [64, 1000, 70_000] {
            if capacity > 64 {
                let owner = &table.owner;
                let before = owner.max_slots();
                assert_eq!(owner.grow(growth(before, capacity)), Ok(()));
                assert_eq!(
                    owner.move_to(region(region_words(before - 1)), Some(&shown(""))),
                    Err(Status::TooSmall)
                );
                // The new room is not slots yet.
                compare(owner, &mut model, &mut random, 300);
                owner.move_to(region(region_words(capacity)), Some(&shown("moved"))).unwrap();
                model.capacity = capacity;
            }
            assert_eq!(table.owner.capacity(), capacity);
            compare(&table.owner, &mut model, &mut random, 1200);
            recover(&table.owner);
            compare(&table.owner, &mut model, &mut random, 300);
        }
        // After a fork, the memory of the growths is still there.
        table.owner.reset(region(region_words(70_000))).unwrap();
        assert_eq!((table.owner.capacity(), table.owner.max_slots()), (70_000, 70_000));
        compare(&table.owner, &mut Model::new(70_000), &mut random, 600);
    }
}

/// Does `count` random operations with both.
fn compare(owner: &Owner<'static, Relax>, model: &mut Model, random: &mut Random, count: u32) {
    for _ in 0..count {
        let capacity = model.capacity;
        let badge = 1 + random.below(200);
        // Often a slot in use, often one next to where a part begins.
        let used = model.used();
        let slot = match random.below(4) {
            0 if !used.is_empty() => {
                used[random.below(u32::try_from(used.len()).unwrap()) as usize].0
            }
            1 => [60, 990][random.below(2) as usize] + random.below(20),
            2 => random.below(20),
            _ => random.below(capacity + 2),
        };
        match random.below(10) {
            0 => {
                let long = random.below(20) == 0;
                let count = random.below(if long { 600 } else { 8 });
                assert_eq!(owner.alloc(count), model.alloc(count));
            }
            1 => {
                let count = random.below(8);
                assert_eq!(owner.free(slot, count), model.free(slot, count));
            }
            2 => {
                // What a long run left.
                let end = (slot..capacity).find(|slot| model.slot(*slot) != Slot::Reserved);
                let count = end.unwrap_or(capacity).saturating_sub(slot);
                assert_eq!(owner.free(slot, count), model.free(slot, count));
            }
            3 => assert_eq!(owner.insert(badge), model.insert(badge)),
            4 | 5 => assert_eq!(owner.insert_at(badge, slot), model.insert_at(badge, slot)),
            6 => {
                let expected = model
                    .insert_map(badge, &model::Answers { equal: true, valid: true, map: true });
                assert_eq!(owner.insert_map(badge, 5, &mut Obedient), expected);
            }
            7 => assert_eq!(owner.remove(slot), model.remove(slot)),
            8 => assert_eq!(owner.release(slot), model.release(slot)),
            _ => {
                if model.slots.contains_key(&slot) {
                    assert_eq!(owner.acquire(slot), Ok(()));
                    model.acquire(slot, 1);
                }
            }
        }
        assert_eq!(owner.find(badge).ok(), model.find(badge), "badge {badge}");
        assert_eq!(owner.entry(slot).ok(), (slot < capacity).then(|| model.slot(slot)));
        assert_eq!(owner.references(slot), model.count(slot));
    }
    for slot in 0..model.capacity {
        assert_eq!(owner.entry(slot), Ok(model.slot(slot)), "slot {slot}");
        assert_eq!(owner.references(slot), model.count(slot), "references of slot {slot}");
    }
    for badge in 1..220 {
        assert_eq!(owner.find(badge).ok(), model.find(badge), "badge {badge}");
    }
}

/// Threads look up badges, count references, and dispatch without a pause while the table
/// grows to its largest in eight steps, and moves after each.
#[test]
fn stress_growth_under_look_ups() {
    const STEPS: [u32; 8] = [100, 300, 1000, 5000, 20_000, 60_000, 70_000, 131_072];
    const KEPT: u32 = 40;
    let badge = |slot: u32| 4 + 4 * slot;
    let table = Table::unpublished(64, 64, CONFIG);
    let owner = &table.owner;
    let pool: &'static Pool<Relax> = Box::leak(Box::new(Pool::new()));
    let enter = |slot: u32| {
        let node: &'static Node = Box::leak(Box::new(Node::new()));
        owner.insert_at(badge(slot), slot).unwrap();
        assert_eq!(owner.find_acquire(badge(slot)), Ok(slot));
        // SAFETY: pool and node are leaked.
        unsafe { pool.insert(owner, node.into(), slot) }.unwrap();
        node
    };
    // Those in the first slots stay for ever; one more comes with each step.
    let nodes: Vec<_> = (8..8 + KEPT).map(enter).collect();
    let newest = AtomicU32::new(8 + KEPT - 1);
    let done = AtomicBool::new(false);
    let rounds = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (done, rounds, newest, nodes) = (&done, &rounds, &newest, &nodes);
            scope.spawn(move || {
                let _stop = Stop(done);
                let mut random = Random::new(seed);
                while !done.load(Ordering::Relaxed) {
                    let slot = 8 + random.below(KEPT);
                    assert_eq!(owner.find(badge(slot)), Ok(slot));
                    assert_eq!(owner.find(badge(slot) + 1), Err(Status::NotFound));
                    owner.acquire(slot).unwrap();
                    assert!(owner.references(slot) >= 2);
                    assert_eq!(owner.release(slot), Ok(Released::Kept));
                    let node = pool.acquire(owner, badge(slot)).expect("a member");
                    assert_eq!(
                        node.as_ptr().cast_const(),
                        std::ptr::from_ref(nodes[slot as usize - 8])
                    );
                    nodes[slot as usize - 8].release();
                    // What came last is there from the moment it is known.
                    let slot = newest.load(Ordering::Acquire);
                    assert_eq!(owner.find(badge(slot)), Ok(slot));
                    assert_eq!(owner.badge(slot), badge(slot));
                    owner.acquire(slot).unwrap();
                    assert_eq!(owner.release(slot), Ok(Released::Kept));
                    assert!(slot < owner.capacity() && slot < owner.max_slots());
                    // SAFETY: the nodes are leaked.
                    unsafe { pool.acquire(owner, badge(slot)).expect("a member").as_ref() }
                        .release();
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let stop = Stop(&done);
        let wait = || {
            let begin = rounds.load(Ordering::Relaxed);
            while rounds.load(Ordering::Relaxed) < begin + 20 && !done.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        };
        for capacity in STEPS {
            wait();
            owner.grow(growth(owner.max_slots(), capacity)).unwrap();
            wait();
            owner.move_to(region(region_words(capacity)), Some(&shown("larger"))).unwrap();
            assert_eq!(owner.capacity(), capacity);
            enter(capacity - 1);
            newest.store(capacity - 1, Ordering::Release);
        }
        wait();
        assert!(!done.load(Ordering::Relaxed), "a thread has failed");
        drop(stop);
    });
    assert!((8..8 + KEPT).all(|slot| owner.references(slot) == 1));
    assert!(STEPS.iter().all(|capacity| owner.find(badge(capacity - 1)) == Ok(capacity - 1)));
}

/// An owner with room for all slots from the start, and one that grew, agree on their index.
#[test]
fn a_grown_table_is_like_one_made_large() {
    let words = || region(region_words(4096));
    let large = Owner::<Relax>::new(CONFIG, private(4096), words()).unwrap();
    let grown = Owner::<Relax>::new(CONFIG, private(64), words()).unwrap();
    assert_eq!(grown.capacity(), 64);
    grown.grow(growth(64, 4096)).unwrap();
    grown.move_to(words(), Some(&shown(""))).unwrap();
    for owner in [&large, &grown] {
        let near = (8..4096).filter(|slot| {
            owner.insert_at(slot * 44, *slot).unwrap();
            owner.find_fast(slot * 44) == Some(*slot)
        });
        assert!(near.count() > 3000, "the fast path serves the most");
    }
}
