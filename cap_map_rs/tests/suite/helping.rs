//! One side stopped for good at a given point; the other goes on at once.

use cap_map_rs::layout::*;
use cap_map_rs::word::{Control, Phase};
use cap_map_rs::{Rewrite, Slot, SlotWord, Status};

use crate::common::{PATIENCE, Table, meanings, meanwhile, snapshot, waits};

/// Slots 8 to 11 carry badges 100 to 112.
fn table() -> Table {
    let table = Table::new(100);
    for i in 0..4 {
        assert_eq!(table.owner.insert(100 + 4 * i), Ok(8 + i));
    }
    table
}

/// An owner that stopped while it gave slot 8 the badge 400.
fn stopped_owner(word_written: bool) -> (Table, SlotWord) {
    let table = table();
    let open = table.control().to(PHASE_WRITING);
    let (old, new) = (table.word(8), SlotWord::used(400, open.sequence()));
    table.set_intent(8, old, new);
    table.set_control(open);
    if word_written {
        table.set_word(8, new);
    }
    (table, old)
}

#[test]
fn monitors_read_past_a_stopped_owner() {
    for written in [false, true] {
        let (table, _) = stopped_owner(written);
        let monitor = table.monitor();
        let (seen, waited) = waits(|| snapshot(&monitor));
        assert_eq!((seen[8], waited), (Slot::Used(if written { 400 } else { 100 }), 0));
        assert_eq!(meanings(&monitor), seen);
        assert_eq!(table.control().phase(), Phase::Writing, "readers do not write");
    }
}

#[test]
fn monitors_complete_the_section_of_a_stopped_owner() {
    for written in [false, true] {
        let (table, old) = stopped_owner(written);
        let monitor = table.monitor();
        let (result, waited) = waits(|| monitor.rewrite_one(9, 104, 404));
        assert_eq!((result, waited), (Ok(()), 0));
        let seen = snapshot(&monitor);
        assert_eq!((seen[8], seen[9]), (Slot::Used(400), Slot::Used(404)));
        // The owner wakes up: its write and its transition fail.
        assert_ne!(table.word(8), old);
        assert_eq!(table.control().phase(), Phase::Idle);
        // Not even the old badge brings the old word back.
        assert_eq!(monitor.rewrite_one(8, 400, 100), Ok(()));
        assert_eq!(table.word(8).meaning(), Slot::Used(100));
        assert_ne!(table.word(8), old);
    }
}

#[test]
fn owners_complete_what_another_life_left_open() {
    for written in [false, true] {
        let (table, _) = stopped_owner(written);
        let (result, waited) = waits(|| table.owner.insert(500));
        assert_eq!((result, waited), (Ok(12), 0));
        assert_eq!(table.owner.entry(8), Ok(Slot::Used(400)));
    }
}

#[test]
fn intents_out_of_range_or_outdated_do_nothing() {
    for slot in [100, 101, 1 << 32, u64::MAX] {
        let table = table();
        let before = meanings(&table.monitor());
        table.set_intent(slot, SlotWord(0), SlotWord::used(400, 99));
        table.set_control(table.control().to(PHASE_WRITING));
        assert_eq!(table.monitor().rewrite(&mut []), Ok(()));
        assert_eq!(meanings(&table.monitor()), before);
    }
    let table = table();
    let before = meanings(&table.monitor());
    table.set_intent(8, SlotWord::used(100, 77), SlotWord::used(400, 99));
    table.set_control(table.control().to(PHASE_WRITING));
    assert_eq!(table.monitor().rewrite(&mut []), Ok(()));
    assert_eq!(meanings(&table.monitor()), before);
}

#[test]
fn owner_stopped_after_retiring_the_table() {
    let table = table();
    let monitor = table.monitor();
    table.set_control(table.control().to(PHASE_RETIRED));
    assert_eq!(monitor.rewrite_one(8, 100, 400).unwrap_err().status, Status::Retired);
    assert_eq!(monitor.entry(8), Ok(Slot::Used(100)));
    // An owner restored at this point still has its table.
    assert_eq!(table.owner.find(100), Ok(8));
    assert_eq!(table.owner.insert(500), Ok(12));
    assert_eq!(monitor.rewrite_one(8, 100, 400), Ok(()));
}

