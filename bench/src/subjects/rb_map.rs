//! A red-black tree of records with a lock, from `intrusive-collections`. Free
//! slots are found by a scan, as in the AVL tree.

use std::cell::Cell;

use cap_map_ffi::{Status, cap_map_kernel, cap_map_owner};
use cap_map_rs::sync::{Lock, RelaxStrategy};
use intrusive_collections::{KeyAdapter, RBTree, RBTreeLink, UnsafeRef, intrusive_adapter};

use crate::ops::{MapOps, answer, ask_kernel};

const UNUSED: u32 = 0;
const RESERVED: u32 = u32::MAX;

#[derive(Default)]
struct Record {
    link: RBTreeLink,
    badge: Cell<u32>,
    references: Cell<u32>,
    slot: Cell<u32>,
}

intrusive_adapter!(ByBadge = UnsafeRef<Record>: Record { link => RBTreeLink });

impl<'a> KeyAdapter<'a> for ByBadge {
    type Key = u32;
    fn get_key(&self, record: &'a Record) -> u32 {
        record.badge.get()
    }
}

struct Tree {
    records: Box<[Record]>,
    tree: RBTree<ByBadge>,
    first_user: u32,
}

struct Wait;

impl RelaxStrategy for Wait {
    fn relax() {
        std::thread::yield_now();
    }
}

type Locked = Lock<Tree, Wait>;

pub(crate) static OPS: MapOps = MapOps {
    find,
    insert,
    insert_at,
    insert_map,
    remove,
    alloc,
    free,
    acquire,
    release,
    create,
    destroy,
};

impl Tree {
    fn at(&self, slot: u32) -> &Record {
        &self.records[slot as usize]
    }

    fn find(&self, badge: u32) -> Option<u32> {
        Some(self.tree.find(&badge).get()?.slot.get())
    }

    fn alloc(&mut self, count: u32) -> Option<u32> {
        let mut free = 0;
        for (slot, record) in (0u32..).zip(&self.records).skip(self.first_user as usize) {
            free = if record.badge.get() == UNUSED { free + 1 } else { 0 };
            if free == count {
                let first = slot + 1 - count;
                for slot in first..=slot {
                    self.at(slot).badge.set(RESERVED);
                    self.at(slot).references.set(0);
                }
                return Some(first);
            }
        }
        None
    }

    fn enter(&mut self, badge: u32, slot: u32) {
        let record: *const Record = self.at(slot);
        self.at(slot).badge.set(badge);
        // SAFETY: the records live as long as the tree, and this one is in no tree.
        let record = unsafe { UnsafeRef::from_raw(record) };
        self.tree.insert(record);
    }

    fn enter_new(&mut self, badge: u32) -> Option<u32> {
        let slot = self.alloc(1)?;
        self.enter(badge, slot);
        Some(slot)
    }

    fn withdraw(&mut self, slot: u32) {
        let record: *const Record = self.at(slot);
        if self.at(slot).link.is_linked() {
            // SAFETY: linked, and there is no other tree.
            let mut cursor = unsafe { self.tree.cursor_mut_from_ptr(record) };
            cursor.remove();
        }
        self.at(slot).badge.set(RESERVED);
    }
}

unsafe fn with<O>(owner: *const cap_map_owner, f: impl FnOnce(&mut Tree) -> O) -> O {
    // SAFETY: the owner came from `create`.
    unsafe { &*owner.cast::<Locked>() }.with(f)
}

unsafe extern "C" fn find(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    // SAFETY: the caller's duties.
    let found = unsafe { with(owner, |tree| tree.find(badge)) };
    // SAFETY: the caller's duties.
    unsafe { answer(found.ok_or(Status::NotFound), slot) }
}

unsafe extern "C" fn insert(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
    let insert = |tree: &mut Tree| {
        if tree.find(badge).is_some() {
            return None;
        }
        tree.enter_new(badge)
    };
    // SAFETY: the caller's duties.
    let done = unsafe { with(owner, insert) };
    // SAFETY: the caller's duties.
    unsafe { answer(done.ok_or(Status::OutOfSlots), slot) }
}

