//! One side stopped for good at a given point. The other goes on at once, and has
//! nothing to repair.

use std::sync::atomic::Ordering;

use cap_map_rs::layout::*;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Area, Mapped, Released, Rewrite, Slot, SlotWord, Status};

use crate::common::{
    Obedient, Table, TestOwner, WAIT_BUDGET, meanings, meanwhile, region, region_words, shown,
    snapshot, waits,
};

const BUDGET: u64 = WAIT_BUDGET as u64;

/// Slots 8 to 11 carry badges 100 to 112.
fn table() -> Table {
    let table = Table::new(100);
    for i in 0..4 {
        assert_eq!(table.owner.insert(100 + 4 * i), Ok(8 + i));
    }
    table
}

/// Where a monitor stops in a batch that takes slots 8 to 10 to badges 400 to 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Behind the claim, with so many slots staged.
    Staged(u32),
    /// The same, after the owner has disturbed the attempt.
    Disturbed(u32),
    /// Behind the flip, with so many slots settled.
    Flipped(u32),
}

/// Each of them.
const STOPS: [Stop; 12] = [
    Stop::Staged(0),
    Stop::Staged(1),
    Stop::Staged(2),
    Stop::Staged(3),
    Stop::Disturbed(0),
    Stop::Disturbed(1),
    Stop::Disturbed(2),
    Stop::Disturbed(3),
    Stop::Flipped(0),
    Stop::Flipped(1),
    Stop::Flipped(2),
    Stop::Flipped(3),
];

impl Stop {
    /// The badges of slots 8 to 10.
    pub(crate) fn badges(self) -> [u32; 3] {
        if matches!(self, Stop::Flipped(_)) { [400, 404, 408] } else { [100, 104, 108] }
    }

    /// What an owner waits before it puts in its first badge.
    fn wait(self) -> u64 {
        if matches!(self, Stop::Disturbed(_)) { 0 } else { BUDGET }
    }

    /// A table whose monitor stopped here.
    pub(crate) fn table(self) -> Table {
        let table = table();
        table.set_batch(table.batch().claimed());
        let (Stop::Staged(count) | Stop::Disturbed(count) | Stop::Flipped(count)) = self;
        let staged = if matches!(self, Stop::Flipped(_)) { 3 } else { count };
        (0..staged).for_each(|i| table.stage(8 + i, 400 + 4 * i));
        if let Stop::Disturbed(_) = self {
            table.set_batch(BatchWord(table.batch().0 & !BATCH_UNDISTURBED));
        }
        if let Stop::Flipped(settled) = self {
            table.flip();
            (0..settled).for_each(|i| table.set_word(8 + i, SlotWord::used(400 + 4 * i)));
        }
        table
    }

    /// What is in slots 8 to 11, and nowhere else.
    pub(crate) fn check(self, owner: &TestOwner) {
        for (slot, badge) in (8..).zip(self.badges()) {
            assert_eq!(owner.entry(slot), Ok(Slot::Used(badge)), "{self:?}");
            assert_eq!((owner.badge(slot), owner.find(badge)), (badge, Ok(slot)), "{self:?}");
            let other = if badge < 400 { badge + 300 } else { badge - 300 };
            assert_eq!(owner.find(other), Err(Status::NotFound), "{self:?}");
        }
        assert_eq!(owner.find(112), Ok(11));
    }
}

#[test]
fn owners_look_up_past_a_dead_monitor() {
    for stop in STOPS {
        let table = stop.table();
        let words: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
        let ((), waited) = waits(|| stop.check(&table.owner));
        assert_eq!(waited, 0, "{stop:?}");
        let now: Vec<_> = table.words.iter().map(|word| word.load(Ordering::SeqCst)).collect();
        assert_eq!(now, words, "look-ups do not write");
    }
}

