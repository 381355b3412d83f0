//! Batches that are decided while the owner puts a badge into a slot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cap_map_rs::layout::*;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Mapped, Slot, Status};

use crate::common::{
    Obedient, Stop as StopThreads, Table, TestOwner, goes_on, meanings, meanwhile, waits,
};
use crate::protocol::Stop;

const CAPACITY: u32 = 200;

/// The batch that takes slots 8 to 10 to badges 400 to 408 is decided while `call` waits
/// before it disturbs the attempt.
fn decided_meanwhile(call: impl FnOnce(&Table)) -> Table {
    let table = Stop::Staged(3).table();
    let words = table.words;
    meanwhile(move || {
        let word = &words[OFF_BATCH / WORD_BYTES];
        let flipped = BatchWord(word.load(Ordering::SeqCst)).flipped().released();
        word.store(flipped.0, Ordering::SeqCst);
    });
    let ((), waited) = waits(|| call(&table));
    assert_eq!(waited, 1, "the wait ends with the attempt");
    table
}

#[test]
fn an_insertion_that_a_batch_overtakes_looks_again() {
    let table = decided_meanwhile(|table| {
        assert_eq!(table.owner.insert(400), Err(Status::Exists));
    });
    Stop::Flipped(0).check(&table.owner);
    assert_eq!((table.owner.entry(12), table.header(OFF_COMING)), (Ok(Slot::Free), 0));
    // Neither a badge of the batch nor one that it takes away.
    let table = decided_meanwhile(|table| assert_eq!(table.owner.insert(500), Ok(12)));
    assert_eq!((table.owner.find(500), table.owner.insert(100)), (Ok(12), Ok(13)));
    Stop::Flipped(0).check_new(&table);
    // A received capability whose badge the batch brings is the known one.
    let table = decided_meanwhile(|table| {
        let mapped = table.owner.insert_map(400, 99, &mut Obedient);
        assert_eq!(mapped, Ok(Mapped { slot: 8, fresh: false }));
    });
    assert_eq!(table.owner.entry(12), Ok(Slot::Free));
    assert_eq!(table.owner.references(8), 1);
}

impl Stop {
    /// Like [`Stop::check`], if the old badges are used elsewhere by now.
    fn check_new(self, table: &Table) {
        let found = self.badges().map(|badge| table.owner.find(badge));
        assert_eq!(found, [Ok(8), Ok(9), Ok(10)]);
    }
}

#[test]
fn insert_at_takes_a_badge_that_was_given_away_meanwhile() {
    for slot in [30, 11, 9] {
        let table = decided_meanwhile(|table| {
            assert_eq!(table.owner.insert_at(400, slot), Ok(()));
        });
        assert_eq!(table.owner.find(400), Ok(slot));
        let holders = meanings(&table.monitor());
        assert_eq!(holders.iter().filter(|state| **state == Slot::Used(400)).count(), 1);
        assert_eq!(table.owner.entry(8), Ok(Slot::Free));
        assert_eq!(table.owner.find(112).is_ok(), slot != 11);
    }
}

/// Runs `check` while another thread decides batches without pause. It says how often
/// that thread met a request for quiet.
fn overtaken(table: &Table, check: impl FnOnce(&AtomicU64)) {
    let (done, quiet) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = table.batch();
            while !done.load(Ordering::Relaxed) {
                for _ in 0..1000 {
                    batch = batch.flipped();
                    table.words[OFF_BATCH / WORD_BYTES].store(batch.0, Ordering::Relaxed);
                    let asked = table.words[OFF_QUIET / WORD_BYTES].load(Ordering::Relaxed);
                    quiet.fetch_add(asked, Ordering::Relaxed);
                }
            }
        });
        let _stop = StopThreads(&done);
        check(&quiet);
    });
}

/// An insertion that batches overtake at each attempt is refused. Then nothing is lost or
/// gained, and nothing stays allocated. The owner has asked for quiet before.
fn refused(prepare: impl Fn(&TestOwner), call: impl Fn(&TestOwner) -> Result<u32, Status>) {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    assert_eq!(owner.insert(400), Ok(8));
    prepare(owner);
    let state = || {
        let slots = (0..CAPACITY).map(|slot| (owner.entry(slot), owner.references(slot)));
        let found = (1..600).map(|badge| owner.find(badge).ok());
        let free =
            (0..CAPACITY).map(|slot| owner.alloc_at(slot).and_then(|()| owner.free(slot, 1)));
        (slots.collect::<Vec<_>>(), found.collect::<Vec<_>>(), free.collect::<Vec<_>>())
    };
    let before = state();
    let begin = Instant::now();
    let mut asked = false;
    let mut insert = || {
        let mut result = Ok(0);
        overtaken(&table, |quiet| {
            for _ in 0..200 {
                result = call(owner);
                if result.is_err() {
                    break;
                }
                // It got through. Back to where it was.
                owner.remove(result.unwrap()).unwrap();
                prepare(owner);
            }
            asked |= quiet.load(Ordering::Relaxed) > 0;
        });
        result
    };
    while goes_on(begin, Duration::ZERO, insert() == Err(Status::Busy)) {}
    assert!(asked, "no request for quiet was seen");
    assert_eq!(state(), before);
    assert_eq!((table.header(OFF_COMING), table.header(OFF_QUIET)), (0, 0));
    assert_eq!(call(owner).map(|slot| owner.find(500) == Ok(slot)), Ok(true));
}

#[test]
fn a_refused_insertion_changes_nothing() {
    refused(|_| {}, |owner| owner.insert(500));
    let insert_at = |owner: &TestOwner| owner.insert_at(500, 20).map(|()| 20);
    refused(|_| {}, insert_at);
    // A slot without a badge, and one with a badge.
    refused(|owner| owner.alloc_at(20).unwrap(), insert_at);
    refused(|owner| while owner.insert_at(40, 20).is_err() {}, insert_at);
}