/// A monitor that stopped in the given phase of a batch that takes slots 8 to
/// 10 to badges 400 to 408, with the first `count` slots staged (while staging)
/// or already resolved (afterwards).
fn stopped_monitor(phase: u64, count: u32, announced: bool) -> Table {
    let table = table();
    let staging = table.control().advanced(PHASE_STAGING, 1);
    let decided = staging.advanced(phase, 1);
    for i in 0..3 {
        let staged = SlotWord::staged(100 + 4 * i, 400 + 4 * i, staging.batch());
        if phase != PHASE_STAGING && i < count {
            table.set_word(8 + i, staged.settled(decided));
        } else if phase != PHASE_STAGING || i < count {
            table.set_word(8 + i, staged);
        }
    }
    table.set_control(if phase == PHASE_STAGING { staging } else { decided });
    if announced {
        table.set_header(OFF_RESOLVER_MONITOR, staging.batch() + 1);
    }
    table
}

fn each_stop(mut check: impl FnMut(Table, u64, u32)) {
    for phase in [PHASE_STAGING, PHASE_COMMITTED, PHASE_ABORTED] {
        for count in 0..4 {
            for announced in [false, true] {
                check(stopped_monitor(phase, count, announced), phase, count);
            }
        }
    }
}

fn expected(phase: u64) -> [u32; 3] {
    if phase == PHASE_COMMITTED { [400, 404, 408] } else { [100, 104, 108] }
}

fn check_all(table: &Table, phase: u64) {
    for (slot, badge) in (8..).zip(expected(phase)) {
        assert_eq!(table.owner.entry(slot), Ok(Slot::Used(badge)));
        assert_eq!(table.owner.find(badge), Ok(slot));
        let other = if badge < 400 { badge + 300 } else { badge - 300 };
        assert_eq!(table.owner.find(other), Err(Status::NotFound));
    }
    assert_eq!(table.owner.find(112), Ok(11));
}

#[test]
fn owners_look_up_past_a_dead_monitor() {
    each_stop(|table, phase, _| {
        let before = table.control();
        let ((), waited) = waits(|| check_all(&table, phase));
        assert_eq!(waited, 0);
        assert_eq!(table.control(), before, "look-ups do not write");
        let monitor = table.monitor();
        let seen = snapshot(&monitor);
        assert_eq!(seen, meanings(&monitor));
        for (slot, badge) in (8..).zip(expected(phase)) {
            assert_eq!(seen[slot as usize], Slot::Used(badge));
        }
    });
}

#[test]
fn owners_write_past_a_dead_monitor() {
    type Operation = fn(&Table, u64);
    let operations: [Operation; 7] = [
        |table, _| assert_eq!(table.owner.insert(500), Ok(12)),
        |table, _| assert_eq!(table.owner.insert_at(500, 11), Ok(())),
        |table, phase| assert_eq!(table.owner.insert_at(expected(phase)[0], 30), Ok(())),
        |table, _| assert_eq!(table.owner.remove(9), Ok(())),
        |table, _| assert_eq!(table.owner.free(8, 4), Ok(())),
        |table, phase| {
            table.owner.acquire(8).unwrap();
            let last = cap_map_rs::Released::Last(expected(phase)[0]);
            assert_eq!(table.owner.release(8), Ok(last));
        },
        |table, _| {
            let words = crate::common::region_words(100);
            table.owner.move_to(crate::common::region(words), b"").unwrap();
        },
    ];
    for (number, operation) in operations.iter().enumerate() {
        each_stop(|table, phase, count| {
            let ((), waited) = waits(|| operation(&table, phase));
            let granted = if phase == PHASE_STAGING { PATIENCE } else { 0 };
            assert_eq!(waited, u64::from(granted), "operation {number}");
            let all = (0..100).map(|slot| table.word(slot));
            assert!(all.clone().all(|word| !word.is_staged()), "{number}, {phase}, {count}");
            match number {
                0 | 6 => check_all(&table, phase),
                1 => assert_eq!(
                    (table.owner.find(500), table.owner.find(112)),
                    (Ok(11), Err(Status::NotFound))
                ),
                2 => assert_eq!(table.owner.find(expected(phase)[0]), Ok(30)),
                3 => assert_eq!(table.owner.find(expected(phase)[1]), Err(Status::NotFound)),
                4 => assert!((8..12).all(|slot| table.owner.entry(slot) == Ok(Slot::Free))),
                _ => assert_eq!(table.owner.entry(8), Ok(Slot::Reserved)),
            }
            if number == 0 {
                // Whoever comes next can rewrite again.
                let from = expected(phase)[0];
                assert_eq!(table.monitor().rewrite_one(8, from, 600), Ok(()));
                assert_eq!(table.owner.find(600), Ok(8));
            }
        });
    }
}