#[test]
fn owners_write_past_a_dead_monitor() {
    for stop in STOPS {
        let table = stop.table();
        let owner = &table.owner;
        assert_eq!(waits(|| owner.insert(500)), (Ok(12), stop.wait()), "{stop:?}");
        // The attempt is disturbed. There is nothing to wait for any more.
        assert!(!table.batch().is_attempted() && table.batch().is_claimed());
        assert_eq!(waits(|| owner.insert_at(504, 20)), (Ok(()), 0));
        assert_eq!(waits(|| owner.insert_at(508, 9)), (Ok(()), 0));
        let mapped = Mapped { slot: 13, fresh: true };
        assert_eq!(waits(|| owner.insert_map(512, 99, &mut Obedient)), (Ok(mapped), 0));
        let found = [500, 504, 508, 512].map(|badge| owner.find(badge));
        assert_eq!(found, [Ok(12), Ok(20), Ok(9), Ok(13)]);
        assert_eq!(owner.find(stop.badges()[1]), Err(Status::NotFound));
    }
}

#[test]
fn owners_take_badges_out_past_a_dead_monitor() {
    for stop in STOPS {
        let table = stop.table();
        let owner = &table.owner;
        let [a, b, c] = stop.badges();
        let ((), waited) = waits(|| {
            assert_eq!((owner.alloc(1), owner.alloc_at(30)), (Ok(12), Ok(())));
            assert_eq!(owner.find_acquire(a), Ok(8));
            assert_eq!(owner.release(8), Ok(Released::Last(a)), "{stop:?}");
            assert_eq!(owner.find_acquire(b), Ok(9));
            assert_eq!(owner.remove(9), Ok(()));
            assert_eq!(owner.entry(9), Ok(Slot::Detached(b)), "{stop:?}");
            assert_eq!((owner.free(10, 1), owner.remove(11)), (Ok(()), Ok(())));
        });
        assert_eq!(waited, 0, "{stop:?}");
        let found = [a, b, c, 112].map(|badge| owner.find(badge));
        assert_eq!(found, [Err(Status::NotFound); 4]);
        let entries = [8, 9, 10, 11].map(|slot| owner.entry(slot));
        let expected = [Slot::Reserved, Slot::Detached(b), Slot::Free, Slot::Free];
        assert_eq!(entries, expected.map(Ok));
        // The late flip of a monitor that goes on brings nothing back.
        table.flip();
        assert_eq!([8, 9, 10, 11].map(|slot| owner.entry(slot)), entries);
    }
}

#[test]
fn owners_move_away_from_a_dead_monitor() {
    for stop in STOPS {
        let mut table = stop.table();
        let generation = table.batch().generation();
        let words = region_words(100);
        let moved = waits(|| table.owner.move_to(region(words), Some(&shown("new"))));
        assert_eq!(moved, (Ok(Area::NONE), 0), "{stop:?}");
        table.words = words;
        assert!(table.is_settled() && !table.batch().is_claimed());
        assert_eq!(table.batch().generation(), generation);
        stop.check(&table.owner);
        let first = stop.badges()[0];
        assert_eq!(table.monitor().rewrite_one(8, first, 600), Ok(()), "nobody has a claim");
    }
}

#[test]
fn monitors_read_past_a_dead_monitor() {
    for stop in STOPS {
        let table = stop.table();
        let monitor = table.monitor();
        let (seen, waited) = waits(|| snapshot(&monitor));
        assert_eq!((meanings(&monitor), waited), (seen.clone(), 0));
        assert_eq!(seen[8..11], stop.badges().map(Slot::Used), "{stop:?}");
        assert_eq!(monitor.next_used(9), Some((9, stop.badges()[1])));
    }
}

