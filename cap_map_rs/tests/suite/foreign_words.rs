//! Slot words that a monitor wrote without a batch, and where they must not lead: slots
//! belong to whoever the component gave them to.

use cap_map_rs::{Kernel, Released, Slot, SlotWord, Status};

use crate::common::{Obedient, Table};

const CAPACITY: u32 = 200;

/// A free slot whose entry for `badge` the index has kept: a monitor changed its word
/// without a batch before it was freed.
fn leave_behind(table: &Table, badge: u32) -> u32 {
    let slot = table.owner.insert(badge).unwrap();
    table.set_word(slot, SlotWord::used(badge + 400));
    table.owner.remove(slot).unwrap();
    slot
}

/// A monitor gives badges to slots that the component holds without any. The index leads
/// there, as entries were left behind, or is rebuilt. Whatever is done with such a badge,
/// the slots stay with those who hold them.
#[test]
fn badges_given_to_a_window_do_not_free_it() {
    for rebuilt in [false, true] {
        let table = Table::new(CAPACITY);
        let owner = &table.owner;
        let badges = [400, 404, 408, 412];
        let slots = badges.map(|badge| leave_behind(&table, badge));
        assert_eq!(slots, [8; 4]);
        let window = owner.alloc(4).unwrap();
        let claim = |slot: u32, badge| {
            table.set_word(slot, SlotWord::used(badge));
            if rebuilt {
                table.flip();
                // Nor does a look-up without lock find it, once the index is new.
                let _ = owner.find_acquire(badge);
                assert_eq!(owner.find(badge), Err(Status::NotFound));
            }
        };
        claim(window, 400);
        assert_eq!(owner.find_acquire(400), Err(Status::NotFound));
        owner.insert_at(400, 50).unwrap();
        assert_eq!(owner.alloc_at(window), Err(Status::InUse), "still held");
        assert_eq!(
            (owner.entry(window), owner.entry(50)),
            (Ok(Slot::Reserved), Ok(Slot::Used(400)))
        );
        claim(window, 404);
        let mapped = owner.insert_map(404, 1, &mut Obedient).unwrap();
        assert!(mapped.fresh && mapped.slot > window + 3);
        claim(window, 408);
        owner.acquire(window).unwrap();
        owner.remove(window).unwrap();
        assert_eq!(owner.free(window, 1), Err(Status::InUse));
        assert_eq!(owner.release(window), Ok(Released::Last(0)));
        let next = owner.alloc(1).unwrap();
        assert!(!(window..window + 4).contains(&next));
        owner.free(window, 4).unwrap();
        assert_eq!(owner.alloc(4), Ok(window));
    }
}

/// The last reference is gone, so the slot has no badge. That a monitor gives it one
/// changes nothing.
#[test]
fn badges_given_back_after_the_last_reference_are_none() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    assert_eq!(owner.insert(400), Ok(8));
    owner.acquire(8).unwrap();
    assert_eq!(owner.release(8), Ok(Released::Last(400)));
    table.set_word(8, SlotWord::used(400));
    table.flip();
    assert_eq!(owner.entry(8), Ok(Slot::Reserved));
    assert_eq!(owner.find_acquire(400), Err(Status::NotFound));
    assert_eq!(owner.find(400), Err(Status::NotFound));
    assert_eq!(owner.insert(400), Ok(9));
    assert_eq!((owner.find(400), owner.remove(8)), (Ok(9), Ok(())));
    assert_eq!(owner.entry(8), Ok(Slot::Free));
}

/// A slot that a monitor changed without a batch leaves an entry in the index
/// behind when it is freed. By that, too, it is not found once it is held without a
/// badge, or by nobody, and the monitor gives it the old badge again.
#[test]
fn entries_left_behind_do_not_free_a_window() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    let window = leave_behind(&table, 400);
    owner.alloc_at(window).unwrap();
    table.set_word(window, SlotWord::used(400));
    assert_eq!(owner.find_acquire(400), Err(Status::NotFound));
    owner.insert_at(400, 50).unwrap();
    assert_eq!(owner.alloc_at(window), Err(Status::InUse));

    let window = leave_behind(&table, 404);
    owner.alloc_at(window).unwrap();
    table.set_word(window, SlotWord::used(404));
    let mapped = owner.insert_map(404, 1, &mut Obedient).unwrap();
    assert!(mapped.fresh && mapped.slot != window);

    let nobodys = leave_behind(&table, 408);
    table.set_word(nobodys, SlotWord::used(408));
    owner.insert_at(408, nobodys).unwrap();
    assert_eq!(owner.alloc_at(nobodys), Err(Status::InUse));
}

/// Puts a badge into the slot that is about to be filled.
struct Forger<'t> {
    table: &'t Table,
    badge: u32,
}

impl Kernel for Forger<'_> {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn valid(&mut self, _: usize) -> bool {
        true
    }
    fn map(&mut self, _: usize, to: usize) -> bool {
        let slot = self.table.owner.slot_of(to).unwrap();
        self.table.set_word(slot, SlotWord::used(self.badge));
        true
    }
    fn vanished(&mut self, _: usize, _: u32) {}
}

/// Nor is a slot refused to a badge because an entry left behind, and the word that
/// the monitor put back, say that it carries that badge already.
#[test]
fn entries_left_behind_do_not_stand_in_the_way_of_their_slot() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    let nobodys = leave_behind(&table, 400);
    table.set_word(nobodys, SlotWord::used(400));
    assert_eq!(owner.insert(400), Ok(nobodys));
    assert_eq!(owner.find(400), Ok(nobodys));

    let spare = leave_behind(&table, 404);
    let mapped = owner.insert_map(404, 1, &mut Forger { table: &table, badge: 404 }).unwrap();
    assert_eq!((mapped.slot, mapped.fresh), (spare, true));
    assert_eq!(owner.find_acquire(404), Ok(spare));
}

/// Slots whose words a monitor changes without a batch leave entries in the index
/// behind. When these have filled it up, new badges are found all the same.
#[test]
fn words_changed_without_a_batch_do_not_use_the_index_up() {
    let table = Table::new(CAPACITY);
    let owner = &table.owner;
    for (round, word) in (0..1500).zip([SlotWord::FREE, SlotWord::used(8)].iter().cycle()) {
        let slot = owner.insert(4000 + 4 * round).unwrap();
        table.set_word(slot, *word);
        owner.remove(slot).unwrap();
    }
    // Not in equal steps, as such badges have homes of their own.
    let badges = || (0..CAPACITY - 8).map(|number| 100_000 + 4 * number * number);
    let slots: Vec<_> = badges().map(|badge| owner.insert(badge).unwrap()).collect();
    for (badge, slot) in badges().zip(slots) {
        assert_eq!(owner.find(badge), Ok(slot));
    }
}
