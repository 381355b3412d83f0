//! Threads of the component among themselves.

use std::sync::{Arc, Mutex};

use cap_map_rs::{Kernel, Mapped, Region, Released, Slot, Status};

use crate::table::{A, B, C, E, SLOTS, Table, count, larger_words, settled};

/// Selectors beyond the table, where the threads receive capabilities.
const BUFFERS: [usize; 2] = [SLOTS, SLOTS + 1];

/// A kernel that keeps one object per selector, zero for none.
#[derive(Clone)]
struct Objects(Arc<Mutex<[u32; SLOTS + 2]>>);

impl Objects {
    /// With `object` received by both threads, and held at the selectors `held`.
    fn new(object: u32, held: &[usize]) -> Self {
        let mut objects = [0; SLOTS + 2];
        held.iter().chain(&BUFFERS).for_each(|at| objects[*at] = object);
        Objects(Arc::new(Mutex::new(objects)))
    }

    fn unmap(&self, selector: usize) {
        self.hold(0, selector);
    }

    /// Puts `object` where `selector` is.
    fn hold(&self, object: u32, selector: usize) {
        self.0.lock().unwrap()[selector] = object;
    }

    fn object(&self, slot: u32) -> u32 {
        self.0.lock().unwrap()[slot as usize]
    }
}

impl Kernel for Objects {
    fn equal(&mut self, a: usize, b: usize) -> bool {
        let objects = self.0.lock().unwrap();
        objects[a] != 0 && objects[a] == objects[b]
    }

    fn valid(&mut self, selector: usize) -> bool {
        self.0.lock().unwrap()[selector] != 0
    }

    fn map(&mut self, from: usize, to: usize) -> bool {
        let mut objects = self.0.lock().unwrap();
        objects[to] = objects[from];
        true
    }

    fn vanished(&mut self, selector: usize, _: u32) {
        self.unmap(selector);
    }
}

/// Removing `A` moves `C` and `E` within the index, of which look-ups reach the
/// first two places without the version.
pub(super) fn find_against_remove() {
    let table = Table::private(&[A, C, E]);
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(E), Ok(2));
        let first = table.owner.find(A);
        if first.is_err() {
            assert_eq!(table.owner.find(A), first, "a removed badge came back");
        }
    });
    remover.join().unwrap();
    finder.join().unwrap();
    assert_eq!(table.settled(), [0, C, E, 0]);
}

/// Two threads insert the same badge; a third one looks for it.
pub(super) fn insert_against_insert() {
    let table = Table::private(&[]);
    let inserters = [(); 2].map(|()| {
        table.spawn(|table| {
            let result = table.owner.insert(A);
            let found = table.owner.find(A).unwrap();
            assert!(result == Ok(found) || result == Err(Status::Exists), "{result:?}");
            result.is_ok()
        })
    });
    let inserted = inserters.map(|inserter| inserter.join().unwrap());
    assert_eq!(inserted.iter().filter(|inserted| **inserted).count(), 1);
    assert_eq!(count(&table.settled(), A), 1);
}

/// Two threads receive the same capability.
pub(super) fn insert_map_against_insert_map() {
    let table = Table::private(&[]);
    let kernel = Objects::new(1, &[]);
    let threads = BUFFERS.map(|buffer| {
        let mut kernel = kernel.clone();
        table.spawn(move |table| table.owner.insert_map(A, buffer, &mut kernel).unwrap().slot)
    });
    let slots = threads.map(|thread| thread.join().unwrap());
    assert_eq!(slots[0], slots[1]);
    assert_eq!(table.owner.references(slots[0]), 2);
    assert_eq!(kernel.object(slots[0]), 1);
    assert_eq!(count(&table.settled(), A), 1);
    assert!(table.owner.alloc(1).is_ok_and(|slot| slot < 2), "a slot was lost");
}

/// One thread receives a capability that another one takes out of the table.
pub(super) fn insert_map_against_remove() {
    let table = Table::private(&[A, B]);
    table.owner.acquire(0).unwrap();
    let kernel = Objects::new(1, &[0]);
    let mut same = kernel.clone();
    let receiver =
        table.spawn(move |table| table.owner.insert_map(A, BUFFERS[0], &mut same).unwrap());
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let got = receiver.join().unwrap();
    remover.join().unwrap();
    assert_eq!(kernel.object(got.slot), 1);
    // Either the old slot with both references, detached or not, or a new one.
    let references = (table.owner.references(0), table.owner.references(got.slot));
    assert_eq!(references, if got.fresh { (1, 1) } else { (2, 2) });
    let badges = table.settled();
    assert_eq!(count(&badges, A), usize::from(got.fresh));
    assert_eq!(badges[1], B);
}

/// One thread receives a capability whose slot another one gives to another
/// capability.
pub(super) fn insert_map_against_reuse() {
    let table = Table::private(&[A]);
    let kernel = Objects::new(1, &[0]);
    let mut same = kernel.clone();
    let receiver =
        table.spawn(move |table| table.owner.insert_map(A, BUFFERS[0], &mut same).unwrap());
    let other = kernel.clone();
    let replacer = table.spawn(move |table| {
        table.owner.remove(0).unwrap();
        let slot = table.owner.insert(B).unwrap();
        other.hold(2, slot as usize);
    });
    let got = receiver.join().unwrap();
    replacer.join().unwrap();
    assert_eq!(kernel.object(got.slot), 1);
    assert_eq!(table.owner.references(got.slot), 1);
    let badges = table.settled();
    assert_eq!((count(&badges, A), count(&badges, B)), (usize::from(got.fresh), 1));
}