/// A batch that takes slots 8 to 10 to badges 400 to 408 is decided while the
/// owner waits for that in the middle of an operation.
fn decided_meanwhile(operation: impl FnOnce(&Table)) -> Table {
    let table = stopped_monitor(PHASE_STAGING, 3, false);
    let control = &table.words[OFF_CONTROL / WORD_BYTES];
    let decided = table.control().advanced(PHASE_COMMITTED, 1);
    meanwhile(move || control.store(decided.0, std::sync::atomic::Ordering::SeqCst));
    let ((), waited) = waits(|| operation(&table));
    assert_eq!(waited, 1);
    assert!((0..100).all(|slot| !table.word(slot).is_staged()));
    assert_eq!((table.owner.badge(9), table.owner.find(404)), (404, Ok(9)));
    assert_eq!(table.owner.find(104), Err(Status::NotFound));
    table
}

#[test]
fn a_badge_given_away_meanwhile_is_not_entered_twice() {
    let table = decided_meanwhile(|table| {
        assert_eq!(table.owner.insert(400), Err(Status::Exists));
    });
    assert_eq!((table.owner.find(400), table.owner.alloc(1)), (Ok(8), Ok(12)));
    // The old badges can be given away again, to others.
    let table = decided_meanwhile(|table| assert_eq!(table.owner.insert(500), Ok(12)));
    assert_eq!((table.owner.find(500), table.owner.insert(100)), (Ok(12), Ok(13)));
}

#[test]
fn insert_at_takes_a_badge_that_was_given_away_meanwhile() {
    for slot in [30, 11, 8] {
        let table = decided_meanwhile(|table| {
            assert_eq!(table.owner.insert_at(400, slot), Ok(()));
        });
        assert_eq!(table.owner.find(400), Ok(slot));
        let holders = meanings(&table.monitor());
        assert_eq!(holders.iter().filter(|state| **state == Slot::Used(400)).count(), 1);
        assert_eq!(table.owner.find(112).is_ok(), slot != 11);
    }
}

#[test]
fn slots_go_although_their_badge_changes_meanwhile() {
    decided_meanwhile(|table| assert_eq!(table.owner.remove(8), Ok(())));
    let table = decided_meanwhile(|table| assert_eq!(table.owner.free(8, 1), Ok(())));
    assert_eq!(
        (table.owner.entry(8), table.owner.find(400)),
        (Ok(Slot::Free), Err(Status::NotFound))
    );
    let table = decided_meanwhile(|table| {
        table.owner.acquire(8).unwrap();
        assert!(matches!(table.owner.release(8), Ok(cap_map_rs::Released::Last(_))));
    });
    assert_eq!(
        (table.owner.entry(8), table.owner.find(400)),
        (Ok(Slot::Reserved), Err(Status::NotFound))
    );
    let table = decided_meanwhile(|table| {
        let words = crate::common::region_words(100);
        table.owner.move_to(crate::common::region(words), b"").unwrap();
    });
    assert_eq!((table.owner.find(400), table.owner.find(408)), (Ok(8), Ok(10)));
}

#[test]
fn monitors_go_on_after_a_dead_monitor() {
    each_stop(|table, phase, _| {
        let monitor = table.monitor();
        let [a, b, c] = expected(phase);
        let mut batch = [Rewrite::new(8, a, b), Rewrite::new(9, b, a), Rewrite::new(10, c, 600)];
        let (result, waited) = waits(|| monitor.rewrite(&mut batch));
        let granted = if phase == PHASE_STAGING { PATIENCE } else { 0 };
        assert_eq!((result, waited), (Ok(()), u64::from(granted)));
        let found = [a, b, 600, c].map(|badge| table.owner.find(badge));
        assert_eq!(found, [Ok(9), Ok(8), Ok(10), Err(Status::NotFound)]);
        assert!((0..100).all(|slot| !table.word(slot).is_staged()));
    });
}