#[test]
fn monitors_take_over_from_a_dead_monitor() {
    for stop in STOPS {
        let table = stop.table();
        let monitor = table.monitor();
        let [a, b, c] = stop.badges();
        let batch = || [Rewrite::new(8, a, b), Rewrite::new(9, b, a), Rewrite::new(10, c, 600)];
        let words: Vec<_> = (0..100).map(|slot| table.word(slot)).collect();
        let held = table.batch();
        // The claim is respected until it is taken over.
        let (result, waited) = waits(|| monitor.rewrite(&mut batch()));
        assert_eq!((result.map_err(|refusal| refusal.status), waited), (Err(Status::Busy), BUDGET));
        assert_eq!((table.batch(), (0..100).map(|slot| table.word(slot)).collect()), (held, words));
        assert_eq!(waits(|| monitor.take_over()), (Ok(()), 0));
        stop.check(&table.owner);
        let mut batch = batch();
        assert_eq!(waits(|| monitor.rewrite(&mut batch)), (Ok(()), 0), "{stop:?}");
        assert!(batch.iter().all(|entry| entry.left_out == 0));
        let found = [a, b, 600, c].map(|badge| table.owner.find(badge));
        assert_eq!(found, [Ok(9), Ok(8), Ok(10), Err(Status::NotFound)]);
        assert!(table.is_settled(), "{stop:?}");
    }
}

/// A monitor that was taken for dead goes on where it stopped. All exchanges of the batch
/// word that it could make fail.
#[test]
fn a_claim_that_was_taken_over_is_worth_nothing() {
    for stop in STOPS {
        let table = stop.table();
        let held = table.batch();
        table.monitor().take_over().unwrap();
        let taken = table.batch();
        assert_ne!(taken.claimed().claim(), held.claim());
        assert!(!taken.is_claimed() && !taken.is_attempted());
        for seen in [held, held.attempted(), BatchWord(held.0 & !BATCH_UNDISTURBED)] {
            for wanted in [seen.flipped(), seen.attempted(), seen.released()] {
                let word = &table.words[OFF_BATCH / WORD_BYTES];
                let order = Ordering::SeqCst;
                assert!(word.compare_exchange(seen.0, wanted.0, order, order).is_err());
            }
        }
        stop.check(&table.owner);
        // Nothing to take over: nothing happens.
        assert_eq!((table.monitor().take_over(), table.batch()), (Ok(()), taken));
    }
}

/// What a batch that never was decided left beside the badges does not become a badge
/// later, however many batches follow and whatever they name.
#[test]
fn staged_badges_do_not_come_to_life_later() {
    for stop in [Stop::Staged(3), Stop::Disturbed(3)] {
        let table = stop.table();
        let monitor = table.monitor();
        monitor.take_over().unwrap();
        let mut badge = 112;
        for round in 0..70 {
            assert_eq!(monitor.rewrite_one(11, badge, 1000 + round), Ok(()));
            badge = 1000 + round;
            // Slots are not written in between, and stage what another one staged.
            assert_eq!([8, 9, 10].map(|slot| table.owner.badge(slot)), stop.badges());
            assert_eq!([400, 404, 408].map(|badge| table.owner.find(badge).ok()), [None; 3]);
            table.stage(8 + round % 3, 400 + 4 * (round % 3));
        }
    }
}

/// An owner that stopped while it gave slot 8 the badge 400.
fn stopped_owner(word_written: bool) -> Table {
    let table = table();
    table.set_header(OFF_COMING, 400);
    table.set_header(OFF_SEQUENCE, table.header(OFF_SEQUENCE) + 1);
    if word_written {
        table.set_word(8, SlotWord::used(400));
    }
    table
}

#[test]
fn monitors_read_past_a_stopped_owner() {
    for written in [false, true] {
        let table = stopped_owner(written);
        let monitor = table.monitor();
        let (seen, waited) = waits(|| snapshot(&monitor));
        assert_eq!((seen[8], waited), (Slot::Used(if written { 400 } else { 100 }), 0));
        assert_eq!(meanings(&monitor), seen);
        assert!(!monitor.stamp().is_steady(), "readers do not write");
    }
}

#[test]
fn monitors_rewrite_past_a_stopped_owner() {
    for written in [false, true] {
        let table = stopped_owner(written);
        let monitor = table.monitor();
        assert_eq!(waits(|| monitor.rewrite_one(9, 104, 404)), (Ok(()), 0));
        let badge = if written { 400 } else { 100 };
        let seen = snapshot(&monitor);
        assert_eq!((seen[8], seen[9]), (Slot::Used(badge), Slot::Used(404)));
        assert_eq!(monitor.rewrite_one(8, badge, 408), Ok(()));
        // The owner goes on, in another life or after it woke up.
        assert_eq!(waits(|| table.owner.insert(500)), (Ok(12), 0));
        assert!(monitor.stamp().is_steady());
    }
}