/// One thread gives back the last reference, and frees the slot, while another
/// one receives the capability anew.
pub(super) fn release_against_insert_map() {
    let table = Table::private(&[A]);
    table.owner.acquire(0).unwrap();
    let kernel = Objects::new(1, &[0]);
    let mut same = kernel.clone();
    let receiver =
        table.spawn(move |table| table.owner.insert_map(A, BUFFERS[0], &mut same).unwrap().slot);
    let unmapper = kernel.clone();
    let releaser = table.spawn(move |table| {
        if let Released::Last(badge) = table.owner.release(0).unwrap() {
            assert_eq!(badge, A);
            unmapper.unmap(0);
            table.owner.free(0, 1).unwrap();
        }
    });
    let slot = receiver.join().unwrap();
    releaser.join().unwrap();
    assert_eq!(kernel.object(slot), 1, "the capability was unmapped under its new holder");
    assert_eq!(table.owner.references(slot), 1);
    assert_eq!(table.owner.badge(slot), A);
    assert_eq!(count(&table.settled(), A), 1);
}

/// One thread gives back the last reference while another one compares the
/// capability with a forged one: one of them lets the kernel let go, and frees the slot.
pub(super) fn release_against_forged_insert_map() {
    let table = Table::private(&[A]);
    table.owner.acquire(0).unwrap();
    let kernel = Objects::new(1, &[0]);
    kernel.hold(2, BUFFERS[0]);
    let mut same = kernel.clone();
    let unmapper = kernel.clone();
    let receiver = table.spawn(move |table| {
        let result = table.owner.insert_map(A, BUFFERS[0], &mut same);
        // Known no more, it is entered as new.
        assert!(matches!(result, Ok(Mapped { fresh: true, .. }) | Err(Status::Forged)));
        result.ok()
    });
    let releaser = table.spawn(move |table| {
        if let Released::Last(badge) = table.owner.release(0).unwrap() {
            assert_eq!(badge, A);
            unmapper.unmap(0);
            table.owner.free(0, 1).unwrap();
        }
    });
    let entered = receiver.join().unwrap();
    releaser.join().unwrap();
    let object = if entered.is_some_and(|mapped| mapped.slot == 0) { 2 } else { 0 };
    assert_eq!(kernel.object(0), object, "the kernel keeps what nobody holds");
    let badges = table.settled();
    let expected = entered.map(|mapped| (mapped.slot as usize, A));
    let carried = badges.iter().copied().enumerate().find(|(_, badge)| *badge != 0);
    assert_eq!(carried, expected);
    let taken = u32::from(entered.is_some());
    let free = (0..).take_while(|_| table.owner.alloc(1).is_ok()).count();
    assert_eq!(free + taken as usize, SLOTS, "a slot was lost");
}

/// The thread that has inserted a slot takes its first reference and gives it back while
/// another thread compares the capability with a forged one.
pub(super) fn first_reference_against_forged_insert_map() {
    let table = Table::private(&[A]);
    let kernel = Objects::new(1, &[0]);
    kernel.hold(2, BUFFERS[0]);
    let mut same = kernel.clone();
    let receiver = table.spawn(move |table| {
        let result = table.owner.insert_map(A, BUFFERS[0], &mut same);
        assert!(matches!(result, Ok(Mapped { fresh: true, .. }) | Err(Status::Forged)));
        u32::from(result.is_ok())
    });
    let holder = table.spawn(move |table| {
        table.owner.acquire(0).unwrap();
        if let Released::Last(badge) = table.owner.release(0).unwrap() {
            assert_eq!(badge, A);
            kernel.unmap(0);
            table.owner.free(0, 1).unwrap();
        }
    });
    let taken = receiver.join().unwrap();
    holder.join().unwrap();
    assert_eq!(count(&table.settled(), A), taken as usize);
    let free = (0..).take_while(|_| table.owner.alloc(1).is_ok()).count();
    assert_eq!(free + taken as usize, SLOTS, "a slot was lost");
}

/// One thread brings in a badge of the same probe sequence as one that another
/// thread takes out.
pub(super) fn insert_against_remove() {
    let table = Table::private(&[A, C]);
    let remover = table.spawn(|table| table.owner.remove(0).unwrap());
    let inserter = table.spawn(|table| table.owner.insert(E).unwrap());
    remover.join().unwrap();
    let slot = inserter.join().unwrap();
    let badges = table.settled();
    assert_eq!((count(&badges, A), badges[1], badges[slot as usize]), (0, C, E));
}

/// Badges are found while the table moves, and in slots it has only since.
pub(super) fn move_against_find() {
    let (_memory, words) = larger_words();
    let larger = Region::new(words).unwrap();
    let table = Table::private(&[A, B]);
    let mover = table.spawn(move |table| {
        table.owner.move_to(larger, None).unwrap();
        table.owner.insert_at(C, 5).unwrap();
    });
    let finder = table.spawn(|table| {
        assert_eq!(table.owner.find(A), Ok(0));
        let found = table.owner.find(C);
        assert!(matches!(found, Ok(5) | Err(Status::NotFound)));
        if found.is_ok() {
            assert_eq!(table.owner.entry(5), Ok(Slot::Used(C)));
        }
        assert_eq!(table.owner.badge(1), B);
    });
    mover.join().unwrap();
    finder.join().unwrap();
    assert_eq!(settled(&table.owner, words), [A, B, 0, 0, 0, C]);
}