/// A resolver that stopped long ago must not meet a batch under its number.
#[test]
fn announced_batch_numbers_are_left_out() {
    for seats in
        [[OFF_RESOLVER_OWNER, OFF_RESOLVER_MONITOR], [OFF_RESOLVER_MONITOR, OFF_RESOLVER_OWNER]]
    {
        let [seat, other] = seats;
        let table = table();
        let monitor = table.monitor();
        for round in 0..70 {
            let batch = table.control().advanced(PHASE_STAGING, 1).batch();
            table.set_header(seat, batch + 1);
            let (from, to) = (table.owner.badge(8), 1000 + round);
            assert_eq!(monitor.rewrite_one(8, from, to), Ok(()));
            assert_eq!(table.control().batch(), (batch + 1) % 32);
            assert_eq!(table.owner.find(to), Ok(8));
            // Both announce: the third number is free.
            let batch = table.control().advanced(PHASE_STAGING, 1).batch();
            table.set_header(seat, batch + 1);
            table.set_header(other, (batch + 1) % 32 + 1);
            assert_eq!(monitor.rewrite_one(8, to, to), Ok(()));
            assert_eq!(table.control().batch(), (batch + 2) % 32);
            table.set_header(other, 0);
        }
        // Words that announce nothing are no obstacle.
        for word in [33, 34, 1 << 32, u64::MAX] {
            table.set_header(seat, word);
            let (from, batch) = (table.owner.badge(8), table.control().batch());
            assert_eq!(monitor.rewrite_one(8, from, from), Ok(()));
            assert_eq!(table.control().batch(), (batch + 1) % 32);
        }
    }
}

/// They belong to a younger batch, which a late resolver must not meddle with.
#[test]
fn staged_words_of_another_batch_are_left_alone() {
    for phase in [PHASE_COMMITTED, PHASE_ABORTED] {
        for by_owner in [false, true] {
            let table = stopped_monitor(phase, 0, false);
            let word = SlotWord::staged(112, 412, table.control().batch() + 1);
            table.set_word(11, word);
            if by_owner {
                assert_eq!(table.owner.insert(500), Ok(12));
            } else {
                assert_eq!(table.monitor().rewrite(&mut []), Ok(()));
            }
            assert_eq!((table.word(11), table.control().phase()), (word, Phase::Idle));
            check_all(&table, phase);
        }
    }
}

#[test]
fn an_odd_generation_is_put_right() {
    let table = table();
    table.set_control(Control::new(PHASE_IDLE, 50, 7));
    let monitor = table.monitor();
    assert_eq!(monitor.rewrite_one(8, 100, 400), Ok(()));
    assert!(table.control().generation().is_multiple_of(2));
    assert_eq!((table.owner.find(400), table.owner.find(100)), (Ok(8), Err(Status::NotFound)));
}

#[test]
fn counters_wrap() {
    let last_sequence = (1 << SEQUENCE_BITS) - 1;
    for back in 0..6 {
        let table = table();
        table.set_control(Control::new(PHASE_IDLE, last_sequence - back, 0x00ff_fffe));
        // The index is as of generation 0; let it catch up.
        assert_eq!(table.owner.find(999), Err(Status::NotFound));
        assert_eq!(table.owner.insert(500), Ok(12));
        assert_eq!(table.monitor().rewrite_one(8, 100, 400), Ok(()));
        assert_eq!((table.owner.find(400), table.owner.find(500)), (Ok(8), Ok(12)));
        assert_eq!(table.control().generation(), 0);
        table.owner.remove(12).unwrap();
        assert_eq!(table.monitor().rewrite_one(8, 400, 404), Ok(()));
        assert_eq!(table.owner.find(404), Ok(8));
    }
}

#[test]
fn corrupt_phases() {
    for phase in [6, 7] {
        let table = table();
        table.set_control(Control::new(phase, 9, 2));
        let monitor = table.monitor();
        assert_eq!(snapshot(&monitor)[8], Slot::Used(100));
        assert_eq!(monitor.rewrite_one(8, 100, 400).unwrap_err().status, Status::Corrupt);
        // The owner puts it right with its next write.
        assert_eq!(table.owner.insert(500), Ok(12));
        assert_eq!(monitor.rewrite_one(8, 100, 400), Ok(()));
    }
}