/// The badge that is about to come is the owner's.
#[test]
fn a_batch_with_a_coming_badge_is_refused() {
    let table = stopped_owner(false);
    let monitor = table.monitor();
    let refusal = monitor.rewrite_one(9, 104, 400).unwrap_err();
    assert_eq!((refusal.status, refusal.slot), (Status::DuplicateBadge, Some(9)));
    let mut batch = [Rewrite::new(9, 104, 404), Rewrite::new(8, 100, 400)];
    let refusal = monitor.rewrite(&mut batch).unwrap_err();
    assert_eq!((refusal.status, refusal.slot), (Status::DuplicateBadge, Some(8)));
    assert_eq!(monitor.rewrite_one(9, 104, 404), Ok(()));
    // Another badge comes, and then none.
    assert_eq!(table.owner.insert(500), Ok(12));
    assert_eq!(monitor.rewrite_one(9, 404, 400), Ok(()));
}

/// An owner that stopped before it withdrew the announcement does not keep the badge that it
/// has put into its slot.
#[test]
fn a_batch_may_pass_on_a_badge_that_has_just_come() {
    let swap = [Rewrite::new(8, 400, 104), Rewrite::new(9, 104, 400)];
    let table = stopped_owner(true);
    assert_eq!(table.monitor().rewrite(&mut { swap }), Ok(()));
    let seen = snapshot(&table.monitor());
    assert_eq!((seen[8], seen[9]), (Slot::Used(104), Slot::Used(400)));
    // The badge has not come yet.
    let refusal = stopped_owner(false).monitor().rewrite(&mut { swap }).unwrap_err();
    assert_eq!((refusal.status, refusal.slot), (Status::UnexpectedBadge, Some(8)));
}

#[test]
fn an_announcement_that_is_no_badge_hinders_nobody() {
    for coming in [1 << 32 | 400, u64::MAX, 1 << 28, 404] {
        let table = table();
        table.set_header(OFF_COMING, coming);
        assert_eq!(waits(|| table.monitor().rewrite_one(8, 100, 400)), (Ok(()), 0));
    }
}

#[test]
fn owner_stopped_after_retiring_the_table() {
    let table = table();
    let monitor = table.monitor();
    table.set_header(OFF_BATCH, table.batch().0 | BATCH_RETIRED);
    assert_eq!(monitor.rewrite_one(8, 100, 400).unwrap_err().status, Status::Retired);
    assert_eq!(monitor.take_over(), Err(Status::Retired));
    assert_eq!(monitor.entry(8), Ok(Slot::Used(100)));
    assert!(table.batch().is_retired() && !table.batch().is_claimed());
    // An owner restored at this point still has its table.
    assert_eq!(table.owner.find(100), Ok(8));
    // SAFETY: there is only this thread.
    unsafe { table.owner.recover() };
    assert_eq!(table.owner.insert(500), Ok(12));
    assert_eq!(monitor.rewrite_one(8, 100, 400), Ok(()));
    assert_eq!(table.owner.find(400), Ok(8));
}

#[test]
fn monitors_grant_an_owner_its_quiet_for_a_while() {
    let table = table();
    let monitor = table.monitor();
    table.set_header(OFF_QUIET, 1);
    assert_eq!(waits(|| monitor.rewrite_one(8, 100, 400)), (Ok(()), BUDGET));
    let words = table.words;
    meanwhile(move || words[OFF_QUIET / WORD_BYTES].store(0, Ordering::SeqCst));
    assert_eq!(waits(|| monitor.rewrite_one(8, 400, 404)), (Ok(()), 1));
}