unsafe extern "C" fn insert_at(owner: *const cap_map_owner, badge: u32, slot: u32) -> Status {
    // SAFETY: the caller's duties.
    unsafe { with(owner, |tree| tree.enter(badge, slot)) };
    Status::Ok
}

unsafe extern "C" fn insert_map(
    owner: *const cap_map_owner,
    badge: u32,
    selector: usize,
    kernel: *const cap_map_kernel,
    slot: *mut u32,
) -> Status {
    let enter = |tree: &mut Tree| {
        let known = tree.find(badge);
        // SAFETY: the caller's `kernel` is valid.
        let slot = unsafe { ask_kernel(kernel, selector, known, || tree.enter_new(badge)) }?;
        tree.at(slot).references.update(|count| count + 1);
        Ok(slot)
    };
    // SAFETY: the caller's duties.
    let done = unsafe { with(owner, enter) };
    // SAFETY: the caller's duties.
    unsafe { answer(done, slot) }
}

unsafe extern "C" fn remove(owner: *const cap_map_owner, slot: u32) -> Status {
    let remove = |tree: &mut Tree| {
        tree.withdraw(slot);
        tree.at(slot).badge.set(UNUSED);
    };
    // SAFETY: the caller's duties.
    unsafe { with(owner, remove) };
    Status::Ok
}

unsafe extern "C" fn alloc(owner: *const cap_map_owner, count: u32, first: *mut u32) -> Status {
    // SAFETY: the caller's duties.
    let done = unsafe { with(owner, |tree| tree.alloc(count)) };
    // SAFETY: the caller's duties.
    unsafe { answer(done.ok_or(Status::OutOfSlots), first) }
}

unsafe extern "C" fn free(owner: *const cap_map_owner, first: u32, count: u32) -> Status {
    let free = |tree: &mut Tree| {
        (first..first + count).for_each(|slot| tree.at(slot).badge.set(UNUSED));
    };
    // SAFETY: the caller's duties.
    unsafe { with(owner, free) };
    Status::Ok
}

unsafe extern "C" fn acquire(owner: *const cap_map_owner, slot: u32) -> Status {
    // SAFETY: the caller's duties.
    unsafe { with(owner, |tree| tree.at(slot).references.update(|count| count + 1)) };
    Status::Ok
}

unsafe extern "C" fn release(
    owner: *const cap_map_owner,
    slot: u32,
    last: *mut bool,
    badge: *mut u32,
) -> Status {
    let release = |tree: &mut Tree| {
        let record = tree.at(slot);
        record.references.update(|count| count - 1);
        if record.references.get() != 0 {
            return None;
        }
        let badge = record.badge.get();
        tree.withdraw(slot);
        Some(badge)
    };
    // SAFETY: the caller's duties.
    let gone = unsafe { with(owner, release) };
    // SAFETY: the caller's `last` is valid.
    unsafe { last.write(gone.is_some()) };
    if let Some(gone) = gone {
        // SAFETY: the caller's `badge` is valid.
        unsafe { badge.write(gone) };
    }
    Status::Ok
}

extern "C" fn create(capacity: u32, first_user: u32) -> *mut cap_map_owner {
    let record = |slot| Record { slot: Cell::new(slot), ..Record::default() };
    let records = (0..capacity).map(record).collect();
    let tree = Tree { records, tree: RBTree::new(ByBadge::new()), first_user };
    Box::into_raw(Box::new(Locked::new(tree))).cast()
}

unsafe extern "C" fn destroy(owner: *mut cap_map_owner) {
    // SAFETY: came from `create`.
    let locked = unsafe { Box::from_raw(owner.cast::<Locked>()) };
    locked.with(|tree| tree.tree.fast_clear());
}