/// A second monitor that rewrites in the middle of a batch of the first one.
#[test]
fn a_claim_keeps_others_out() {
    let table = table();
    let monitor = table.monitor();
    // The first one is in its attempt, and waits for the owner's quiet to end.
    table.set_header(OFF_QUIET, 1);
    let (second, words) = (table.monitor(), table.words);
    meanwhile(move || {
        let refusal = second.rewrite_one(9, 104, 500).unwrap_err();
        assert_eq!((refusal.status, refusal.slot), (Status::Busy, None));
        words[OFF_QUIET / WORD_BYTES].store(0, Ordering::SeqCst);
    });
    let mut swap = [Rewrite::new(8, 100, 104), Rewrite::new(9, 104, 100)];
    assert_eq!(monitor.rewrite(&mut swap), Ok(()));
    assert_eq!((table.owner.find(104), table.owner.find(100)), (Ok(8), Ok(9)));
    assert_eq!(table.monitor().rewrite_one(9, 100, 500), Ok(()));
}

/// A living monitor loses its claim. It notices, changes nothing, and gives nothing back.
#[test]
fn a_monitor_notices_that_its_claim_was_taken_over() {
    for rewrites in [false, true] {
        let table = table();
        let monitor = table.monitor();
        table.set_header(OFF_QUIET, 1);
        let (second, words) = (table.monitor(), table.words);
        meanwhile(move || {
            words[OFF_QUIET / WORD_BYTES].store(0, Ordering::SeqCst);
            second.take_over().unwrap();
            if rewrites {
                assert_eq!(second.rewrite_one(9, 104, 500), Ok(()));
            }
            // The next batch has begun.
            let word = &words[OFF_BATCH / WORD_BYTES];
            word.store(BatchWord(word.load(Ordering::SeqCst)).claimed().0, Ordering::SeqCst);
        });
        assert_eq!(monitor.rewrite_one(8, 100, 400).unwrap_err().status, Status::Busy);
        assert_eq!(table.owner.find(100), Ok(8));
        assert_eq!(table.owner.find(if rewrites { 500 } else { 104 }), Ok(9));
        assert!(table.is_settled() && table.batch().is_attempted());
    }
}

#[test]
fn two_monitors_take_turns() {
    let table = table();
    table.set_batch(table.batch().claimed());
    let words = table.words;
    meanwhile(move || {
        let word = &words[OFF_BATCH / WORD_BYTES];
        word.store(BatchWord(word.load(Ordering::SeqCst)).released().0, Ordering::SeqCst);
    });
    assert_eq!(waits(|| table.monitor().rewrite_one(8, 100, 400)), (Ok(()), 1));
}

#[test]
fn counters_wrap() {
    let last = (1 << GENERATION_BITS) - 1;
    for back in 0..4 {
        let table = table();
        table.set_batch(BatchWord(BatchWord::new(last - back).0 | 0xffff << CLAIM_SHIFT));
        table.set_header(OFF_SEQUENCE, u64::MAX - 1);
        // The index is as of generation 0. It catches up.
        assert_eq!(table.owner.find(999), Err(Status::NotFound));
        let mut badge = 100;
        for round in 0..6 {
            assert_eq!(table.monitor().rewrite_one(8, badge, 400 + round), Ok(()));
            badge = 400 + round;
            assert_eq!(table.owner.find(badge), Ok(8));
            assert_eq!(table.owner.insert(500 + round), Ok(12 + round));
        }
        assert_eq!(table.batch().generation(), 5 - back);
        assert_eq!((table.batch().claim(), table.header(OFF_SEQUENCE)), (5, 10));
    }
}

/// In the bank that counts, as the generation goes on from any number.
#[test]
fn both_banks_mean_the_same_to_both_sides() {
    for generation in 0..4 {
        let table = table();
        table.set_batch(BatchWord::new(generation));
        table.stage(8, 400);
        assert_eq!(table.owner.find(100), Ok(8));
        table.flip();
        assert_eq!((table.owner.find(400), table.owner.badge(8)), (Ok(8), 400));
        assert_eq!(snapshot(&table.monitor())[8], Slot::Used(400));
        table.set_word(8, SlotWord::detached(400).staged(table.batch().bank(), 100));
        assert_eq!(table.owner.badge(8), 400, "whatever a peer writes beside it");
        table.set_word(8, SlotWord::FREE);
        assert_eq!(table.owner.find(400), Err(Status::NotFound));
    }
}
